//! What only a neighbour on the same Ethernet can say: who has this address, a better way to that one, and that it is a
//! router itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result};
use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, PacketBuilder, icmpv4};

use crate::wire::{Mac, Wire};

const BROADCAST: Mac = [0xff; 6];
/// Where everybody on an Ethernet hears what is for [`ALL_NODES`] (RFC 2464, 7).
pub const ALL_NODES_MAC: Mac = [0x33, 0x33, 0, 0, 0, 1];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// A neighbour's own: no router has touched it (RFC 4861, 7.1.1).
const UNTOUCHED: u8 = 255;
const ROUTER_ADVERTISEMENT: u8 = 134;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;
const SOURCE_LINK_ADDRESS: u8 = 1;
const TARGET_LINK_ADDRESS: u8 = 2;
const PREFIX: u8 = 3;
/// Of a prefix: its addresses are neighbours, and anybody may make one (RFC 4861, 4.6.2).
const ON_LINK_AND_AUTONOMOUS: u8 = 0xc0;
/// Of an answer: it replaces what was known before (RFC 4861, 4.4).
const OVERRIDE: [u8; 4] = [0x20, 0, 0, 0];
const HALF_AN_HOUR: u16 = 1800;

/// What a machine says about itself as a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Router {
    Serving,
    /// Its prefixes are old: whoever has addresses of them begins nothing new by them.
    Renumbering,
    /// It is none any more, from now on.
    Retiring,
}

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

/// A router's advertisement of itself and of these prefixes, of 64 bits each.
pub fn announcement(router: Ipv6Addr, state: Router, prefixes: &[Ipv6Addr]) -> Result<Vec<u8>> {
    let (lifetime, preferred) = match state {
        Router::Serving => (HALF_AN_HOUR, HALF_AN_HOUR),
        Router::Renumbering => (HALF_AN_HOUR, 0),
        Router::Retiring => (0, 0),
    };
    let [high, low] = lifetime.to_be_bytes();
    let mut payload = vec![0; 8]; // reachable time and retransmission timer: unspecified
    for prefix in prefixes {
        let [valid, preferred] = [HALF_AN_HOUR, preferred].map(|lifetime| u32::from(lifetime).to_be_bytes());
        payload.extend([PREFIX, 4, 64, ON_LINK_AND_AUTONOMOUS]);
        payload.extend([valid, preferred, [0; 4]].as_flattened());
        payload.extend(prefix.octets());
    }
    let mut bytes = Vec::new();
    PacketBuilder::ipv6(router.octets(), ALL_NODES.octets(), UNTOUCHED)
        .icmpv6_raw(ROUTER_ADVERTISEMENT, 0, [64, 0, high, low])
        .write(&mut bytes, &payload)?;
    Ok(bytes)
}

/// Tells everybody that `owner` is at `mac`: to somebody who only asks whether it is free, that it is not.
pub fn claim(wire: &Wire, mac: Mac, owner: Ipv6Addr) -> Result<()> {
    let payload = [&owner.octets()[..], &[TARGET_LINK_ADDRESS, 1], &mac].concat();
    let mut bytes = Vec::new();
    PacketBuilder::ipv6(owner.octets(), ALL_NODES.octets(), UNTOUCHED)
        .icmpv6_raw(ADVERTISEMENT, 0, OVERRIDE)
        .write(&mut bytes, &payload)?;
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
