//! What `nft -j` tells of our table, with everything taken out that differs between two loads of the same text.
//!
//! Only listings are compared with each other, never a listing with source text: each version of nft prints
//! differently.

use std::collections::{BTreeMap, BTreeSet};

use byway_core::posture::ruleset::FLIPPED_CHAINS;
use serde_json::{Map, Value};

use super::usage;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// Sets, chains and the like by "kind name".
    objects: BTreeMap<String, Value>,
    /// By chain, in the order in which they decide.
    rules: BTreeMap<String, Vec<Value>>,
}

impl Listing {
    pub(super) fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(serde::Deserialize)]
        struct Document {
            nftables: Vec<Map<String, Value>>,
        }
        let document: Document = serde_json::from_slice(json)?;
        let mut listing = Self::default();
        for (kind, object) in document.nftables.into_iter().flatten() {
            listing.add(&kind, object);
        }
        Ok(listing)
    }

    fn add(&mut self, kind: &str, mut object: Value) {
        without_accidents(&mut object);
        without_counted_elements(&mut object);
        let named = |key| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        match kind {
            "metainfo" => {}
            "rule" => self.rules.entry(named("chain")).or_default().push(object),
            kind => _ = self.objects.insert(format!("{kind} {}", named("name")), object),
        }
    }

    /// Readable lines, none if both say the same.
    pub(super) fn differences(&self, wanted: &Self) -> Vec<String> {
        let objects = union(&self.objects, &wanted.objects)
            .filter_map(|name| object_difference(name, self.objects.get(name), wanted.objects.get(name)));
        let rules = union(&self.rules, &wanted.rules).filter_map(|chain| {
            rules_difference(chain, rules_of(&self.rules, chain), rules_of(&wanted.rules, chain))
        });
        objects.chain(rules).collect()
    }

    /// Whether no client packet can pass, as far as can be told without knowing the facts: the forward chain
    /// drops what nobody accepts, the door is shut, no flow is stamped or steered, and no name is asked for.
    pub(super) fn is_sealed(&self) -> bool {
        let forward = self.objects.get("chain forward");
        let is = |key, value| forward.and_then(|chain| chain.get(key)).is_some_and(|found| found == value);
        let shut = self.objects.get("set door").is_some_and(|door| door.get("elem").is_none());
        let stands_still = FLIPPED_CHAINS.into_iter().all(|chain| {
            self.objects.contains_key(&format!("chain {chain}")) && rules_of(&self.rules, chain).is_empty()
        });
        let guarded = !rules_of(&self.rules, "forward").is_empty();
        is("hook", "forward") && is("policy", "drop") && shut && stands_still && guarded
    }
}

fn union<'a, T>(
    some: &'a BTreeMap<String, T>,
    others: &'a BTreeMap<String, T>,
) -> impl Iterator<Item = &'a String> {
    some.keys().chain(others.keys()).collect::<BTreeSet<_>>().into_iter()
}

fn rules_of<'a>(rules: &'a BTreeMap<String, Vec<Value>>, chain: &str) -> &'a [Value] {
    rules.get(chain).map_or(&[], Vec::as_slice)
}

fn object_difference(name: &str, found: Option<&Value>, wanted: Option<&Value>) -> Option<String> {
    match (found, wanted) {
        (Some(found), Some(wanted)) if found == wanted => None,
        (Some(found), Some(wanted)) => {
            let (key, found, wanted) = first_difference(found, wanted);
            Some(format!("nft {name}: {key} is {found}, should be {wanted}"))
        }
        (Some(_), None) => Some(format!("nft {name} does not belong there")),
        (None, Some(_)) => Some(format!("nft {name} is missing")),
        (None, None) => None,
    }
}

/// The first key whose values differ, `null` where there is none.
fn first_difference<'a>(found: &'a Value, wanted: &'a Value) -> (String, &'a Value, &'a Value) {
    let keys = |value: &'a Value| value.as_object().into_iter().flat_map(Map::keys);
    let differs = keys(found).chain(keys(wanted)).find(|key| found.get(key) != wanted.get(key));
    match differs {
        Some(key) => (key.clone(), &found[key.as_str()], &wanted[key.as_str()]),
        None => (String::from("it"), found, wanted),
    }
}

fn rules_difference(chain: &str, found: &[Value], wanted: &[Value]) -> Option<String> {
    if found == wanted {
        return None;
    }
    let same = found.iter().zip(wanted).take_while(|(found, wanted)| found == wanted).count();
    let (found, wanted, first) = (found.len(), wanted.len(), same + 1);
    Some(format!(
        "nft chain {chain} has {found} rules, should have {wanted}; the first that differs is number {first}"
    ))
}

/// The elements of a set that counts who comes by are the traffic's, not ours.
fn without_counted_elements(object: &mut Value) {
    let counts = object.get("name").and_then(Value::as_str).is_some_and(usage::counts);
    if let Value::Object(set) = object
        && counts
    {
        set.remove("elem");
    }
}

/// Handles are given out anew with each load, counters count, and the elements of a set have no order.
fn without_accidents(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for accident in ["handle", "index", "packets", "bytes"] {
                map.remove(accident);
            }
            for (key, value) in map {
                without_accidents(value);
                if let ("elem" | "set", Value::Array(elements)) = (key.as_str(), value) {
                    elements.sort_by_cached_key(Value::to_string);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(without_accidents),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(objects: &str) -> Listing {
        Listing::parse(format!(r#"{{"nftables": [{objects}]}}"#).as_bytes()).unwrap()
    }

    const TWO_RULES: &str = r#"{"rule": {"chain": "a", "handle": 1, "expr": [{"accept": null}]}},
        {"rule": {"chain": "a", "handle": 2, "expr": [{"drop": null}]}}"#;

    #[test]
    fn handles_counters_and_the_order_of_elements_do_not_matter() {
        let one = listing(
            r#"{"set": {"name": "door", "handle": 7, "elem": ["b", "a"]}},
            {"counter": {"name": "shut", "packets": 9, "bytes": 99}}"#,
        );
        let other = listing(
            r#"{"set": {"name": "door", "handle": 8, "elem": ["a", "b"]}},
            {"counter": {"name": "shut", "packets": 0, "bytes": 0}}"#,
        );
        assert_eq!(one, other);
    }

    #[test]
    fn who_used_a_door_does_not_matter() {
        let used = listing(r#"{"set": {"name": "sent4", "elem": ["100.64.0.1"]}}"#);
        let unused = listing(r#"{"set": {"name": "sent4"}}"#);
        assert_eq!(used, unused);
    }

    #[test]
    fn the_order_of_rules_matters() {
        let turned = listing(
            r#"{"rule": {"chain": "a", "handle": 2, "expr": [{"drop": null}]}},
            {"rule": {"chain": "a", "handle": 1, "expr": [{"accept": null}]}}"#,
        );
        let lines = turned.differences(&listing(TWO_RULES));
        assert_eq!(lines, ["nft chain a has 2 rules, should have 2; the first that differs is number 1"]);
    }

    #[test]
    fn a_difference_is_told_by_name() {
        let found = listing(r#"{"set": {"name": "door", "elem": ["eth0"]}}, {"map": {"name": "odd"}}"#);
        let wanted = listing(r#"{"set": {"name": "door"}}, {"chain": {"name": "forward"}}"#);
        let lines = found.differences(&wanted);
        assert_eq!(
            lines,
            [
                "nft chain forward is missing",
                "nft map odd does not belong there",
                r#"nft set door: elem is ["eth0"], should be null"#,
            ]
        );
    }

    #[test]
    fn nothing_listed_is_not_sealed() {
        assert!(!listing("").is_sealed());
    }
}
