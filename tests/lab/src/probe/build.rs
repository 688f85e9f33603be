//! Headers around a payload, in both families; fragments, and errors that quote.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result, bail};
use etherparse::icmpv4::DestUnreachableHeader;
use etherparse::{
    Icmpv4Type, Icmpv6Type, IpFragOffset, IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, Ipv6Extensions,
    Ipv6FragmentHeader, Ipv6Header, PacketBuilder, PacketBuilderStep, icmpv4, icmpv6,
};

use super::{Complaint, Talk};

const TTL: u8 = 32;
/// Fits into every link of the lab, and is a multiple of eight.
const FRAGMENT: usize = 1200;
const WINDOW: u16 = 1024;
const NUISANCE_MTU: u16 = 576;

pub(super) fn packet(talk: Talk, from: IpAddr, to: IpAddr, port: u16, payload: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let ip = || addressed(from, to);
    match talk {
        Talk::Echo if from.is_ipv4() => ip()?.icmpv4_echo_request(port, 1).write(&mut bytes, payload)?,
        Talk::Echo => ip()?.icmpv6_echo_request(port, 1).write(&mut bytes, payload)?,
        Talk::Udp { port: to } | Talk::HugeUdp { port: to } => {
            ip()?.udp(port, to).write(&mut bytes, payload)?;
        }
        Talk::Syn { port: to } => ip()?.tcp(port, to, 1, WINDOW).syn().write(&mut bytes, payload)?,
        Talk::Gre => ip()?.write(&mut bytes, IpNumber::GRE, &[&[0, 0, 8, 0], payload].concat())?,
        Talk::Esp => {
            ip()?.write(
                &mut bytes,
                IpNumber::ENCAPSULATING_SECURITY_PAYLOAD,
                &[&[7; 8], payload].concat(),
            )?;
        }
        Talk::Sctp => ip()?.write(&mut bytes, IpNumber::SCTP, &sctp_init(port, payload)?)?,
    }
    Ok(bytes)
}

/// What a router or a peer says about a packet, to the one who has sent it.
pub(super) fn error(complaint: Complaint, from: IpAddr, to: IpAddr, quoted: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let (four, six) = match complaint {
        Complaint::PortUnreachable => (
            Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Port),
            Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::Port),
        ),
        Complaint::TooBig => (
            Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::FragmentationNeeded {
                next_hop_mtu: NUISANCE_MTU,
            }),
            Icmpv6Type::PacketTooBig { mtu: 1280 },
        ),
        Complaint::TimeExceeded => (
            Icmpv4Type::TimeExceeded(icmpv4::TimeExceededCode::TtlExceededInTransit),
            Icmpv6Type::TimeExceeded(icmpv6::TimeExceededCode::HopLimitExceeded),
        ),
    };
    if from.is_ipv4() {
        addressed(from, to)?.icmpv4(four).write(&mut bytes, quoted)?;
    } else {
        addressed(from, to)?.icmpv6(six).write(&mut bytes, quoted)?;
    }
    Ok(bytes)
}

/// The same packet in pieces.
pub(super) fn fragments(whole: &[u8], identification: u32) -> Result<Vec<Vec<u8>>> {
    let (headers, _) = IpHeaders::from_slice(whole)?;
    let body = whole.get(headers.header_len()..).context("a packet without a body")?;
    let last = body.len().div_ceil(FRAGMENT) - 1;
    let piece = |(number, part): (usize, &[u8])| -> Result<Vec<u8>> {
        let offset = IpFragOffset::try_new(u16::try_from(number * FRAGMENT / 8)?)?;
        let (headers, last) = (headers.clone(), number == last);
        let (headers, protocol) = as_fragment(headers, offset, !last, identification)?;
        let mut bytes = Vec::new();
        PacketBuilder::ip(headers).write(&mut bytes, protocol, part)?;
        Ok(bytes)
    };
    body.chunks(FRAGMENT).enumerate().map(piece).collect()
}

fn as_fragment(
    headers: IpHeaders,
    offset: IpFragOffset,
    more: bool,
    identification: u32,
) -> Result<(IpHeaders, IpNumber)> {
    Ok(match headers {
        IpHeaders::Ipv4(mut header, extensions) => {
            header.dont_fragment = false;
            header.more_fragments = more;
            header.fragment_offset = offset;
            header.identification = u16::try_from(identification & 0xffff)?;
            let protocol = header.protocol;
            (IpHeaders::Ipv4(header, extensions), protocol)
        }
        IpHeaders::Ipv6(header, _) => {
            let protocol = header.next_header;
            let fragment = Ipv6FragmentHeader::new(protocol, offset, more, identification);
            let extensions = Ipv6Extensions { fragment: Some(fragment), ..Ipv6Extensions::default() };
            (IpHeaders::Ipv6(header, extensions), protocol)
        }
    })
}

fn addressed(from: IpAddr, to: IpAddr) -> Result<PacketBuilderStep<IpHeaders>> {
    Ok(PacketBuilder::ip(match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => IpHeaders::Ipv4(ipv4(from, to)?, Ipv4Extensions::default()),
        (IpAddr::V6(from), IpAddr::V6(to)) => IpHeaders::Ipv6(ipv6(from, to), Ipv6Extensions::default()),
        (from, to) => bail!("{from} and {to} are of two families"),
    }))
}

fn ipv4(from: Ipv4Addr, to: Ipv4Addr) -> Result<Ipv4Header> {
    // The builder fills in lengths and protocols.
    Ok(Ipv4Header::new(0, TTL, IpNumber::UDP, from.octets(), to.octets())?)
}

fn ipv6(from: Ipv6Addr, to: Ipv6Addr) -> Ipv6Header {
    Ipv6Header { hop_limit: TTL, source: from.octets(), destination: to.octets(), ..Ipv6Header::default() }
}

/// RFC 9260, 3.3.2, with the payload as a parameter that a receiver may skip.
fn sctp_init(port: u16, payload: &[u8]) -> Result<Vec<u8>> {
    const SKIP: u16 = 0x8fff;
    let parameter = u16::try_from(4 + payload.len())?;
    let mut bytes = [port.to_be_bytes(), 9_u16.to_be_bytes()].concat();
    bytes.extend([0; 8]); // no tag of the peer's yet, no checksum yet
    bytes.extend([1, 0]);
    bytes.extend((20 + parameter).to_be_bytes());
    bytes.extend([[0, 0, 0, 1], [0, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 1]].concat());
    bytes.extend([SKIP.to_be_bytes(), parameter.to_be_bytes()].concat());
    bytes.extend(payload);
    let sum = crc32c(&bytes);
    bytes[8..12].copy_from_slice(&sum.to_le_bytes());
    Ok(bytes)
}

/// RFC 9260, appendix A.
fn crc32c(bytes: &[u8]) -> u32 {
    const CASTAGNOLI: u32 = 0x82f6_3b78;
    let step = |sum: u32, _| if sum & 1 == 1 { sum >> 1 ^ CASTAGNOLI } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Packet, Tag};
    use crate::probe::Probe;

    #[test]
    fn every_probe_is_read_back_with_its_tag_in_every_packet() {
        for (from, to) in [("100.64.0.1", "192.0.2.80"), ("fd7a:115c:a1e0::1", "2001:db8:40::80")] {
            for talk in Talk::ALL {
                let probe = Probe::new(talk, from.parse().unwrap(), to.parse().unwrap()).unwrap();
                for bytes in &probe.packets {
                    let packet = Packet::parse(if from.contains(':') { 0x86dd } else { 0x0800 }, bytes);
                    assert_eq!(
                        packet.tag(),
                        Some(Tag { flow: probe.flow, sequence: 0 }),
                        "{probe}: {packet}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_huge_datagram_comes_in_four_pieces() {
        let (from, to) = ("100.64.0.1".parse().unwrap(), "192.0.2.80".parse().unwrap());
        let probe = Probe::new(Talk::HugeUdp { port: 9 }, from, to).unwrap();
        let lengths: Vec<_> = probe.packets.iter().map(Vec::len).collect();
        assert_eq!(lengths, [1220, 1220, 1220, 412]);
    }

    #[test]
    fn crc32c_is_the_one_of_the_rfc() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
