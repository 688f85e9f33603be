//! `[uplink.wifi]`: what the owner reads about each mistake, word for word.

use super::*;

/// Lines below `[uplink.wifi]`, and where and what the answer is.
const WRONG_NETWORKS: &[(&str, &str)] = &[
    ("country = \"SE\"", "5:9: wi-fi has no ssid: write ssid = \"..\" below [uplink.wifi]"),
    ("ssid = \"Home\"", "5:9: wi-fi has no country: write country = \"SE\" below [uplink.wifi]"),
    (
        "ssid = \"Home\"\ncountry = \"UK\"",
        "7:11: \"UK\" is no country's two letters (ISO 3166): write \"GB\"",
    ),
    ("ssid = \"\"\ncountry = \"SE\"", "6:8: a network has a name: write it as a phone shows it"),
    (
        "ssid = \"The whole family's network, upstairs\"\ncountry = \"SE\"",
        "6:8: a network's name has at most 32 bytes, and this one has 36: write it as a phone shows it",
    ),
    (
        "ssid = \"Home\"\ncountry = \"SE\"\npsk = \"secret\"",
        "8:7: a wi-fi password has 8 to 63 characters (or is a key of 64 hex digits), and this one has 6: write it as the router has it",
    ),
    (
        "ssid = \"Home\"\ncountry = \"SE\"\npsk = \"geheimes W\u{f6}rtchen\"",
        "8:7: a wi-fi password is made of the letters, digits and signs of ASCII, and this one has others: write it as the router has it",
    ),
    (
        "ssid = \"Home\"\ncountry = \"SE\"\npsk = \"\"",
        "8:7: an empty password is none: leave psk out for an open network",
    ),
    (
        "ssid = \"Home\"\ncountry = \"SE\"\npsk = 12345678",
        "8:7: psk is a text in quotes, not a number: write psk = \"the wi-fi's password\"",
    ),
    (
        "ssid = \"Home\"\ncountry = \"SE\"\ninterface = \"eth0\"",
        "8:13: eth0 is the cable's, as [uplink] says: write \"wlan0\", or another radio that `iw dev` lists",
    ),
    (
        "ssid = \"Home\"\ncountry = \"SE\"\npassword = \"12345678\"",
        "8:1: [uplink.wifi] knows no key \"password\": there are interface, ssid, psk, country",
    ),
    (
        "ssid = \"Home\"\ncountry = \"SE\"\npks = \"12345678\"",
        "8:1: [uplink.wifi] knows no key \"pks\": there are interface, ssid, psk, country",
    ),
];

fn with_wifi(lines: &str) -> String {
    format!("{}{}[uplink.wifi]\n{lines}\n", LEAST[0], LEAST[1])
}

#[test]
fn reads_a_network() {
    let read = |lines: &str| read(&with_wifi(lines)).unwrap().uplink.wifi.unwrap();
    let wifi =
        read("ssid = \"Familjen \u{c5}\"\npsk = \"correct horse\"\ncountry = \"se\"\ninterface = \"wlp1s0\"");
    assert_eq!((wifi.ssid.as_str(), wifi.country.as_str()), ("Familjen \u{c5}", "SE"));
    assert_eq!(wifi.interface.as_str(), "wlp1s0");
    assert!(!format!("{wifi:?}").contains("horse"), "a password is never shown");
    let WifiKey::Password(password) = wifi.key else { panic!("{wifi:?}") };
    assert_eq!(password.reveal(), "correct horse");

    let open = read("ssid = \"Guests\"\ncountry = \"NO\"");
    assert_eq!((open.key, open.interface.as_str()), (WifiKey::Open, "wlan0"));
    let key = read(&format!("ssid = \"x\"\ncountry = \"NO\"\npsk = \"{}\"", "0f".repeat(32))).key;
    assert!(matches!(key, WifiKey::Psk(_)));
}

#[test]
fn a_box_with_a_cable_needs_none() {
    assert_eq!(read(&LEAST.concat()).unwrap().uplink.wifi, None);
}

#[test]
fn says_what_is_wrong_with_a_network() {
    for (lines, complaint) in WRONG_NETWORKS {
        assert_eq!(complaints(&with_wifi(lines)), [*complaint], "{lines}");
    }
    let text = LEAST.concat().replace("[mullvad]", "wifi = \"Home\"\n[mullvad]");
    assert_eq!(
        complaints(&text),
        ["3:1: uplink.wifi is a section: write [uplink.wifi] on a line of its own, its keys below"]
    );
    let text = format!("{}[\"uplink.wifi\"]\nssid = \"Home\"\n", LEAST.concat());
    assert_eq!(complaints(&text).len(), 1, "a quoted name is another section");
    let shown = complaints(&with_wifi("ssid = \"x\"\ncountry = \"XX\"\npsk = \"hunter2\"")).concat();
    assert!(!shown.contains("hunter2"), "{shown}");
}
