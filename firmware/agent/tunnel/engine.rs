//! The engine as the rest of the agent sees it: orders go in, what was done comes out. The work is done by the two
//! threads of `courier`.

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;

use byway_core::watchdog::Part;

use super::courier::Courier;
use super::{Offloads, Outside, Peer, Stamps, Stats, TunnelError};
use crate::watchdog::{Pulse, Pulses};

/// The tunnel, at work until it is dropped. The TUN device stays.
pub struct Engine {
    courier: Arc<Courier>,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Creates or re-opens the persistent TUN device `device` and starts the threads, in the caller's network
    /// namespace. Packets are swallowed until there is a peer. Whoever else shakes hands with the same key shares the
    /// stamps.
    pub fn start(
        device: &str,
        outside: Outside,
        stamps: impl Into<Arc<Stamps>>,
        pulses: &Pulses,
    ) -> Result<Engine, TunnelError> {
        let courier = Arc::new(Courier::new(device, outside, stamps.into())?);
        let mut engine = Engine { courier, threads: Vec::with_capacity(2) };
        engine.spawn("tunnel-out", Courier::run_outwards, pulses.begin(Part::Outwards))?;
        engine.spawn("tunnel-in", Courier::run_inwards, pulses.begin(Part::Inwards))?;
        Ok(engine)
    }

    /// Talks to `peer` from now on and starts a handshake at once; the old session is forgotten, in
    /// [`Engine::stats`] before this returns.
    pub fn set_peer(&self, peer: Peer) {
        tracing::info!(?peer, "the tunnel has a new peer");
        self.courier.set_peer(peer);
        self.courier.send_one(|session, now, room| session.initiate(now, room).len());
    }

    /// Talks to nobody from now on; what comes in by the device is swallowed.
    pub fn forget_peer(&self) {
        tracing::info!("the tunnel has no peer");
        self.courier.forget_peer();
    }

    /// Starts a new handshake now; ignored while the last one is younger than a second.
    pub fn kick(&self) {
        self.courier.send_one(|session, now, room| session.kick(now, room).len());
    }

    pub fn stats(&self) -> Stats {
        self.courier.stats()
    }

    pub fn offloads(&self) -> Offloads {
        self.courier.offloads()
    }

    /// False while the TUN device is gone (it is made anew within a second, without addresses), and for
    /// ever once a thread has died.
    pub fn healthy(&self) -> bool {
        self.threads.iter().all(|thread| !thread.is_finished()) && self.courier.has_device()
    }

    fn spawn(&mut self, name: &str, run: fn(&Courier, &Pulse), pulse: Pulse) -> Result<(), TunnelError> {
        let courier = Arc::clone(&self.courier);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&courier, &pulse));
        self.threads.push(thread.map_err(TunnelError::Thread)?);
        Ok(())
    }
}

impl fmt::Debug for Engine {
    /// Without the session: it holds keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("threads", &self.threads).finish_non_exhaustive()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.courier.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the tunnel had panicked");
            }
        }
    }
}
