//! Who used a door, by what the rule set counted since it was last loaded.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;

use byway_core::clients::{Count, Used};
use byway_core::posture::TAILNET;
use serde_json::Value;

use super::nft;

/// The sets of `ruleset.nft` that count, and whether they count what clients sent. Known by name: nft 1.0.6 does
/// not list that a set is dynamic.
const SETS: [(&str, bool); 4] = [("sent4", true), ("sent6", true), ("got4", false), ("got6", false)];

/// What bounds the flows of each client, and its rate.
const BOUNDS: [&str; 6] = ["flows4", "flows6", "rate_out4", "rate_out6", "rate_in4", "rate_in6"];

/// Whether the set of this name holds who came by, not what we put there.
pub(super) fn counts(set: &str) -> bool {
    BOUNDS.contains(&set) || SETS.iter().any(|(name, _)| *name == set)
}

/// Bytes both ways by the tailnet's interface since it was made; `None`: it is not there.
pub fn tailnet_bytes() -> Option<u64> {
    let counter = |name: &str| {
        let path = format!("/sys/class/net/{TAILNET}/statistics/{name}");
        fs::read_to_string(path).ok()?.trim().parse::<u64>().ok()
    };
    Some(counter("rx_bytes")?.wrapping_add(counter("tx_bytes")?))
}

/// `load`: which rule set this is.
pub(super) fn count(load: u64) -> Result<Count, nft::Error> {
    let table = nft::counted()?;
    let smtp_tries = counter(&table, "smtp", "packets");
    let house_bytes = counter(&table, "house", "bytes");
    Ok(Count { load, clients: used(&table), smtp_tries, house_bytes })
}

/// 0 where it is not there, as in a rule set of an older agent's.
fn counter(listing: &Value, name: &str, unit: &str) -> u64 {
    let found = objects(listing, "counter").find(|counter| counter["name"] == name);
    found.and_then(|counter| counter[unit].as_u64()).unwrap_or_default()
}

fn used(listing: &Value) -> Vec<Used> {
    let mut used = BTreeMap::<IpAddr, Used>::new();
    for set in objects(listing, "set") {
        let counted = SETS.iter().find(|(name, _)| set["name"] == *name);
        for (address, bytes) in counted.map_or_else(Vec::new, |_| elements(set)) {
            let of_client = used.entry(address).or_insert(Used { address, sent: 0, got: 0 });
            match counted {
                Some((_, true)) => of_client.sent = bytes,
                Some((_, false)) | None => of_client.got = bytes,
            }
        }
    }
    used.into_values().collect()
}

fn objects<'a>(listing: &'a Value, kind: &'static str) -> impl Iterator<Item = &'a Value> {
    listing["nftables"].as_array().into_iter().flatten().filter_map(move |object| object.get(kind))
}

/// `{"elem": {"val": ADDRESS, "counter": {"packets": N, "bytes": N}}}`
fn elements(set: &Value) -> Vec<(IpAddr, u64)> {
    let elements = set["elem"].as_array().into_iter().flatten();
    elements
        .filter_map(|element| {
            let address = element["elem"]["val"].as_str()?.parse().ok()?;
            Some((address, element["elem"]["counter"]["bytes"].as_u64()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_a_counter_from_a_listing() {
        let listing = json!({"nftables": [
            {"counter": {"name": "shut", "packets": 1, "bytes": 2}},
            {"counter": {"name": "smtp", "packets": 3, "bytes": 180}},
        ]});
        assert_eq!(["packets", "bytes"].map(|unit| counter(&listing, "smtp", unit)), [3, 180]);
        assert_eq!(counter(&listing, "missing", "bytes"), 0);
    }

    #[test]
    fn reads_addresses_and_their_bytes_from_a_listing() {
        let element =
            |bytes| json!([{"elem": {"val": "100.64.0.1", "counter": {"packets": 2, "bytes": bytes}}}]);
        let listing = json!({"nftables": [
            {"metainfo": {}},
            {"set": {"name": "sent4", "elem": element(99)}},
            {"set": {"name": "got4", "elem": element(7)}},
            {"set": {"name": "flows4", "elem": element(1)}},
            {"set": {"name": "got6"}},
        ]});
        let address = "100.64.0.1".parse().unwrap();
        assert_eq!(used(&listing), [Used { address, sent: 99, got: 7 }]);
        assert_eq!(used(&json!({"nftables": []})), []);
    }
}
