//! The engine as the rest of the agent sees it: orders go in, what was done comes out. The work is done by
//! the thread of `courier`.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::courier::Courier;
use super::{Offloads, Outside, Peer, Stamps, Stats, TunnelError};

/// The tunnel, at work until it is dropped. The TUN device stays.
#[derive(Debug)]
pub struct Engine {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Creates or re-opens the persistent TUN device `device` and starts the thread, in the caller's network
    /// namespace. Packets are swallowed until there is a peer.
    pub fn start(device: &str, outside: Outside, stamps: Stamps) -> Result<Engine, TunnelError> {
        let desk = Arc::new(Desk::new().map_err(TunnelError::Thread)?);
        let courier = Courier::new(device, outside, stamps, Arc::clone(&desk))?;
        let thread = std::thread::Builder::new()
            .name("tunnel".to_owned())
            .spawn(|| courier.run())
            .map_err(TunnelError::Thread)?;
        Ok(Engine { desk, thread: Some(thread) })
    }

    /// Talks to `peer` from now on and starts a handshake at once; the old session is forgotten, in
    /// [`Engine::stats`] before this returns.
    pub fn set_peer(&self, peer: Peer) {
        self.desk.change(|papers| {
            papers.stats = papers.stats.for_another_peer();
            papers.orders.peer = Some(peer);
        });
    }

    /// Starts a new handshake now; ignored while the last one is younger than a second.
    pub fn kick(&self) {
        self.desk.change(|papers| papers.orders.kick = true);
    }

    pub fn stats(&self) -> Stats {
        self.desk.papers().stats
    }

    /// None yet: one packet a system call.
    pub fn offloads(&self) -> Offloads {
        Offloads { tso: false, uso: false, udp_segment: false, udp_gro: false }
    }

    /// False while the TUN device is gone (it is made anew within a second, without addresses), and for
    /// ever once the thread has died.
    pub fn healthy(&self) -> bool {
        let running = self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        running && !self.desk.papers().device_lost
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.desk.change(|papers| papers.orders.stop = true);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the tunnel's thread had panicked");
        }
    }
}

/// Where the engine's two sides meet.
#[derive(Debug)]
pub(super) struct Desk {
    papers: Mutex<Papers>,
    /// Readable while there may be new orders.
    pub(super) bell: EventFd,
}

#[derive(Debug, Default)]
struct Papers {
    orders: Orders,
    stats: Stats,
    device_lost: bool,
}

/// What the thread is to do next; of several peers only the last one counts.
#[derive(Debug, Default)]
pub(super) struct Orders {
    pub(super) peer: Option<Peer>,
    pub(super) kick: bool,
    pub(super) stop: bool,
}

impl Desk {
    fn new() -> io::Result<Desk> {
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Desk { papers: Mutex::default(), bell })
    }

    /// The thread's side: takes the orders away.
    pub(super) fn orders(&self) -> Orders {
        std::mem::take(&mut self.papers().orders)
    }

    /// The thread's side. Nothing that an old peer did is told once a new one is ordered.
    pub(super) fn report(&self, stats: Stats, device_lost: bool) {
        let mut papers = self.papers();
        papers.device_lost = device_lost;
        if papers.orders.peer.is_none() {
            papers.stats = stats;
        }
    }

    fn change(&self, change: impl FnOnce(&mut Papers)) {
        change(&mut self.papers());
        if let Err(errno) = self.bell.write(1) {
            tracing::error!(%errno, "cannot wake the tunnel's thread");
        }
    }

    /// The papers are whole at every moment, also when a thread died holding them.
    fn papers(&self) -> MutexGuard<'_, Papers> {
        self.papers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tunnel::{PublicKey, StaticSecret};

    #[test]
    fn what_the_old_peer_did_is_not_told_once_a_new_one_is_ordered() {
        let desk = Desk::new().unwrap();
        let old = Stats { handshake: Some(Duration::from_secs(9)), rx_bytes: 7, ..Stats::default() };
        desk.report(old, false);
        let engine = Engine { desk: Arc::new(desk), thread: None };

        engine.set_peer(some_peer());
        engine.desk.report(old, false);
        assert_eq!(engine.stats(), Stats { rx_bytes: 7, ..Stats::default() });

        assert!(engine.desk.orders().peer.is_some());
        engine.desk.report(old, false);
        assert_eq!(engine.stats(), old);
    }

    #[test]
    fn an_engine_whose_thread_died_is_not_healthy() {
        let thread = std::thread::spawn(|| std::panic::resume_unwind(Box::new("a test's own")));
        let engine = Engine { desk: Arc::new(Desk::new().unwrap()), thread: Some(thread) };
        while engine.healthy() {
            std::thread::yield_now();
        }
    }

    fn some_peer() -> Peer {
        Peer {
            private_key: StaticSecret::from([1; 32]),
            public_key: PublicKey::from([2; 32]),
            preshared_key: None,
            endpoint: "192.0.2.130:51820".parse().unwrap(),
            keepalive_s: 25,
        }
    }
}
