//! The list of relays: the world's three as they are, some of other countries that nobody will find, and entries that are
//! not as they should be.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

use super::answer::Answer;
use crate::topology::RelaySite;

/// Of relays that exist only in the list; nobody is there.
const NOWHERE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 250);

#[derive(Debug)]
pub(super) struct List {
    relays: Vec<Value>,
    taken_out: BTreeSet<String>,
    inactive: BTreeSet<String>,
    /// Another list has another one.
    version: u32,
}

impl List {
    /// The world's relays with their public keys.
    pub(super) fn of(relays: &[(RelaySite, String)]) -> Self {
        let real = relays.iter().map(|(site, key)| relay(site.name, (site.v4, Some(site.v6)), key));
        let relays = real.chain(elsewhere()).chain(odd()).collect();
        Self { relays, taken_out: BTreeSet::new(), inactive: BTreeSet::new(), version: 1 }
    }

    pub(super) fn take_out(&mut self, relay: &str) {
        self.taken_out.insert(relay.to_owned());
        self.version += 1;
    }

    pub(super) fn mark_inactive(&mut self, relay: &str) {
        self.inactive.insert(relay.to_owned());
        self.version += 1;
    }

    pub(super) fn restore(&mut self) {
        (self.taken_out, self.inactive) = (BTreeSet::new(), BTreeSet::new());
        self.version += 1;
    }

    /// To somebody who has the list of this tag, if any.
    pub(super) fn answer(&self, known: Option<&str>) -> Answer {
        let tag = format!("W/\"lab-{}\"", self.version);
        let answer = if known == Some(&tag) { Answer::empty(304) } else { Answer::json(200, &self.json()) };
        answer.with("etag", tag)
    }

    fn json(&self) -> Value {
        json!({
            "locations": locations(),
            "wireguard": {
                "port_ranges": [[53, 53], [443, 443], [4000, 33433], [33565, 51820], [52000, 60000], [9], "51820"],
                "ipv4_gateway": "10.64.0.1",
                "ipv6_gateway": "fc00:bbbb:bbbb:bb01::1",
                "shadowsocks_port_ranges": [[51900, 51949]],
                "relays": self.relays(),
            },
            "bridge": {"shadowsocks": [], "relays": []},
            "written_for": "somebody who does not know this key",
        })
    }

    fn relays(&self) -> Vec<Value> {
        let has = |names: &BTreeSet<String>, relay: &Value| {
            relay["hostname"].as_str().is_some_and(|name| names.contains(name))
        };
        let mut relays = self.relays.clone();
        relays.retain(|relay| !has(&self.taken_out, relay));
        for relay in relays.iter_mut().filter(|relay| has(&self.inactive, relay)) {
            relay["active"] = json!(false);
        }
        relays
    }
}

/// A key that is well-formed, and nobody's.
pub(super) fn made_up_key(of: &str) -> String {
    let letters: String = of.chars().filter(char::is_ascii_alphanumeric).take(42).collect();
    format!("{letters:A<42}E=")
}

fn locations() -> Value {
    let place = |city: &str, country: &str| json!({"city": city, "country": country, "latitude": 57.7, "longitude": 11.9});
    json!({
        "se-got": place("Gothenburg", "Sweden"),
        "se-mma": place("Malm\u{f6}", "Sweden"),
        "se-sto": place("Stockholm", "Sweden"),
        "no-osl": place("Oslo", "Norway"),
        "de-fra": place("Frankfurt", "Germany"),
        "us-nyc": place("New York, NY", "USA"),
        "nowhere": place("Nowhere", "Nowhere"),
        "xx-yyy": {"city": "a city without a country"},
        "se-odd": 7,
    })
}

fn relay(name: &str, (v4, v6): (Ipv4Addr, Option<Ipv6Addr>), key: &str) -> Value {
    json!({
        "hostname": name,
        "active": true,
        "owned": true,
        "location": name[..6],
        "provider": "31173",
        "ipv4_addr_in": v4,
        "ipv6_addr_in": v6,
        "weight": 100,
        "include_in_country": true,
        "public_key": key,
        "daita": false,
        "shadowsocks_extra_addr_in": [],
        "features": {"lwo": {}, "later": [1, {"unknown": null}]},
        "stboot": true,
    })
}

/// Of the same shape, rented, in the list alone.
fn made_up(name: &str) -> Value {
    let mut relay = relay(name, (NOWHERE, None), &made_up_key(name));
    (relay["owned"], relay["provider"]) = (json!(false), json!("M247"));
    relay
}

fn elsewhere() -> Vec<Value> {
    ["no-osl-wg-001", "de-fra-wg-001", "de-fra-wg-002", "us-nyc-wg-301"].map(made_up).into()
}

/// None of them is one that somebody could be carried by.
fn odd() -> Vec<Value> {
    let spoilt = |name: &str, key: &str, value: Value| {
        let mut relay = made_up(name);
        relay[key] = value;
        relay
    };
    let mut keyless = made_up("se-got-wg-101");
    keyless.as_object_mut().and_then(|relay| relay.remove("public_key"));
    Vec::from([
        keyless,
        spoilt("se-got-wg-102", "public_key", json!("not a key")),
        spoilt("se-got-wg-103", "public_key", json!(made_up_key("short")[4..])),
        spoilt("se-got-wg-104", "ipv4_addr_in", json!("over there")),
        spoilt("se-got-wg-105", "weight", json!("heavy")),
        spoilt("se-got-wg-106", "active", json!(false)),
        spoilt("se-got-wg-107", "location", json!("sweden")),
        spoilt("se-got-wg-108", "hostname", json!("../se-got\u{1b}[31m")),
        // A second one of this name, elsewhere and with another key.
        made_up("se-got-wg-001"),
        json!("se-got-wg-109"),
        json!(null),
    ])
}
