//! Reads Mullvad's list of relays, entry by entry: what cannot be understood is skipped, so that an odd relay does not
//! cost all others.

mod shape;

use std::collections::BTreeMap;

use byway_core::account::Catalogue;
use serde::Deserialize;
use serde_json::value::RawValue;

pub(super) use self::shape::Condensed;

/// The list, each entry as it is written: a tree of all of it would take megabytes.
#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    locations: BTreeMap<String, &'a RawValue>,
    #[serde(borrow)]
    wireguard: WireGuard<'a>,
}

#[derive(Deserialize)]
struct WireGuard<'a> {
    #[serde(borrow)]
    port_ranges: Vec<&'a RawValue>,
    #[serde(borrow)]
    relays: Vec<&'a RawValue>,
}

/// What the API answers to `GET /app/v1/relays`; an error says in a phrase why nothing of it is of use.
pub fn read(body: &[u8]) -> Result<Catalogue, String> {
    let List { locations, wireguard: WireGuard { port_ranges, relays } } = serde_json::from_slice(body)
        .map_err(|error| format!("it is none (line {}, column {})", error.line(), error.column()))?;
    let told = locations.len() + port_ranges.len() + relays.len();
    let place = |(code, place): (String, &RawValue)| Some((code.into(), understood(place)?));
    let condensed = Condensed {
        locations: locations.into_iter().filter_map(place).collect(),
        port_ranges: port_ranges.into_iter().filter_map(understood).collect(),
        relays: relays.into_iter().filter_map(understood).collect(),
    };
    let catalogue = condensed.catalogue();
    let skipped = told - catalogue.places.len() - catalogue.ports.len() - catalogue.relays.len();
    if skipped > 0 {
        tracing::debug!(skipped, of = told, "entries of Mullvad's list of relays are of no use");
    }
    if catalogue.relays.is_empty() {
        return Err("no relay in it can be understood".to_owned());
    }
    if catalogue.ports.is_empty() {
        return Err("it has no port".to_owned());
    }
    Ok(catalogue)
}

fn understood<'a, T: Deserialize<'a>>(entry: &'a RawValue) -> Option<T> {
    serde_json::from_str(entry.get()).ok()
}

#[cfg(test)]
pub(super) const SAMPLE: &str = include_str!("relay_list/sample.json");

#[cfg(test)]
mod tests;
