//! What `wpa_supplicant` reads: one network, WPA2 or WPA3, by this country's rules. No character of a name or a
//! password can end its line or its quotes.

use std::fmt::Write as _;

use crate::config::{Ssid, Wifi, WifiKey};

/// Nothing is written back, and no neighbour adds a network (P2P; WPS waits for a command that nobody gives). The radio keeps its own address: the
/// house's router may know it, and a box that stands still has no path to hide.
const ALWAYS: &str = "update_config=0
p2p_disabled=1
mac_addr=0
preassoc_mac_addr=0
";
/// Hidden networks are asked for by name, which is that of the house the box stands in.
const NETWORK: &str = "scan_ssid=1";
/// WPA3 where the network has it, else WPA2; management frames protected where it can (PMF).
const BOTH: &str = "key_mgmt=WPA-PSK WPA-PSK-SHA256 SAE\nproto=RSN\npairwise=CCMP\nieee80211w=1";
/// A key that was computed already serves WPA2 alone.
const WPA2: &str = "key_mgmt=WPA-PSK WPA-PSK-SHA256\nproto=RSN\npairwise=CCMP\nieee80211w=1";

/// `folder`: where the control socket is made; one word of letters.
pub(super) fn configuration(wifi: &Wifi, folder: &str) -> String {
    let mut text =
        format!("ctrl_interface=DIR={folder}\n{ALWAYS}sae_pwe=2\ncountry={}\n", wifi.country.as_str());
    _ = write!(text, "network={{\nssid={}\n{NETWORK}\n", hex(&wifi.ssid));
    _ = match &wifi.key {
        WifiKey::Open => writeln!(text, "key_mgmt=NONE"),
        // Its quotes are the line's first and last: those within are of the password.
        WifiKey::Password(password) => writeln!(text, "{BOTH}\npsk=\"{}\"", password.reveal()),
        WifiKey::Psk(key) => writeln!(text, "{WPA2}\npsk={}", key.reveal()),
    };
    text.push_str("}\n");
    text
}

fn hex(ssid: &Ssid) -> String {
    let mut digits = String::new();
    for byte in ssid.as_str().bytes() {
        _ = write!(digits, "{byte:02x}");
    }
    digits
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::InterfaceName;

    pub(in super::super) fn wifi(interface: &str, ssid: &str, key: WifiKey) -> Wifi {
        let interface: InterfaceName = interface.parse().unwrap();
        Wifi { interface, ssid: ssid.parse().unwrap(), key, country: "SE".parse().unwrap() }
    }

    #[test]
    fn asks_for_wpa3_or_wpa2_with_protected_management_frames() {
        let text = configuration(&wifi("wlan0", "Home", "correct horse".parse().unwrap()), "wifi");
        for line in [
            "ctrl_interface=DIR=wifi",
            "update_config=0",
            "p2p_disabled=1",
            "country=SE",
            "ssid=486f6d65",
            "key_mgmt=WPA-PSK WPA-PSK-SHA256 SAE",
            "ieee80211w=1",
            "psk=\"correct horse\"",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}: {text}");
        }
    }

    #[test]
    fn a_computed_key_is_written_bare_and_an_open_network_has_none() {
        let key = "0f".repeat(32);
        let text = configuration(&wifi("wlan0", "Home", key.parse().unwrap()), "wifi");
        assert!(text.contains(&format!("psk={key}\n")) && !text.contains("SAE"), "{text}");
        let text = configuration(&wifi("wlan0", "Home", WifiKey::Open), "wifi");
        assert!(text.contains("key_mgmt=NONE\n}") && !text.contains("psk"), "{text}");
    }

    /// The parser takes what is between a line's first and last quote, and a comment only behind those.
    #[test]
    fn nothing_breaks_out_of_its_line() {
        let plain = configuration(&wifi("wlan0", "x", "12345678".parse().unwrap()), "wifi");
        for hostile in ["\"\n}\nnetwork={\nssid=\"evil\"", "x\r\nkey_mgmt=NONE", "\0\u{85}\u{2028}#"] {
            let text = configuration(&wifi("wlan0", hostile, "12345678".parse().unwrap()), "wifi");
            let without = |text: &str| -> Vec<String> {
                text.lines().filter(|line| !line.starts_with("ssid=")).map(str::to_owned).collect()
            };
            assert_eq!(without(&text), without(&plain), "{hostile:?}");
        }
        let text = configuration(&wifi("wlan0", "x", "\" } # \\\" psk=".parse().unwrap()), "wifi");
        assert!(text.contains("\npsk=\"\" } # \\\" psk=\"\n}\n"), "{text}");
    }
}
