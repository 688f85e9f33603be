//! How each door's upstream has been answering: for the status.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use byway_core::Egress;
use byway_core::names::NamesReport;

use crate::clock;

/// Of so many answers half were this quick.
const SAMPLES: usize = 64;

#[derive(Debug, Default)]
pub struct Health {
    privacy: Mutex<Upstream>,
    residential: Mutex<Upstream>,
}

#[derive(Debug, Default)]
struct Upstream {
    report: NamesReport,
    times: VecDeque<Duration>,
}

impl Health {
    pub fn report(&self, egress: Egress) -> NamesReport {
        self.with(egress, |upstream| {
            let mut times: Vec<Duration> = upstream.times.iter().copied().collect();
            times.sort();
            NamesReport { p50: times.get(times.len() / 2).copied(), ..upstream.report.clone() }
        })
    }

    pub(super) fn answered(&self, egress: Egress, took: Duration) {
        self.with(egress, |upstream| {
            upstream.report.last_ok = Some(clock::uptime());
            upstream.report.error = None;
            upstream.times.push_back(took);
            if upstream.times.len() > SAMPLES {
                upstream.times.pop_front();
            }
        });
    }

    pub(super) fn failed(&self, egress: Egress, error: String) {
        self.with(egress, |upstream| {
            upstream.report.failures = upstream.report.failures.saturating_add(1);
            upstream.report.error = Some(error);
        });
    }

    fn with<T>(&self, egress: Egress, act: impl FnOnce(&mut Upstream) -> T) -> T {
        let upstream = match egress {
            Egress::Privacy => &self.privacy,
            Egress::Residential => &self.residential,
        };
        act(&mut upstream.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
