//! Somebody who keeps a relay under load with handshakes, knowing no more than its public key, and a post office
//! in front of the relay that notes what kinds of messages pass.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use boringtun::noise::{Tunn, TunnResult};
use byway::tunnel::{PublicKey, StaticSecret};

const INITIATION: u8 = 1;
const COOKIE: u8 = 3;
/// wireguard-go is under load for a second after 128 handshakes waited.
const BURST: usize = 400;
const BETWEEN_BURSTS: Duration = Duration::from_millis(100);

/// Floods until it is dropped.
pub(crate) struct Flood {
    cookies: Arc<AtomicU32>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    /// In the namespace of the calling thread.
    pub(crate) fn start(relay: SocketAddr, key: PublicKey) -> Flood {
        let (cookies, over) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, stop) = (Arc::clone(&cookies), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
            socket.connect(relay).expect("a route");
            socket.set_nonblocking(true).expect("a socket");
            let initiation = stranger_initiates(key);
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..BURST {
                    // A full buffer drops some: enough come through.
                    let _ = socket.send(&initiation);
                }
                std::thread::sleep(BETWEEN_BURSTS);
                let mut answer = [0; 256];
                while let Ok(1..) = socket.recv(&mut answer) {
                    counted.fetch_add(u32::from(answer[0] == COOKIE), Ordering::Relaxed);
                }
            }
        });
        Flood { cookies, over, thread: Some(thread) }
    }

    /// How often the relay said that it is under load.
    pub(crate) fn cookies(&self) -> u32 {
        self.cookies.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().expect("it is joined once").join().expect("the flood does not fail");
    }
}

fn stranger_initiates(key: PublicKey) -> Vec<u8> {
    let mut stranger = Tunn::new(StaticSecret::from([0x99; 32]), key, None, None, 1, None);
    let out = &mut [0; 256];
    let TunnResult::WriteToNetwork(initiation) = stranger.format_handshake_initiation(out, true) else {
        panic!("no initiation")
    };
    initiation.to_vec()
}

/// Hands on what one client and the relay say to each other.
#[derive(Clone)]
pub(crate) struct PostOffice {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A message that is not data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Initiation { with_cookie: bool },
    Response,
    Cookie,
}

impl PostOffice {
    /// In the namespace of the calling thread, which the client is in.
    pub(crate) fn open(relay: SocketAddr) -> PostOffice {
        let inside = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let outside = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        outside.connect(relay).expect("a route");
        let office = PostOffice { address: inside.local_addr().expect("it is bound"), seen: Arc::default() };
        let client = Arc::new(Mutex::new(None));
        let (from_relay, inwards) =
            (outside.try_clone().expect("a socket"), inside.try_clone().expect("a socket"));
        let (to, seen) = (Arc::clone(&client), office.clone());
        std::thread::spawn(move || {
            let mut message = [0; 2_048];
            loop {
                let Ok(length) = from_relay.recv(&mut message) else { continue };
                seen.note(&message[..length]);
                if let Some(client) = *to.lock().expect("no holder panics") {
                    let _ = inwards.send_to(&message[..length], client);
                }
            }
        });
        let seen = office.clone();
        std::thread::spawn(move || {
            let mut message = [0; 2_048];
            while let Ok((length, from)) = inside.recv_from(&mut message) {
                seen.note(&message[..length]);
                *client.lock().expect("no holder panics") = Some(from);
                let _ = outside.send(&message[..length]);
            }
        });
        office
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no holder panics").clone()
    }

    fn note(&self, message: &[u8]) {
        let seen = match message[0] {
            INITIATION => Seen::Initiation { with_cookie: !message.ends_with(&[0; 16]) },
            2 => Seen::Response,
            COOKIE => Seen::Cookie,
            _ => return,
        };
        self.seen.lock().expect("no holder panics").push(seen);
    }
}
