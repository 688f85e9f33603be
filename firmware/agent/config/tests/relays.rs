//! Several relays in one list.

use super::*;

fn list(files: &str) -> String {
    format!("{}[mullvad]\nconfig = [{files}]\n", LEAST[0])
}

#[test]
fn several_relays_are_read_in_the_order_of_the_list() {
    let config = read(&list("\"b.conf\", \"a.conf\", \"c.conf\"")).unwrap();
    let names: Vec<String> = config.mullvad.relays.iter().map(MullvadFile::relay_name).collect();
    assert_eq!(names, ["b", "a", "c"]);
    assert_eq!(config.mullvad.account, None);
    let endpoints: Vec<String> =
        config.mullvad.relays.iter().map(|relay| relay.conf.peer.endpoint.to_string()).collect();
    assert_eq!(endpoints, ["192.0.2.131:51820", "192.0.2.130:51820", "192.0.2.132:51820"]);
}

#[test]
fn each_file_is_of_another_relay_and_has_a_name_of_its_own() {
    for (files, complaint) in [
        ("\"a.conf\", \"a.conf\"", "4:21: \"a.conf\" is in the list already: leave it out"),
        ("\"a.conf\", \"b.conf\", \"a.conf\"", "4:31: \"a.conf\" is in the list already: leave it out"),
        (
            "\"a.conf\", \"de/a.conf\"",
            "4:21: \"de/a.conf\" and \"a.conf\" would both be called a: rename one of the two files",
        ),
        (
            "\"a.conf\", \"A.conf\"",
            "4:21: \"A.conf\" and \"a.conf\" would both be called A: rename one of the two files",
        ),
        (
            "\"b.conf\", \"a.conf\", \"se-got-wg-001.conf\"",
            "4:31: \"se-got-wg-001.conf\" is of the same relay as \"a.conf\": leave one of the two out, or download another relay's",
        ),
    ] {
        assert_eq!(complaints(&list(files)), [complaint], "{files}");
    }
}

#[test]
fn names_the_mistakes_of_every_file_at_once() {
    let files =
        "\"gone.conf\", \"empty.conf\", \"a.conf\", \"utf16.conf\", \"a.conf\", \"se-got-wg-001.conf\"";
    assert_eq!(
        complaints(&list(files)),
        [
            "4:11: \"gone.conf\" is not there: put it beside byway.toml, or correct its name",
            "4:48: \"utf16.conf\" is not text: save it as UTF-8",
            "4:62: \"a.conf\" is in the list already: leave it out",
            "4:72: \"se-got-wg-001.conf\" is of the same relay as \"a.conf\": leave one of the two out, or download another relay's",
            "/boot/empty.conf:1:1: the file is empty: download it again",
        ]
    );
    assert!(read(&list("\"a.conf\", \"gone.conf\"")).is_err(), "no relay is left out in silence");
}

#[test]
fn takes_sixteen_relays_and_no_more() {
    let name = |nth: u8| format!("\"r{nth:02}.conf\"");
    let all = |most: u8| (1..=most).map(name).collect::<Vec<_>>().join(", ");
    let card = |named: &Path| {
        let digits = named.to_str().and_then(|path| path.strip_prefix("/boot/r")?.strip_suffix(".conf"));
        let nth = digits.and_then(|digits| digits.parse().ok());
        nth.map(of_another_relay).ok_or_else(|| io::ErrorKind::NotFound.into())
    };
    let read = |text: &str| parse(text, Path::new("/boot/byway.toml"), &card);
    assert_eq!(read(&list(&all(16))).unwrap().mullvad.relays.len(), 16);
    assert_eq!(
        read(&list(&all(18))).unwrap_err().to_string(),
        "/boot/byway.toml:4:203: the list names 18 files: leave 16, those that you prefer"
    );
}

#[test]
fn a_blocking_resolver_is_noted_once_with_every_file_that_names_it() {
    let card = |named: &Path| match named.to_str() {
        Some("/boot/d.conf") => Ok(of_another_relay(3).replace("DNS = 10.64.0.1", "DNS = 100.64.0.7")),
        Some("/boot/e.conf") => Ok(of_another_relay(4).replace("DNS = 10.64.0.1", "DNS = 100.64.0.1")),
        Some(_) | None => card(named),
    };
    let text =
        list("\"a.conf\", \"b.conf\", \"d.conf\", \"e.conf\", \"blocking.conf\"").replace("\"a.conf\", ", "");
    let notes = parse(&text, Path::new("/boot/byway.toml"), &card).unwrap().mullvad.notes();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].starts_with("100.64.0.1, the DNS of e.conf, is one of"), "{notes:?}");
    assert!(notes[1].starts_with("100.64.0.7, the DNS of d.conf, blocking.conf, is one of"), "{notes:?}");
}
