//! What each fuzzer does with its input, and what must hold whatever that is. The fuzzers and the replay of their
//! corpus (`tests/corpus.rs`) call the same functions.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use boringtun::noise::{Tunn, TunnResult};
use byway::dns::rehearse;
use byway::mullvad::relay_list as relays;
use byway::proof::echo;
use byway::tunnel::packet::coalesce::{Coalescer, Datagrams};
use byway::tunnel::packet::segment::Segments;
use byway::tunnel::packet::{checksum, virtio};
use byway::tunnel::uapi::Snapshot;
use byway::tunnel::{Outside, Peer, PublicKey, StaticSecret, Stranger, conf, uapi};

/// What one read of the TUN device may bring: it is cut into packets that are no longer and no more than its bytes.
pub fn segment(input: &[u8]) {
    let mut read = input.to_vec();
    let Ok(mut segments) = Segments::of(&mut read) else { return };
    let mut count = 0;
    while let Some(packet) = segments.next() {
        assert!(!packet.is_empty() && packet.len() <= input.len() - virtio::LENGTH);
        count += 1;
    }
    assert!(count <= input.len());
}

/// A batch of packets that the relay may send: joined and cut again they are the same.
pub fn coalesce(input: &[u8]) {
    let Some((mode, rest)) = input.split_first() else { return };
    let datagrams = if mode & 1 == 0 { Datagrams::Together } else { Datagrams::Alone };
    let packets = batch(rest);
    let mut coalescer = Coalescer::new(datagrams);
    let mut arena = packets.concat();
    let mut at = 0;
    for packet in &packets {
        coalescer.push(&mut arena, at..at + packet.len());
        at += packet.len();
    }
    coalescer.finish(&mut arena);
    let mut back = Vec::new();
    for write in coalescer.writes() {
        let mut framed = write.header.to_vec();
        write.parts.iter().for_each(|part| framed.extend(&arena[part.clone()]));
        let mut segments = Segments::of(&mut framed).expect("what we write can be cut");
        while let Some(packet) = segments.next() {
            back.push(packet.to_vec());
        }
    }
    assert_eq!(by_flow(back), by_flow(packets));
}

/// Each packet behind a byte that says which checksums are right, and its length.
fn batch(mut rest: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    while let [flags, low, high, behind @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high]) & 0x7ff).min(behind.len());
        let (packet, later) = behind.split_at(length);
        let mut packet = packet.to_vec();
        set_right(&mut packet, *flags);
        if !packet.is_empty() && packets.len() < 200 {
            packets.push(packet);
        }
        rest = later;
    }
    packets
}

/// What no fuzzer finds by chance: lengths, then the checksum of TCP or UDP, then that of the IP header.
fn set_right(packet: &mut [u8], flags: u8) {
    let total = packet.len();
    let (addresses, protocol) = match packet.first().map(|first| first >> 4) {
        Some(4) if total >= 20 => (12..20, packet[9]),
        Some(6) if total >= 40 => (8..40, packet[6]),
        _ => return,
    };
    let at = addresses.end;
    if flags & 1 != 0 {
        let (field, length) = if at == 20 { (2..4, total) } else { (4..6, total - at) };
        packet[field].copy_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    }
    let field = at + if protocol == 6 { 16 } else { 6 };
    if flags & 2 != 0 && matches!(protocol, 6 | 17) && field + 2 <= total {
        if protocol == 17 {
            let length = u16::try_from(total - at).unwrap_or(u16::MAX);
            packet[at + 4..at + 6].copy_from_slice(&length.to_be_bytes());
        }
        packet[field..field + 2].fill(0);
        let pseudo_header = checksum::pseudo_header(&packet[addresses], protocol, total - at);
        let sum = checksum::finish(checksum::sum(&packet[at..], pseudo_header));
        packet[field..field + 2].copy_from_slice(&sum);
    }
    if flags & 4 != 0 && at == 20 {
        set_header_checksum(packet);
    }
}

fn set_header_checksum(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let sum = checksum::finish(checksum::sum(&packet[..20], 0));
    packet[10..12].copy_from_slice(&sum);
}

/// The packets of each flow in their order. The identification of a packet that may not be fragmented means nothing
/// and may have changed.
fn by_flow(packets: Vec<Vec<u8>>) -> BTreeMap<Vec<u8>, Vec<Vec<u8>>> {
    let mut flows = BTreeMap::<_, Vec<_>>::new();
    for mut packet in packets {
        if packet[0] == 0x45 && packet.len() >= 20 && packet[6] & 0x40 != 0 && has_right_header(&packet) {
            packet[4..6].fill(0);
            set_header_checksum(&mut packet);
        }
        let flow = match packet[0] >> 4 {
            4 if packet.len() >= 24 => [&packet[9..10], &packet[12..24]].concat(),
            6 if packet.len() >= 44 => [&packet[6..7], &packet[8..44]].concat(),
            _ => packet.clone(),
        };
        flows.entry(flow).or_default().push(packet);
    }
    flows
}

fn has_right_header(packet: &[u8]) -> bool {
    checksum::fold(checksum::sum(&packet[..20], 0)) == [0xff; 2]
}

/// Where in an answer that begins which nobody looks at but under load.
const SECOND_MAC: usize = 76;

/// What comes in by UDP, from anybody and from the relay: with a session that waits for one and with one that has it.
pub fn datagram(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else { return };
    let mut relay = Tunn::new(secret(2), PublicKey::from(&secret(1)), None, None, 7, None);
    let mut room = vec![0; 65_535 + 148];
    let mut stranger = Stranger::new(peer());
    match kind % 4 {
        // Before anything was agreed.
        0 => assert_no_packet(&stranger.open(rest)),
        // A true answer of the relay, spoilt.
        1 => {
            let answer = said(relay.decapsulate(None, &stranger.initiation(), &mut room));
            let spoilt = spoilt(&answer, rest);
            let agreed = !stranger.open(&spoilt).is_empty();
            assert!(!agreed || spoilt[..SECOND_MAC] == answer[..SECOND_MAC], "a spoilt answer was taken");
        }
        // After that, anything.
        2 => {
            agree(&mut stranger, &mut relay, &mut room);
            assert_no_packet(&stranger.open(rest));
        }
        // Whatever the relay seals.
        _ => {
            agree(&mut stranger, &mut relay, &mut room);
            let rest = &rest[..rest.len().min(2_000)];
            let sealed = said(relay.encapsulate(rest, &mut room));
            let packet = stranger.open(&sealed);
            assert!(rest.starts_with(&packet), "another packet came out");
        }
    }
}

fn secret(byte: u8) -> StaticSecret {
    StaticSecret::from([byte; 32])
}

fn peer() -> Peer {
    Peer {
        private_key: secret(1),
        public_key: PublicKey::from(&secret(2)),
        preshared_key: None,
        endpoint: ([192, 0, 2, 130], 51_820).into(),
        keepalive_s: 25,
    }
}

fn agree(stranger: &mut Stranger, relay: &mut Tunn, room: &mut [u8]) {
    let answer = said(relay.decapsulate(None, &stranger.initiation(), room));
    let keepalive = stranger.open(&answer);
    let TunnResult::Done = relay.decapsulate(None, &keepalive, room) else { panic!("no session") };
}

fn said(result: TunnResult<'_>) -> Vec<u8> {
    let TunnResult::WriteToNetwork(datagram) = result else { panic!("the relay has something to say") };
    datagram.to_vec()
}

/// Pairs of a place and what is done to the byte there.
fn spoilt(datagram: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut datagram = datagram.to_vec();
    let length = datagram.len();
    for [at, change] in changes.as_chunks::<2>().0 {
        datagram[usize::from(*at) % length] ^= change;
    }
    datagram
}

/// Answers may be, but only to the relay, whose word no fuzzer can give.
fn assert_no_packet(answer: &[u8]) {
    assert!(answer.is_empty(), "a stranger was believed");
}

/// A raw socket's packet, behind the request that it may answer: bytes that agree are no accident.
pub fn ping(input: &[u8]) {
    let Some((request, packet)) = input.split_at_checked(24) else { return };
    if echo::is_packet_with_answer(packet, Ipv4Addr::new(10, 64, 0, 1), request) {
        assert!(packet.ends_with(&request[4..]) && packet.len() >= 20 + request.len());
    }
}

/// What `wg` or anybody asks the control socket: one answer, which ends as it should and never says a private key.
pub fn uapi(input: &[u8]) {
    let relay = uapi::Relay::new(&peer());
    let snapshot = Snapshot { outside: Outside { mark: 1, port: 2 }, relay: Some(relay) };
    let answer = String::from_utf8(uapi::answer(input, &snapshot)).expect("it is text");
    assert!(answer.ends_with("\n\n") && answer.matches("errno=").count() == 1);
    assert!(!answer.contains("private_key") && !answer.contains("preshared_key"));
}

/// A file from Mullvad, or from anybody: every mistake has a place and says no secret.
/// A client's question and an upstream's answer, the one behind its length: what goes back fits, can be read, and is an
/// answer to that client.
pub fn dns(input: &[u8]) {
    let Some((length, rest)) = input.split_first() else { return };
    let (question, answer) = rest.split_at(usize::from(*length).min(rest.len()));
    let Some((reply, room)) = rehearse(question, answer) else { return };
    assert!(reply.len() <= room, "{} bytes where {room} have room", reply.len());
    assert_eq!(reply[..2], question[..2], "somebody else's number");
    assert!(reply[2] & 0x80 != 0, "not an answer");
    assert!(rehearse(&reply, &[]).is_none(), "an answer that would be answered");
}

/// Mullvad's list, or anybody's: whatever is taken of it is in order and may be shown.
pub fn relay_list(input: &[u8]) {
    let Ok(list) = relays::read(input) else { return };
    assert!(!list.relays.is_empty() && !list.ports.is_empty());
    assert!(list.relays.is_sorted_by(|one, next| one.host < next.host), "one is there twice");
    assert!(list.ports.iter().all(|range| *range.start() > 0 && !range.is_empty()));
    let names = list.relays.iter().flat_map(|relay| [&relay.host, &relay.place]).chain(list.places.keys());
    for name in names {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!((1..=63).contains(&name.len()) && name.bytes().all(is_plain), "{name:?}");
    }
    let places = list.places.values().flat_map(|place| [&place.country, &place.city]);
    for text in list.relays.iter().map(|relay| &relay.provider).chain(places) {
        assert!(text.chars().count() <= 32 && !text.contains(char::is_control), "{text:?}");
    }
}

pub fn conf(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Err(mistakes) = conf::parse(&text) {
        assert!(!mistakes.is_empty());
        for mistake in mistakes {
            assert!(!mistake.to_string().is_empty());
        }
    }
}
