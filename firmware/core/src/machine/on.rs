//! What each input and each deadline changes of what is known.

use alloc::format;
use alloc::string::{String, ToString as _};
use core::time::Duration;

use super::to::RETRY;
use super::{Core, Effect, Generation, State, Turn, Unapplied};
use crate::clients::Ledger;
use crate::{Egress, ExitReport, Expect, Lack, PingReport, TunnelReport, Uptime, Why, Wish};

/// Between two checks of an open door that agree with it.
const CALM_CHECK: Duration = Duration::from_mins(10);
const QUICK_CHECK: Duration = Duration::from_secs(2);
/// The owner mends it, or the provider: minutes, not seconds.
const FOREIGN_CHECK: Duration = Duration::from_secs(10);
const SLOWEST_CHECK: Duration = Duration::from_secs(30);
/// An app on one port for life gets its flow back after this long (DESIGN 4, Epochs).
const FORGET: Duration = Duration::from_secs(90);

impl Core {
    pub(super) fn on_wished(&mut self, wish: Wish, turn: &mut Turn) {
        // Whoever asks for it, once more or for the first time, should not wait for a pause between two attempts.
        if wish.egress() == Some(Egress::Privacy) {
            self.relays.try_again(turn.now);
        }
        if wish != self.wish {
            self.wish = wish;
            self.last_egress = wish.egress().unwrap_or(self.last_egress);
            turn.effects.push(Effect::Remember(wish));
        }
    }

    pub(super) fn on_tunnel(&mut self, report: TunnelReport, turn: &Turn) {
        self.evidence.learn_tunnel(report, self.is_called());
        if self.evidence.is_suspect(turn.now) {
            self.ping_by(turn.now + self.quick());
        }
    }

    pub(super) fn on_ping(&mut self, report: &PingReport, turn: &Turn) {
        if !self.was_called(report.sent) {
            return; // another relay's
        }
        self.evidence.learn_ping(report);
        if self.evidence.is_suspect(turn.now) {
            self.ping_by(turn.now + self.quick());
        }
    }

    pub(super) fn on_exit(&mut self, report: ExitReport, turn: &Turn) {
        let (by, asked) = (report.by, report.asked);
        if by == Egress::Privacy && !self.was_called(asked) {
            self.evidence.checking.remove(&by); // another relay's
            return self.agenda.begin(Why::CheckExit, turn.now + QUICK_CHECK);
        }
        if by == Egress::Privacy && self.settings.expect == Expect::Any {
            let round_trip = report.result.is_ok().then(|| turn.now.since(asked));
            self.evidence.learn_ping(&PingReport { sent: asked, round_trip });
        }
        self.evidence.learn_exit(report);
        if self.checks() == Some(by) {
            self.agenda.set(Why::CheckExit, turn.now + self.until_next_check(asked));
        }
    }

    fn until_next_check(&self, asked: Uptime) -> Duration {
        let failures = self.evidence.check_failures;
        if asked < self.since {
            Duration::ZERO
        } else if failures > 0 {
            (QUICK_CHECK * (1 << failures.min(4))).min(SLOWEST_CHECK)
        } else if self.evidence.is_foreign(self.settings.expect) {
            FOREIGN_CHECK
        } else {
            CALM_CHECK
        }
    }

    pub(super) fn on_counted(&mut self, ledger: Ledger, today: Option<u32>, turn: &mut Turn) {
        let used = self.allowance.count(turn.now, ledger.house_bytes(), today);
        turn.effects.extend(used.map(Effect::RememberUsed));
        self.clients.ledger = Some(ledger);
    }

    pub(super) fn on_applied(
        &mut self,
        generation: Generation,
        result: Result<(), Unapplied>,
        turn: &mut Turn,
    ) {
        if let Some((_, posture)) = self.kernel.amending.take_if(|(ordered, _)| *ordered == generation) {
            return self.on_amended(posture, result, turn);
        }
        let State::Applying { generation: ordered, posture, .. } = &self.state else { return };
        if generation != *ordered {
            return;
        }
        let posture = posture.clone();
        match (result, posture.door) {
            (Ok(()), door) => {
                self.kernel.posture = Some(*posture);
                self.call_relay_again(turn);
                self.agenda.set(Why::Forget, turn.now + FORGET);
                match (door, self.wish.egress()) {
                    (Some(door), _) => {
                        turn.effects.push(Effect::OpenNames(door.egress));
                        self.to_open(door, turn);
                    }
                    (None, Some(egress)) => self.to_proving(egress, None, turn),
                    (None, None) => self.to_sealed(turn),
                }
            }
            // Whatever the kernel made of it, the answer to doubt is to seal.
            (Err(Unapplied(error)), Some(_)) => {
                self.kernel.refused = Some((turn.now, error.clone()));
                self.agenda.set(Why::Retry, turn.now + RETRY);
                self.to_seal(Some(Lack::Refused(error)), turn);
            }
            (Err(Unapplied(error)), None) => {
                // What a heal meets in a fight is the fight.
                if self.kernel.contest.is_on(turn.now) {
                    self.kernel.contest.learn(turn.now);
                }
                self.to_unverified(format!("the kernel does not take the sealed rule set: {error}"), turn);
            }
        }
    }

    pub(super) fn on_drifted(&mut self, what: String, turn: &mut Turn) {
        match self.state {
            // Of an order that is not finished nothing is claimed yet, and it is read back at its end.
            State::Applying { .. } | State::Unverified { .. } => {}
            State::Sealed | State::Proving { .. } | State::Open { .. } => {
                self.kernel.drift.count(what.clone());
                self.kernel.contest.learn(turn.now);
                if self.kernel.contest.is_on(turn.now) {
                    // Not at the pace of the other one: a second of no forwarding between two heals.
                    self.to_unverified(Lack::Contested(what).to_string(), turn);
                } else {
                    self.to_seal(None, turn);
                }
            }
        }
    }

    pub(super) fn on_due(&mut self, why: Why, turn: &mut Turn) {
        match why {
            Why::Ping => self.probe(turn),
            Why::CheckExit => {
                if let Some(egress) = self.checks() {
                    self.check_exit(egress, turn);
                }
            }
            // Judged by `pursue`, which ran before.
            Why::Patience | Why::Relays => {}
            // So is an opening; a refused sealing is ordered here.
            Why::Retry => {
                if matches!(self.state, State::Unverified { .. }) {
                    self.to_seal(None, turn);
                }
            }
            Why::LookForPortal => self.look_for_portal(turn),
            Why::Forget => turn.effects.extend(self.kernel.epoch.map(Effect::Forget)),
        }
    }
}
