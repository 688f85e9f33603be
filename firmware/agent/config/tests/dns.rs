//! `[dns]`: what the owner reads about each mistake, word for word.

use super::*;

/// Lines below `[dns]`, and where and what the answer is.
const WRONG_NAMES: &[(&str, &str)] = &[
    (
        "privacy = \"dns.quad9.net\"",
        "2:11: a resolver begins with https://, tls:// or udp://: write \"https://dns.quad9.net/dns-query\", \"tls://dns.quad9.net\" or \"udp://192.168.1.1\"",
    ),
    (
        "residential = \"https://dns.example.net/me\"",
        "2:15: dns.example.net would have to be looked up first, and nobody can be asked: write bootstrap = { \"dns.example.net\" = [\"ADDRESS\"] } below [dns]",
    ),
    (
        "residential = \"udp://router\"",
        "2:15: udp:// needs an address, and \"router\" is a name: write one as \"udp://192.168.1.1\", or ask the name by https:// or tls://",
    ),
    (
        "privacy = \"udp://100.64.0.7\"",
        "2:11: 100.64.0.7 is one of Mullvad's blocking resolvers and at the same time where the tailnet's own addresses are: write \"udp://10.64.0.1\", which blocks nothing, or one that does, as \"https://dns.adguard-dns.com/dns-query\"",
    ),
    (
        "bootstrap = { \"dns.example.net\" = [\"100.64.0.64\"] }",
        "2:36: 100.64.0.64 is where the tailnet's own addresses are, which no door leads to: write a resolver of the internet or of the house",
    ),
    (
        "bootstrap = { \"dns.example.net\" = [\"192.0.2.53:53\"] }\nprivacy = \"tls://dns.example.net\"",
        "2:36: \"192.0.2.53:53\" is no address: write an IPv4 or IPv6 address without a port",
    ),
    ("bootstrap = { \"dns.example.net\" = [] }", "2:35: dns.example.net has no address: write [\"ADDRESS\"]"),
    (
        "bootstrap = { \"192.0.2.1\" = [\"192.0.2.1\"] }",
        "2:15: \"192.0.2.1\" is no name: write the host as the URL has it",
    ),
    (
        "bootstrap = { dns.example.net = [\"192.0.2.53\"] }",
        "2:15: bootstrap is a table of lists, not a section: write bootstrap = { \"dns.nextdns.io\" = [\"45.90.28.0\"] }",
    ),
    (
        "bootstrap = [\"192.0.2.53\"]",
        "2:13: bootstrap is a table, not a list: write bootstrap = { \"dns.nextdns.io\" = [\"45.90.28.0\"] }",
    ),
    (
        "house_domain = \"lan\"",
        "2:16: its names are asked of the first resolver of the house, and none is known: write dns = [\"192.168.1.1\"] below [uplink]",
    ),
    (
        "allow_private = [\"lan\", \"*.direct\"]",
        "2:25: \"*.direct\" is no domain: write it as \"lan\" or \"home.example.com\", without a star",
    ),
    ("refuse_dot = 1", "2:14: refuse_dot is true or false, not a number: write refuse_dot = false"),
    (
        "privacy_dns = \"x\"",
        "2:1: [dns] knows no key \"privacy_dns\": there are privacy, residential, bootstrap, house_domain, allow_private, refuse_dot, log",
    ),
];

#[test]
fn says_what_is_wrong_with_names() {
    for (lines, complaint) in WRONG_NAMES {
        assert_eq!(complaints(&format!("[dns]\n{lines}\n{}", LEAST.concat())), [*complaint], "{lines}");
    }
}

#[test]
fn the_houses_names_are_asked_of_the_houses_resolver() {
    let text = LEAST
        .concat()
        .replace("[mullvad]", "dns = [\"192.168.1.1\"]\n[dns]\nhouse_domain = \"lan\"\n[mullvad]");
    assert_eq!(read(&text).unwrap().dns.house_domain.as_deref(), Some("lan"));
}

#[test]
fn the_relays_blocking_resolver_is_no_mistake_but_noted() {
    let blocking = read(&LEAST.concat().replace("a.conf", "blocking.conf")).unwrap();
    assert_eq!(
        blocking.mullvad.notes(),
        [
            "100.64.0.7, the DNS of blocking.conf, is one of Mullvad's blocking resolvers and at the same time where the \
             tailnet's own addresses are, so it is not asked: write \"udp://10.64.0.1\", which blocks \
             nothing, or one that does, as \"https://dns.adguard-dns.com/dns-query\", as privacy below [dns]"
        ]
    );
    assert_eq!(read(&LEAST.concat()).unwrap().mullvad.notes(), [""; 0]);
}
