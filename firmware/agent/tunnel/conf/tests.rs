//! The files that people really have, and what they really get wrong in them.

use std::fmt;

use super::*;

const PRIVATE: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
const PUBLIC: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const PRESHARED: &str = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=";

/// As the web site's generator writes it.
fn generated() -> String {
    format!(
        "[Interface]\n# Device: Warm Kiwi\nPrivateKey = {PRIVATE}\n\
         Address = 10.64.210.67/32,fc00:bbbb:bbbb:bb01::1:d242/128\nDNS = 10.64.0.1\n\n\
         [Peer]\nPublicKey = {PUBLIC}\nAllowedIPs = 0.0.0.0/0,::0/0\nEndpoint = 192.0.2.126:51820\n"
    )
}

#[test]
fn reads_what_the_generator_writes() {
    let conf = parse(&generated()).unwrap();
    assert_eq!(shown(&conf.addresses), "10.64.210.67/32 fc00:bbbb:bbbb:bb01::1:d242/128");
    assert_eq!(shown(&conf.dns), "10.64.0.1");
    assert_eq!(conf.peer.endpoint.to_string(), "192.0.2.126:51820");
    assert_eq!(conf.peer.keepalive_s, 25);
    assert_eq!(conf.peer.preshared_key, None);
    assert_eq!(conf.peer.public_key.as_bytes(), &value::key_bytes(PUBLIC).unwrap());
    assert_eq!(conf.peer.private_key.to_bytes(), value::key_bytes(PRIVATE).unwrap());
    assert_eq!(conf.ignored, []);
}

#[test]
fn reads_the_lower_case_of_mullvads_script() {
    let text = format!(
        "[interface]\n#device = warm kiwi\n#owned = True\nprivatekey={PRIVATE}\naddress=10.64.210.67/32, fc00::2/128\n\
         dns = 10.64.0.1,fc00:bbbb:bbbb:bb01::1\n[peer]\n#provider = x\npublickey={PUBLIC}\n\
         allowedips = 0.0.0.0/0,::/0\nendpoint = [2001:db8::130]:51820\n"
    );
    let conf = parse(&text).unwrap();
    assert_eq!(shown(&conf.dns), "10.64.0.1 fc00:bbbb:bbbb:bb01::1");
    assert_eq!(conf.peer.endpoint.to_string(), "[2001:db8::130]:51820");
}

#[test]
fn reads_a_file_without_ipv6() {
    let text = generated().replace(",fc00:bbbb:bbbb:bb01::1:d242/128", "").replace(",::0/0", "");
    assert_eq!(shown(&parse(&text).unwrap().addresses), "10.64.210.67/32");
}

#[test]
fn reads_a_file_that_went_through_windows() {
    let text = format!("\u{feff}{}", generated().replace('\n', "\r\n"));
    assert_eq!(parse(&text).unwrap().addresses.len(), 2);
}

#[test]
fn reads_lists_over_several_lines_and_bare_addresses() {
    let text = generated().replace("Address = 10.64.210.67/32,", "Address = 10.64.210.67\nAddress = ");
    assert_eq!(shown(&parse(&text).unwrap().addresses), "10.64.210.67/32 fc00:bbbb:bbbb:bb01::1:d242/128");
}

#[test]
fn reads_comments_behind_values() {
    let text = generated().replace("DNS = 10.64.0.1", "DNS = 10.64.0.1 # the relay's own");
    assert_eq!(shown(&parse(&text).unwrap().dns), "10.64.0.1");
}

#[test]
fn reads_a_preshared_key_and_a_keepalive() {
    let text = generated() + &format!("PresharedKey = {PRESHARED}\nPersistentKeepalive = 15\n");
    let peer = parse(&text).unwrap().peer;
    assert_eq!(peer.preshared_key, Some(value::key_bytes(PRESHARED).unwrap()));
    assert_eq!(peer.keepalive_s, 15);
}

#[test]
fn tells_what_has_no_effect() {
    let text =
        generated().replace("DNS =", "MTU = 1280\nListenPort = 51820\nDNS =") + "PersistentKeepalive = off\n";
    let conf = parse(&text).unwrap();
    assert_eq!(conf.peer.keepalive_s, 25);
    assert_eq!(
        shown(&conf.ignored),
        "5:7: MTU has no effect: the MTU is that of byway.toml, `mtu` under [mullvad] \
         6:14: ListenPort has no effect: the tunnel sends from a port of its own and is called by nobody \
         13:23: PersistentKeepalive has no effect: the tunnel is kept proven in every state: every 25 s"
    );
}

#[test]
fn refuses_commands() {
    for key in ["PostUp", "PreUp", "postdown", "PREDOWN"] {
        let text = generated().replace("DNS =", &format!("{key} = iptables -I OUTPUT -j REJECT\nDNS ="));
        assert_eq!(
            mistakes(&text),
            [
                "5:1 delete this line: byway never runs commands from this file, and its own firewall is the kill switch"
            ]
        );
    }
}

#[test]
fn refuses_what_only_wg_quick_should_do() {
    let text = generated().replace("DNS =", "Table = off\nSaveConfig = true\nFwMark = 51820\nDNS =");
    assert_eq!(
        mistakes(&text),
        [
            "5:1 delete this line: the routes are byway's own",
            "6:1 delete this line: byway never writes this file",
            "7:1 delete this line: the marks are byway's own",
        ]
    );
}

#[test]
fn refuses_unknown_keys_and_keys_of_the_other_section() {
    let text = generated().replace("DNS =", "Dms = 10.64.0.1\nEndpoint = 192.0.2.1:1\nDNS =");
    assert_eq!(
        mistakes(&text),
        [
            "5:1 unknown key: [Interface] has PrivateKey, Address, DNS, MTU, ListenPort",
            "6:1 Endpoint belongs under [Peer]: move it there",
        ]
    );
}

#[test]
fn refuses_unknown_sections_without_a_word_about_their_lines() {
    let text = generated() + "[Peers]\nwhatever = 1\n";
    assert_eq!(mistakes(&text), ["11:1 write [Interface] or [Peer]: there are no other sections"]);
}

#[test]
fn refuses_a_second_relay() {
    let text = generated() + &format!("[Peer]\nPublicKey = {PUBLIC}\n");
    assert_eq!(
        mistakes(&text),
        ["11:1 keep one [Peer]: a file is for one relay, put the other one into a file of its own"]
    );
}

#[test]
fn refuses_a_value_given_twice() {
    let text = generated() + "  Endpoint = 192.0.2.127:51820\n";
    assert_eq!(mistakes(&text), ["11:3 Endpoint is given twice: keep one"]);
}

#[test]
fn refuses_a_key_of_the_wrong_length() {
    let text = generated().replace(PRIVATE, &PRIVATE[..43]).replace(PUBLIC, "");
    assert_eq!(
        mistakes(&text),
        [
            "3:14 PrivateKey: a key has 44 characters, this one 43: copy it again, with the = at its end",
            "8:12 PublicKey: a key has 44 characters, this one 0: copy it again, with the = at its end",
        ]
    );
}

#[test]
fn refuses_a_key_that_is_not_base64() {
    for wrong in
        ["!Anz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=", "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmkA"]
    {
        let text = generated().replace(PRIVATE, wrong);
        assert_eq!(
            mistakes(&text),
            ["3:14 PrivateKey: not a key in base64: copy it again, character by character"]
        );
    }
}

#[test]
fn refuses_an_endpoint_with_a_name_and_says_how_to_get_its_address() {
    let text = generated().replace("192.0.2.126:51820", "se-got-wg-001.relays.mullvad.net:51820");
    let found = mistakes(&text);
    assert!(
        found.len() == 1 && found[0].starts_with("10:12 Endpoint: write the relay's address"),
        "{found:?}"
    );
    assert!(found[0].contains("`getent hosts NAME`"), "{found:?}");
}

#[test]
fn refuses_an_endpoint_without_a_port_or_of_no_single_relay() {
    for (wrong, part) in [
        ("192.0.2.126", "add the port"),
        ("2001:db8::1", "add the port"),
        ("192.0.2.126:0", "port 0"),
        ("0.0.0.0:51820", "not the address of one relay"),
        ("192.0.2.126:90000", "address and port"),
        ("", "address and port"),
    ] {
        let found = mistakes(&generated().replace("192.0.2.126:51820", wrong));
        assert!(found.len() == 1 && found[0].contains(part), "{wrong}: {found:?}");
    }
}

#[test]
fn refuses_wrong_entries_in_lists_each_at_its_place() {
    let text =
        generated().replace("10.64.210.67/32,", "10.64.210.67/33,, ").replace("DNS = 10.64.0.1", "DNS = lan");
    let advice = "Address: write addresses such as `10.64.0.2/32`, with commas between them";
    let places = [format!("4:11 {advice}"), format!("4:27 {advice}")];
    let found = mistakes(&text);
    assert_eq!(found[..2], places);
    assert!(found.len() == 3 && found[2].starts_with("5:7 DNS: write addresses"), "{found:?}");
}

#[test]
fn refuses_to_leave_a_part_of_the_internet_outside() {
    for narrow in ["0.0.0.0/0", "::/0", "0.0.0.0/1, 128.0.0.0/1, ::/0", "10.64.0.0/10"] {
        let found = mistakes(&generated().replace("0.0.0.0/0,::0/0", narrow));
        assert!(found.len() == 1 && found[0].starts_with("9:14 AllowedIPs: "), "{narrow}: {found:?}");
    }
}

#[test]
fn names_every_key_that_is_missing() {
    assert_eq!(
        mistakes("[Interface]\nDNS = 10.64.0.1\n\n[Peer]\n"),
        [
            "1:1 [Interface] has no Address: write the tunnel's own addresses, such as `Address = 10.64.0.2/32`",
            "1:1 [Interface] has no PrivateKey: copy the line from the file that Mullvad generated",
            "4:1 [Peer] has no AllowedIPs: write `AllowedIPs = 0.0.0.0/0, ::/0`",
            "4:1 [Peer] has no Endpoint: write the relay's address and port, such as `Endpoint = 192.0.2.130:51820`",
            "4:1 [Peer] has no PublicKey: copy the line from the file that Mullvad generated",
        ]
    );
}

#[test]
fn refuses_an_empty_file_and_lines_that_are_nothing() {
    assert_eq!(mistakes("").len(), 5);
    assert_eq!(
        mistakes(&format!("stray = 1\n{}nonsense\n", generated())),
        [
            "1:1 put this line under [Interface] or [Peer]",
            "12:1 write `Key = value`, a section in brackets, or # before a comment",
        ]
    );
}

#[test]
fn never_quotes_a_key_wherever_it_was_put() {
    for line in [
        format!("PrivatKey = {PRIVATE}"),
        format!("PrivateKey: {PRIVATE}"),
        PRIVATE.to_owned(),
        format!("Address = {PRIVATE}"),
        format!("DNS = {PRIVATE}"),
        format!("[{PRIVATE}]"),
        format!("PrivateKey = {PRIVATE}A"),
    ] {
        let found = format!("{:?}", parse(&generated().replace("DNS = 10.64.0.1", &line)));
        assert!(found.starts_with("Err") && !found.contains(&PRIVATE[..20]), "{line}: {found}");
    }
}

#[test]
fn hides_the_keys_of_a_file_shown_for_debugging() {
    let text = generated() + &format!("PresharedKey = {PRESHARED}\n");
    let shown = format!("{:?}", parse(&text).unwrap());
    let bytes = format!("{:?}", &value::key_bytes(PRESHARED).unwrap()[..4]);
    for secret in [PRIVATE, PRESHARED, &bytes[1..bytes.len() - 1]] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// Each as `LINE:COLUMN MESSAGE`.
fn mistakes(text: &str) -> Vec<String> {
    let found = parse(text).expect_err("the file has mistakes");
    found
        .into_iter()
        .map(|mistake| format!("{}:{} {}", mistake.line, mistake.column, mistake.message))
        .collect()
}

fn shown(values: &[impl fmt::Display]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
