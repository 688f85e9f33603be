//! The relays that may carry: which one does, which one stands by, whom to prove next, and what to do when the
//! one that carries is lost. A relay carries only after it was proven, and one at a time is proven.
//!
//! - *current*: whom the posture knows. *taken*: the tunnel's engine talks to it, too; it is never proven beside that,
//!   because a relay has one session a key.
//! - *standby*: proven, and proven anew every few minutes; the first in the order of preference. It is taken when the
//!   current one is lost.
//! - Preference is the owner's: whom they chose last, then the list's order. Who carries is not left for a better one.
//! - *offered*: in the newest list. One that is not, but carries, goes on until another one is proven: Mullvad has taken it
//!   away, or the keys that it is spoken to with.

mod candidate;
mod dice;
mod told;
mod verdict;
mod view;
mod words;

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use candidate::Candidate;
pub(crate) use candidate::foreign;
pub(crate) use dice::Dice;
pub use verdict::{Attempt, Keys, Obstacle, Proof, RelayId, Verdict};
pub use view::{RelayView, Role};

use crate::posture::TunnelEnd;
use crate::{Expect, RelaySettings, Settings, Uptime};

#[derive(Debug)]
pub(crate) struct Relays {
    /// In the list's order; behind them, one that is not offered any more but carries. Empty: none is known yet.
    all: Vec<Candidate>,
    offered: usize,
    /// Of the next one that is new.
    next: RelayId,
    expect: Expect,
    current: Option<RelayId>,
    /// Since when the engine talks to it.
    taken: Option<Uptime>,
    /// By its name: it may come back to the list.
    preferred: Option<String>,
    /// Whom the owner has chosen, until one of them carries.
    wanted: Vec<RelayId>,
    /// Who is being proven.
    under_way: Option<RelayId>,
    /// Whom the current one has replaced because it was lost.
    left: Option<RelayId>,
    /// Since when the one that carries is not offered any more.
    outdated: Option<Uptime>,
    /// What was proven before counts no more where nobody carries: it may have been lost as well.
    counts_since: Uptime,
    dice: Dice,
}

impl Relays {
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut relays = Self {
            all: Vec::new(),
            offered: 0,
            next: RelayId(0),
            expect: settings.expect,
            current: None,
            taken: None,
            preferred: settings.preferred.clone(),
            wanted: Vec::new(),
            under_way: None,
            left: None,
            outdated: None,
            counts_since: Uptime::default(),
            dice: Dice(settings.seed),
        };
        relays.offer(settings.relays.clone(), Uptime::default());
        relays
    }

    /// These may carry from now on, and no others. What is known of those that were offered before stays known.
    pub(crate) fn offer(&mut self, list: Vec<RelaySettings>, now: Uptime) {
        let mut before = core::mem::take(&mut self.all);
        for settings in list {
            let known = before.iter().position(|candidate| candidate.settings == settings);
            let candidate = match known {
                Some(place) => before.remove(place),
                None => self.newcomer(settings, now),
            };
            self.all.push(candidate);
        }
        self.offered = self.all.len();
        let carries = self.taken.and(self.current);
        let old = before.into_iter().find(|candidate| Some(candidate.id) == carries);
        self.outdated = old.as_ref().map(|_| now);
        self.all.extend(old);
        if self.outdated.is_some() {
            self.test(now);
        }
        self.forget_the_gone();
    }

    /// While another one carries it is proven once, so that it is known what it is worth.
    fn newcomer(&mut self, settings: RelaySettings, now: Uptime) -> Candidate {
        let id = self.next;
        self.next = RelayId(id.0 + 1);
        let mut candidate = Candidate::new(id, settings);
        if self.taken.is_some() {
            candidate.hasten(now);
        }
        candidate
    }

    fn forget_the_gone(&mut self) {
        let is_there = |relay: &RelayId| self.all.iter().any(|candidate| candidate.id == *relay);
        let wanted = core::mem::take(&mut self.wanted);
        self.wanted = wanted.into_iter().filter(is_there).collect();
        self.left = self.left.filter(is_there);
        self.current = self.current.filter(is_there);
        self.current = self.current.or_else(|| self.first());
    }

    /// In the order of preference.
    fn first(&self) -> Option<RelayId> {
        self.all.iter().map(|candidate| candidate.id).min_by_key(|relay| self.order(*relay))
    }

    fn get(&self, relay: RelayId) -> Option<&Candidate> {
        self.all.iter().find(|candidate| candidate.id == relay)
    }

    fn get_mut(&mut self, relay: RelayId) -> Option<&mut Candidate> {
        self.all.iter_mut().find(|candidate| candidate.id == relay)
    }

    fn now_current(&self) -> Option<&Candidate> {
        self.get(self.current?)
    }

    pub(crate) const fn current(&self) -> Option<RelayId> {
        self.current
    }

    pub(crate) const fn taken(&self) -> Option<Uptime> {
        self.taken
    }

    /// Since when the one that carries is not offered any more.
    pub(crate) const fn outdated(&self) -> Option<Uptime> {
        self.outdated
    }

    pub(crate) fn settings(&self, relay: RelayId) -> Option<&RelaySettings> {
        self.get(relay).map(|candidate| &candidate.settings)
    }

    /// The current one's.
    pub(crate) fn name(&self) -> Option<&str> {
        self.now_current().map(|candidate| candidate.settings.name.as_str())
    }

    /// The tunnel to the current one, as its file or the list and its proof have it.
    pub(crate) fn end(&self) -> Option<TunnelEnd> {
        self.now_current().map(Candidate::end)
    }

    /// Everywhere that one of them may be tried.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.all.iter().flat_map(Candidate::endpoints)
    }

    /// The newest proof of the current one.
    pub(crate) fn proof(&self) -> Option<(Uptime, &Proof)> {
        self.now_current()?.proof()
    }

    /// The owner wants this one.
    pub(crate) fn want(&mut self, relay: RelayId, now: Uptime) {
        self.preferred = self.settings(relay).map(|settings| settings.name.clone());
        self.want_one_of(Vec::from([relay]), now);
    }

    /// The owner wants any of those with these names.
    pub(crate) fn want_named(&mut self, names: &[String], now: Uptime) {
        self.preferred = None;
        let offered = self.all[..self.offered].iter();
        let wanted = offered.filter(|candidate| names.contains(&candidate.settings.name));
        self.want_one_of(wanted.map(|candidate| candidate.id).collect(), now);
    }

    fn want_one_of(&mut self, wanted: Vec<RelayId>, now: Uptime) {
        let carries = self.taken.and(self.current);
        self.wanted = if wanted.iter().any(|relay| Some(*relay) == carries) { Vec::new() } else { wanted };
        for relay in self.wanted.clone() {
            if let Some(candidate) = self.get_mut(relay) {
                candidate.hasten(now);
            }
        }
    }

    /// Each is to be proven anew, but for the one that carries.
    pub(crate) fn test(&mut self, now: Uptime) {
        let carries = self.carrying_keys();
        let others = self.all.iter_mut().filter(|candidate| Some(candidate.settings.keys) != carries);
        others.for_each(|candidate| candidate.hasten(now));
    }

    /// Something has changed that may have stood in the way of all of them.
    pub(crate) fn try_again(&mut self, now: Uptime) {
        if self.taken.is_none() {
            self.test(now);
        }
    }

    /// The one that carries was not heard since then: whether the next one is any better should be known before it is lost.
    pub(crate) fn doubt(&mut self, since: Uptime, now: Uptime) {
        let next = self
            .standby(now)
            .or_else(|| self.others().map(|candidate| candidate.id).min_by_key(|relay| self.order(*relay)));
        if let Some(candidate) = next.and_then(|relay| self.get_mut(relay))
            && candidate.tried().is_none_or(|tried| tried < since)
        {
            candidate.hasten(since);
        }
    }

    pub(crate) fn learn(&mut self, attempt: Attempt, asked: Uptime, verdict: Verdict) {
        self.under_way = None;
        let (roll, expect) = (self.dice.roll(), self.expect);
        // It may have gone out of the list meanwhile.
        let Some(candidate) = self.get_mut(attempt.relay) else { return };
        candidate.roll(roll);
        let verdict = verdict.and_then(|proof| match foreign(&proof.exits, expect) {
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
        let ready = |candidate: &&Candidate| candidate.is_ready(now) && self.under_way != Some(candidate.id);
        let since = match self.taken {
            Some(_) => {
                let wanted = self.others().filter(|candidate| self.wanted.contains(&candidate.id));
                let wanted = wanted.filter(ready).map(|candidate| candidate.id);
                if let Some(wanted) = wanted.min_by_key(|relay| self.order(*relay)) {
                    return Some(wanted);
                }
                no_good?
            }
            None => self.counts_since,
        };
        let proven = |candidate: &&Candidate| candidate.proof().is_some_and(|(asked, _)| asked >= since);
        let fit = self.others().filter(ready).filter(proven);
        fit.map(|candidate| candidate.id).min_by_key(|relay| self.order(*relay))
    }

    /// The one before is left for good; `lost` says that it was no good.
    pub(crate) fn take(&mut self, relay: RelayId, lost: bool, now: Uptime) {
        if self.taken.is_some() && lost {
            self.lose(now);
        }
        (self.current, self.taken, self.outdated) = (Some(relay), Some(now), None);
        if self.wanted.contains(&relay) {
            self.wanted.clear();
        }
        self.left = self.left.filter(|left| *left != relay);
        self.drop_the_old();
    }

    /// Nobody can take its place yet. It was not heard since then.
    pub(crate) fn give_up(&mut self, since: Uptime, now: Uptime) {
        self.lose(now);
        (self.taken, self.outdated, self.counts_since) = (None, None, since);
        // A proof that does not count any more would otherwise be made anew only when it has aged.
        let old = |candidate: &&mut Candidate| candidate.proof().is_some_and(|(asked, _)| asked < since);
        self.all.iter_mut().filter(old).for_each(|candidate| candidate.hasten(since));
        self.drop_the_old();
    }

    /// Who is not offered any more stays as long as he carries.
    fn drop_the_old(&mut self) {
        let carries = self.taken.and(self.current);
        let old = self.all.split_off(self.offered);
        self.all.extend(old.into_iter().filter(|candidate| Some(candidate.id) == carries));
        self.forget_the_gone();
    }

    fn lose(&mut self, now: Uptime) {
        let roll = self.dice.roll();
        self.left = self.current;
        let Some(candidate) = self.current.and_then(|relay| self.get_mut(relay)) else { return };
        candidate.fail(now, Obstacle::FellSilent);
        candidate.roll(roll);
    }

    /// Whom to prove now, where and with which size of packets; it is under way then.
    pub(crate) fn next_attempt(&mut self, now: Uptime) -> Option<(RelayId, SocketAddr, u16)> {
        let due = self.worth_proving(now).filter(|(due, _)| *due <= now);
        let candidate =
            due.map(|(_, candidate)| candidate).min_by_key(|candidate| self.urgency(candidate))?;
        let attempt = (candidate.id, candidate.endpoint(), candidate.largest());
        self.under_way = Some(attempt.0);
        Some(attempt)
    }

    /// When somebody is to be proven next.
    pub(crate) fn next_due(&self, now: Uptime) -> Option<Uptime> {
        self.worth_proving(now).map(|(due, _)| due).min()
    }

    /// And from when on. Nobody while an attempt is under way.
    fn worth_proving(&self, now: Uptime) -> impl Iterator<Item = (Uptime, &Candidate)> + '_ {
        let standby = self.standby(now);
        let free = self.others().filter(move |_| self.under_way.is_none());
        free.filter(move |candidate| {
            let is_asked_for = candidate.is_hastened() || self.wanted.contains(&candidate.id);
            // Also whether those are back that were no good.
            self.taken.is_none()
                || is_asked_for
                || candidate.failures > 0
                || standby.is_none_or(|standby| standby == candidate.id)
        })
        .map(|candidate| {
            let is_needed = self.taken.is_none() || self.wanted.contains(&candidate.id);
            (candidate.due(is_needed), candidate)
        })
    }

    fn standby(&self, now: Uptime) -> Option<RelayId> {
        let ready = self.others().filter(|candidate| candidate.is_ready(now));
        ready.map(|candidate| candidate.id).min_by_key(|relay| self.order(*relay))
    }

    /// All but the one that carries, and whoever is called by the same keys, at another address: a relay that hears of both
    /// takes one for the other.
    fn others(&self) -> impl Iterator<Item = &Candidate> + '_ {
        let carries = self.carrying_keys();
        self.all.iter().filter(move |candidate| Some(candidate.settings.keys) != carries)
    }

    fn carrying_keys(&self) -> Option<Keys> {
        self.taken.and(self.now_current()).map(|current| current.settings.keys)
    }

    fn urgency(&self, candidate: &Candidate) -> (bool, u32, (bool, usize)) {
        (!candidate.is_hastened(), candidate.failures, self.order(candidate.id))
    }

    /// Of preference.
    fn order(&self, relay: RelayId) -> (bool, usize) {
        let place = self.all.iter().position(|candidate| candidate.id == relay);
        let place = place.unwrap_or(usize::MAX);
        let name = self.all.get(place).map(|candidate| &candidate.settings.name);
        (name.is_none() || name != self.preferred.as_ref(), place)
    }
}
