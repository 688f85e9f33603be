//! Whole configurations: a right one, and a table of wrong ones with the exact words that the owner reads.

mod account;
mod bounds;
mod clock;
mod dns;
mod lan;
mod panel;
mod relays;
mod ssh;
mod wifi;

use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// As Mullvad's generator writes it.
const CONF: &str = include_str!("../../../tests/vm/nobody.conf");
const RIGHT: &str = r#"
[box]
name = "cottage"
egress = "residential"
[uplink]
interface = "end0"
method = "none"
dns = ["192.168.1.1", "fe80::1"]
[tailnet]
control = "https://headscale.example.com/"
auth_key = "hskey-auth-1"
advertise_lan = false
tailscaled = "/opt/tailscaled"
[mullvad]
config = ["se-got-wg-001.conf"]
mtu = 1_320
expect = "any"
check_url = "http://192.0.2.1:8080/json"
[dns]
privacy = "tls://dns.example.net"
residential = "https://dns.nextdns.io/abc123"
bootstrap = { "DNS.example.net" = ["192.0.2.53", "2001:db8::53"], "dns.spare.example" = ["192.0.2.54"] }
house_domain = ".Lan."
allow_private = ["home.example.com", "Plex.direct"]
refuse_dot = true
log = true
[clock]
keep = "none"
servers = ["192.168.1.1", "2001:db8::123"]
"#;

/// What the wrong ones below are made from: the least that is right.
const LEAST: [&str; 2] = ["[uplink]\nmethod = \"none\"\n", "[mullvad]\nconfig = [\"a.conf\"]\n"];

fn card(named: &Path) -> io::Result<String> {
    match named.to_str() {
        Some("/boot/a.conf" | "/boot/se-got-wg-001.conf") => Ok(CONF.to_owned()),
        Some("/boot/b.conf") => Ok(of_another_relay(1)),
        Some("/boot/c.conf") => Ok(of_another_relay(2)),
        Some("/boot/blocking.conf") => Ok(CONF.replace("DNS = 10.64.0.1", "DNS = 10.64.0.1, 100.64.0.7")),
        Some("/boot/served.key") => Ok("\n".to_owned()),
        Some("/boot/auth.key") => Ok("\u{feff}hskey-auth-2\r\n".to_owned()),
        Some("/boot/empty.conf") => Ok("\r\n".to_owned()),
        Some("/boot/notes.txt") => Ok("two words".to_owned()),
        Some("/boot/utf16.conf") => Err(io::ErrorKind::InvalidData.into()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

/// The same device, elsewhere.
fn of_another_relay(nth: u8) -> String {
    let key = STANDARD.encode([nth; 32]);
    CONF.replace("xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=", &key)
        .replace(".130:", &format!(".{}:", 130 + nth))
}

fn read(text: &str) -> Result<Config, ConfigError> {
    parse(text, Path::new("/boot/byway.toml"), &card)
}

fn complaints(text: &str) -> Vec<String> {
    let error = read(text).expect_err(text);
    error.to_string().lines().map(|line| line.trim_start_matches("/boot/byway.toml:").to_owned()).collect()
}

#[test]
fn reads_every_key() {
    let config = read(RIGHT).unwrap();
    assert_eq!(config.name.as_str(), "cottage");
    assert_eq!(config.egress, Egress::Residential);
    assert_eq!(config.uplink.interface.as_str(), "end0");
    assert_eq!(config.uplink.dns, ["192.168.1.1".parse::<IpAddr>().unwrap(), "fe80::1".parse().unwrap()]);
    assert_eq!(config.tailnet.control.unwrap().to_string(), "https://headscale.example.com/");
    assert_eq!(config.tailnet.auth_key.unwrap().reveal(), "hskey-auth-1");
    assert_eq!(config.tailnet.tailscaled, Path::new("/opt/tailscaled"));
    assert_eq!(config.mullvad.relays.len(), 1);
    assert_eq!(config.mullvad.relays[0].path, Path::new("/boot/se-got-wg-001.conf"));
    assert_eq!(config.mullvad.relays[0].relay_name(), "se-got-wg-001");
    assert_eq!((config.mullvad.mtu, config.mullvad.expect), (1320, Expect::Any));
    assert_eq!(config.mullvad.check_url.to_string(), "http://192.0.2.1:8080/json");
    let dns = config.dns;
    assert_eq!(
        dns.privacy.addresses,
        ["192.0.2.53".parse::<IpAddr>().unwrap(), "2001:db8::53".parse().unwrap()]
    );
    assert_eq!(dns.residential.transport, Transport::Https { path: "/abc123".to_owned() });
    assert_eq!(dns.house_domain.as_deref(), Some("lan"));
    assert_eq!(dns.allow_private, ["home.example.com", "plex.direct"]);
    assert_eq!((dns.refuse_dot, dns.log), (true, true));
    let clock = config.clock;
    assert_eq!(clock.keep, Keep::None);
    assert_eq!(clock.servers, ["192.168.1.1".parse::<IpAddr>().unwrap(), "2001:db8::123".parse().unwrap()]);
}

#[test]
fn has_a_default_for_what_may_be_left_out() {
    let config = read(&LEAST.concat()).unwrap();
    assert_eq!((config.name.as_str(), config.egress), ("byway", Egress::Privacy));
    assert_eq!(config.uplink.interface.as_str(), "eth0");
    assert_eq!((config.tailnet.control, config.tailnet.auth_key), (None, None));
    assert_eq!((config.mullvad.mtu, config.mullvad.expect), (1380, Expect::Mullvad));
    assert_eq!(config.mullvad.check_url.to_string(), "https://am.i.mullvad.net/json");
    let dns = config.dns;
    assert_eq!(dns.privacy.to_string(), "udp://10.64.0.1");
    assert_eq!(dns.residential.to_string(), "https://dns.quad9.net");
    let dns_query = Transport::Https { path: "/dns-query".to_owned() };
    assert_eq!((&dns.privacy.transport, &dns.residential.transport), (&Transport::Plain, &dns_query));
    let anybodys = read(&LEAST.concat().replace("[mullvad]", "[mullvad]\nexpect = \"any\"")).unwrap();
    assert_eq!(anybodys.dns.privacy, dns.residential);
    assert_eq!((dns.house_domain, dns.allow_private.len()), (None, 0));
    assert_eq!((dns.refuse_dot, dns.log), (false, false));
    assert_eq!(config.clock, Clock { keep: Keep::Ntp, servers: Vec::new() });
}

#[test]
fn reads_a_file_that_notepad_saved() {
    let text = format!("\u{feff}{}", LEAST.concat().replace('\n', "\r\n"));
    assert!(read(&text).is_ok());
}

#[test]
fn takes_the_key_from_its_own_file() {
    let config = read(&format!("{}[tailnet]\nauth_key_file = \"auth.key\"\n", LEAST.concat())).unwrap();
    assert_eq!(config.tailnet.auth_key.unwrap().reveal(), "hskey-auth-2");
}

#[test]
fn an_auth_key_that_has_served_is_absent() {
    for served in [
        "auth_key = \"\"",
        "auth_key_file = \"served.key\"",
        "auth_key = \"\"\nauth_key_file = \"served.key\"",
    ] {
        let config = read(&format!("{}[tailnet]\n{served}\n", LEAST.concat())).unwrap();
        assert_eq!(config.tailnet.auth_key, None, "{served}");
    }
}

#[test]
fn never_shows_a_key() {
    let shown = format!("{:?}", read(RIGHT).unwrap());
    assert!(!shown.contains("hskey") && !shown.contains("YAnz5TF"), "{shown}");
    assert!(!shown.contains("abc123"), "a profile names a person: {shown}");
    let twice = "auth_key = \"hskey auth\"\nauth_key_file = \"notes.txt\"\nauth_key = 5";
    let told = complaints(&format!("{}[tailnet]\n{twice}", LEAST.concat())).concat();
    assert!(!told.contains("hskey") && !told.contains("two words"), "{told}");
}

#[test]
fn names_five_mistakes_at_once() {
    let text = r#"[box]
name = "My Box"
[uplink]
interfce = "eth0"
method = "none"
[tailnet]
control = "headscale.example.com"
[mullvad]
config = ["gone.conf"]
mtu = 1500
"#;
    assert_eq!(
        complaints(text),
        [
            "2:8: a host name is 1 to 63 of a-z, 0-9 and '-', with no '-' at its ends: write \"my-box\"",
            "4:1: [uplink] knows no key \"interfce\": write interface",
            "7:11: a URL begins with https:// or http://: write \"https://host\"",
            "9:11: \"gone.conf\" is not there: put it beside byway.toml, or correct its name",
            "10:7: mtu cannot be 1500: write a number from 1280 to 1420",
        ]
    );
}

/// A line put below a section of a configuration that is right otherwise, and where and what the answer is.
const WRONG: &[(&str, &str, &str)] = &[
    ("box", "name = 7", "2:8: name is a text in quotes, not a number: write name = \"byway\""),
    ("box", "egress = \"privcy\"", "2:10: egress cannot be \"privcy\": write \"privacy\""),
    ("box", "egress = \"sealed\"", "2:10: egress cannot be \"sealed\": write \"privacy\" or \"residential\""),
    ("box", "mtu = 1380", "2:1: [box] knows no key \"mtu\": it belongs below [mullvad]"),
    ("box", "colour = \"red\"", "2:1: [box] knows no key \"colour\": there are name, egress"),
    ("uplnk", "method = \"none\"", "1:2: \"uplnk\" is not known: write [uplink]"),
    ("lan", "ping = \"no\"", "2:8: ping is true or false, not a text: write ping = true"),
    ("lan", "pings = true", "2:1: [lan] knows no key \"pings\": write ping"),
    (
        "tailnet",
        "advertise_lan = \"no\"",
        "2:17: advertise_lan is true or false, not a text: write advertise_lan = false",
    ),
    (
        "tailnet",
        "control = \"https://h.example/web\"",
        "2:11: a control server has no path: write \"https://h.example\"",
    ),
    (
        "tailnet",
        "auth_key = \"a b\"",
        "2:12: a key is one word without spaces: paste it as the control server printed it",
    ),
    (
        "tailnet",
        "auth_key = \"a\"\nauth_key_file = \"auth.key\"",
        "3:17: there is an auth_key too: leave one of the two out",
    ),
    (
        "tailnet",
        "auth_key_file = \"gone.key\"",
        "2:17: \"gone.key\" is not there: put it beside byway.toml, or correct its name",
    ),
    (
        "tailnet",
        "auth_key_file = \"notes.txt\"",
        "2:17: \"notes.txt\" does not hold a key: put the key in it, alone, on one line",
    ),
    (
        "tailnet",
        "tailscaled = \"tailscaled\"",
        "2:14: \"tailscaled\" does not begin with /: write \"/usr/sbin/tailscaled\"",
    ),
    ("tailnet", "control = headscale", "2:11: string values must be quoted, expected literal string"),
];

#[test]
fn an_uplink_is_the_houses_business_unless_the_owner_says_otherwise() {
    let relay = LEAST[1];
    let method = |uplink: &str| read(&format!("{uplink}{relay}")).unwrap().uplink.method;
    assert_eq!(method(""), Method::Dhcp);
    assert_eq!(method("[uplink]\nmethod = \"none\"\n"), Method::Foreign);
    let fixed = "[uplink]\nmethod = \"static\"\naddress = [\"192.168.1.4/24\", \"2001:db8::4/64\"]\n\
                 gateway = [\"192.168.1.1\", \"fe80::1\"]\n";
    let addresses = ["192.168.1.4/24", "2001:db8::4/64"].map(|net| net.parse().unwrap()).to_vec();
    let gateways = ["192.168.1.1", "fe80::1"].map(|gateway| gateway.parse().unwrap()).to_vec();
    assert_eq!(method(fixed), Method::Static { addresses, gateways });
}

#[test]
fn says_of_each_wrong_line_where_it_is_and_what_to_write() {
    for (section, line, complaint) in WRONG {
        assert_eq!(complaints(&format!("[{section}]\n{line}\n{}", LEAST.concat())), [*complaint], "{line}");
    }
}

/// The same for what stands below `[uplink]`, and `[mullvad]`, which every configuration must have.
const WRONG_UPLINKS: &[(&str, &str)] = &[
    ("method = \"non\"", "4:10: method cannot be \"non\": write \"none\""),
    ("method = \"none\"\ngateway = []", "5:11: somebody else configures the interface: leave it out"),
    (
        "address = [\"192.168.1.4/24\"]",
        "4:11: the house gives it: write method = \"static\", or leave it out",
    ),
    (
        "method = \"static\"\ngateway = [\"192.168.1.1\"]",
        "3:2: static needs an address: write address = [\"192.168.1.4/24\"] below [uplink]",
    ),
    (
        "method = \"static\"\naddress = [\"192.168.1.4/24\"]",
        "3:2: static needs the router's address: write gateway = [\"192.168.1.1\"] below [uplink]",
    ),
    (
        "method = \"static\"\naddress = [\"192.168.1.4\"]\ngateway = [\"192.168.1.1\"]",
        "5:12: \"192.168.1.4\" is no address with the length of its network's prefix: write it as \"192.168.1.4/24\" or \"2001:db8::4/64\"",
    ),
    (
        "method = \"static\"\naddress = [\"192.168.1.0/24\"]\ngateway = [\"192.168.1.1\"]",
        "5:12: \"192.168.1.0/24\" is no address with the length of its network's prefix: write it as \"192.168.1.4/24\" or \"2001:db8::4/64\"",
    ),
    (
        "method = \"static\"\naddress = [\"192.168.1.4/24\"]\ngateway = [\"fe80::1\", \"192.168.2.1\"]",
        "6:23: 192.168.2.1 is in none of the box's own networks, or is the box itself: write the router's address in one of those of address",
    ),
    (
        "method = \"static\"\naddress = [\"192.168.1.4/24\"]\ngateway = [\"router\"]",
        "6:12: \"router\" is no router's address: write an IPv4 or IPv6 address without a port, as \"192.168.1.1\"",
    ),
    (
        "method = \"none\"\ninterface = \"eth*\"",
        "5:13: an interface's name is 1 to 15 letters, digits, '.', '-' or '_': write \"eth0\", or one that `ip link` lists",
    ),
    (
        "method = \"none\"\ninterface = \"wg0\"",
        "5:13: wg0 does not lead to the house's router: write \"eth0\", or one that `ip link` lists",
    ),
    (
        "method = \"none\"\ndns = \"192.168.1.1\"",
        "5:7: dns is a list, not a text: write dns = [\"192.168.1.1\"]",
    ),
    (
        "method = \"none\"\ndns = [1]",
        "5:8: dns is a list of texts in quotes, not a number: write dns = [\"192.168.1.1\"]",
    ),
    (
        "method = \"none\"\ndns = [\"192.168.1.1:53\"]",
        "5:8: \"192.168.1.1:53\" is no resolver's address: write an IPv4 or IPv6 address without a port, as \"192.168.1.1\"",
    ),
];

const WRONG_RELAYS: &[(&str, &str)] = &[
    (
        "",
        "3:2: no relay is named: write account = \"1234567890123456\" and location = \"se-got\" below [mullvad], or config = [\"se-got-wg-001.conf\"] with the name of a file of Mullvad's WireGuard generator beside byway.toml",
    ),
    ("config = \"a.conf\"", "4:10: config is a list, not a text: write config = [\"se-got-wg-001.conf\"]"),
    ("config = []", "4:10: the list names no file: write config = [\"se-got-wg-001.conf\"]"),
    ("config = [\"utf16.conf\"]", "4:11: \"utf16.conf\" is not text: save it as UTF-8"),
    ("config = [\"a.conf\"]\nmtu = \"1380\"", "5:7: mtu is a whole number, not a text: write mtu = 1380"),
    (
        "config = [\"a.conf\"]\nmtu = 99999999999999999999",
        "5:7: mtu cannot be 99999999999999999999: write a number from 1280 to 1420",
    ),
    (
        "config = [\"a.conf\"]\nexpect = \"all\"",
        "5:10: expect cannot be \"all\": write \"mullvad\" or \"any\"",
    ),
    (
        "config = [\"a.conf\"]\ncheck_url = \"ftp://x\"",
        "5:13: a URL begins with https:// or http://: write \"https://host\"",
    ),
];

#[test]
fn names_mistakes_in_both_files_at_once() {
    let error =
        read("[uplink]\nmethod = \"none\"\n[mullvad]\nmtu = 9000\nconfig = [\"empty.conf\"]\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "/boot/byway.toml:4:7: mtu cannot be 9000: write a number from 1280 to 1420\n\
         /boot/empty.conf:1:1: the file is empty: download it again"
    );
}

#[test]
fn says_what_is_wrong_with_uplink_and_relay() {
    for (lines, complaint) in WRONG_UPLINKS {
        assert_eq!(complaints(&format!("{}[uplink]\n{lines}\n", LEAST[1])), [*complaint], "{lines}");
    }
    for (lines, complaint) in WRONG_RELAYS {
        assert_eq!(complaints(&format!("{}[mullvad]\n{lines}\n", LEAST[0])), [*complaint], "{lines}");
    }
}

#[test]
fn names_what_is_missing_from_an_empty_file() {
    let told = complaints("");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("1:1: no relay is named"), "{told:?}");
}

#[test]
fn tells_mistakes_beside_broken_syntax_but_nothing_that_only_follows_from_it() {
    let value = "[box]\nname = cottage\negress = \"both\"\n[uplink]\nmethod = \"none\"\n";
    assert_eq!(
        complaints(value),
        [
            "2:8: string values must be quoted, expected literal string",
            "3:10: egress cannot be \"both\": write \"privacy\" or \"residential\"",
        ]
    );
    assert_eq!(complaints("[box\nname = \"x\"\n[uplink]\n"), ["1:5: unclosed table, expected `]`"]);
    assert_eq!(complaints("[uplink]\ndns = [\"a\"\n[mullvad]\nx = 1").len(), 2);
}

#[test]
fn reads_the_files_beside_byway_toml() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("byway.toml");
    fs::write(&file, LEAST.concat()).unwrap();
    let missing = load(&file).unwrap_err().to_string();
    assert!(missing.starts_with(&format!("{}:4:11: \"a.conf\" is not there", file.display())), "{missing}");
    fs::write(folder.path().join("a.conf"), "[Interface]\nPostUp = reboot\n").unwrap();
    let refused = load(&file).unwrap_err().to_string();
    assert!(refused.contains("a.conf:2:1: "), "{refused}");
    fs::write(folder.path().join("a.conf"), CONF).unwrap();
    assert_eq!(load(&file).unwrap().mullvad.relays[0].conf.peer.endpoint.port(), 51820);
    let gone = load(&folder.path().join("other.toml")).unwrap_err().to_string();
    assert!(gone.contains("other.toml:1:1: cannot be read") && gone.ends_with("--config"), "{gone}");
}
