//! How a tag travels in the protocols that have no socket of their own: ping, ESP, GRE, SCTP, and the error with which a
//! client objects to an answer. Opens nothing.

use std::net::{IpAddr, SocketAddr};

use crate::packet::Tag;

pub(super) const ESP: u8 = 50;
pub(super) const GRE: u8 = 47;
pub(super) const SCTP: u8 = 132;
const ICMP: u8 = 1;
const UDP: u8 = 17;

/// A tag, as the payload that is sent.
type Payload = [u8; Tag::LENGTH];

/// An echo request (RFC 792, RFC 4443). The kernel enters the checksum of IPv6 itself.
pub(super) fn echo_request(to: IpAddr, identifier: u16, sequence: u16, payload: &Payload) -> Vec<u8> {
    let kind = if to.is_ipv4() { 8 } else { 128 };
    let start = [[kind, 0, 0, 0], [0; 4]].concat();
    let mut message = [&start, &payload[..]].concat();
    message[4..6].copy_from_slice(&identifier.to_be_bytes());
    message[6..8].copy_from_slice(&sequence.to_be_bytes());
    with_icmp_checksum(to, message)
}

/// RFC 4303: an index that says which session, and a count.
pub(super) fn esp(session: u32, sequence: u32, payload: &Payload) -> Vec<u8> {
    [&session.to_be_bytes()[..], &sequence.to_be_bytes(), payload].concat()
}

/// RFC 2784 around what the lab alone speaks (an `EtherType` for experiments).
pub(super) fn gre(payload: &Payload) -> Vec<u8> {
    [&[0, 0, 0x88, 0xb5], &payload[..]].concat()
}

/// RFC 9260, 3.3.2: an INIT with the tag in a parameter that a receiver skips when it does not know it.
pub(super) fn sctp_init(from_port: u16, association: u32, payload: &Payload) -> Vec<u8> {
    const TO_PORT: u16 = 1004;
    const SKIP_IF_UNKNOWN: u16 = 0x8042;
    let words = |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let common = words(&[from_port, TO_PORT, 0, 0, 0, 0]);
    let init = [
        words(&[0x0100, 48]),
        association.to_be_bytes().to_vec(),
        words(&[1, 0, 1, 1]),
        association.to_be_bytes().to_vec(),
        words(&[SKIP_IF_UNKNOWN, 28]),
    ];
    let mut packet = [&common, &init.concat(), &payload[..]].concat();
    let checksum = crc32c(&packet);
    packet[8..12].copy_from_slice(&checksum.to_le_bytes());
    packet
}

/// "Port unreachable", about an answer with this payload that came from `server` to `client`.
pub(super) fn objection(server: SocketAddr, client: SocketAddr, payload: &Payload) -> Vec<u8> {
    let [kind, code] = if server.is_ipv4() { [3, 3] } else { [1, 4] };
    let length = u16::try_from(8 + payload.len()).unwrap_or_default().to_be_bytes();
    let ports = [server.port().to_be_bytes(), client.port().to_be_bytes()].concat();
    let datagram = [&ports, &length[..], &[0, 0], payload].concat();
    let quote = [ip_header(server.ip(), client.ip(), datagram.len()), datagram].concat();
    with_icmp_checksum(server.ip(), [&[kind, code, 0, 0, 0, 0, 0, 0], &quote[..]].concat())
}

fn ip_header(from: IpAddr, to: IpAddr, body: usize) -> Vec<u8> {
    let length = |bytes: usize| u16::try_from(bytes).unwrap_or_default().to_be_bytes();
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let start = [&[0x45, 0], &length(20 + body)[..], &[0, 0, 0, 0, 60, UDP, 0, 0]].concat();
            let mut header = [&start, &from.octets()[..], &to.octets()].concat();
            let checksum = ones_complement(&header);
            header[10..12].copy_from_slice(&checksum.to_be_bytes());
            header
        }
        (IpAddr::V6(_) | IpAddr::V4(_), _) => {
            let octets = |address| match address {
                IpAddr::V6(address) => address.octets(),
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            };
            let start = [&[0x60, 0, 0, 0], &length(body)[..], &[UDP, 60]].concat();
            [&start, &octets(from)[..], &octets(to)].concat()
        }
    }
}

fn with_icmp_checksum(to: IpAddr, mut message: Vec<u8>) -> Vec<u8> {
    if to.is_ipv4() {
        let checksum = ones_complement(&message);
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
    }
    message
}

/// What a raw socket of IPv4 delivers begins with the IP header.
pub(super) fn without_ip_header(is_ipv4: bool, packet: &[u8]) -> &[u8] {
    let header = match packet.first() {
        Some(first) if is_ipv4 => usize::from(first & 0x0f) * 4,
        Some(_) | None => 0,
    };
    packet.get(header..).unwrap_or_default()
}

/// RFC 1071.
fn ones_complement(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    let mut sum: u32 = words.map(u32::from).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

/// RFC 9260, appendix A; bit by bit, since the packets are small.
fn crc32c(bytes: &[u8]) -> u32 {
    const REVERSED_POLYNOMIAL: u32 = 0x82f6_3b78;
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ REVERSED_POLYNOMIAL } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// The number of the protocol for a raw socket.
pub(super) const fn icmp_protocol(is_ipv4: bool) -> u8 {
    if is_ipv4 { ICMP } else { 58 }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::packet::Packet;

    const TAG: Tag = Tag { flow: 3, sequence: 4 };

    #[test]
    fn checksums_are_those_of_the_standards() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(ones_complement(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    #[test]
    fn every_shape_gives_its_flow_away() {
        let payload = TAG.payload(UNIX_EPOCH);
        let server = "192.0.2.80".parse().unwrap();
        let bodies = [
            (ICMP, echo_request(server, 7, 8, &payload)),
            (ESP, esp(3, 4, &payload)),
            (GRE, gre(&payload)),
            (SCTP, sctp_init(9, 3, &payload)),
            (ICMP, objection("192.0.2.80:7".parse().unwrap(), "100.64.0.1:9".parse().unwrap(), &payload)),
        ];
        for (protocol, body) in bodies {
            let seen = Packet::parse(0x0800, &[over_ipv4(protocol, body.len()), body].concat());
            assert_eq!(seen.tag(), Some(TAG), "{seen}");
        }
    }

    #[test]
    fn an_objection_quotes_the_answer_in_both_families() {
        let payload = TAG.payload(UNIX_EPOCH);
        let (server, client) =
            ("[2001:db8:40::80]:7".parse().unwrap(), "[fd7a:115c:a1e0::1]:9".parse().unwrap());
        let body = objection(server, client, &payload);
        let header = [&[0x60, 0, 0, 0, 0, 80, 58, 64], &[0; 32][..]].concat();
        let seen = Packet::parse(0x86dd, &[header, body].concat());
        assert_eq!(
            seen.to_string(),
            "icmp 1/4 :: > ::, inside: udp [2001:db8:40::80]:7 > [fd7a:115c:a1e0::1]:9 (flow 3 #4)"
        );
    }

    fn over_ipv4(protocol: u8, body: usize) -> Vec<u8> {
        let mut header = ip_header("100.64.0.1".parse().unwrap(), "192.0.2.80".parse().unwrap(), body);
        header[9] = protocol;
        header
    }
}
