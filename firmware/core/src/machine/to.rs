//! The transitions: the only writers of the state.

use alloc::boxed::Box;
use alloc::string::String;
use core::time::Duration;

use super::pursue::PATIENCE;
use super::{Core, Effect, Generation, State, Turn};
use crate::posture::Difference;
use crate::{Door, Egress, Epoch, Lack, Posture, Why, view};

/// Between two orders of the same kind, the first of which the kernel refused.
pub(super) const RETRY: Duration = Duration::from_secs(1);

impl Core {
    pub(super) fn to_sealed(&mut self, turn: &Turn) {
        self.enter(State::Sealed, turn);
    }

    pub(super) fn to_proving(&mut self, egress: Egress, door: Option<Door>, turn: &mut Turn) {
        let asked = turn.now;
        // Of what was asked before, nothing counts; `pursue` names what is missing.
        let lack = Lack::Pong;
        self.enter(State::Proving { egress, asked, lack, door }, turn);
        if door.is_some() {
            self.agenda.set(Why::Patience, asked + PATIENCE);
        }
        if egress == Egress::Privacy && self.relays.taken().is_some() {
            self.agenda.set(Why::Ping, asked);
            if !self.evidence.exit_is_fresh(asked) {
                self.agenda.set(Why::CheckExit, asked);
            }
        }
    }

    pub(super) fn to_open(&mut self, door: Door, turn: &Turn) {
        self.enter(State::Open { door }, turn);
        self.agenda.stop(Why::Patience);
        self.agenda.set(Why::CheckExit, turn.now);
    }

    pub(super) fn to_lacking(&mut self, newer: Lack, turn: &Turn) {
        let State::Proving { egress, asked, lack, door } = self.state.clone() else { return };
        // The last answer may be of another time, and the next check lie far ahead.
        if newer.is_about_exit() && !lack.is_about_exit() {
            self.agenda.hasten(Why::CheckExit, turn.now);
        }
        // Nothing happens when a fight ends.
        if let (Lack::Contested(_), Some(end)) = (&newer, self.kernel.contest.ends()) {
            self.agenda.hasten(Why::Retry, end);
        }
        self.enter(State::Proving { egress, asked, lack: newer, door }, turn);
    }

    pub(super) fn to_opening(&mut self, egress: Egress, turn: &mut Turn) {
        self.to_applying(Some(egress), None, turn);
    }

    pub(super) fn to_seal(&mut self, lack: Option<Lack>, turn: &mut Turn) {
        self.to_applying(None, lack, turn);
    }

    /// The same door, with a tunnel to another relay, or with others to be proven. What goes by the house does not notice;
    /// what went by the relay before is refused from now on.
    pub(super) fn to_reopening(&mut self, door: Door, difference: Difference, turn: &mut Turn) {
        match (door.egress, difference) {
            (Egress::Privacy, Difference::Relay | Difference::Addresses | Difference::More) => {
                self.to_opening(door.egress, turn);
            }
            (Egress::Privacy, Difference::Nothing | Difference::Candidates) | (Egress::Residential, _) => {
                self.to_ordered(Some(door), None, turn);
            }
        }
    }

    /// With an epoch of its own; sealing too, so that nothing stamped before it is ever let through again.
    fn to_applying(&mut self, egress: Option<Egress>, lack: Option<Lack>, turn: &mut Turn) {
        let epoch = Epoch::fresh(self.kernel.epoch, turn.now);
        self.kernel.epoch = Some(epoch);
        self.to_ordered(egress.map(|egress| Door { egress, epoch }), lack, turn);
    }

    fn to_ordered(&mut self, door: Option<Door>, lack: Option<Lack>, turn: &mut Turn) {
        self.kernel.generation = Generation(self.kernel.generation.0 + 1);
        let generation = self.kernel.generation;
        let posture = Posture { facts: self.facts.clone(), door, refused: self.clients.refused() };
        let posture = Box::new(posture);
        turn.effects.push(Effect::ShutNames);
        turn.effects.push(Effect::Apply(generation, posture.clone()));
        (self.kernel.posture, self.kernel.amending) = (None, None);
        self.agenda.stop(Why::Patience);
        // The door of the epoch before may still be open: its flows must not lose their stamp and get a new one.
        self.agenda.stop(Why::Forget);
        self.enter(State::Applying { generation, posture, lack }, turn);
    }

    pub(super) fn to_unverified(&mut self, error: String, turn: &mut Turn) {
        turn.effects.extend([Effect::ShutNames, Effect::StopForwarding]);
        self.agenda.set(Why::Retry, turn.now + RETRY);
        self.enter(State::Unverified { error }, turn);
    }

    fn enter(&mut self, state: State, turn: &Turn) {
        if view::phase_and_door(&self.state) != view::phase_and_door(&state) {
            self.since = turn.now;
        }
        self.state = state;
    }
}
