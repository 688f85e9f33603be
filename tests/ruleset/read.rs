//! A packet's bytes to one line of words, the notation of the probes (`probes/README.md`). What the line does not
//! say, nobody asks for.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use etherparse::{
    EtherType, LaxNetSlice, LaxSlicedPacket, LinkSlice, TcpOptionElement, TcpSlice, TransportSlice,
};

/// Type and code of an ICMP message.
pub(crate) type IcmpKind = (u8, u8);

/// Those that have a word: (word, IPv4, IPv6).
pub(crate) const ICMP_WORDS: [(&str, IcmpKind, IcmpKind); 9] = [
    ("echo", (8, 0), (128, 0)),
    ("echo-reply", (0, 0), (129, 0)),
    ("no-net", (3, 0), (1, 0)),
    ("no-host", (3, 1), (1, 3)),
    ("no-port", (3, 3), (1, 4)),
    ("prohibited", (3, 13), (1, 1)),
    ("too-big", (3, 4), (2, 0)),
    ("time-exceeded", (11, 0), (3, 0)),
    ("redirect", (5, 1), (137, 0)),
];

/// A frame, without a word of its Ethernet header.
pub(crate) fn frame(bytes: &[u8]) -> Option<String> {
    let sliced = LaxSlicedPacket::from_ethernet(bytes).ok()?;
    if let Some(LaxNetSlice::Arp(arp)) = &sliced.net {
        let address = |bytes: &[u8]| Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?));
        let (sender, target) = (address(arp.sender_protocol_addr())?, address(arp.target_protocol_addr())?);
        return Some(match arp.operation().0 {
            1 => format!("arp who-has {target} tell {sender}"),
            _ => format!("arp is-at {sender} to {target}"),
        });
    }
    let Some(LinkSlice::Ethernet2(ethernet)) = &sliced.link else { return None };
    match ethernet.ether_type() {
        EtherType::IPV4 | EtherType::IPV6 => packet(ethernet.payload_slice()),
        other => Some(format!("ethernet {:#06x}", other.0)),
    }
}

/// An IP packet. `None` is what the kernel says by itself, at any time: which groups it listens to (MLD).
pub(crate) fn packet(bytes: &[u8]) -> Option<String> {
    let sliced = LaxSlicedPacket::from_ip(bytes).ok()?;
    let (source, destination, hops) = match sliced.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            (header.source_addr().into(), header.destination_addr().into(), header.ttl())
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            (header.source_addr().into(), header.destination_addr().into(), header.hop_limit())
        }
        LaxNetSlice::Arp(_) => return None,
    };
    let payload = sliced.ip_payload()?;
    if payload.fragmented {
        return Some(format!("fragment {source} > {destination}"));
    }
    let ends = |from, to| format!("{} > {}", SocketAddr::new(source, from), SocketAddr::new(destination, to));
    Some(match &sliced.transport {
        Some(TransportSlice::Udp(udp)) => {
            format!("udp {}", ends(udp.source_port(), udp.destination_port()))
        }
        Some(TransportSlice::Tcp(tcp)) => {
            format!("tcp {}{}", ends(tcp.source_port(), tcp.destination_port()), tcp_words(tcp))
        }
        Some(TransportSlice::Icmpv4(icmp)) => {
            let kind = (icmp.type_u8(), icmp.code_u8());
            icmp_words((source, destination), kind, icmp.bytes5to8(), icmp.payload())
        }
        Some(TransportSlice::Icmpv6(icmp)) => {
            let kind = (icmp.type_u8(), icmp.code_u8());
            if hops == 1 && matches!(kind.0, 131 | 132 | 143) {
                return None;
            }
            icmp_words((source, destination), kind, icmp.bytes5to8(), icmp.payload())
        }
        Some(TransportSlice::Igmp(_)) => return None,
        None => format!("protocol {} {source} > {destination}", payload.ip_number.0),
    })
}

fn tcp_words(tcp: &TcpSlice<'_>) -> String {
    let flags = [(tcp.syn(), 'S'), (tcp.fin(), 'F'), (tcp.rst(), 'R'), (tcp.ack(), 'A')];
    let mut words = String::from(" ");
    words.extend(flags.iter().filter(|(set, _)| *set).map(|(_, letter)| letter));
    for option in tcp.options_iterator().flatten() {
        if let TcpOptionElement::MaximumSegmentSize(size) = option {
            _ = write!(words, " mss {size}");
        }
    }
    words
}

fn icmp_words(ends: (IpAddr, IpAddr), kind: IcmpKind, rest: [u8; 4], payload: &[u8]) -> String {
    let v4 = ends.0.is_ipv4();
    let named = ICMP_WORDS.iter().find(|(_, of4, of6)| if v4 { *of4 == kind } else { *of6 == kind });
    let ends = format!("{} > {}", ends.0, ends.1);
    match named {
        Some((word @ ("echo" | "echo-reply"), ..)) => {
            format!("{word} {ends} id {}", u16::from_be_bytes([rest[0], rest[1]]))
        }
        Some(("too-big", ..)) => {
            let mtu = u32::from_be_bytes(rest);
            format!("too-big {ends} mtu {mtu} about {}", quoted(payload))
        }
        Some(("redirect", ..)) => format!("redirect {ends}"),
        Some((word, ..)) => format!("{word} {ends} about {}", quoted(payload)),
        None => format!("icmp {ends} type {}", kind.0),
    }
}

fn quoted(payload: &[u8]) -> String {
    packet(payload).unwrap_or_else(|| String::from("nothing readable"))
}
