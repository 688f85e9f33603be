//! What of a configuration is somebody's, whether it is good or not: for a report, which must have nothing of it.

use byway_core::redact::Known;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Keys whose text is a secret, whose URL names a server of the owner's, and whose domains are the owner's.
const SECRETS: [&str; 4] = ["ssid", "psk", "auth_key", "account"];
const SERVERS: [&str; 2] = ["control", "check_url"];
const UPSTREAMS: [&str; 2] = ["privacy", "residential"];
const DOMAINS: [&str; 2] = ["house_domain", "allow_private"];
/// A resolver's own name has these many labels; what is before them names a profile.
const LABELS: usize = 3;

/// Adds what is in this text, as far as it is TOML.
pub fn learn_personal(text: &str, known: &mut Known) {
    learn_table(DeTable::parse_recoverable(text).0.get_ref(), known);
}

fn learn_table(table: &DeTable<'_>, known: &mut Known) {
    for (key, value) in table {
        match value.get_ref() {
            DeValue::Table(table) => learn_table(table, known),
            DeValue::String(text) => learn(key.get_ref(), text, known),
            DeValue::Array(values) => {
                for text in values.iter().map(Spanned::get_ref).filter_map(DeValue::as_str) {
                    learn(key.get_ref(), text, known);
                }
            }
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
        }
    }
}

fn learn(key: &str, text: &str, known: &mut Known) {
    if SECRETS.contains(&key) {
        known.secrets.push(text.to_owned());
    } else if DOMAINS.contains(&key) {
        known.domains.push(text.trim_matches('.').to_owned());
    } else if SERVERS.contains(&key) {
        known.hosts.extend(host_and_path(text).map(|(host, _)| host.to_owned()));
    } else if UPSTREAMS.contains(&key)
        && let Some((host, path)) = host_and_path(text)
    {
        // "dns-query" is everybody's, and harmless in a list of secrets.
        known
            .secrets
            .extend(path.split(['/', '?', '&', '=']).filter(|part| !part.is_empty()).map(str::to_owned));
        let labels: Vec<&str> = host.split('.').collect();
        let profile = labels.len().saturating_sub(LABELS);
        known.secrets.extend(labels[..profile].iter().map(|label| (*label).to_owned()));
    }
}

fn host_and_path(url: &str) -> Option<(&str, &str)> {
    let (_, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Some((host.split(':').next().unwrap_or(host), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_is_personal_in_a_good_file_and_in_a_broken_one() {
        let good = "[box]\nname = \"cottage\"\n[uplink.wifi]\nssid = \"Caf\\u00e9 \\\"7\\\"\"\npsk = \"correct horse\"\n\
            [tailnet]\ncontrol = \"https://hs.example.com:8443/\"\nauth_key = \"hskey-auth-1\"\n\
            [mullvad]\naccount = \"1234 5678 9012 3456\"\n\
            [dns]\nprivacy = \"tls://abc123.dns.nextdns.io\"\nresidential = \"https://dns.nextdns.io/def456/box\"\n\
            allow_private = [\"home.example.com\"]\nhouse_domain = \".lan.\"\n";
        let inline =
            good.replace("[uplink.wifi]\nssid", "[uplink]\nwifi.ssid").replace("\npsk", "\nwifi.psk");
        for text in [good.to_owned(), inline, good.replace("name = \"cottage\"", "name = = cottage")] {
            let mut known = Known::default();
            learn_personal(&text, &mut known);
            let mut secrets = known.secrets.clone();
            secrets.sort();
            assert_eq!(
                secrets,
                [
                    "1234 5678 9012 3456",
                    "Caf\u{e9} \"7\"",
                    "abc123",
                    "box",
                    "correct horse",
                    "def456",
                    "hskey-auth-1"
                ],
                "{text}"
            );
            assert_eq!(known.hosts, ["hs.example.com"]);
            assert_eq!(known.domains, ["home.example.com", "lan"]);
        }
    }
}
