//! The thread between the TUN device and the relay: waits for either end, moves what is there, keeps the
//! session's clock. What the protocol leaves open is decided in `session`.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::time::ClockId;

use super::engine::Desk;
use super::session::{CONTROL_ROOM, OVERHEAD, Opened, Session};
use super::socket::{Family, Sockets};
use super::tun::Tun;
use super::{Outside, Peer, Stamps, Stats, TunnelError};

/// boringtun's own device calls its timers as often.
const TICK: Duration = Duration::from_millis(250);
/// The most packets moved one way before the other way has its turn.
const BATCH: usize = 64;
/// No IP packet and no datagram is longer.
const LONGEST: usize = 65_535;

/// What epoll calls the descriptors.
const BELL: u64 = 0;
const UDP_V4: u64 = 1;
const UDP_V6: u64 = 2;
const TUN: u64 = 3;

pub(super) struct Courier {
    device: String,
    /// None while somebody has deleted it.
    tun: Option<Tun>,
    sockets: Sockets,
    session: Option<Session>,
    stamps: Arc<Stamps>,
    desk: Arc<Desk>,
    epoll: Epoll,
    input: Box<[u8]>,
    output: Box<[u8]>,
}

impl Courier {
    pub(super) fn new(
        device: &str,
        outside: Outside,
        stamps: Stamps,
        desk: Arc<Desk>,
    ) -> Result<Courier, TunnelError> {
        let tun = Tun::open(device)?;
        let sockets = Sockets::open(outside).map_err(TunnelError::Socket)?;
        let epoll = watch(&desk, &sockets, &tun).map_err(|errno| TunnelError::Thread(errno.into()))?;
        Ok(Courier {
            device: device.to_owned(),
            tun: Some(tun),
            sockets,
            session: None,
            stamps: Arc::new(stamps),
            desk,
            epoll,
            input: vec![0; LONGEST].into(),
            output: vec![0; LONGEST + OVERHEAD + CONTROL_ROOM].into(),
        })
    }

    /// Until it is told to stop; whoever waits for the thread sees it end also for the one other reason.
    pub(super) fn run(mut self) {
        if let Err(errno) = self.serve() {
            tracing::error!(%errno, "the tunnel's thread ends: the kernel will not let it wait");
        }
    }

    fn serve(&mut self) -> nix::Result<()> {
        let mut next_tick = boot_time()?;
        loop {
            let ready = self.wait(next_tick.saturating_sub(boot_time()?))?;
            let now = boot_time()?;
            if ready.contains(&BELL) {
                self.desk.bell.read()?;
                let orders = self.desk.orders();
                if orders.stop {
                    return Ok(());
                }
                self.obey(now, orders.peer, orders.kick);
            }
            for source in ready {
                self.carry(now, source);
            }
            if now >= next_tick {
                self.on_tick(now);
                next_tick = now + TICK;
            }
            self.report();
        }
    }

    /// What is ready, after at most `until_tick`. With no session and no device to restore, there is no clock
    /// to keep.
    fn wait(&self, until_tick: Duration) -> nix::Result<Vec<u64>> {
        let idle = self.session.is_none() && self.tun.is_some();
        let timeout = if idle {
            EpollTimeout::NONE
        } else {
            EpollTimeout::try_from(until_tick + Duration::from_millis(1)).unwrap_or(EpollTimeout::MAX)
        };
        let mut events = [EpollEvent::empty(); 4];
        match self.epoll.wait(&mut events, timeout) {
            Ok(count) => Ok(events[..count].iter().map(EpollEvent::data).collect()),
            Err(Errno::EINTR) => Ok(Vec::new()),
            Err(errno) => Err(errno),
        }
    }

    fn obey(&mut self, now: Duration, peer: Option<Peer>, kick: bool) {
        if let Some(peer) = peer {
            tracing::info!(?peer, "the tunnel has a new peer");
            let session = Session::new(now, peer, self.stats(), Arc::clone(&self.stamps));
            let session = self.session.insert(session);
            let datagram = session.initiate(now, &mut self.output);
            send(&mut self.sockets, session, now, datagram);
        } else if kick && let Some(session) = &mut self.session {
            let datagram = session.kick(now, &mut self.output);
            send(&mut self.sockets, session, now, datagram);
        }
    }

    fn carry(&mut self, now: Duration, ready: u64) {
        match ready {
            UDP_V4 => self.carry_inwards(now, Family::V4),
            UDP_V6 => self.carry_inwards(now, Family::V6),
            TUN => {
                if let Err(error) = self.carry_outwards(now) {
                    tracing::warn!(device = self.device, %error, "the TUN device is gone; it will be made anew");
                    self.tun = None;
                }
            }
            _ => {}
        }
    }

    fn carry_outwards(&mut self, now: Duration) -> io::Result<()> {
        let Some(tun) = &self.tun else { return Ok(()) };
        for _ in 0..BATCH {
            let Some(length) = tun.read(&mut self.input)? else { break };
            if let Some(session) = &mut self.session {
                let datagram = session.seal(now, &self.input[..length], &mut self.output);
                send(&mut self.sockets, session, now, datagram);
            }
        }
        Ok(())
    }

    fn carry_inwards(&mut self, now: Duration, family: Family) {
        for _ in 0..BATCH {
            let Some((length, from)) = self.sockets.receive(family, &mut self.input) else { break };
            let Some(session) = &mut self.session else { continue };
            match session.open(now, from, &self.input[..length], &mut self.output) {
                Opened::Packet(packet) => {
                    if self.tun.as_ref().is_some_and(|tun| tun.write(packet).is_ok()) {
                        session.on_delivered(packet);
                    }
                }
                Opened::Answer(datagram) => {
                    send(&mut self.sockets, session, now, datagram);
                    send_waiting(&mut self.sockets, session, now, &mut self.output);
                }
                Opened::Nothing => {}
            }
        }
    }

    fn on_tick(&mut self, now: Duration) {
        if let Some(session) = &mut self.session {
            let datagram = session.tick(now, &mut self.output);
            send(&mut self.sockets, session, now, datagram);
        }
        if self.tun.is_none() {
            self.restore_device();
        }
    }

    fn restore_device(&mut self) {
        let opened = Tun::open(&self.device).and_then(|tun| {
            add(&self.epoll, &tun, TUN).map_err(|errno| TunnelError::Thread(errno.into()))?;
            Ok(tun)
        });
        match opened {
            Ok(tun) => {
                tracing::info!(device = self.device, "the TUN device is there again, without addresses");
                self.tun = Some(tun);
            }
            Err(error) => tracing::debug!(%error, "the TUN device cannot be made anew yet"),
        }
    }

    fn report(&self) {
        self.desk.report(self.stats(), self.tun.is_none());
    }

    fn stats(&self) -> Stats {
        let carried = self.session.as_ref().map(Session::stats).unwrap_or_default();
        Stats { unsent: self.sockets.refusals(), ..carried }
    }
}

fn send(sockets: &mut Sockets, session: &mut Session, now: Duration, datagram: &[u8]) {
    if !datagram.is_empty() && sockets.send(datagram, session.endpoint()) {
        session.on_sent(now, datagram);
    }
}

/// What clients said before there was a session.
fn send_waiting(sockets: &mut Sockets, session: &mut Session, now: Duration, output: &mut [u8]) {
    loop {
        let datagram = session.waiting(now, output);
        if datagram.is_empty() {
            return;
        }
        send(sockets, session, now, datagram);
    }
}

fn watch(desk: &Desk, sockets: &Sockets, tun: &Tun) -> nix::Result<Epoll> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    add(&epoll, &desk.bell, BELL)?;
    for (family, descriptor) in sockets.descriptors() {
        let name = match family {
            Family::V4 => UDP_V4,
            Family::V6 => UDP_V6,
        };
        add(&epoll, descriptor, name)?;
    }
    add(&epoll, tun, TUN)?;
    Ok(epoll)
}

/// Level-triggered: what a batch leaves is ready again. A closed descriptor leaves by itself.
fn add(epoll: &Epoll, descriptor: impl AsFd, name: u64) -> nix::Result<()> {
    epoll.add(descriptor, EpollEvent::new(EpollFlags::EPOLLIN, name))
}

/// Goes on while the machine sleeps, and is not set.
fn boot_time() -> nix::Result<Duration> {
    ClockId::CLOCK_BOOTTIME.now().map(Duration::from)
}
