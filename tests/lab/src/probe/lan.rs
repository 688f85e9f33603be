//! What only a neighbour on the same Ethernet can say: who has this address, and a better way to that one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result};
use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, PacketBuilder, icmpv4};

use crate::wire::{Mac, Wire};

const BROADCAST: Mac = [0xff; 6];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// A neighbour's own: no router has touched it (RFC 4861, 7.1.1).
const UNTOUCHED: u8 = 255;
const SOLICITATION: u8 = 135;
const REDIRECT: u8 = 137;
const SOURCE_LINK_ADDRESS: u8 = 1;

/// Asks who has an address, as `asker` at `mac`, by ARP or by neighbour discovery.
pub fn ask_who_has(wire: &Wire, mac: Mac, asker: IpAddr, wanted: IpAddr) -> Result<()> {
    match (asker, wanted) {
        (IpAddr::V4(asker), IpAddr::V4(wanted)) => wire.send_arp(BROADCAST, &who_has(mac, asker, wanted)?),
        (IpAddr::V6(asker), IpAddr::V6(wanted)) => wire.send(&solicitation(mac, asker, wanted)?),
        (asker, wanted) => Err(anyhow::anyhow!("{asker} and {wanted} are of two families")),
    }
}

/// Tells the box, as its router, that a packet of its to `target` would better go by another one.
pub fn redirect(wire: &Wire, router: IpAddr, to: IpAddr, target: IpAddr, better: IpAddr) -> Result<()> {
    let mut bytes = Vec::new();
    match (router, to, target, better) {
        (IpAddr::V4(router), IpAddr::V4(to), IpAddr::V4(target), IpAddr::V4(better)) => {
            // Of an echo's answer the kernel believes it without asking for a socket.
            let mut quoted = Vec::new();
            let answer = PacketBuilder::ipv4(to.octets(), target.octets(), UNTOUCHED).icmpv4_echo_reply(1, 1);
            answer.write(&mut quoted, &[0; 16])?;
            let header = icmpv4::RedirectHeader {
                code: icmpv4::RedirectCode::RedirectForHost,
                gateway_internet_address: better.octets(),
            };
            let kind = etherparse::Icmpv4Type::Redirect(header);
            PacketBuilder::ipv4(router.octets(), to.octets(), UNTOUCHED)
                .icmpv4(kind)
                .write(&mut bytes, &quoted)?;
        }
        (IpAddr::V6(router), IpAddr::V6(to), IpAddr::V6(target), IpAddr::V6(better)) => {
            let payload = [&better.octets()[..], &target.octets()].concat();
            PacketBuilder::ipv6(router.octets(), to.octets(), UNTOUCHED)
                .icmpv6_raw(REDIRECT, 0, [0; 4])
                .write(&mut bytes, &payload)?;
        }
        (router, ..) => anyhow::bail!("{router} redirects another family"),
    }
    wire.send(&bytes)
}

fn who_has(mac: Mac, asker: Ipv4Addr, wanted: Ipv4Addr) -> Result<Vec<u8>> {
    let packet = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation::REQUEST,
        &mac,
        &asker.octets(),
        &[0; 6],
        &wanted.octets(),
    );
    Ok(packet.ok().context("no ARP packet")?.to_bytes().to_vec())
}

fn solicitation(mac: Mac, asker: Ipv6Addr, wanted: Ipv6Addr) -> Result<Vec<u8>> {
    let payload = [&wanted.octets()[..], &[SOURCE_LINK_ADDRESS, 1], &mac].concat();
    let mut bytes = Vec::new();
    PacketBuilder::ipv6(asker.octets(), ALL_NODES.octets(), UNTOUCHED)
        .icmpv6_raw(SOLICITATION, 0, [0; 4])
        .write(&mut bytes, &payload)?;
    Ok(bytes)
}
