//! What the judge found, in counts and in lines that name the first offenders.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::Door;

/// How many offenders are described; the rest is only counted.
const MOST_DESCRIBED: usize = 10;
/// A door that was open for longer than this must have been heard.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

/// The outcome of one judged test.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Client packets by each door, as each link that shows this door has counted them; all relays are one.
    pub heard: BTreeMap<Door, BTreeMap<String, u64>>,
    /// How long each door was open under load.
    pub open_for: BTreeMap<Door, Duration>,
    /// Packets by a door that was not allowed then, or that must never pass. One that two links show counts twice.
    pub wrong_door: Findings,
    /// Flows and connections that tie the two doors, or two relays, to one client.
    pub linked: Findings,
    /// Packets that the judge could not read: each may have been anything.
    pub unreadable: Findings,
}

/// Offences of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    pub count: u64,
    /// The first of them, described.
    pub first: Vec<String>,
}

impl Verdict {
    /// Client packets that left by a door, by the link that saw most of them.
    pub fn packets_by(&self, door: Door) -> u64 {
        self.heard.get(&door).and_then(|links| links.values().max()).copied().unwrap_or_default()
    }

    pub fn is_clean(&self) -> bool {
        [&self.wrong_door, &self.linked, &self.unreadable].iter().all(|findings| findings.count == 0)
    }

    /// Panics with the verdict if any packet was wrong.
    pub fn assert_clean(&self) {
        assert!(self.is_clean(), "{self}");
    }

    /// Silence is only worth something if noise would have been heard: fails if a door was open for more than a
    /// second under load and one of the links that must have shown it has heard no client.
    pub fn heard_something(&self) -> Result<()> {
        for (door, open) in self.open_for.iter().filter(|(_, open)| **open > HEARD_WITHIN) {
            let links = self.heard.get(door);
            ensure!(
                links.is_some_and(|links| !links.is_empty()),
                "{door} was open for {open:?} and no capture could have heard it: hand one in"
            );
            for (link, count) in links.into_iter().flatten() {
                ensure!(
                    *count > 0,
                    "{door} was open for {open:?} under load and {link} heard no client packet: look at the load \
                     and at the capture"
                );
            }
        }
        Ok(())
    }
}

impl Findings {
    pub(super) fn add(&mut self, describe: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < MOST_DESCRIBED {
            self.first.push(describe());
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for door in Door::ALL {
            write!(f, "{door} {} packets, ", self.packets_by(door))?;
        }
        write!(f, "wrong door {}, linked {}", self.wrong_door.count, self.linked.count)?;
        if self.unreadable.count > 0 {
            write!(f, ", unreadable {}", self.unreadable.count)?;
        }
        let kinds =
            [("wrong door", &self.wrong_door), ("linked", &self.linked), ("unreadable", &self.unreadable)];
        for (kind, findings) in kinds {
            for line in &findings.first {
                write!(f, "\n  {kind}: {line}")?;
            }
        }
        Ok(())
    }
}
