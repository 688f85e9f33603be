//! Numbered datagrams through the tunnel and back, as many under way as a client's socket may have: whatever is
//! lost, either way, is missed.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv6Addr, UdpSocket};
use std::time::{Duration, Instant};

pub(crate) const WINDOW: usize = 64;
const LENGTH: usize = 1_200;
/// An answer that takes longer does not come any more.
const LOST_AFTER: Duration = Duration::from_secs(2);

/// What came of the datagrams so far.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    sent: u64,
    under_way: BTreeMap<u64, Instant>,
    pub(crate) answered: u64,
    pub(crate) lost: u64,
    /// Answered more than once, or after they were taken for lost.
    pub(crate) surplus: u64,
    /// The longest time without an answer.
    pub(crate) longest_pause: Duration,
    /// Who answered last.
    pub(crate) relay: Option<u8>,
}

/// Sends back what comes to UDP port 8 of both families, with the relay's number in front, from now on.
pub(crate) fn answer_all(number: u8) {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 8)).expect("a socket");
    std::thread::spawn(move || {
        let mut datagram = [0; LENGTH];
        while let Ok((length, asker)) = socket.recv_from(&mut datagram) {
            datagram[0] = number;
            let _ = socket.send_to(&datagram[..length], asker);
        }
    });
}

impl Flow {
    /// Fills the tunnel until `enough`, which is asked between datagrams, then waits for what is under way.
    pub(crate) fn run(mut enough: impl FnMut(&Flow) -> bool) -> Flow {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        socket.connect("10.64.0.1:8").expect("a route");
        socket.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
        let mut flow = Flow::default();
        let mut heard = Instant::now();
        while !enough(&flow) {
            flow.fill(&socket);
            flow.hear(&socket, &mut heard);
        }
        while !flow.under_way.is_empty() {
            flow.hear(&socket, &mut heard);
        }
        flow
    }

    fn fill(&mut self, socket: &UdpSocket) {
        let mut datagram = [0; LENGTH];
        while self.under_way.len() < WINDOW {
            datagram[1..9].copy_from_slice(&self.sent.to_be_bytes());
            socket.send(&datagram).expect("the tunnel takes what fits into its queue");
            self.under_way.insert(self.sent, Instant::now());
            self.sent += 1;
        }
    }

    fn hear(&mut self, socket: &UdpSocket, heard: &mut Instant) {
        let mut answer = [0; LENGTH];
        match socket.recv(&mut answer) {
            Ok(_) => {
                let number = u64::from_be_bytes(answer[1..9].try_into().expect("eight bytes"));
                let expected = self.under_way.remove(&number).is_some();
                self.answered += u64::from(expected);
                self.surplus += u64::from(!expected);
                self.relay = Some(answer[0]);
                self.longest_pause = self.longest_pause.max(heard.elapsed());
                *heard = Instant::now();
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("the client's socket: {error}"),
        }
        let before = self.under_way.len();
        self.under_way.retain(|_, sent| sent.elapsed() < LOST_AFTER);
        self.lost += (before - self.under_way.len()) as u64;
    }
}
