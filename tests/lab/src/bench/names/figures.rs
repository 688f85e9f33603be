//! What one run has measured, as `names.json` holds it, and what follows from it within a round.

use std::collections::BTreeMap;

use serde::Serialize;

use super::questions::{Answered, Latency};
use super::server::Server;
use crate::bench::machine::Machine;
use crate::bench::results::Memory;

#[derive(Debug, Clone, Serialize)]
pub(in crate::bench) struct Names {
    pub(super) quick: bool,
    pub(super) date: String,
    pub(super) took_s: u64,
    pub(super) machine: Machine,
    pub(super) rounds: Vec<Round>,
}

pub(super) type Round = BTreeMap<Server, Measured>;

/// One server in one round.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Measured {
    /// Asked for before, one at a time.
    pub(super) known: Latency,
    pub(super) known_at_once: Rate,
    /// Each for the first time, one at a time.
    pub(super) new: Latency,
    pub(super) new_at_once: Rate,
    /// After all of these.
    pub(super) memory: Memory,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Rate {
    pub(super) answered: Answered,
    /// User and system time of the server's process.
    pub(super) cpu_seconds: f64,
}

impl Rate {
    pub(super) fn per_second(&self) -> f64 {
        self.answered.count() / self.answered.seconds
    }

    pub(super) fn cpu_seconds_per_million(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.answered.count().max(1.0)
    }
}

impl Measured {
    pub(super) fn lost(&self) -> u64 {
        let Self { known, known_at_once, new, new_at_once, .. } = self;
        known.lost + known_at_once.answered.lost + new.lost + new_at_once.answered.lost
    }
}

impl Names {
    pub(in crate::bench) fn rounds(&self) -> usize {
        self.rounds.len()
    }

    /// New names of one server in one round.
    pub(in crate::bench) fn new_names(&self) -> u64 {
        let asked = |it: &Measured| it.new.asked + it.new_at_once.answered.asked;
        self.rounds.iter().flat_map(BTreeMap::values).map(asked).max().unwrap_or_default()
    }

    /// One figure of one server, over the rounds.
    pub(super) fn over_rounds(&self, whose: Server, figure: impl Fn(&Measured) -> f64) -> Vec<f64> {
        self.rounds.iter().filter_map(|round| round.get(&whose).map(&figure)).collect()
    }

    /// How much longer half of the new names take than the upstream itself takes for them in the same round, in
    /// microseconds.
    pub(super) fn added_us(&self, whose: Server) -> Vec<f64> {
        let pairs =
            self.rounds.iter().filter_map(|round| round.get(&whose).zip(round.get(&Server::Upstream)));
        pairs.map(|(server, upstream)| server.new.p50_us - upstream.new.p50_us).collect()
    }
}
