//! boringtun's protocol machine, and the clock that it reads: nobody reaches the one without setting the
//! other. Decides that no two calls happen at the same time, and turns a stamp into a clock that runs ahead.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime};

use boringtun::noise::Tunn;
use mock_instant::MockClock;

use super::Peer;
use super::session::CONTROL_ROOM;

/// boringtun's clock belongs to the thread (its feature `mock-instant`), so it is set before each call; a
/// machine may be used by several threads in turn.
pub(super) struct Machine {
    tunn: Tunn,
    /// The time of the last call.
    called: Duration,
    /// What its clock shows beyond that.
    ahead: Duration,
}

/// Where more lies between two looks at the wall clock, it may have been set.
const AT_ONCE: Duration = Duration::from_millis(500);

impl Machine {
    /// Its first initiation carries `stamp`, or up to a second more; later ones move on with the time.
    /// boringtun stamps with what the system's wall clock shows now and what its own clock has moved since,
    /// so the latter jumps. None if the wall clock is later than `stamp`, or is being set right now.
    ///
    /// The index is random so that datagrams meant for another machine do not fit it.
    pub(super) fn new(now: Duration, peer: &Peer, stamp: Duration) -> Option<Machine> {
        let keepalive = (peer.keepalive_s > 0).then_some(peer.keepalive_s);
        let index = u32::try_from(random() >> 40).expect("24 bits fit into 32");
        let key = peer.private_key.clone();
        MockClock::set_time(now);
        let before = SystemTime::now();
        let tunn = Tunn::new(key, peer.public_key, peer.preshared_key, keepalive, index, None);
        SystemTime::now().duration_since(before).ok().filter(|took| *took < AT_ONCE)?;

        let wall =
            before.duration_since(SystemTime::UNIX_EPOCH).ok().filter(|wall| *wall < stamp + AT_ONCE)?;
        let mut machine = Machine { tunn, called: now, ahead: stamp.saturating_sub(wall) };
        // The jump may look like minutes without an answer. What is made of that goes nowhere: an initiation
        // begins everything anew.
        _ = machine.at(now).update_timers(&mut [0; CONTROL_ROOM]);
        Some(machine)
    }

    /// The machine, for one call. Its clock never goes back, whichever thread read `now` first, and never
    /// stands still: it stamps the initiations, and a relay takes no two with the same stamp.
    pub(super) fn at(&mut self, now: Duration) -> &mut Tunn {
        self.called = now.max(self.called + Duration::from_nanos(1));
        MockClock::set_time(self.called + self.ahead);
        &mut self.tunn
    }
}

/// Unpredictable enough for an index and for jitter; keys come from elsewhere.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests {
    use boringtun::noise::TunnResult;
    use boringtun::noise::errors::WireGuardError;

    use super::*;
    use crate::tunnel::{PublicKey, StaticSecret};

    const DAY: Duration = Duration::from_hours(24);
    const NOW: Duration = Duration::from_secs(1_000);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn its_initiations_carry_the_stamp_that_it_was_given_and_later_ones() {
        let stamp = crate::clock::wall() + DAY;
        let mut relay = machine(2, 1, stamp);
        let mut first = machine(1, 2, stamp + DAY);
        assert!(takes(&mut relay, &mut first, NOW));
        assert!(takes(&mut relay, &mut first, NOW));
        assert!(takes(&mut relay, &mut first, NOW + DAY / 2));
        let at_its_end = stamp + DAY + DAY / 2;
        for earlier in [stamp, stamp + DAY, at_its_end.saturating_sub(SECOND)] {
            assert!(!takes(&mut relay, &mut machine(1, 2, earlier), NOW), "{earlier:?}");
        }
        assert!(takes(&mut relay, &mut machine(1, 2, at_its_end + 2 * SECOND), NOW));
    }

    #[test]
    fn none_is_made_while_the_wall_clock_is_later() {
        assert!(Machine::new(NOW, &peer(1, 2), crate::clock::wall().saturating_sub(DAY)).is_none());
    }

    fn takes(relay: &mut Machine, machine: &mut Machine, now: Duration) -> bool {
        let (out, answer) = (&mut [0; CONTROL_ROOM], &mut [0; CONTROL_ROOM]);
        let TunnResult::WriteToNetwork(initiation) = machine.at(now).format_handshake_initiation(out, true)
        else {
            panic!("no initiation")
        };
        let taken = relay.at(now).decapsulate(None, initiation, answer);
        let refused = matches!(taken, TunnResult::Err(WireGuardError::WrongTai64nTimestamp));
        assert!(refused || matches!(taken, TunnResult::WriteToNetwork(_)), "{taken:?}");
        !refused
    }

    fn machine(ours: u8, theirs: u8, stamp: Duration) -> Machine {
        Machine::new(NOW, &peer(ours, theirs), stamp).unwrap()
    }

    fn peer(ours: u8, theirs: u8) -> Peer {
        Peer {
            private_key: StaticSecret::from([ours; 32]),
            public_key: PublicKey::from(&StaticSecret::from([theirs; 32])),
            preshared_key: None,
            endpoint: "192.0.2.130:51820".parse().unwrap(),
            keepalive_s: 25,
        }
    }
}
