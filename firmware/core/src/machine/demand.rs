//! What the core wants to know next, and how urgently.

use core::time::Duration;

use super::{Core, Effect, State, Turn};
use crate::{Egress, Expect, Lack, Uptime, Why};

/// Between two pings of the gateway.
const CALM_PING: Duration = Duration::from_secs(10);
pub(super) const QUICK_PING: Duration = Duration::from_secs(1);

impl Core {
    pub(super) fn is_foreign(&self, now: Uptime) -> bool {
        matches!(self.may_stay(Egress::Privacy, now), Err(Lack::NotMullvad(_)))
    }

    /// The door that an exit check would be about.
    pub(super) fn checks(&self) -> Option<Egress> {
        match self.state {
            State::Open { door } => Some(door.egress),
            State::Proving { egress: Egress::Privacy, .. } => Some(Egress::Privacy),
            State::Proving { egress: Egress::Residential, .. }
            | State::Sealed
            | State::Applying { .. }
            | State::Unverified { .. } => None,
        }
    }

    /// One check at a time; its report asks for the next.
    pub(super) fn check_exit(&mut self, turn: &mut Turn) {
        if let Some(egress) = self.checks().filter(|_| !self.kernel.checking) {
            self.kernel.checking = true;
            turn.effects.push(Effect::CheckExit(egress));
        }
    }

    /// Asks the relay for a sign of life, in every state: the tunnel is kept proven.
    pub(super) fn probe(&mut self, turn: &mut Turn) {
        let proving = matches!(self.state, State::Proving { egress: Egress::Privacy, .. });
        let pause = if proving || self.evidence.is_suspect(turn.now) { QUICK_PING } else { CALM_PING };
        self.agenda.set(Why::Ping, turn.now + pause);
        match self.settings.expect {
            Expect::Mullvad => turn.effects.push(Effect::Ping),
            Expect::Any => self.check_exit(turn),
        }
    }

    pub(super) fn ping_by(&mut self, latest: Uptime) {
        self.agenda.hasten(Why::Ping, latest);
    }
}
