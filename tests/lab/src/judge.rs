//! Says from the outside by which door each client packet left and whether it was allowed to then. Believes nothing
//! that the box says about itself: only captures, addresses, and the times of the test's own decisions.

mod links;
mod places;
#[cfg(test)]
mod tests;
mod timeline;
mod verdict;

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use thiserror::Error;

use crate::capture::{Heading, Recording, Seen};
use crate::packet::Packet;
use links::{Exit, Links};
use places::Bearing;
pub use places::{Places, RelayPlace};
use timeline::offset;
pub use timeline::{Decision, Door, FORGET, Timeline};
pub use verdict::{Findings, Verdict};

/// A relay is a process: what it took out of the tunnel before a decision it may send this much later.
pub const RELAY_DRAIN: Duration = Duration::from_millis(300);

/// What the judge goes by.
#[derive(Debug, Clone)]
pub struct Judge {
    pub places: Places,
    pub timeline: Timeline,
    /// How late a packet may be on the relay's and the server's links. The house's link is judged to the instant.
    pub relay_drain: Duration,
}

/// One capture and where it was made. Captures must begin before the load does: a connection without a SYN is an
/// offence. Several recordings of one link come in the order in which they were made.
#[derive(Debug, Clone)]
pub struct Witness {
    pub vantage: Vantage,
    /// What this capture's namespace calls the direction from the box toward the server.
    pub leaving: Heading,
    pub recording: Recording,
}

/// What a link shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vantage {
    /// The box's cable: all that it says in the clear.
    House,
    /// What comes out of the tunnel at one relay. Best the relay's tunnel device, which the relay's own ICMP errors do
    /// not pass; its outside interface will do.
    Relay,
    /// The server's cable: both doors, told apart by the source.
    Server,
}

/// The evidence does not allow a verdict, not even a good one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotJudged {
    #[error("the capture of {link} lost {dropped} packets: repeat with less load")]
    Dropped { link: String, dropped: u64 },
    #[error("no capture of the {0:?} link: hand one in")]
    NoWitness(Vantage),
    #[error("no capture at the relay {0}: hand one in")]
    NoWitnessAt(String),
}

impl Judge {
    /// `load` is the time during which clients were talking.
    pub fn judge(&self, load: &Range<SystemTime>, witnesses: &[Witness]) -> Result<Verdict, NotJudged> {
        self.require_whole_evidence(witnesses)?;
        let mut links = Links::default();
        let mut verdict = Verdict {
            open_for: Door::ALL.map(|door| (door, self.timeline.open_for(door, load))).into(),
            ..Verdict::default()
        };
        for witness in witnesses {
            let hearing = Hearing { judge: self, witness, zero: load.start };
            hearing.expect_noise(&mut verdict);
            for seen in &witness.recording.seen {
                if seen.heading == witness.leaving {
                    hearing.hear(seen, &mut links, &mut verdict);
                } else {
                    links.note_arrival(&witness.recording.link, &seen.packet);
                }
            }
        }
        Ok(verdict)
    }

    fn require_whole_evidence(&self, witnesses: &[Witness]) -> Result<(), NotJudged> {
        for Witness { recording, .. } in witnesses {
            if recording.dropped > 0 {
                return Err(NotJudged::Dropped { link: recording.link.clone(), dropped: recording.dropped });
            }
        }
        let heard: BTreeSet<_> = witnesses.iter().map(|witness| witness.vantage).collect();
        if let Some(missing) =
            [Vantage::House, Vantage::Relay].into_iter().find(|vantage| !heard.contains(vantage))
        {
            return Err(NotJudged::NoWitness(missing));
        }
        let is_heard = |link: &str| witnesses.iter().any(|witness| witness.is_at_relay(link));
        match self.places.relays.iter().find(|relay| !is_heard(&relay.link)) {
            Some(RelayPlace { link, .. }) => Err(NotJudged::NoWitnessAt(link.clone())),
            None => Ok(()),
        }
    }

    /// When the first client packet left by a door at or after a moment, as the door's own link shows it.
    pub fn first_by(&self, door: Door, after: SystemTime, witnesses: &[Witness]) -> Option<SystemTime> {
        // Each relay has a recording of its own.
        own_links(door, witnesses)
            .filter_map(|witness| {
                let mut later = witness.leaving().filter(|seen| seen.at >= after);
                later.find(|seen| self.is_by(door, seen)).map(|seen| seen.at)
            })
            .min()
    }

    /// Every client packet that left by a door, as the door's own links show it, one link after the other.
    pub fn left_by<'a>(&'a self, door: Door, witnesses: &'a [Witness]) -> impl Iterator<Item = &'a Seen> {
        own_links(door, witnesses).flat_map(Witness::leaving).filter(move |seen| self.is_by(door, seen))
    }

    fn is_by(&self, door: Door, seen: &Seen) -> bool {
        self.places.bearing(vantage_of(door), &seen.packet) == Some(Bearing::Client(door))
    }
}

fn own_links(door: Door, witnesses: &[Witness]) -> impl Iterator<Item = &Witness> {
    witnesses.iter().filter(move |witness| witness.vantage == vantage_of(door))
}

fn vantage_of(door: Door) -> Vantage {
    match door {
        Door::Privacy => Vantage::Relay,
        Door::Residential => Vantage::House,
    }
}

impl Witness {
    fn is_at_relay(&self, link: &str) -> bool {
        self.vantage == Vantage::Relay && self.recording.link == link
    }

    /// Only what the box's side sent: that a server answers late is not the box's doing.
    fn leaving(&self) -> impl Iterator<Item = &Seen> {
        self.recording.seen.iter().filter(|seen| seen.heading == self.leaving)
    }
}

/// One witness before the judge.
struct Hearing<'a> {
    judge: &'a Judge,
    witness: &'a Witness,
    zero: SystemTime,
}

impl Hearing<'_> {
    /// Enters this link with no packets yet for the doors that it can show.
    fn expect_noise(&self, verdict: &mut Verdict) {
        let doors: &[Door] = match self.witness.vantage {
            Vantage::House => &[Door::Residential],
            Vantage::Relay => &[Door::Privacy],
            Vantage::Server => &Door::ALL,
        };
        for door in doors {
            verdict.heard.entry(*door).or_default().entry(self.counted_at()).or_default();
        }
    }

    /// All relays together are the door's link: one that nobody used is no sign of deafness.
    fn counted_at(&self) -> String {
        match self.witness.vantage {
            Vantage::House | Vantage::Server => self.witness.recording.link.clone(),
            Vantage::Relay => "the relays".to_owned(),
        }
    }

    fn hear(&self, seen: &Seen, links: &mut Links, verdict: &mut Verdict) {
        let Witness { vantage, recording: Recording { link, .. }, .. } = self.witness;
        if let Packet::Unreadable { .. } = seen.packet {
            verdict.unreadable.add(|| self.describe(seen, "cannot be judged"));
        }
        let door = match self.judge.places.bearing(*vantage, &seen.packet) {
            None => return,
            Some(Bearing::Never(reason)) => {
                return verdict.wrong_door.add(|| self.describe(seen, reason));
            }
            Some(Bearing::Names(door)) => return self.require_allowed(door, seen, verdict),
            // The box has forgotten a flow, by the clock or by a power cut, and its server goes on: what comes by the
            // tunnel is answered by it, whatever door is open (DESIGN 4, the box's own words).
            Some(Bearing::Client(Door::Privacy)) if links.is_of_a_forgotten_one(link, &seen.packet) => return,
            Some(Bearing::Client(door)) => door,
        };
        *verdict.heard.entry(door).or_default().entry(self.counted_at()).or_default() += 1;
        self.require_allowed(door, seen, verdict);
        let era = self.judge.timeline.forgettings_until(seen.at);
        let exit = Exit { door, relay: self.judge.places.relay(*vantage, link, &seen.packet) };
        if let Some(tie) = links.note(*vantage, link, (exit, era), &seen.packet) {
            verdict.linked.add(|| self.describe(seen, tie));
        }
    }

    fn require_allowed(&self, door: Door, seen: &Seen, verdict: &mut Verdict) {
        if !self.allows(door, seen.at) {
            verdict.wrong_door.add(|| self.describe(seen, &format!("{door} was not allowed")));
        }
    }

    fn allows(&self, door: Door, at: SystemTime) -> bool {
        let tolerance = match self.witness.vantage {
            Vantage::House => Duration::ZERO,
            Vantage::Relay | Vantage::Server => self.judge.relay_drain,
        };
        self.judge.timeline.allows(door, at.checked_sub(tolerance).unwrap_or(at), at)
    }

    fn describe(&self, seen: &Seen, reason: &str) -> String {
        let Seen { at, packet, .. } = seen;
        let in_force = self.judge.timeline.describe(*at, self.zero);
        format!(
            "{} on {}: {packet}: {reason} ({in_force})",
            offset(*at, self.zero),
            self.witness.recording.link
        )
    }
}
