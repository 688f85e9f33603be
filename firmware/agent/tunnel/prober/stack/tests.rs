//! What a hostile relay can put into the stack: packets of every kind, whose sums are right, at every moment of a
//! connection. Nothing of it may panic: the agent would seal the box.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;
use smoltcp::socket::{icmp, tcp, udp};

use super::*;
use crate::tunnel::{Peer, PublicKey, Stamps, StaticSecret, Stats};

const OURS: [&str; 2] = ["10.64.0.2", "fd00:64::2"];
const SERVER: [&str; 2] = ["203.0.113.80", "2001:db8:80::80"];
const OTHERS: [[&str; 5]; 2] = [
    ["0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1", "10.64.0.1"],
    ["::", "ff02::1", "::1", "fe80::1", "::ffff:10.64.0.2"],
];
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: [u8; 2] = [1, 58];
/// The checksum's place in the message.
const SUMS: [(u8, usize); 4] = [(TCP, 16), (UDP, 6), (ICMP[0], 2), (ICMP[1], 2)];
const OUR_PORT: u16 = 50_000;
const IDENTIFIER: u16 = 0x4242;

/// A packet, but for what depends on our last one.
#[derive(Clone, Debug)]
struct Hostile {
    family: usize,
    from: IpAddr,
    to: IpAddr,
    message: Message,
    cut: usize,
}

#[derive(Clone, Debug)]
enum Message {
    /// Behind the ports: its number and ours as far off as said, then the rest.
    Tcp {
        ahead: [u32; 2],
        offset_and_flags: [u8; 2],
        rest: Vec<u8>,
    },
    Udp {
        length: Option<u16>,
        payload: Vec<u8>,
    },
    Icmp {
        kind: u8,
        code: u8,
        rest: Vec<u8>,
    },
    Other {
        protocol: u8,
        bytes: Vec<u8>,
    },
}

fn message() -> impl Strategy<Value = Message> {
    let near = || prop_oneof![Just(0), Just(1), 0..2_000_u32, any::<u32>()];
    let flags = prop_oneof![Just(0x12), Just(0x10), Just(0x18), Just(0x11), any::<u8>()];
    let offset = prop_oneof![Just(0x50), Just(0x80), any::<u8>()];
    let tcp = (near(), near(), offset, flags, vec(any::<u8>(), 4..80)).prop_map(
        |(seq, ack, offset, flags, rest)| Message::Tcp {
            ahead: [seq, ack],
            offset_and_flags: [offset, flags],
            rest,
        },
    );
    let udp = (proptest::option::of(any::<u16>()), vec(any::<u8>(), 0..80))
        .prop_map(|(length, payload)| Message::Udp { length, payload });
    let icmp = (any::<u8>(), 0..6_u8, vec(any::<u8>(), 0..120))
        .prop_map(|(kind, code, rest)| Message::Icmp { kind, code, rest });
    let other = (any::<u8>(), vec(any::<u8>(), 0..120))
        .prop_map(|(protocol, bytes)| Message::Other { protocol, bytes });
    prop_oneof![4 => tcp, 1 => udp, 1 => icmp, 1 => other]
}

fn hostile() -> impl Strategy<Value = Hostile> {
    let cut = prop_oneof![8 => Just(usize::MAX), 1 => 0..60_usize];
    (0..2_usize, message(), cut).prop_flat_map(|(family, message, cut)| {
        let end = |usual: &'static str| {
            prop_oneof![6 => Just(usual), 1 => select(&OTHERS[family][..]), 1 => Just(OURS[family])]
        };
        (end(SERVER[family]), end(OURS[family]), Just(message)).prop_map(move |(from, to, message)| Hostile {
            family,
            from: address(from),
            to: address(to),
            message,
            cut,
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_a_relay_sends_breaks_the_stack(packets in vec(hostile(), 1..16)) {
        let stack = Stack::new(session(), &OURS.map(address), 1_380);
        let streams = SERVER.map(|server| open_all(&stack, server));
        let mut inner = stack.inner();
        // Sequence numbers of our last packets to either server.
        let mut numbers = [[0; 2]; 2];
        for packet in packets {
            inner.carry(&mut numbers);
            inner.memory.inwards.push_back(packet.bytes(numbers[packet.family]));
            inner.carry(&mut numbers);
            for stream in streams {
                let socket = inner.sockets.get_mut::<tcp::Socket<'_>>(stream);
                // An error says that it is not connected.
                _ = socket.send_slice(b"GET ");
                _ = socket.recv_slice(&mut [0; 8]);
            }
        }
    }
}

/// Else the test above would not reach what it is for.
#[test]
fn an_answer_in_the_right_place_opens_a_connection() {
    for family in [0, 1] {
        let stack = Stack::new(session(), &OURS.map(address), 1_380);
        let stream = open_all(&stack, SERVER[family]);
        let mut inner = stack.inner();
        let mut numbers = [[0; 2]; 2];
        inner.carry(&mut numbers);
        let rest = vec![0xff; 2].into_iter().chain([0; 4]).collect();
        let message = Message::Tcp { ahead: [0, 1], offset_and_flags: [0x50, 0x12], rest };
        let (from, to) = (address(SERVER[family]), address(OURS[family]));
        let answer = Hostile { family, from, to, message, cut: usize::MAX }.bytes(numbers[family]);
        inner.memory.inwards.push_back(answer);
        inner.carry(&mut numbers);
        let state = inner.sockets.get::<tcp::Socket<'_>>(stream).state();
        assert_eq!(state, tcp::State::Established, "family {family}");
    }
}

impl Inner {
    /// Without the session; notes what the packets of ours are numbered.
    fn carry(&mut self, numbers: &mut [[u32; 2]; 2]) {
        self.interface.poll(instant(boot_time()), &mut self.memory, &mut self.sockets);
        for packet in self.memory.outwards.drain(..) {
            assert!(packet.len() <= 1_380);
            let (family, header) = if packet[0] >> 4 == 4 { (0, 20) } else { (1, 40) };
            if let Some([seq, ack]) = packet
                .get(header + 4..header + 12)
                .map(|bytes| [0, 4].map(|at| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())))
                && packet[if family == 0 { 9 } else { 6 }] == TCP
            {
                numbers[family] = [seq, ack];
            }
        }
    }
}

impl Hostile {
    fn bytes(&self, [ours, theirs]: [u32; 2]) -> Vec<u8> {
        let (protocol, mut message) = match &self.message {
            Message::Tcp { ahead: [seq, ack], offset_and_flags, rest } => {
                let numbers = [theirs.wrapping_add(*seq), ours.wrapping_add(*ack)].map(u32::to_be_bytes);
                let ports = [443, OUR_PORT].map(u16::to_be_bytes).concat();
                (TCP, [&ports[..], &numbers.concat(), &offset_and_flags[..], rest].concat())
            }
            Message::Udp { length, payload } => {
                let right = u16::try_from(8 + payload.len()).unwrap();
                let header = [53, OUR_PORT, length.unwrap_or(right), 0].map(u16::to_be_bytes);
                (UDP, [&header.concat()[..], payload].concat())
            }
            Message::Icmp { kind, code, rest } => {
                let [high, low] = IDENTIFIER.to_be_bytes();
                (ICMP[self.family], [&[*kind, *code, 0, 0, high, low, 0, 0], &rest[..]].concat())
            }
            Message::Other { protocol, bytes } => (*protocol, bytes.clone()),
        };
        let sum_at = SUMS.into_iter().find(|(summed, _)| *summed == protocol).map(|(_, at)| at);
        if let Some(at) = sum_at.filter(|at| message.len() >= at + 2) {
            message[at..at + 2].fill(0);
            let sum = sum(&[self.pseudo_header(protocol, message.len()), message.clone()].concat());
            message[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        }
        let mut packet = [self.header(protocol, message.len()), message].concat();
        packet.truncate(self.cut);
        packet
    }

    fn header(&self, protocol: u8, length: usize) -> Vec<u8> {
        let length = u16::try_from(length).unwrap();
        match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let [high, low] = (20 + length).to_be_bytes();
                let mut header = vec![0x45, 0, high, low, 0, 0, 0, 0, 64, protocol, 0, 0];
                header.extend([from.octets(), to.octets()].concat());
                let sum = sum(&header);
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                header
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let [high, low] = length.to_be_bytes();
                let begin = [0x60, 0, 0, 0, high, low, protocol, 64];
                [&begin[..], &from.octets(), &to.octets()].concat()
            }
            mixed => panic!("{mixed:?}"),
        }
    }

    /// Nothing for ICMP of IPv4.
    fn pseudo_header(&self, protocol: u8, length: usize) -> Vec<u8> {
        let length = u32::try_from(length).unwrap().to_be_bytes();
        let end = [&length[..], &[0, 0, 0, protocol]].concat();
        match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) if protocol != ICMP[0] => {
                [&from.octets()[..], &to.octets(), &end].concat()
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => [&from.octets()[..], &to.octets(), &end].concat(),
            _ => Vec::new(),
        }
    }
}

/// RFC 1071.
fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap()
}

/// A connection under way to `server`, and beside it what asks for names and pings.
fn open_all(stack: &Stack, server: &str) -> SocketHandle {
    let room = || tcp::SocketBuffer::new(vec![0; 4_096]);
    let connection = stack.open(|interface, _| {
        let mut socket = tcp::Socket::new(room(), room());
        socket.connect(interface.context(), (address(server), 443), OUR_PORT).map(|()| socket)
    });
    _ = stack.open(|_, _| {
        let room = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4], vec![0; 512]);
        let mut socket = udp::Socket::new(room(), room());
        socket.bind(OUR_PORT).map(|()| socket)
    });
    _ = stack.open(|_, _| {
        let room = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 4], vec![0; 512]);
        let mut socket = icmp::Socket::new(room(), room());
        socket.bind(icmp::Endpoint::Ident(IDENTIFIER)).map(|()| socket)
    });
    connection.unwrap().handle
}

fn session() -> Session {
    let peer = Peer {
        private_key: StaticSecret::from([1; 32]),
        public_key: PublicKey::from(&StaticSecret::from([2; 32])),
        preshared_key: None,
        endpoint: "192.0.2.130:51820".parse().unwrap(),
        keepalive_s: 0,
    };
    Session::new(boot_time(), peer, Stats::default(), Arc::new(Stamps::in_memory()))
}

fn address(word: &str) -> IpAddr {
    word.parse().unwrap()
}
