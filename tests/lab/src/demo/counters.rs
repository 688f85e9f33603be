//! A running count of client packets by door, where they come out: the relays' and the house's own counters.

use anyhow::{Context as _, Result};

use crate::World;
use crate::namespace::Namespace;
use crate::relay::Relay;
use crate::topology::Place;

#[derive(Debug)]
pub(super) struct Counters {
    relays: [Namespace; 3],
    house: Namespace,
}

/// Client packets so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packets {
    pub(super) privacy: u64,
    pub(super) residential: u64,
}

impl Counters {
    pub(super) fn install(world: &World) -> Result<Self> {
        let relays = world.relays().map(|relay| world.namespace(relay.site().place));
        let counters = Self { relays, house: world.namespace(Place::House) };
        let insides = world.relays().map(Relay::device).into_iter().chain(["lan"]);
        // The phone talks to the echo servers' port only; the box itself never does.
        for (namespace, inside) in counters.relays.iter().chain([&counters.house]).zip(insides) {
            namespace.nft(&format!(
                "table inet tally {{\n counter clients {{ }}\n chain out {{
                   type filter hook forward priority filter;
                   iifname {inside} meta l4proto {{ tcp, udp }} th dport 7 counter name clients;
                 }}\n}}"
            ))?;
        }
        Ok(counters)
    }

    pub(super) fn read(&self) -> Result<Packets> {
        let privacy = self.relays.iter().map(count).sum::<Result<u64>>()?;
        Ok(Packets { privacy, residential: count(&self.house)? })
    }
}

fn count(namespace: &Namespace) -> Result<u64> {
    let listing = namespace.run(&["nft", "list", "counter", "inet", "tally", "clients"])?;
    let mut words = listing.split_whitespace().skip_while(|word| *word != "packets");
    words.nth(1).and_then(|count| count.parse().ok()).with_context(|| format!("no count in {listing}"))
}
