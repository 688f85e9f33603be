//! Who used a door, by what the rule set counted since it was last loaded.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use super::nft;

/// What one tailnet address sent and got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    pub address: IpAddr,
    pub tx_bytes: u64,
    pub rx_bytes: u64,
}

/// The sets of `ruleset.nft` that count, and whether they count what clients sent. Known by name: nft 1.0.6 does
/// not list that a set is dynamic.
const SETS: [(&str, bool); 4] = [("sent4", true), ("sent6", true), ("got4", false), ("got6", false)];

/// What bounds the flows of each client.
const BOUNDS: [&str; 2] = ["flows4", "flows6"];

/// Whether the set of this name holds who came by, not what we put there.
pub(super) fn counts(set: &str) -> bool {
    BOUNDS.contains(&set) || SETS.iter().any(|(name, _)| *name == set)
}

pub(super) fn usage() -> Result<Vec<Usage>, nft::Error> {
    let mut used = BTreeMap::<IpAddr, Usage>::new();
    for (set, sent) in SETS {
        for (address, bytes) in elements(&nft::set(set)?) {
            let usage = used.entry(address).or_insert(Usage { address, tx_bytes: 0, rx_bytes: 0 });
            if sent { usage.tx_bytes += bytes } else { usage.rx_bytes += bytes }
        }
    }
    Ok(used.into_values().collect())
}

/// `{"elem": {"val": ADDRESS, "counter": {"packets": N, "bytes": N}}}`, wherever nft nests it.
fn elements(listing: &Value) -> Vec<(IpAddr, u64)> {
    let objects = listing["nftables"].as_array().into_iter().flatten();
    let elements = objects.filter_map(|object| object["set"]["elem"].as_array()).flatten();
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
    fn reads_an_address_and_its_bytes_from_a_listing() {
        let element = json!({"elem": {"val": "100.64.0.1", "counter": {"packets": 2, "bytes": 99}}});
        let listing = json!({"nftables": [{"metainfo": {}}, {"set": {"name": "sent4", "elem": [element]}}]});
        assert_eq!(elements(&listing), [("100.64.0.1".parse().unwrap(), 99)]);
        assert_eq!(elements(&json!({"nftables": [{"set": {"name": "sent4"}}]})), []);
    }
}
