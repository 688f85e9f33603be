//! Bytes to [`Packet`]. Lengths in headers are believed only as far as there are bytes; whatever cannot be read is
//! said to be unreadable, never left out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{About, Datagram, Packet, Ports, Tag, TcpFlags, Transport};

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;

type Parsed<T> = Result<T, &'static str>;

pub(super) fn packet(ethertype: u16, bytes: &[u8]) -> Packet {
    let parsed = match ethertype {
        ETHERTYPE_ARP => arp(bytes),
        ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => datagram(bytes).map(Packet::Ip),
        _ => Ok(Packet::Other { ethertype }),
    };
    parsed.unwrap_or_else(|why| Packet::Unreadable { ethertype, why })
}

/// RFC 826 with the addresses of Ethernet and IPv4.
fn arp(bytes: &[u8]) -> Parsed<Packet> {
    let sender: [u8; 4] = chunk(bytes, 14).ok_or("arp without a sender")?;
    let target: [u8; 4] = chunk(bytes, 24).ok_or("arp without a target")?;
    Ok(Packet::Arp { sender: sender.into(), target: target.into() })
}

fn datagram(bytes: &[u8]) -> Parsed<Datagram> {
    match bytes.first().map(|first| first >> 4) {
        Some(4) => ipv4(bytes),
        Some(6) => ipv6(bytes),
        Some(_) => Err("neither ip version 4 nor 6"),
        None => Err("empty"),
    }
}

fn ipv4(bytes: &[u8]) -> Parsed<Datagram> {
    let header: [u8; 20] = chunk(bytes, 0).ok_or("ipv4 header cut off")?;
    let header_length = usize::from(header[0] & 0x0f) * 4;
    let rest = bytes.get(header_length..).ok_or("ipv4 options cut off")?;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    // Zero: a segment of more than 64 KB, which only its own length describes.
    let body = match total.checked_sub(header_length) {
        Some(length) if length <= rest.len() => &rest[..length],
        Some(_) | None => rest,
    };
    let later = u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0;
    Ok(Datagram {
        source: ipv4_address(&header, 12)?,
        destination: ipv4_address(&header, 16)?,
        transport: if later {
            Transport::LaterFragment { protocol: header[9], tag: Tag::find(body) }
        } else {
            transport(header[9], body)?
        },
    })
}

fn ipv6(bytes: &[u8]) -> Parsed<Datagram> {
    let header: [u8; 40] = chunk(bytes, 0).ok_or("ipv6 header cut off")?;
    Ok(Datagram {
        source: ipv6_address(&header, 8)?,
        destination: ipv6_address(&header, 24)?,
        transport: after_extensions(header[6], &bytes[40..])?,
    })
}

/// Walks the extension headers of RFC 8200, 4 and RFC 4302.
fn after_extensions(mut next: u8, mut bytes: &[u8]) -> Parsed<Transport> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const AUTHENTICATION: u8 = 51;
    const DESTINATION: u8 = 60;
    loop {
        let words: fn(u8) -> usize = match next {
            HOP_BY_HOP | ROUTING | DESTINATION => |length| (usize::from(length) + 1) * 8,
            AUTHENTICATION => |length| (usize::from(length) + 2) * 4,
            FRAGMENT => |_| 8,
            _ => return transport(next, bytes),
        };
        let [following, length, third, fourth] = chunk(bytes, 0).ok_or("ipv6 extension cut off")?;
        if next == FRAGMENT && u16::from_be_bytes([third, fourth]) >> 3 != 0 {
            let tag = bytes.get(words(length)..).and_then(Tag::find);
            return Ok(Transport::LaterFragment { protocol: following, tag });
        }
        bytes = bytes.get(words(length)..).ok_or("ipv6 extension cut off")?;
        next = following;
    }
}

fn transport(protocol: u8, bytes: &[u8]) -> Parsed<Transport> {
    const ICMP: u8 = 1;
    const IPV4: u8 = 4;
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    const IPV6: u8 = 41;
    const ICMPV6: u8 = 58;
    match protocol {
        UDP => Ok(Transport::Udp { ports: ports(bytes)?, tag: bytes.get(8..).and_then(Tag::find) }),
        TCP => tcp(bytes),
        ICMP => icmp(bytes, |kind| matches!(kind, 3 | 4 | 5 | 11 | 12), &[0, 8]),
        ICMPV6 => icmpv6(bytes),
        IPV4 | IPV6 => Ok(Transport::Wrapped(Box::new(datagram(bytes)?))),
        _ => Ok(Transport::Other { protocol, tag: Tag::find(bytes) }),
    }
}

fn tcp(bytes: &[u8]) -> Parsed<Transport> {
    let header_length = usize::from(bytes.get(12).map_or(0, |offset| offset >> 4)) * 4;
    Ok(Transport::Tcp {
        ports: ports(bytes)?,
        flags: TcpFlags(bytes.get(13).copied().unwrap_or_default()),
        sequence: chunk(bytes, 4).map(u32::from_be_bytes).ok_or("tcp header cut off")?,
        tag: bytes.get(header_length.max(20)..).and_then(Tag::find),
    })
}

fn icmpv6(bytes: &[u8]) -> Parsed<Transport> {
    const NEIGHBOUR_SOLICITATION: u8 = 135;
    const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
    let Some((kind @ (NEIGHBOUR_SOLICITATION | NEIGHBOUR_ADVERTISEMENT), code)) = kind_and_code(bytes) else {
        return icmp(bytes, |kind| matches!(kind, 1..=4), &[128, 129]);
    };
    let target: [u8; 16] = chunk(bytes, 8).ok_or("neighbour discovery cut off")?;
    Ok(Transport::Icmp { kind, code, about: About::Neighbour(Ipv6Addr::from(target).into()) })
}

fn icmp(bytes: &[u8], is_error: fn(u8) -> bool, echoes: &[u8]) -> Parsed<Transport> {
    let (kind, code) = kind_and_code(bytes).ok_or("icmp header cut off")?;
    let about = if is_error(kind) {
        About::Quoted(Box::new(datagram(bytes.get(8..).ok_or("icmp error without a quote")?)?))
    } else if echoes.contains(&kind) {
        About::Echo(bytes.get(8..).and_then(Tag::find))
    } else {
        About::Nothing
    };
    Ok(Transport::Icmp { kind, code, about })
}

fn kind_and_code(bytes: &[u8]) -> Option<(u8, u8)> {
    chunk(bytes, 0).map(|[kind, code]| (kind, code))
}

fn ports(bytes: &[u8]) -> Parsed<Ports> {
    let [a, b, c, d] = chunk(bytes, 0).ok_or("ports cut off")?;
    Ok(Ports { source: u16::from_be_bytes([a, b]), destination: u16::from_be_bytes([c, d]) })
}

fn ipv4_address(header: &[u8], at: usize) -> Parsed<IpAddr> {
    chunk::<4>(header, at).map(|octets| Ipv4Addr::from(octets).into()).ok_or("ipv4 address cut off")
}

fn ipv6_address(header: &[u8], at: usize) -> Parsed<IpAddr> {
    chunk::<16>(header, at).map(|octets| Ipv6Addr::from(octets).into()).ok_or("ipv6 address cut off")
}

fn chunk<const LENGTH: usize>(bytes: &[u8], at: usize) -> Option<[u8; LENGTH]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const TAG: Tag = Tag { flow: 3, sequence: 4 };

    #[test]
    fn reads_udp_over_both_families_with_its_tag() {
        let four = packet(ETHERTYPE_IPV4, &over_ipv4(17, &udp()));
        assert_eq!(four.to_string(), "udp 192.168.77.2:4000 > 192.0.2.80:7 (flow 3 #4)");
        let six = packet(ETHERTYPE_IPV6, &over_ipv6(17, &udp()));
        assert_eq!(six.to_string(), "udp [2001:db8:77::2]:4000 > [2001:db8:40::80]:7 (flow 3 #4)");
        assert_eq!(six.tag(), Some(TAG));
    }

    #[test]
    fn reads_tcp_with_flags_sequence_and_a_tag_behind_options() {
        let mut segment = [0; 24];
        segment[..4].copy_from_slice(&[0x0f, 0xa0, 0, 7]);
        segment[7] = 99;
        segment[12..14].copy_from_slice(&[0x60, 0x12]);
        let bytes = [&segment[..], &TAG.payload(UNIX_EPOCH)].concat();
        let seen = packet(ETHERTYPE_IPV4, &over_ipv4(6, &bytes));
        assert_eq!(seen.to_string(), "tcp [SYN ACK] seq 99 192.168.77.2:4000 > 192.0.2.80:7 (flow 3 #4)");
    }

    #[test]
    fn reads_what_icmp_errors_quote_also_when_the_quote_ends_after_eight_bytes() {
        let quote = over_ipv4(6, &[0x0f, 0xa0, 0, 7, 0, 0, 0, 5]);
        let error = [&[3, 1, 0, 0, 0, 0, 0, 0], &quote[..]].concat();
        let seen = packet(ETHERTYPE_IPV4, &over_ipv4(1, &error));
        assert_eq!(
            seen.to_string(),
            "icmp 3/1 192.168.77.2 > 192.0.2.80, inside: tcp [] seq 5 192.168.77.2:4000 > 192.0.2.80:7"
        );
        let error = [&[1, 0, 0, 0, 0, 0, 0, 0], &over_ipv6(17, &udp())[..]].concat();
        assert_eq!(packet(ETHERTYPE_IPV6, &over_ipv6(58, &error)).tag(), Some(TAG));
    }

    #[test]
    fn reads_whom_arp_and_neighbour_discovery_ask_for() {
        let mut request = [0; 28];
        request[14..18].copy_from_slice(&[192, 168, 77, 2]);
        request[24..].copy_from_slice(&[192, 168, 77, 1]);
        assert_eq!(packet(ETHERTYPE_ARP, &request).to_string(), "arp 192.168.77.2 about 192.168.77.1");
        let target: Ipv6Addr = "fc00:bbbb::5".parse().unwrap();
        let solicitation = [&[135, 0, 0, 0, 0, 0, 0, 0], &target.octets()[..]].concat();
        let seen = packet(ETHERTYPE_IPV6, &over_ipv6(58, &solicitation));
        assert!(seen.mentions(|address| address == target), "{seen}");
    }

    #[test]
    fn looks_behind_extension_headers_and_into_tunnels() {
        let hop_by_hop = [&[17, 0, 0, 0, 0, 0, 0, 0], &udp()[..]].concat();
        assert_eq!(packet(ETHERTYPE_IPV6, &over_ipv6(0, &hop_by_hop)).tag(), Some(TAG));
        let wrapped = over_ipv4(41, &over_ipv6(17, &udp()));
        assert_eq!(packet(ETHERTYPE_IPV4, &wrapped).tag(), Some(TAG));
    }

    #[test]
    fn a_later_fragment_keeps_its_addresses_and_its_tag() {
        let mut four = over_ipv4(17, &udp());
        four[7] = 1;
        assert_eq!(
            packet(ETHERTYPE_IPV4, &four).to_string(),
            "later fragment of protocol 17 192.168.77.2 > 192.0.2.80 (flow 3 #4)"
        );
        let fragment = [&[17, 0, 0, 8, 0, 0, 0, 1], &udp()[..]].concat();
        let six = packet(ETHERTYPE_IPV6, &over_ipv6(44, &fragment));
        assert!(six.to_string().starts_with("later fragment of protocol 17 2001:db8:77::2"), "{six}");
    }

    #[test]
    fn says_so_when_it_cannot_read_a_packet() {
        let whole = over_ipv4(17, &udp());
        for length in [0, 1, 19, 22] {
            let seen = packet(ETHERTYPE_IPV4, &whole[..length]);
            assert!(matches!(seen, Packet::Unreadable { .. }), "{length} bytes: {seen}");
        }
        assert!(matches!(packet(ETHERTYPE_ARP, &[0; 20]), Packet::Unreadable { .. }));
        assert_eq!(packet(0x88cc, &[]), Packet::Other { ethertype: 0x88cc });
    }

    fn udp() -> Vec<u8> {
        [&[0x0f, 0xa0, 0, 7, 0, 32, 0, 0], &TAG.payload(UNIX_EPOCH)[..]].concat()
    }

    fn over_ipv4(protocol: u8, body: &[u8]) -> Vec<u8> {
        let total = u8::try_from(20 + body.len()).unwrap();
        let header = [0x45, 0, 0, total, 0, 0, 0, 0, 64, protocol, 0, 0, 192, 168, 77, 2, 192, 0, 2, 80];
        [&header[..], body].concat()
    }

    fn over_ipv6(next: u8, body: &[u8]) -> Vec<u8> {
        let source: Ipv6Addr = "2001:db8:77::2".parse().unwrap();
        let destination: Ipv6Addr = "2001:db8:40::80".parse().unwrap();
        let length = u8::try_from(body.len()).unwrap();
        let start = [0x60, 0, 0, 0, 0, length, next, 64];
        [&start[..], &source.octets(), &destination.octets(), body].concat()
    }
}
