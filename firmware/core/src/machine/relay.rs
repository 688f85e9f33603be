//! Which relay the tunnel leads to: takes one once it is proven, gives it up or replaces it when it is lost, has the next
//! one proven in time.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Call, Core, Effect, Turn};
use crate::relays::{Attempt, RelayId, Verdict};
use crate::{ClockReport, Egress, Lack, RelaySettings, Uptime, Why};

impl Core {
    pub(super) fn on_proved(&mut self, attempt: Attempt, asked: Uptime, verdict: Verdict) {
        self.relays.learn(attempt, asked, verdict);
    }

    /// Before it carries it is proven, as everybody is.
    pub(super) fn on_use_relay(&mut self, relay: RelayId, turn: &mut Turn) {
        let Some(name) = self.relays.settings(relay).map(|settings| settings.name.clone()) else { return };
        self.relays.want(relay, turn.now);
        turn.effects.push(Effect::RememberRelay(name));
    }

    /// The owner's files come first, and a relay that is in both lists is theirs.
    pub(super) fn on_relays(&mut self, list: Vec<RelaySettings>, wanted: usize, turn: &Turn) {
        let wanted: Vec<String> = list.iter().take(wanted).map(|settings| settings.name.clone()).collect();
        let mut all = self.settings.relays.clone();
        let is_new = |settings: &RelaySettings| all.iter().all(|known| known.name != settings.name);
        let more: Vec<RelaySettings> = list.into_iter().filter(is_new).collect();
        all.extend(more);
        self.relays.offer(all, turn.now);
        if !wanted.is_empty() {
            self.relays.want_named(&wanted, turn.now);
        }
        self.learn_way();
    }

    pub(super) fn on_test_relays(&mut self, turn: &Turn) {
        self.relays.test(turn.now);
        self.ping_by(turn.now);
    }

    /// What was stamped or dated wrongly may be right now.
    pub(super) fn on_clock(&mut self, report: ClockReport, turn: &Turn) {
        if report.source != self.clock.source {
            self.relays.try_again(turn.now);
        }
        self.clock = report;
    }

    /// Goes one step towards a tunnel to a relay that is proven, with another one that stands by.
    pub(super) fn pursue_relay(&mut self, turn: &mut Turn) {
        if self.facts.uplink.is_none() {
            return self.agenda.stop(Why::Relays);
        }
        let (expect, judged_since) = (self.settings.expect, self.judged_since());
        let doubtful = judged_since.and_then(|since| self.evidence.doubtful_since(since, expect, turn.now));
        if let Some(since) = doubtful {
            self.relays.doubt(since, turn.now);
        }
        let lost_since = judged_since.and_then(|since| self.evidence.lost_since(since, expect, turn.now));
        let no_good = lost_since.or_else(|| self.foreign_since()).or_else(|| self.relays.outdated());
        if let Some(relay) = self.relays.successor(no_good, turn.now) {
            self.take(relay, lost_since.is_some(), turn);
        } else if let Some(since) = lost_since {
            self.give_up(since, turn);
        }
        self.call_relay(turn);
        self.prove_next(turn);
    }

    /// Once the rule set lets the call through, where the relay is another one, or is reached by another way now.
    pub(super) fn call_relay(&mut self, turn: &mut Turn) {
        let (Some(relay), Some(tunnel)) =
            (self.relays.taken().and(self.relays.current()), &self.facts.tunnel)
        else {
            return;
        };
        let endpoint = tunnel.relay;
        let is_called = self.called.is_some_and(|call| (call.relay, call.endpoint) == (relay, endpoint));
        if self.is_rendered() && !is_called {
            self.called = Some(Call { relay, endpoint, at: turn.now });
            turn.effects.push(Effect::Handshake(relay, endpoint));
        }
    }

    /// What was called before may have been refused by the rule set.
    pub(super) fn call_relay_again(&mut self, turn: &mut Turn) {
        if let Some(Call { relay, endpoint, .. }) =
            self.called.filter(|_| !self.evidence.has_session(turn.now))
        {
            turn.effects.push(Effect::Handshake(relay, endpoint));
        }
        self.call_relay(turn);
    }

    /// What the engine says of its session is about the relay that carries.
    pub(super) fn is_called(&self) -> bool {
        self.called.is_some()
    }

    /// So is what was asked then; before, the tunnel led to another one, or to nobody.
    pub(super) fn was_called(&self, asked: Uptime) -> bool {
        self.called.is_some_and(|call| asked >= call.at)
    }

    fn take(&mut self, relay: RelayId, lost: bool, turn: &mut Turn) {
        self.relays.take(relay, lost, turn.now);
        self.called = None;
        if let Some((asked, proof)) = self.relays.proof() {
            self.evidence.begin_with(asked, &proof.exits);
        }
        self.learn_way();
        self.agenda.set(Why::Ping, turn.now);
        if self.checks() == Some(Egress::Privacy) && !self.evidence.exit_is_fresh(turn.now) {
            self.agenda.set(Why::CheckExit, turn.now);
        }
    }

    fn give_up(&mut self, since: Uptime, turn: &mut Turn) {
        self.relays.give_up(since, turn.now);
        self.learn_way();
        self.called = None;
        self.evidence.begin_without();
        turn.effects.push(Effect::HangUp);
    }

    fn prove_next(&mut self, turn: &mut Turn) {
        if !self.is_rendered() {
            return self.agenda.stop(Why::Relays);
        }
        if let Some((relay, endpoint, mtu)) = self.relays.next_attempt(turn.now) {
            let endpoint = self.way_to(endpoint);
            turn.effects.push(Effect::Prove(Attempt { relay, endpoint, mtu }));
        }
        let lost = self.judged_since().map(|since| self.evidence.lost_at(since));
        let deadlines = [self.relays.next_due(turn.now), lost];
        match deadlines.into_iter().flatten().filter(|at| *at > turn.now).min() {
            Some(at) => self.agenda.set(Why::Relays, at),
            None => self.agenda.stop(Why::Relays),
        }
    }

    /// The kernel holds what the newest facts ask for: whoever may send is let out.
    fn is_rendered(&self) -> bool {
        self.kernel.posture.as_ref().is_some_and(|posture| posture.facts == self.facts)
    }

    /// Since when the relay that carries may be blamed: a cable that was out is no relay's fault.
    fn judged_since(&self) -> Option<Uptime> {
        Some(self.relays.taken()?.max(self.house.attached))
    }

    /// Somebody who was proven before that would be foreign by now as well.
    fn foreign_since(&self) -> Option<Uptime> {
        let (_, asked) = self.evidence.exits(Egress::Privacy)?;
        self.evidence.is_foreign(self.settings.expect).then_some(asked)
    }

    /// What keeps the tunnel from being given to anybody.
    pub(super) fn has_relay(&self) -> Result<(), Lack> {
        self.relays.taken().map(|_| ()).ok_or_else(|| self.relays.lack())
    }
}
