use alloc::vec;

use proptest::prelude::*;

use super::*;

fn redacted(text: &str) -> String {
    Redactor::new(&known()).redact(text)
}

fn known() -> Known {
    Known {
        secrets: vec![String::from("The \"Smiths\""), String::from("abc123"), String::from("x7")],
        peers: vec![Peer {
            name: String::from("Phone"),
            addresses: vec!["100.64.0.2".parse().unwrap(), "fd7a:115c:a1e0::2".parse().unwrap()],
        }],
        hosts: vec![String::from("hs.example.com")],
        domains: vec![String::from("tail.example.com")],
    }
}

#[test]
fn each_kind_has_its_stand_in() {
    for (text, left) in [
        ("client=100.64.0.2:443 and [fd7a:115c:a1e0::2]:80", "client=client-1:443 and [client-1]:80"),
        ("phone, PHONE.tail.example.com. and phones", "client-1, client-1. and phones"),
        ("100.64.0.9 laptop.tail.example.com tv.x.ts.net", "client-2 host-1 host-2"),
        ("100.100.100.100 fd7a:115c:a1e0::53", "100.100.100.100 fd7a:115c:a1e0::53"),
        ("at https://hs.example.com/machine", "at https://host-1/[path]"),
        ("203.0.113.7, 203.0.113.7. 203.0.113.70", "public-1, public-1. public-2"),
        ("2001:db8::1, at:2001:DB8::1: ::ffff:203.0.113.7", "public-1, at:public-1: public-2"),
        ("fe80::1%eth0 fd12::1/64", "link-1%eth0 house-1/64"),
        (
            "192.168.1.1/24 10.0.0.1 127.0.0.1 ::1 ff02::1 0.0.0.0/0 ::/0",
            "192.168.1.1/24 10.0.0.1 127.0.0.1 ::1 ff02::1 0.0.0.0/0 ::/0",
        ),
        ("10.64.0.1 10.66.3.4", "10.64.0.1 tunnel-1"),
        ("link/ether dc:a6:32:01:02:03 DC-A6-32-01-02-03", "link/ether mac-1 mac-1"),
        ("by me.too@example.com", "by user-1"),
        (
            "std::fs::read at 12:34:56 de:ad, v1.102.3 a::zz",
            "std::fs::read at 12:34:56 de:ad, v1.102.3 a::zz",
        ),
        (
            "2026-11-26T22:10:00.123Z +12.345  INFO wish=privacy",
            "2026-11-26T22:10:00.123Z +12.345  INFO wish=privacy",
        ),
        ("joins The \"Smiths\", {\"s\":\"The \\\"Smiths\\\"\"}", "joins [secret], {\"s\":\"[secret]\"}"),
        ("https://abc123.dns.nextdns.io x7 ax7", "https://[secret].dns.nextdns.io [secret] ax7"),
        ("PrivateKey = YAnz", "PrivateKey = [secret]"),
        ("of 1234567890123456, 1234 5678 9012 3456: 2 of 5", "of [secret], [secret]: 2 of 5"),
        ("relay xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=", "relay [secret]="),
    ] {
        assert_eq!(redacted(text), left, "{text}");
    }
}

#[test]
fn one_stand_in_through_all_parts_of_a_report() {
    let mut redactor = Redactor::new(&known());
    assert_eq!(redactor.redact("198.51.100.1"), "public-1");
    assert_eq!(redactor.redact("198.51.100.2 198.51.100.1"), "public-2 public-1");
}

#[test]
fn of_more_than_eight_groups_none_is_told() {
    let mut redactor = Redactor::new(&known());
    for word in ["dead", "ff02"] {
        let told = redactor.redact(&alloc::format!("{word}:2001:db8:50:1:2:3:4:5678: x"));
        assert!(told.ends_with(": x") && !told.contains("db8") && !told.contains("5678"), "{told}");
    }
}

/// Secrets by their form, and ones that have to be known or named.
fn secrets() -> impl Strategy<Value = (String, Known)> {
    let by_form = prop_oneof![
        "[A-Za-z0-9+/]{43}=",
        "[A-Za-z0-9_-]{43}",
        "[0-9a-f]{64}",
        "hskey-auth-[A-Za-z0-9_-]{12,40}",
        "tskey-auth-[A-Za-z0-9]{8,20}-[A-Za-z0-9]{20}",
        "[0-9]{16}",
        "[0-9]{4}( [0-9]{4}){3}",
        "[a-z]{2,8}[.][a-z]{1,8}@[a-z]{2,9}[.](com|se|net)",
        "([0-9a-f]{2}:){5}[0-9a-f]{2}",
        any::<[u8; 4]>().prop_filter_map("an address of everybody", |octets| {
            let address = core::net::Ipv4Addr::from(octets);
            let is_everybodys = address.is_private() || address.is_loopback() || address.is_multicast();
            let is_odd = address.is_unspecified() || address.is_link_local() || address.is_broadcast();
            (!is_everybodys && !is_odd).then(|| address.to_string())
        }),
        (64..128u8, 0..99u8, any::<u8>()).prop_map(|(b, c, d)| format!("100.{b}.{c}.{d}")),
        any::<[u16; 8]>().prop_map(|rest| v6([0xfd7a, 0x115c, 0xa1e0], rest)),
        any::<[u16; 8]>().prop_map(|rest| v6([0x2001, 0xdb8, 0x50], rest)),
    ];
    prop_oneof![
        4 => by_form.prop_map(|secret| (secret, Known::default())),
        1 => "[ -~\u{e4}\u{df}\u{4e16}]{4,32}".prop_filter("blank", |it| !it.trim().is_empty())
            .prop_map(|secret| (secret.clone(), Known { secrets: vec![secret], ..Known::default() })),
        1 => "[a-z][a-z0-9-]{2,20}[a-z0-9]".prop_map(|name| {
            let peer = Peer { name: name.clone(), addresses: Vec::new() };
            (name, Known { peers: vec![peer], ..Known::default() })
        }),
    ]
}

/// One of this prefix, and not the one that every tailnet has.
fn v6(prefix: [u16; 3], mut rest: [u16; 8]) -> String {
    rest[..3].copy_from_slice(&prefix);
    rest[7] |= 0x100;
    core::net::Ipv6Addr::from(rest).to_string()
}

/// Where it may stand; `@` is the secret.
const PLACES: [&str; 17] = [
    "node:@",
    "dead:@: x",
    "@:443 @:41641",
    "@",
    "  INFO connected peer=@ in 3 ms",
    "{\"a\":\"@\",\"b\":[\"@\",1]}",
    "magicsock: adding connection to @:41641 for [AbCdE]",
    "error: @.",
    "(@), <@>; '@'",
    "addr=[@]:443",
    "https://example.com/@/x?k=@",
    "a\t@\n@\r\n",
    "ip:@",
    "PublicKey = @",
    "x{k=\"@\"}",
    "@/32 via @ dev eth0",
    "Some(\"@\")",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_planted_comes_through((secret, known) in secrets(), other in "[ -~\n]{0,60}", place in 0..PLACES.len()) {
        let place = PLACES[place];
        let text = format!("{}\n{other}\n", place.replace('@', &secret));
        let left = Redactor::new(&known).redact(&text);
        let around = PLACES.iter().any(|place| place.contains(secret.as_str())) || other.contains(secret.as_str());
        prop_assert!(around || !left.contains(&secret), "{secret:?} in {left:?}");
    }

    #[test]
    fn a_password_goes_by_its_name(
        secret in "[!#-&(-\\[\\]-~]{8,63}",
        label in prop_oneof!["psk", "wpa_psk", "PASSWORD", "ssid", "private_key", "AuthKey"],
        form in 0..4usize,
    ) {
        let text = match form {
            0 => format!("{label} = \"{secret}\""),
            1 => format!("\"{label}\": \"{secret}\","),
            2 => format!("{label}={secret}"),
            _ => format!("{label}: '{secret}' # note"),
        };
        let left = Redactor::new(&Known::default()).redact(&text);
        prop_assert!(!left.contains(&secret), "{left:?}");
    }

    #[test]
    fn any_text_at_all_is_taken(text in any::<String>()) {
        let once = Redactor::new(&known()).redact(&text);
        prop_assert!(once.len() < text.len() * 10 + 10);
    }
}
