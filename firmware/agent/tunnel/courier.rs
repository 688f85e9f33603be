//! The two threads between the TUN device and the relay, one a direction: each waits for its end and moves a
//! batch. Inwards the session is held for a train at a time, outwards for what a few reads brought. The outward one also keeps the session's clock.
//! What the protocol leaves open is decided in `session`.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::inwards::Inwards;
use super::outwards::Outwards;
use super::packet::coalesce::Datagrams;
use super::session::{CONTROL_ROOM, Opened, Session};
use super::socket::{Family, Sockets};
use super::train::Trains;
use super::tun::Tun;
use super::{Offloads, Outside, Peer, Stamps, Stats, TunnelError, boot_time};
use crate::watchdog::Pulse;

/// boringtun's own device calls its timers as often.
const TICK: Duration = Duration::from_millis(250);
/// Where nothing comes in, the thread shows that it waits and does not hang.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// Batches one way before the clock, the other family and the end are looked at again.
const BATCHES: usize = 16;
/// For handshakes and what waited for them; more goes in several turns.
const ANSWER_ROOM: usize = 128 << 10;
/// No packet is longer, sealed.
const LONGEST: usize = 65_535 + CONTROL_ROOM;

/// What epoll calls the descriptors.
const END: u64 = 0;
const TUN: u64 = 1;
const UDP_V4: u64 = 2;
const UDP_V6: u64 = 3;

/// What both threads, and whoever gives orders, share.
pub(super) struct Courier {
    device: String,
    /// None while somebody has deleted it.
    tun: RwLock<Option<Tun>>,
    sockets: Sockets,
    session: Mutex<Option<Session>>,
    /// By the sessions before, while there is none.
    before: Mutex<Stats>,
    stamps: Arc<Stamps>,
    /// Readable once the threads are to end.
    end: EventFd,
}

impl Courier {
    pub(super) fn new(device: &str, outside: Outside, stamps: Arc<Stamps>) -> Result<Courier, TunnelError> {
        let end = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        Ok(Courier {
            device: device.to_owned(),
            tun: RwLock::new(Some(Tun::open(device)?)),
            sockets: Sockets::open(outside).map_err(TunnelError::Socket)?,
            session: Mutex::new(None),
            before: Mutex::default(),
            stamps,
            end: end.map_err(|errno| TunnelError::Thread(errno.into()))?,
        })
    }

    pub(super) fn stop(&self) {
        if let Err(errno) = self.end.write(1) {
            tracing::error!(%errno, "cannot end the tunnel's threads");
        }
    }

    /// Forgets the old session at once; the counters go on.
    pub(super) fn set_peer(&self, peer: Peer) {
        let now = boot_time();
        let before = self.retire();
        *self.session() = Some(Session::new(now, peer, before, Arc::clone(&self.stamps)));
    }

    /// Likewise.
    pub(super) fn forget_peer(&self) {
        self.retire();
    }

    /// What has been carried so far.
    fn retire(&self) -> Stats {
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = self.session().take() {
            *before = session.stats().for_another_peer();
        }
        *before
    }

    pub(super) fn stats(&self) -> Stats {
        let carried = self.session().as_ref().map(Session::stats);
        let before = || *self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let carried = carried.unwrap_or_else(before);
        Stats { unsent: self.sockets.refusals(), ..carried }
    }

    /// Nothing of the TUN device while that is gone.
    pub(super) fn offloads(&self) -> Offloads {
        let tun = self.tun().as_ref().map(Tun::offloads).unwrap_or_default();
        let udp = self.sockets.offloads();
        Offloads { tso: tun.tso, uso: tun.uso, udp_segment: udp.segment, udp_gro: udp.gro }
    }

    pub(super) fn has_device(&self) -> bool {
        self.tun().is_some()
    }

    /// Whole at every moment, also when a thread died holding it.
    fn session(&self) -> MutexGuard<'_, Option<Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tun(&self) -> RwLockReadGuard<'_, Option<Tun>> {
        self.tun.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what `make` writes into the room that it is given; no packet.
    pub(super) fn send_one(&self, make: impl FnOnce(&mut Session, Duration, &mut [u8]) -> usize) {
        let mut trains = Trains::with_room(CONTROL_ROOM);
        let now = boot_time();
        if let Some(session) = self.session().as_mut() {
            let length = make(session, now, trains.room());
            trains.push(length);
        }
        self.send(now, &trains);
    }

    fn send(&self, now: Duration, trains: &Trains) {
        let Some(to) = self.session().as_ref().map(Session::endpoint) else { return };
        self.send_to(now, trains, to);
    }

    fn send_to(&self, now: Duration, trains: &Trains, to: SocketAddr) {
        for train in trains.trains() {
            if self.sockets.send(train, to)
                && let Some(session) = self.session().as_mut()
            {
                session.on_sent(now, train);
            }
        }
    }
}

/// Outwards, and the clock.
impl Courier {
    /// Until it is told to stop; whoever waits for the thread sees it end also for the one other reason.
    pub(super) fn run_outwards(&self, pulse: &Pulse) {
        if let Err(errno) = self.serve_outwards(pulse) {
            tracing::error!(%errno, "the tunnel's outward thread ends: the kernel will not let it wait");
        }
    }

    fn serve_outwards(&self, pulse: &Pulse) -> nix::Result<()> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        add(&epoll, &self.end, END)?;
        if let Some(tun) = self.tun().as_ref() {
            add(&epoll, tun, TUN)?;
        }
        let mut outwards = Outwards::default();
        let mut next_tick = boot_time();
        loop {
            let ready = wait(&epoll, next_tick.saturating_sub(boot_time()))?;
            if ready.contains(&Some(END)) {
                return Ok(());
            }
            if ready.contains(&Some(TUN))
                && let Err(error) = self.carry_outwards(&mut outwards)
            {
                tracing::warn!(device = self.device, %error, "the TUN device is gone; it will be made anew");
                self.set_tun(None);
            }
            let now = boot_time();
            if now >= next_tick {
                self.on_tick(&epoll);
                pulse.tick();
                next_tick = now + TICK;
            }
        }
    }

    fn carry_outwards(&self, outwards: &mut Outwards) -> io::Result<()> {
        let guard = self.tun();
        let Some(tun) = guard.as_ref() else { return Ok(()) };
        for _ in 0..BATCHES {
            if !outwards.read(tun)? {
                break;
            }
            let now = boot_time();
            let Some(to) = self.seal(now, outwards) else { continue };
            self.send_to(now, outwards.trains(), to);
        }
        Ok(())
    }

    /// Where to send it; without a peer it is swallowed.
    fn seal(&self, now: Duration, outwards: &mut Outwards) -> Option<SocketAddr> {
        let mut guard = self.session();
        let session = RefCell::new(guard.as_mut()?);
        let to = session.borrow().endpoint();
        outwards.seal(
            |packet, room| session.borrow_mut().seal(now, packet, room).len(),
            |train| {
                if self.sockets.send(train, to) {
                    session.borrow_mut().on_sent(now, train);
                }
            },
        );
        Some(to)
    }

    fn on_tick(&self, epoll: &Epoll) {
        self.send_one(|session, now, room| session.tick(now, room).len());
        if self.tun().is_none() {
            self.restore_device(epoll);
        }
    }

    fn restore_device(&self, epoll: &Epoll) {
        let opened = Tun::open(&self.device).and_then(|tun| {
            add(epoll, &tun, TUN).map_err(|errno| TunnelError::Thread(errno.into()))?;
            Ok(tun)
        });
        match opened {
            Ok(tun) => {
                tracing::info!(device = self.device, "the TUN device is there again, without addresses");
                self.set_tun(Some(tun));
            }
            Err(error) => tracing::debug!(%error, "the TUN device cannot be made anew yet"),
        }
    }

    fn set_tun(&self, tun: Option<Tun>) {
        *self.tun.write().unwrap_or_else(PoisonError::into_inner) = tun;
    }
}

/// Inwards.
impl Courier {
    /// As [`Courier::run_outwards`].
    pub(super) fn run_inwards(&self, pulse: &Pulse) {
        if let Err(errno) = self.serve_inwards(pulse) {
            tracing::error!(%errno, "the tunnel's inward thread ends: the kernel will not let it wait");
        }
    }

    fn serve_inwards(&self, pulse: &Pulse) -> nix::Result<()> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        add(&epoll, &self.end, END)?;
        for (family, name) in [(Family::V4, UDP_V4), (Family::V6, UDP_V6)] {
            if let Some(socket) = self.sockets.of(family) {
                add(&epoll, socket, name)?;
            }
        }
        let uso = self.tun().as_ref().is_some_and(|tun| tun.offloads().uso);
        let mut inwards = Inwards::new(if uso { Datagrams::Together } else { Datagrams::Alone });
        let mut answers = Trains::with_room(ANSWER_ROOM);
        loop {
            pulse.tick();
            for ready in wait(&epoll, SIGN_OF_LIFE)?.into_iter().flatten() {
                match ready {
                    END => return Ok(()),
                    UDP_V4 => self.carry_inwards(Family::V4, &mut inwards, &mut answers),
                    UDP_V6 => self.carry_inwards(Family::V6, &mut inwards, &mut answers),
                    _ => {}
                }
            }
        }
    }

    fn carry_inwards(&self, family: Family, inwards: &mut Inwards, answers: &mut Trains) {
        let Some(socket) = self.sockets.of(family) else { return };
        for _ in 0..BATCHES {
            let more = match inwards.receive(socket) {
                Ok(more) => more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An old error that the socket tells now; what came in is still there.
                Err(error) => return self.sockets.refused(&error),
            };
            let now = boot_time();
            for nth in 0..inwards.trains() {
                self.open(now, inwards, nth, answers);
            }
            self.answer(now, answers);
            let written = inwards.write(self.tun().as_ref());
            if let Some(session) = self.session().as_mut() {
                session.on_delivered(written);
            }
            if !more {
                return;
            }
        }
    }

    /// Holds the session for one train.
    fn open(&self, now: Duration, inwards: &mut Inwards, nth: usize, answers: &mut Trains) {
        let mut guard = self.session();
        let Some(session) = guard.as_mut() else { return };
        inwards.open(nth, |from, datagram, room| match session.open(now, from, datagram, room) {
            Opened::Packet(packet) => packet.len(),
            Opened::Answer(answer) => {
                if let Some(place) = answers.room().get_mut(..answer.len()) {
                    place.copy_from_slice(answer);
                    answers.push(answer.len());
                }
                0
            }
            Opened::Nothing => 0,
        });
    }

    /// Then what clients said before there was a session.
    fn answer(&self, now: Duration, answers: &mut Trains) {
        while !answers.is_empty() {
            self.send(now, answers);
            answers.clear();
            let mut guard = self.session();
            let Some(session) = guard.as_mut() else { return };
            while answers.room().len() >= LONGEST {
                let length = session.waiting(now, answers.room()).len();
                if length == 0 {
                    break;
                }
                answers.push(length);
            }
        }
    }
}

/// The names of what is ready, after at most `timeout`.
fn wait(epoll: &Epoll, timeout: Duration) -> nix::Result<[Option<u64>; 4]> {
    let timeout = EpollTimeout::try_from(timeout + Duration::from_millis(1)).unwrap_or(EpollTimeout::MAX);
    let mut events = [EpollEvent::empty(); 4];
    let count = match epoll.wait(&mut events, timeout) {
        Err(Errno::EINTR) => 0,
        result => result?,
    };
    Ok(std::array::from_fn(|nth| (nth < count).then(|| events[nth].data())))
}

/// Level-triggered: what a batch leaves is ready again. A closed descriptor leaves by itself.
fn add(epoll: &Epoll, descriptor: impl AsFd, name: u64) -> nix::Result<()> {
    epoll.add(descriptor, EpollEvent::new(EpollFlags::EPOLLIN, name))
}
