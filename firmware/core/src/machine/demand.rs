//! What the core wants to know next, and how urgently.

use core::time::Duration;

use super::house::FIRST_LOOK;
use super::{Core, Effect, State, Turn};
use crate::{Egress, Expect, Uptime, Why};

/// Between two pings of the gateway.
const CALM_PING: Duration = Duration::from_secs(10);
/// The same where the check host's answer takes the ping's place: somebody else's server.
const CALM_CHECK_INSTEAD: Duration = Duration::from_secs(20);
/// While the relay is suspect, or the door waits for it.
const QUICK_PING: Duration = Duration::from_millis(400);
/// The same of a check.
const QUICK_CHECK_INSTEAD: Duration = Duration::from_secs(1);

impl Core {
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

    /// One check at a time and door; its report asks for the next.
    pub(super) fn check_exit(&mut self, egress: Egress, turn: &mut Turn) {
        if self.leads_to_a_relay(egress).is_ok() && self.evidence.checking.insert(egress) {
            turn.effects.push(Effect::CheckExit(egress));
        }
    }

    /// Asks the relay for a sign of life, in every state: the tunnel is kept proven.
    pub(super) fn probe(&mut self, turn: &mut Turn) {
        let proving = matches!(self.state, State::Proving { egress: Egress::Privacy, .. });
        let calm = match self.settings.expect {
            Expect::Mullvad => CALM_PING,
            Expect::Any => CALM_CHECK_INSTEAD,
        };
        let taken = self.relays.taken().is_some();
        let pause =
            if taken && (proving || self.evidence.is_suspect(turn.now)) { self.quick() } else { calm };
        self.agenda.set(Why::Ping, turn.now + pause);
        if self.suspects_portal(turn) {
            self.agenda.begin(Why::LookForPortal, turn.now + FIRST_LOOK);
        }
        match self.settings.expect {
            Expect::Mullvad if !taken => {}
            Expect::Mullvad => turn.effects.push(Effect::Ping),
            Expect::Any => self.check_exit(Egress::Privacy, turn),
        }
    }

    /// Between two signs of life that somebody waits for.
    pub(super) const fn quick(&self) -> Duration {
        match self.settings.expect {
            Expect::Mullvad => QUICK_PING,
            Expect::Any => QUICK_CHECK_INSTEAD,
        }
    }

    pub(super) fn ping_by(&mut self, latest: Uptime) {
        self.agenda.hasten(Why::Ping, latest);
    }
}
