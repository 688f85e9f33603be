//! Whom nothing is carried for: the owner's word about single clients, which no other client's flow notices.

use super::{Core, Effect, Generation, State, Turn, Unapplied};
use crate::clients::{PausedClient, Roll};
use crate::{Lack, Posture, Why};
use alloc::boxed::Box;

use super::to::RETRY;

impl Core {
    pub(super) fn on_peers(&mut self, roll: Roll, turn: &mut Turn) {
        if self.clients.learn_peers(roll) {
            self.remember_paused(turn);
        }
    }

    pub(super) fn on_client_paused(&mut self, client: PausedClient, turn: &mut Turn) {
        self.clients.pause(client);
        self.remember_paused(turn);
    }

    pub(super) fn on_client_resumed(&mut self, id: &str, turn: &mut Turn) {
        self.clients.resume(id);
        self.remember_paused(turn);
    }

    fn remember_paused(&self, turn: &mut Turn) {
        turn.effects.push(Effect::RememberPaused(self.clients.paused().to_vec()));
    }

    /// An order that is on its way takes the newest word along, or is followed by one that does.
    pub(super) fn amend(&mut self, turn: &mut Turn) {
        match self.state {
            State::Applying { .. } | State::Unverified { .. } => return,
            State::Sealed | State::Proving { .. } | State::Open { .. } => {}
        }
        let Some(proven) = &self.kernel.posture else { return };
        let refused = self.clients.refused();
        let newest = self.kernel.amending.as_ref().map_or(proven, |(_, posture)| posture);
        if newest.refused != refused {
            let posture = Posture { refused, ..proven.clone() };
            self.kernel.generation = Generation(self.kernel.generation.0 + 1);
            self.kernel.amending = Some((self.kernel.generation, posture.clone()));
            turn.effects.push(Effect::Amend(self.kernel.generation, Box::new(posture)));
        }
    }

    /// Whatever the kernel made of it, the answer to doubt is to seal, which takes the same word along.
    pub(super) fn on_amended(&mut self, posture: Posture, result: Result<(), Unapplied>, turn: &mut Turn) {
        match result {
            Ok(()) => self.kernel.posture = Some(posture),
            Err(Unapplied(error)) => {
                self.kernel.refused = Some((turn.now, error.clone()));
                self.agenda.set(Why::Retry, turn.now + RETRY);
                self.to_seal(Some(Lack::Refused(error)), turn);
            }
        }
    }
}
