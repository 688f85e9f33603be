//! Which keys `byway.toml` knows, what a right value of each looks like, and what to say about the rest. Knows nothing of
//! the values themselves.

/// Section, key, example of a value.
const KEYS: &[(&str, &str, &str)] = &[
    ("box", "name", "\"byway\""),
    ("box", "egress", "\"privacy\""),
    ("uplink", "interface", "\"eth0\""),
    ("uplink", "method", "\"dhcp\""),
    ("uplink", "address", "[\"192.168.1.4/24\"]"),
    ("uplink", "gateway", "[\"192.168.1.1\"]"),
    ("uplink", "dns", "[\"192.168.1.1\"]"),
    ("uplink", "wifi", "{ ssid = \"..\", psk = \"..\", country = \"SE\" }"),
    ("uplink.wifi", "interface", "\"wlan0\""),
    ("uplink.wifi", "ssid", "\"the wi-fi's name\""),
    ("uplink.wifi", "psk", "\"the wi-fi's password\""),
    ("uplink.wifi", "country", "\"SE\""),
    ("lan", "serve", "true"),
    ("lan", "interface", "\"eth1\""),
    ("lan", "address", "[\"192.168.78.1/24\"]"),
    ("tailnet", "control", "\"https://headscale.example.com\""),
    ("tailnet", "auth_key", "\"hskey-auth-...\""),
    ("tailnet", "auth_key_file", "\"auth.key\""),
    ("tailnet", "advertise_lan", "false"),
    ("tailnet", "tailscaled", "\"/usr/sbin/tailscaled\""),
    ("mullvad", "account", "\"1234567890123456\""),
    ("mullvad", "location", "\"se-got\""),
    ("mullvad", "owned", "false"),
    ("mullvad", "rotate_days", "30"),
    ("mullvad", "config", "[\"se-got-wg-001.conf\"]"),
    ("mullvad", "mtu", "1380"),
    ("mullvad", "expect", "\"mullvad\""),
    ("mullvad", "check_url", "\"https://am.i.mullvad.net/json\""),
    ("dns", "privacy", "\"udp://10.64.0.1\""),
    ("dns", "residential", "\"https://dns.quad9.net/dns-query\""),
    ("dns", "bootstrap", "{ \"dns.nextdns.io\" = [\"45.90.28.0\"] }"),
    ("dns", "house_domain", "\"lan\""),
    ("dns", "allow_private", "[\"home.example.com\"]"),
    ("dns", "refuse_dot", "false"),
    ("dns", "log", "false"),
    ("clients", "limit_mbit", "20"),
    ("residential", "smtp", "false"),
    ("residential", "daily_gb", "50"),
    ("clock", "keep", "\"ntp\""),
    ("clock", "servers", "[\"192.168.1.1\"]"),
    ("ssh", "keys", "[\"ssh-ed25519 AAAA.. owner\"]"),
    ("ssh", "lan", "false"),
    ("lan", "ping", "true"),
    ("panel", "driver", "\"ssd1306\""),
    ("panel", "size", "\"128x64\""),
    ("panel", "rotation", "0"),
    ("panel", "brightness", "60"),
    ("panel", "bus", "1"),
    ("panel", "address", "0x3c"),
    ("panel", "off_hours", "\"23:00-07:00\""),
    ("panel", "time_zone", "\"Europe/Stockholm\""),
];

const SECTIONS: [&str; 11] =
    ["box", "uplink", "lan", "tailnet", "mullvad", "dns", "clients", "residential", "clock", "ssh", "panel"];

/// A value as it may be written, quotes included; empty for an unknown key.
pub(super) fn example(section: &str, key: &str) -> &'static str {
    KEYS.iter().find(|known| (known.0, known.1) == (section, key)).map_or("", |known| known.2)
}

/// Why this name at the file's top level is refused; `None` for a section that is read.
pub(super) fn refuse_section(name: &str) -> Option<String> {
    if SECTIONS.contains(&name) {
        return None;
    }
    let advice = match (home_of(name), nearest(name, &SECTIONS)) {
        (Some(section), _) => format!("write it below [{section}]"),
        (None, Some(section)) => format!("write [{section}]"),
        (None, None) => format!("there are [{}]", SECTIONS.join("], [")),
    };
    Some(format!("{name:?} is not known: {advice}"))
}

/// Why this key of a section is refused; `None` for a key that is read.
pub(super) fn refuse_key(section: &str, key: &str) -> Option<String> {
    let known: Vec<&str> = KEYS.iter().filter(|known| known.0 == section).map(|known| known.1).collect();
    if known.contains(&key) {
        return None;
    }
    let advice = match (nearest(key, &known), home_of(key)) {
        (Some(near), _) => format!("write {near}"),
        (None, Some(home)) => format!("it belongs below [{home}]"),
        (None, None) => format!("there are {}", known.join(", ")),
    };
    Some(format!("[{section}] knows no key {key:?}: {advice}"))
}

/// The known word that a person most likely meant.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let farthest = 2.min(word.chars().count() / 2);
    known
        .iter()
        .map(|candidate| (edits(&word.to_lowercase(), candidate), *candidate))
        .filter(|(edits, _)| *edits <= farthest)
        .min()
        .map(|(_, candidate)| candidate)
}

fn home_of(key: &str) -> Option<&'static str> {
    KEYS.iter().find(|known| known.1 == key).map(|known| known.0)
}

/// Levenshtein's distance: how many letters to put in, take out or change.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_word_that_was_meant() {
        let known = ["interface", "method", "dns"];
        assert_eq!(nearest("interfce", &known), Some("interface"));
        assert_eq!(nearest("Method", &known), Some("method"));
        assert_eq!(nearest("dsn", &known), None, "half of it is another word");
        assert_eq!(nearest("password", &known), None);
    }

    #[test]
    fn counts_edits() {
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("mtu", "mtu"), 0);
    }

    #[test]
    fn has_an_example_for_every_key_and_no_key_twice() {
        for (nth, (section, key, example)) in KEYS.iter().enumerate() {
            assert!(SECTIONS.contains(section) || *section == "uplink.wifi");
            assert!(!example.is_empty());
            assert!(!KEYS[..nth].iter().any(|other| (other.0, other.1) == (*section, *key)));
            assert!(refuse_key(section, key).is_none());
        }
    }
}
