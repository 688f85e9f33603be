//! The relays of the owner's list: which one carries, which one stands by, whom to prove next, and what to do when the
//! one that carries is lost. A relay carries only after it was proven, and one at a time is proven.
//!
//! - *current*: whom the posture knows. *taken*: the tunnel's engine talks to it, too; it is never proven beside that,
//!   because a relay has one session a key.
//! - *standby*: proven, and proven anew every few minutes; the first in the order of preference. It is taken when the
//!   current one is lost.
//! - Preference is the owner's: whom they chose last, then the list's order. Who carries is not left for a better one.

mod candidate;
mod verdict;
mod view;
mod words;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::net::SocketAddr;

use candidate::Candidate;
pub(crate) use candidate::foreign;
pub use verdict::{Attempt, Obstacle, Proof, RelayId, Verdict};
pub use view::{RelayView, Role};

use crate::posture::TunnelEnd;
use crate::{Expect, Lack, Settings, Uptime};

#[derive(Debug)]
pub(crate) struct Relays {
    /// Never empty.
    all: Vec<Candidate>,
    expect: Expect,
    current: RelayId,
    /// Since when the engine talks to it.
    taken: Option<Uptime>,
    preferred: RelayId,
    /// Whom the owner has chosen, until it carries.
    wanted: Option<RelayId>,
    /// Who is being proven.
    under_way: Option<RelayId>,
    /// Whom the current one has replaced because it was lost.
    left: Option<RelayId>,
    /// What was proven before counts no more where nobody carries: it may have been lost as well.
    counts_since: Uptime,
    dice: Dice,
}

impl Relays {
    pub(crate) fn new(settings: &Settings) -> Self {
        let all: Vec<Candidate> = settings.relays.iter().map(Candidate::new).collect();
        assert!(!all.is_empty(), "a list of relays names at least one");
        let first = if settings.preferred.0 < all.len() { settings.preferred } else { RelayId(0) };
        Self {
            all,
            expect: settings.expect,
            current: first,
            taken: None,
            preferred: first,
            wanted: None,
            under_way: None,
            left: None,
            counts_since: Uptime::default(),
            dice: Dice(settings.seed),
        }
    }

    pub(crate) const fn current(&self) -> RelayId {
        self.current
    }

    pub(crate) const fn taken(&self) -> Option<Uptime> {
        self.taken
    }

    pub(crate) fn is_known(&self, relay: RelayId) -> bool {
        relay.0 < self.all.len()
    }

    /// The current one's.
    pub(crate) fn name(&self) -> &str {
        &self.all[self.current.0].name
    }

    /// The tunnel to the current one, as its file and its proof have it.
    pub(crate) fn end(&self) -> TunnelEnd {
        self.all[self.current.0].end()
    }

    /// Everywhere that one of them may be tried.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.all.iter().flat_map(Candidate::endpoints)
    }

    /// The newest proof of the current one.
    pub(crate) fn proof(&self) -> Option<(Uptime, &Proof)> {
        self.all[self.current.0].proof()
    }

    pub(crate) fn want(&mut self, relay: RelayId, now: Uptime) {
        self.preferred = relay;
        self.wanted = (self.taken.is_none() || relay != self.current).then_some(relay);
        if self.wanted.is_some() {
            self.all[relay.0].hasten(now);
        }
    }

    /// Each is to be proven anew, but for the one that carries.
    pub(crate) fn test(&mut self, now: Uptime) {
        let carries = self.taken.map(|_| self.current.0);
        let others = self.all.iter_mut().enumerate().filter(|(place, _)| Some(*place) != carries);
        others.for_each(|(_, candidate)| candidate.hasten(now));
    }

    /// Something has changed that may have stood in the way of all of them.
    pub(crate) fn try_again(&mut self, now: Uptime) {
        if self.taken.is_none() {
            self.test(now);
        }
    }

    /// The one that carries was not heard since then: whether the next one is any better should be known before it is lost.
    pub(crate) fn doubt(&mut self, since: Uptime, now: Uptime) {
        let next = self.standby(now).or_else(|| self.others().min_by_key(|relay| self.order(*relay)));
        if let Some(relay) = next {
            let candidate = &mut self.all[relay.0];
            if candidate.tried().is_none_or(|tried| tried < since) {
                candidate.hasten(since);
            }
        }
    }

    pub(crate) fn learn(&mut self, attempt: Attempt, asked: Uptime, verdict: Verdict) {
        self.under_way = None;
        let roll = self.dice.roll();
        let Some(candidate) = self.all.get_mut(attempt.relay.0) else { return };
        candidate.roll(roll);
        let verdict = verdict.and_then(|proof| match foreign(&proof.exits, self.expect) {
            Some(address) => Err(Obstacle::NotMullvad(address)),
            None => Ok(proof),
        });
        match verdict {
            Ok(proof) => candidate.succeed(asked, proof),
            Err(obstacle) => candidate.fail(asked, obstacle),
        }
    }

    /// Whom the tunnel is to be given to now: one that is proven where nobody carries; whom the owner has chosen; or, where
    /// the current one is no good any more, one that was proven since then.
    pub(crate) fn successor(&self, no_good: Option<Uptime>, now: Uptime) -> Option<RelayId> {
        // Whoever is asked anew counts when he has answered.
        let ready = |relay: &RelayId| self.all[relay.0].is_ready(now) && self.under_way != Some(*relay);
        let since = match self.taken {
            Some(_) => {
                let wanted = self.wanted.filter(|relay| *relay != self.current).filter(ready);
                if wanted.is_some() {
                    return wanted;
                }
                no_good?
            }
            None => self.counts_since,
        };
        let proven = |relay: &RelayId| self.all[relay.0].proof().is_some_and(|(asked, _)| asked >= since);
        self.others().filter(ready).filter(proven).min_by_key(|relay| self.order(*relay))
    }

    /// The one before is left for good; `lost` says that it was no good.
    pub(crate) fn take(&mut self, relay: RelayId, lost: bool, now: Uptime) {
        if self.taken.is_some() && lost {
            self.lose(now);
        }
        (self.current, self.taken) = (relay, Some(now));
        self.wanted = self.wanted.filter(|wanted| *wanted != relay);
        self.left = self.left.filter(|left| *left != relay);
    }

    /// Nobody can take its place yet. It was not heard since then.
    pub(crate) fn give_up(&mut self, since: Uptime, now: Uptime) {
        self.lose(now);
        (self.taken, self.counts_since) = (None, since);
        // A proof that does not count any more would otherwise be made anew only when it has aged.
        let old = |candidate: &&mut Candidate| candidate.proof().is_some_and(|(asked, _)| asked < since);
        self.all.iter_mut().filter(old).for_each(|candidate| candidate.hasten(since));
    }

    fn lose(&mut self, now: Uptime) {
        let roll = self.dice.roll();
        self.left = Some(self.current);
        let candidate = &mut self.all[self.current.0];
        candidate.fail(now, Obstacle::FellSilent);
        candidate.roll(roll);
    }

    /// Whom to prove now, where and with which size of packets; it is under way then.
    pub(crate) fn next_attempt(&mut self, now: Uptime) -> Option<(RelayId, SocketAddr, u16)> {
        let due = self.worth_proving(now).filter(|(due, _)| *due <= now);
        let relay = due.map(|(_, relay)| relay).min_by_key(|relay| self.urgency(*relay))?;
        self.under_way = Some(relay);
        let candidate = &self.all[relay.0];
        Some((relay, candidate.endpoint(), candidate.largest()))
    }

    /// When somebody is to be proven next.
    pub(crate) fn next_due(&self, now: Uptime) -> Option<Uptime> {
        self.worth_proving(now).map(|(due, _)| due).min()
    }

    /// And from when on. Nobody while an attempt is under way.
    fn worth_proving(&self, now: Uptime) -> impl Iterator<Item = (Uptime, RelayId)> + '_ {
        let standby = self.standby(now);
        let free = self.ids().filter(move |_| self.under_way.is_none());
        free.filter(move |relay| match self.taken {
            None => true,
            Some(_) if *relay == self.current => false,
            Some(_) => {
                let candidate = &self.all[relay.0];
                let is_asked_for = candidate.is_hastened() || self.wanted == Some(*relay);
                // Also whether those are back that were no good.
                is_asked_for || candidate.failures > 0 || standby.is_none_or(|standby| standby == *relay)
            }
        })
        .map(|relay| {
            let is_needed = self.taken.is_none() || self.wanted == Some(relay);
            (self.all[relay.0].due(is_needed), relay)
        })
    }

    fn standby(&self, now: Uptime) -> Option<RelayId> {
        self.others().filter(|relay| self.all[relay.0].is_ready(now)).min_by_key(|relay| self.order(*relay))
    }

    /// All but the one that carries.
    fn others(&self) -> impl Iterator<Item = RelayId> + '_ {
        self.ids().filter(|relay| self.taken.is_none() || *relay != self.current)
    }

    fn ids(&self) -> impl Iterator<Item = RelayId> + use<> {
        (0..self.all.len()).map(RelayId)
    }

    fn urgency(&self, relay: RelayId) -> (bool, u32, (bool, usize)) {
        let candidate = &self.all[relay.0];
        (!candidate.is_hastened(), candidate.failures, self.order(relay))
    }

    /// Of preference.
    fn order(&self, relay: RelayId) -> (bool, usize) {
        (relay != self.preferred, relay.0)
    }
}

/// What is told.
impl Relays {
    /// What keeps every one of them from carrying.
    pub(crate) fn lack(&self) -> Lack {
        let obstacles =
            self.all.iter().filter_map(|candidate| Some((candidate, candidate.obstacle.as_ref()?)));
        let farthest = obstacles.min_by_key(|(_, obstacle)| Reverse(obstacle.distance()));
        let Some((candidate, obstacle)) = farthest else {
            return Lack::Relay(format!("proving the relay {}", self.name()));
        };
        if let Obstacle::NotMullvad(address) = obstacle {
            return Lack::NotMullvad(*address);
        }
        let sentence = candidate.sentence().unwrap_or_default();
        let lost = &self.all[self.current.0];
        Lack::Relay(match self.all.len() {
            1 => sentence,
            // Nobody has taken its place.
            _ if lost.obstacle == Some(Obstacle::FellSilent) && *obstacle != Obstacle::FellSilent => {
                format!("{}; {sentence}", lost.sentence().unwrap_or_default())
            }
            many => format!("none of {many} relays is proven: {sentence}"),
        })
    }

    /// What is odd about the one that carries, and whom it has replaced.
    pub(crate) fn oddities(&self) -> Vec<String> {
        let candidate = &self.all[self.current.0];
        let port = candidate.blocked_port().map(|blocked| {
            let port = candidate.endpoint().port();
            format!("the relay is reached by port {port}: nothing came back from {blocked}")
        });
        let narrow = candidate.is_narrow().then(|| {
            format!(
                "bigger packets vanish on the way to the relay: the tunnel carries {}",
                candidate.end().mtu
            )
        });
        let left = self.left.map(|left| &self.all[left.0]).filter(|left| left.proof().is_none());
        let left = left.map(|left| format!("the relay {} fell silent", left.name));
        [port, narrow, left].into_iter().flatten().collect()
    }

    /// In the list's order; where they are as the files have it.
    pub(crate) fn views(&self) -> Vec<RelayView> {
        let proven = self.others().filter(|relay| self.all[relay.0].proof().is_some());
        let standby = proven.min_by_key(|relay| self.order(*relay));
        let role = |relay| match self.taken {
            Some(_) if relay == self.current => Role::Active,
            Some(_) if Some(relay) == standby => Role::Standby,
            Some(_) | None => Role::Spare,
        };
        self.ids().map(|relay| self.all[relay.0].view(role(relay))).collect()
    }
}

/// Numbers enough like chance for a pause (Steele, Lea, Flood: `SplitMix64`).
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
