//! boringtun's protocol machine, and the clock that it reads: nobody reaches the one without setting the
//! other. Decides that no two calls happen at the same time.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use boringtun::noise::Tunn;
use mock_instant::MockClock;

use super::Peer;

/// boringtun's clock belongs to the thread (its feature `mock-instant`), so it is set before each call; a
/// machine may be used by several threads in turn.
pub(super) struct Machine {
    tunn: Tunn,
    /// What its clock showed at the last call.
    shown: Duration,
}

impl Machine {
    /// Its index is random so that datagrams meant for another machine do not fit it.
    pub(super) fn new(now: Duration, peer: &Peer) -> Machine {
        MockClock::set_time(now);
        let keepalive = (peer.keepalive_s > 0).then_some(peer.keepalive_s);
        let index = u32::try_from(random() >> 40).expect("24 bits fit into 32");
        let key = peer.private_key.clone();
        let tunn = Tunn::new(key, peer.public_key, peer.preshared_key, keepalive, index, None);
        Machine { tunn, shown: now }
    }

    /// The machine, for one call. Its clock never goes back, whichever thread read `now` first, and never
    /// stands still: it stamps the initiations, and a relay takes no two with the same stamp.
    pub(super) fn at(&mut self, now: Duration) -> &mut Tunn {
        self.shown = now.max(self.shown + Duration::from_nanos(1));
        MockClock::set_time(self.shown);
        &mut self.tunn
    }
}

/// Unpredictable enough for an index and for jitter; keys come from elsewhere.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(())
}
