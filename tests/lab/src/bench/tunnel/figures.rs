//! What one run has measured, as `tunnel.json` holds it, and what follows from it: medians, and ratios of two
//! implementations in the same round.

use std::collections::BTreeMap;

use serde::Serialize;

use super::bulk::{Bulk, Load};
use super::cable::Link;
use super::implementation::Implementation;
use super::packets::Packets;
use super::ping::Pings;
use crate::bench::machine::Machine;

#[derive(Debug, Clone, Serialize)]
pub(in crate::bench) struct Tunnels {
    pub(super) quick: bool,
    pub(super) date: String,
    pub(super) took_s: u64,
    pub(super) machine: Machine,
    pub(super) rounds: Vec<Round>,
}

pub(super) type Round = BTreeMap<Implementation, Measured>;

/// One implementation in one round.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Measured {
    /// In the same order for everybody.
    pub(super) bulks: Vec<Bulk>,
    pub(super) packets: Packets,
    pub(super) pings: Pings,
    /// In bytes: the most that either process ever had resident.
    pub(super) peak_memory: Option<u64>,
}

impl Tunnels {
    pub(in crate::bench) fn rounds(&self) -> usize {
        self.rounds.len()
    }

    /// One figure of one implementation, over the rounds.
    pub(super) fn over_rounds(
        &self,
        whose: Implementation,
        figure: impl Fn(&Measured) -> Option<f64>,
    ) -> Vec<f64> {
        self.rounds.iter().filter_map(|round| figure(round.get(&whose)?)).collect()
    }

    /// One figure by one load.
    pub(super) fn by_load(
        &self,
        whose: Implementation,
        load: Load,
        figure: fn(&Bulk) -> Option<f64>,
    ) -> Vec<f64> {
        self.over_rounds(whose, |it| it.bulks.iter().find(|bulk| bulk.load == load).and_then(figure))
    }

    /// One figure of every load behind a NIC.
    pub(super) fn of_bulks(&self, whose: Implementation, figure: fn(&Bulk) -> Option<f64>) -> Vec<f64> {
        self.rounds
            .iter()
            .filter_map(|round| round.get(&whose))
            .flat_map(|it| behind_nic(&it.bulks).filter_map(figure))
            .collect()
    }

    /// byway's figure divided by the other's of the same round, load by load; only behind a NIC.
    pub(super) fn bulk_ratios(&self, other: Implementation, figure: fn(&Bulk) -> Option<f64>) -> Vec<f64> {
        let pairs = self.pairs(other).flat_map(|(ours, theirs)| {
            let (ours, theirs) = (behind_nic(&ours.bulks), behind_nic(&theirs.bulks));
            ours.zip(theirs).map(|(ours, theirs)| (figure(ours), figure(theirs)))
        });
        pairs.filter_map(|(ours, theirs)| Some(ours? / theirs?)).collect()
    }

    /// byway's figure divided by the other's of the same round.
    pub(super) fn ratios(&self, other: Implementation, figure: fn(&Measured) -> f64) -> Vec<f64> {
        self.pairs(other).map(|(ours, theirs)| figure(ours) / figure(theirs)).collect()
    }

    fn pairs(&self, other: Implementation) -> impl Iterator<Item = (&Measured, &Measured)> {
        self.rounds
            .iter()
            .filter_map(move |round| Some((round.get(&Implementation::Byway)?, round.get(&other)?)))
    }
}

fn behind_nic(bulks: &[Bulk]) -> impl Iterator<Item = &Bulk> {
    bulks.iter().filter(|bulk| bulk.load.link == Link::Nic)
}
