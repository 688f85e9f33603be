//! A link that loses, doubles and delays by a seed, between the box and its relay: it passes their datagrams on in
//! user space and counts what it does to them. It cannot read what is in them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};

/// So much may wait here before the kernel loses what is not counted.
const BUFFER: usize = 64 << 20;
/// The longest that a datagram is late, in microseconds: many others overtake it.
const LATE_US: u64 = 8_000;
/// Bytes that the protocol adds to a packet.
const OVERHEAD: usize = 32;
const DATA: u8 = 4;
const INITIATION: u8 = 1;

/// What happens to a thousand datagrams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) late: u64,
}

pub(crate) const FAIR: Weather = Weather { lost: 0, doubled: 0, late: 0 };
pub(crate) const FOUL: Weather = Weather { lost: 20, doubled: 10, late: 50 };

/// What happened, one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) taken: Count,
    pub(crate) lost: Count,
    pub(crate) doubled: Count,
    pub(crate) late: Count,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) datagrams: u64,
    pub(crate) bytes: u64,
    /// Of the packets in them, as they are padded.
    pub(crate) packet_bytes: u64,
    pub(crate) initiations: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    ToRelay,
    ToBox,
}

/// At work until it is dropped.
pub(crate) struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    weather: Mutex<Weather>,
    tallies: Mutex<[Tally; 2]>,
    end: AtomicBool,
}

impl Link {
    /// In the namespace of the calling thread.
    pub(crate) fn to(relay: SocketAddr, seed: u64) -> Link {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
        socket.set_nonblocking(true).expect("a socket can");
        setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).expect("run as root");
        setsockopt(&socket, sockopt::SndBufForce, &BUFFER).expect("run as root");
        let port = socket.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared {
            weather: Mutex::new(FAIR),
            tallies: Mutex::default(),
            end: AtomicBool::new(false),
        });
        let mut carrier = Carrier {
            socket,
            relay,
            client: None,
            late: BinaryHeap::new(),
            count: 0,
            chance: Chance(seed),
            shared: Arc::clone(&shared),
        };
        let thread = Some(std::thread::spawn(move || carrier.run()));
        Link { address: (Ipv4Addr::LOCALHOST, port).into(), shared, thread }
    }

    /// Where the box finds the relay.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn set(&self, weather: Weather) {
        *self.shared.weather.lock().unwrap_or_else(PoisonError::into_inner) = weather;
    }

    pub(crate) fn tally(&self, way: Way) -> Tally {
        self.shared.tallies.lock().unwrap_or_else(PoisonError::into_inner)[way as usize]
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let carried = thread.join();
            assert!(carried.is_ok() || std::thread::panicking(), "the link broke");
        }
    }
}

struct Carrier {
    socket: UdpSocket,
    relay: SocketAddr,
    /// The box, once it has spoken.
    client: Option<SocketAddr>,
    late: BinaryHeap<Reverse<Late>>,
    /// Keeps the order of what is late until the same moment.
    count: u64,
    chance: Chance,
    shared: Arc<Shared>,
}

type Late = (Instant, u64, Way, Vec<u8>);

impl Carrier {
    fn run(&mut self) {
        let mut datagram = vec![0; 1 << 16];
        while !self.shared.end.load(Ordering::Relaxed) {
            self.deliver_late();
            let mut ready = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            let patience: u8 = if self.late.is_empty() { 50 } else { 1 };
            poll(&mut ready, PollTimeout::from(patience)).expect("it can wait");
            // A few, so that what is late is not later.
            for _ in 0..64 {
                let Ok((length, from)) = self.socket.recv_from(&mut datagram) else { break };
                self.take(&datagram[..length], from);
            }
        }
    }

    fn take(&mut self, datagram: &[u8], from: SocketAddr) {
        let way = if from == self.relay { Way::ToBox } else { Way::ToRelay };
        if way == Way::ToRelay {
            self.client = Some(from);
        }
        let Weather { lost, doubled, late } =
            *self.shared.weather.lock().unwrap_or_else(PoisonError::into_inner);
        let fate = self.chance.below(1_000);
        self.note(way, datagram, |tally| &mut tally.taken);
        if fate < lost {
            self.note(way, datagram, |tally| &mut tally.lost);
        } else if fate < lost + doubled {
            self.note(way, datagram, |tally| &mut tally.doubled);
            self.deliver(way, datagram);
            self.deliver(way, datagram);
        } else if fate < lost + doubled + late {
            self.note(way, datagram, |tally| &mut tally.late);
            let due = Instant::now() + Duration::from_micros(self.chance.below(LATE_US));
            self.count += 1;
            self.late.push(Reverse((due, self.count, way, datagram.to_vec())));
        } else {
            self.deliver(way, datagram);
        }
    }

    fn deliver_late(&mut self) {
        let now = Instant::now();
        while self.late.peek().is_some_and(|Reverse((due, ..))| *due <= now) {
            let Some(Reverse((_, _, way, datagram))) = self.late.pop() else { return };
            self.deliver(way, &datagram);
        }
    }

    /// What the kernel does not take is lost.
    fn deliver(&self, way: Way, datagram: &[u8]) {
        let to = match way {
            Way::ToRelay => Some(self.relay),
            Way::ToBox => self.client,
        };
        let taken = to.is_some_and(|to| self.socket.send_to(datagram, to).is_ok());
        if !taken {
            self.note(way, datagram, |tally| &mut tally.lost);
        }
    }

    fn note(&self, way: Way, datagram: &[u8], which: impl FnOnce(&mut Tally) -> &mut Count) {
        let mut tallies = self.shared.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let count = which(&mut tallies[way as usize]);
        count.datagrams += 1;
        count.bytes += datagram.len() as u64;
        match datagram.first() {
            Some(&DATA) => count.packet_bytes += datagram.len().saturating_sub(OVERHEAD) as u64,
            Some(&INITIATION) => count.initiations += 1,
            _ => {}
        }
    }
}

/// Numbers that look random and are the same for the same seed (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
