//! Sticks as folders, and the box's own memory as another; what is mounted is tried in `tests/machine`.

mod card;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use tempfile::TempDir;

use super::*;

const CONF: &str = include_str!("../../../tests/vm/nobody.conf");

fn toml(name: &str, more: &str) -> String {
    format!("[box]\nname = \"{name}\"\n[uplink]\nmethod = \"none\"\n[mullvad]\nconfig = [\"a.conf\"]\n{more}")
}

/// A stick and a card, each with files.
struct Bench {
    stick: TempDir,
    card: TempDir,
}

impl Bench {
    fn new(stick: &[(&str, &str)], card: &[(&str, &str)]) -> Self {
        let bench = Self { stick: tempfile::tempdir().unwrap(), card: tempfile::tempdir().unwrap() };
        for (folder, files) in [(&bench.stick, stick), (&bench.card, card)] {
            for (name, text) in files {
                fs::write(folder.path().join(name), text).unwrap();
            }
        }
        bench
    }

    fn plug_in(&self) -> Verdict {
        take_over(self.stick.path(), &self.card.path().join("byway.toml"))
    }

    fn on_card(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.card.path().join(name)).ok()
    }

    fn names_on_card(&self) -> Vec<String> {
        let entries = fs::read_dir(self.card.path()).unwrap().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.stick.path().join(name), text).unwrap();
    }
}

/// The only complaint about what is on the stick, after which the card must be as it was.
fn complaint(bench: &Bench) -> String {
    let before = bench.names_on_card();
    let verdict = bench.plug_in();
    let Verdict::Mistakes(error) = verdict else { panic!("{verdict:?}") };
    assert_eq!(bench.names_on_card(), before);
    assert_eq!(bench.on_card("byway.toml").as_deref(), Some("old"));
    let [(file, mistake)] = error.mistakes.as_slice() else { panic!("{error}") };
    format!("{}:{mistake}", file.file_name().unwrap().display())
}

#[test]
fn a_good_one_is_taken_over_and_the_old_one_kept() {
    let new = toml("new", "");
    let bench = Bench::new(
        &[("byway.toml", &new), ("a.conf", CONF), ("holiday.jpg", "x")],
        &[("byway.toml", "old"), ("a.conf", "old relay"), ("config.txt", "boots")],
    );
    let kept = ["a.conf.old", "byway.toml.old"].map(str::to_owned).to_vec();
    let files = ["byway.toml", "a.conf"].map(str::to_owned).to_vec();
    assert_eq!(bench.plug_in(), Verdict::TakenOver { files, kept });
    assert_eq!(bench.on_card("byway.toml"), Some(new));
    assert_eq!(bench.on_card("a.conf").as_deref(), Some(CONF));
    assert_eq!(bench.on_card("byway.toml.old").as_deref(), Some("old"));
    assert_eq!(bench.on_card("a.conf.old").as_deref(), Some("old relay"));
    assert_eq!(
        bench.names_on_card(),
        ["a.conf", "a.conf.old", "byway.toml", "byway.toml.old", "byway.toml.taken", "config.txt"]
    );
    for secret in ["byway.toml", "a.conf", "byway.toml.old"] {
        let mode = fs::metadata(bench.card.path().join(secret)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
}

#[test]
fn the_same_one_changes_nothing() {
    let bench = Bench::new(&[("byway.toml", &toml("new", "")), ("a.conf", CONF)], &[]);
    assert!(matches!(bench.plug_in(), Verdict::TakenOver { .. }));
    assert_eq!(bench.plug_in(), Verdict::Same);
    bench.put("a.conf", &format!("# the same relay, otherwise\n{CONF}"));
    assert!(matches!(bench.plug_in(), Verdict::TakenOver { .. }));
}

#[test]
fn a_key_that_was_wiped_after_the_join_makes_no_other_of_it_and_a_new_key_does() {
    let with_key = |key: &str| toml("new", &format!("[tailnet]\nauth_key = \"{key}\"\n"));
    let bench = Bench::new(&[("byway.toml", &with_key("key-1")), ("a.conf", CONF)], &[("byway.toml", "old")]);
    assert!(matches!(bench.plug_in(), Verdict::TakenOver { .. }));
    tailnet_wipes(&bench);
    assert_eq!(bench.plug_in(), Verdict::Same);
    bench.put("byway.toml", &with_key("key-2"));
    assert!(matches!(bench.plug_in(), Verdict::TakenOver { .. }));
    assert!(bench.on_card("byway.toml").unwrap().contains("key-2"));

    bench.put("byway.toml", &toml("new", "[tailnet]\nauth_key_file = \"auth.key\"\n"));
    bench.put("auth.key", "key-3\n");
    assert!(matches!(bench.plug_in(), Verdict::TakenOver { .. }));
    tailnet_wipes(&bench);
    assert_eq!((bench.on_card("auth.key").as_deref(), bench.plug_in()), (Some(""), Verdict::Same));
}

fn tailnet_wipes(bench: &Bench) {
    crate::tailnet::wipe_auth_key(&bench.card.path().join("byway.toml")).unwrap();
}

#[test]
fn a_relay_that_is_not_on_the_stick_may_be_on_the_card() {
    let bench = Bench::new(&[("byway.toml", &toml("new", ""))], &[("byway.toml", "old"), ("a.conf", CONF)]);
    assert!(matches!(bench.plug_in(), Verdict::TakenOver { files, .. } if files == ["byway.toml"]));
    assert_eq!(bench.on_card("a.conf").as_deref(), Some(CONF));
}

#[test]
fn what_is_kept_is_taken_from_the_box() {
    let wifi = "account = '1234567890123456'\nlocation = 'se'\n\
                [uplink.wifi]\nssid = \"Home\"\npsk = 'correct horse'\ncountry = \"SE\"\n";
    let kept = wifi.replace("'correct horse'", "\"kept\"").replace("'1234567890123456'", "'kept'");
    let bench = Bench::new(
        &[
            ("byway.toml", &toml("new", &kept)),
            ("a.conf", &CONF.replace("YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=", "kept  # mine")),
        ],
        &[("byway.toml", &toml("old", wifi)), ("a.conf", CONF)],
    );
    assert!(matches!(bench.plug_in(), Verdict::TakenOver { .. }));
    assert_eq!(bench.on_card("byway.toml"), Some(toml("new", wifi)));
    let with_comment = CONF.replace("fBmk=", "fBmk=  # mine");
    assert_eq!(bench.on_card("a.conf"), Some(with_comment));
    assert_eq!(bench.plug_in(), Verdict::Same);
}

#[test]
fn what_the_box_does_not_have_cannot_be_kept() {
    let wifi = "[uplink.wifi]\nssid = \"Cottage\"\npsk = \"kept\"\ncountry = \"XX\"\n";
    let bench = Bench::new(
        &[
            ("byway.toml", &toml("new", wifi)),
            ("a.conf", &CONF.replace("YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=", "kept")),
        ],
        &[("byway.toml", "old")],
    );
    let Verdict::Mistakes(error) = bench.plug_in() else { panic!() };
    let told: Vec<String> = error.mistakes.iter().map(|(_, mistake)| mistake.to_string()).collect();
    assert_eq!(
        told,
        [
            "9:7: psk of \"Cottage\": the box does not have it any more: write it again",
            "10:11: \"XX\" is no country's two letters (ISO 3166): write the country of the house, as \"SE\"",
            "2:14: PrivateKey: the box does not have it any more: write it again",
        ]
    );
    assert_eq!(bench.names_on_card(), ["byway.toml"]);
}

#[test]
fn a_check_elsewhere_tells_what_the_box_has_to_have() {
    let wifi = "account = \"kept\"\nlocation = \"se\"\n\
                [uplink.wifi]\nssid = \"Home\"\npsk = \"kept\"\ncountry = \"SE\"\n";
    let bench = Bench::new(
        &[
            ("byway.toml", &toml("new", wifi)),
            ("a.conf", &CONF.replace("YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=", "kept")),
        ],
        &[],
    );
    let file = bench.stick.path().join("byway.toml");
    let kept = check(&file).unwrap();
    let words: Vec<&str> = kept.iter().map(|(_, secret)| secret.as_str()).collect();
    assert_eq!(words, ["PrivateKey", "account", "psk of \"Home\""]);
    bench.put("byway.toml", &toml("My Box", wifi));
    assert!(check(&file).unwrap_err().to_string().contains(":2:8: a host name is"));
}

#[test]
fn every_relay_of_the_list_is_taken_and_some_may_be_on_the_card() {
    let other = |key: &str| CONF.replace("xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=", key);
    let b = other("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
    let c = other("AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=");
    let new = toml("new", "").replace("[\"a.conf\"]", "[\"a.conf\", \"b.conf\", \"c.conf\"]");
    let bench = Bench::new(
        &[("byway.toml", &new), ("a.conf", CONF), ("c.conf", &c)],
        &[("byway.toml", "old"), ("b.conf", &b), ("c.conf", "old relay")],
    );
    let files = ["byway.toml", "a.conf", "c.conf"].map(str::to_owned).to_vec();
    let kept = ["c.conf.old", "byway.toml.old"].map(str::to_owned).to_vec();
    assert_eq!(bench.plug_in(), Verdict::TakenOver { files, kept });
    assert_eq!(bench.on_card("byway.toml"), Some(new));
    assert_eq!(
        ["a.conf", "b.conf", "c.conf", "c.conf.old"].map(|name| bench.on_card(name).unwrap()),
        [CONF, &b, &c, "old relay"]
    );
    assert_eq!(bench.plug_in(), Verdict::Same);

    bench.put("a.conf", &b);
    let Verdict::Mistakes(error) = bench.plug_in() else { panic!() };
    assert!(error.to_string().contains("\"b.conf\" is of the same relay as \"a.conf\""), "{error}");
    assert_eq!(bench.on_card("a.conf").as_deref(), Some(CONF));
}

#[test]
fn a_broken_one_changes_nothing() {
    let broken = toml("My Box", "");
    let bench = Bench::new(&[("byway.toml", &broken), ("a.conf", CONF)], &[("byway.toml", "old")]);
    assert!(complaint(&bench).starts_with("byway.toml:2:8: a host name is"));
    bench.put("byway.toml", &toml("new", ""));
    bench.put("a.conf", "[Interface]\nPostUp = reboot\n");
    let Verdict::Mistakes(error) = bench.plug_in() else { panic!() };
    assert!(error.mistakes.iter().all(|(file, _)| file.ends_with("a.conf")), "{error}");
    assert_eq!(bench.names_on_card(), ["byway.toml"]);
    fs::remove_file(bench.stick.path().join("a.conf")).unwrap();
    assert!(complaint(&bench).contains("\"a.conf\" is not there: put it beside byway.toml"));
}

#[test]
fn a_stick_without_one_is_left_alone() {
    let bench = Bench::new(&[("holiday.jpg", "x")], &[("byway.toml", "old")]);
    assert_eq!(bench.plug_in(), Verdict::Nothing);
    bench.put("byway.toml.txt", "x");
    assert_eq!(bench.plug_in(), Verdict::Misnamed);
    assert_eq!(bench.names_on_card(), ["byway.toml"]);
}

#[test]
fn nothing_from_elsewhere_than_the_stick_is_read_and_nothing_elsewhere_written() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("a.conf"), CONF).unwrap();
    let absolute = outside.path().join("a.conf").display().to_string();
    for (name, advice) in [
        ("../a.conf", "write its name alone"),
        ("folder/a.conf", "write its name alone"),
        (absolute.as_str(), "write its name alone"),
        ("config.txt", "its name ends in .conf or .key"),
    ] {
        let text = toml("new", "").replace("a.conf", name);
        let bench = Bench::new(&[("byway.toml", &text), ("config.txt", CONF)], &[("byway.toml", "old")]);
        assert!(complaint(&bench).contains(advice), "{name}");
    }

    let bench = Bench::new(&[("byway.toml", &toml("new", ""))], &[("byway.toml", "old")]);
    symlink(outside.path().join("a.conf"), bench.stick.path().join("a.conf")).unwrap();
    assert!(complaint(&bench).contains("it is a link"));
    fs::rename(bench.stick.path().join("byway.toml"), outside.path().join("byway.toml")).unwrap();
    symlink(outside.path().join("byway.toml"), bench.stick.path().join("byway.toml")).unwrap();
    assert!(complaint(&bench).contains("it is a link"));
}

#[test]
fn what_is_no_configuration_is_told() {
    let bench = Bench::new(&[], &[("byway.toml", "old")]);
    let path = bench.stick.path().join("byway.toml");
    fs::write(&path, "#".repeat(300 << 10)).unwrap();
    assert!(complaint(&bench).contains("longer than 256 KiB"));
    fs::write(&path, [0xff, 0xfe, 0]).unwrap();
    assert!(complaint(&bench).contains("save it as UTF-8"));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(complaint(&bench).contains("it is no file"));
}

#[test]
fn a_card_that_takes_nothing_keeps_what_it_has() {
    for blocked in ["byway.toml.new", "a.conf.new", "byway.toml.old"] {
        let bench = Bench::new(
            &[("byway.toml", &toml("new", "")), ("a.conf", CONF)],
            &[("byway.toml", "old"), ("a.conf", "old relay")],
        );
        // Whoever runs this as root may write everywhere; nobody may put a file where a folder is.
        fs::create_dir_all(bench.card.path().join(blocked).join("full")).unwrap();
        let Verdict::Failed(failure) = bench.plug_in() else { panic!("{blocked}") };
        assert_eq!(failure.path.file_name().unwrap(), blocked);
        assert_eq!(bench.on_card("byway.toml").as_deref(), Some("old"), "{blocked}");
        assert_eq!(bench.on_card("a.conf").as_deref(), Some("old relay"), "{blocked}");
        let left: Vec<String> = bench.names_on_card();
        assert!(!left.iter().any(|name| name.contains(".new") && name != blocked), "{left:?}");
    }
}

#[test]
fn the_answer_replaces_the_last_one_and_follows_no_link() {
    let bench = Bench::new(&[(STATUS, &"an older and much longer answer ".repeat(99))], &[("target", "x")]);
    answer_on_stick(bench.stick.path(), &Verdict::Same).unwrap();
    let told = fs::read_to_string(bench.stick.path().join(STATUS)).unwrap();
    assert!(told.contains("The box has this configuration.") && !told.contains("older"), "{told}");

    fs::remove_file(bench.stick.path().join(STATUS)).unwrap();
    symlink(bench.card.path().join("target"), bench.stick.path().join(STATUS)).unwrap();
    assert!(answer_on_stick(bench.stick.path(), &Verdict::Same).is_err());
    assert_eq!(bench.on_card("target").as_deref(), Some("x"));
}
