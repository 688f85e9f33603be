//! Everything that one run has measured, as `bench.json` holds it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::machine::Machine;
use crate::judge::{Door, Verdict};

#[derive(Debug, Clone, Serialize)]
pub(super) struct Results {
    pub(super) quick: bool,
    pub(super) date: String,
    pub(super) took_s: u64,
    pub(super) machine: Machine,
    pub(super) binary_bytes: u64,
    pub(super) idle: Idle,
    pub(super) memory_after_load: Memory,
    pub(super) starts_ms: Vec<f64>,
    pub(super) crowd_flows: usize,
    pub(super) crowded: Flips,
    pub(super) faults: Faults,
    /// byway first.
    pub(super) boxes: Vec<BoxFigures>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct BoxFigures {
    pub(super) name: String,
    pub(super) flips: Flips,
    pub(super) transfers: Vec<Transfer>,
}

/// In milliseconds where nothing else is said.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Flips {
    pub(super) asked: usize,
    /// From the request to the first client packet by the new door, as the door's own link shows it.
    pub(super) to_privacy: Vec<f64>,
    pub(super) to_residential: Vec<f64>,
    /// From the request to the box's answer.
    pub(super) told: Vec<f64>,
    /// From the first client packet by the new door to the last one by the old; 0 for none after it.
    pub(super) late_by_house: Vec<f64>,
    pub(super) late_by_relay: Vec<f64>,
    pub(super) judged: Judged,
}

/// What the judge counted.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Judged {
    pub(super) packets: u64,
    pub(super) wrong_door: u64,
    pub(super) linked: u64,
    pub(super) unreadable: u64,
    /// The first offenders, described.
    pub(super) first: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Faults {
    pub(super) killed_to_carried_ms: Vec<f64>,
    pub(super) silent_to_sealed_ms: Vec<f64>,
    pub(super) idle_silent_to_sealed_ms: Vec<f64>,
    pub(super) tailscaled_killed_to_carried_ms: Vec<f64>,
    pub(super) judged: Judged,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Idle {
    pub(super) seconds: f64,
    /// Percent of one core, by program; `byway's children` is what `nft` took.
    pub(super) cpu_percent: BTreeMap<String, f64>,
    pub(super) memory: Memory,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Memory {
    pub(super) resident_kib: u64,
    pub(super) most_resident_kib: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Direction {
    Download,
    Upload,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Transfer {
    #[serde(serialize_with = "as_text")]
    pub(super) door: Door,
    pub(super) direction: Direction,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    /// User and system time by program of the box.
    pub(super) cpu_seconds: BTreeMap<String, f64>,
    /// Of the whole machine: phone, relay and servers are on it too.
    pub(super) softirq_seconds: f64,
}

impl Results {
    /// Not one packet of byway's by a wrong door, nothing linked, nothing that could not be read.
    pub(super) fn is_clean(&self) -> bool {
        self.byway_judged().all(Judged::is_clean)
    }

    pub(super) fn byway_judged(&self) -> impl Iterator<Item = &Judged> {
        let plain = self.boxes.first().map(|byway| &byway.flips.judged);
        plain.into_iter().chain([&self.crowded.judged, &self.faults.judged])
    }
}

impl Flips {
    pub(super) fn both_ways(&self) -> Vec<f64> {
        [&self.to_privacy[..], &self.to_residential].concat()
    }

    pub(super) fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.to_privacy.extend(other.to_privacy);
        self.to_residential.extend(other.to_residential);
        self.told.extend(other.told);
        self.late_by_house.extend(other.late_by_house);
        self.late_by_relay.extend(other.late_by_relay);
        self.judged.add(other.judged);
    }
}

impl Judged {
    pub(super) fn by(verdict: &Verdict) -> Self {
        let kinds = [&verdict.wrong_door, &verdict.linked, &verdict.unreadable];
        Self {
            packets: Door::ALL.into_iter().map(|door| verdict.packets_by(door)).sum(),
            wrong_door: verdict.wrong_door.count,
            linked: verdict.linked.count,
            unreadable: verdict.unreadable.count,
            first: kinds.into_iter().filter_map(|findings| findings.first.first().cloned()).collect(),
        }
    }

    pub(super) fn is_clean(&self) -> bool {
        self.wrong_door + self.linked + self.unreadable == 0
    }

    pub(super) fn add(&mut self, other: Self) {
        self.packets += other.packets;
        self.wrong_door += other.wrong_door;
        self.linked += other.linked;
        self.unreadable += other.unreadable;
        self.first.extend(other.first);
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde hands it over")]
fn as_text<S: serde::Serializer>(door: &Door, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(door)
}
