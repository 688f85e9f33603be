//! What the box says on the house's network, frame by frame, from its first power on: what it must, and nothing else.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use anyhow::{Result, bail, ensure};
use byway_lab::card::Card;
use byway_lab::frames::Frames;
use byway_lab::judge::Door;
use byway_lab::probe::{Probe, Talk};
use byway_lab::stage::Stage;
use byway_lab::topology::{BOX_PORT, Place, RELAY_V4};
use byway_lab::wire::{Mac, Wire, mac_of};
use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};

use crate::evidence::address;

const MULTICAST_DNS: ([&str; 2], Mac) = (["192.168.77.2", "224.0.0.251"], [1, 0, 0x5e, 0, 0, 0xfb]);
/// RFC 792
const ECHO: u8 = 8;
/// A frame that a test has put there past the firewall.
const PLANTED: &str = "udp to everybody: 224.0.0.251 port 5353";

pub(super) fn says_nothing_needless(stage: &mut Stage) -> Result<()> {
    if stage.world.control.nodes()?.iter().any(|node| node["given_name"] == "byway") {
        let card = Card::for_world(&stage.world)?;
        stage.replace_box(&card)?;
    }
    let frames = Frames::coming_in(&stage.world.namespace(Place::House).path(), BOX_PORT)?;
    stage.boot_and_carry()?;
    for door in [Door::Residential, Door::Privacy, Door::Residential] {
        let said = stage.byway.cli(&["egress", &door.to_string()])?;
        ensure!(said.code == Some(0), "byway egress {door}: {said:?}");
        stage.wait_seen_by(door)?;
    }
    speaks_to_everybody_in_vain(stage)?;
    plant(stage)?;
    let kinds = kinds(stage, &frames.stop()?)?;
    ensure!(kinds.contains_key(PLANTED), "what was planted was not heard: {kinds:#?}");
    let needless: Vec<_> = kinds.iter().filter(|(kind, _)| !is_needed(kind) && *kind != PLANTED).collect();
    ensure!(needless.is_empty(), "needless in the house: {needless:#?}\nbeside {kinds:#?}");
    for must in
        ["arp", "dhcp", "neighbour", "proof of the relay", "tunnel", "tailscaled", "a search for UPnP"]
    {
        ensure!(kinds.contains_key(must), "nothing was heard of {must}: {kinds:#?}");
    }
    Ok(())
}

/// A program of the box that knows of no firewall.
fn speaks_to_everybody_in_vain(stage: &Stage) -> Result<()> {
    for call in ["224.0.0.251/5353", "224.0.0.252/5355", "ff02::fb%eth0/5353"] {
        let said = stage.byway.namespace().output(&["bash", "-c", &format!("echo >/dev/udp/{call}")], &[])?;
        ensure!(!said.status.success(), "a program has called {call}");
    }
    Ok(())
}

fn plant(stage: &Stage) -> Result<()> {
    let ([from, to], mac) = MULTICAST_DNS;
    let wire = Wire::open(stage.byway.namespace(), "eth0", mac)?;
    Probe::new(Talk::Udp { port: 5353 }, address(from)?, address(to)?)?.send(&wire)
}

/// How often each kind was sent by the box.
fn kinds(stage: &Stage, frames: &[Vec<u8>]) -> Result<BTreeMap<String, usize>> {
    let own = mac_of(stage.byway.namespace(), "eth0")?;
    let mut kinds = BTreeMap::new();
    for frame in frames.iter().filter(|frame| frame.get(6..12) == Some(&own)) {
        *kinds.entry(kind(frame).unwrap_or_else(|error| format!("{error:#}"))).or_default() += 1;
    }
    Ok(kinds)
}

const NEEDED: [&str; 11] = [
    "arp",
    "neighbour",
    "groups",
    "dhcp",
    "proof of the relay",
    "tunnel",
    "tailscaled",
    "a search for UPnP",
    "to the router",
    "to the internet",
    "answer",
];

fn is_needed(kind: &str) -> bool {
    NEEDED.contains(&kind)
}

/// One of [`NEEDED`]; an error says what it is else.
fn kind(frame: &[u8]) -> Result<String> {
    let sliced = LaxSlicedPacket::from_ethernet(frame)?;
    let Some(net) = &sliced.net else { bail!("a frame of no known kind: {frame:02x?}") };
    let (source, destination) = match net {
        LaxNetSlice::Arp(_) => return Ok("arp".into()),
        LaxNetSlice::Ipv4(ip) => {
            (IpAddr::V4(ip.header().source_addr()), IpAddr::V4(ip.header().destination_addr()))
        }
        LaxNetSlice::Ipv6(ip) => {
            (IpAddr::V6(ip.header().source_addr()), IpAddr::V6(ip.header().destination_addr()))
        }
    };
    let kind = match &sliced.transport {
        // A relay that takes more than a second to answer: is its machine there?
        Some(TransportSlice::Icmpv4(icmp))
            if icmp.type_u8() == ECHO && destination == IpAddr::V4(RELAY_V4) =>
        {
            "proof of the relay"
        }
        Some(TransportSlice::Icmpv6(icmp)) => neighbour(icmp.type_u8(), icmp.payload(), destination)?,
        Some(TransportSlice::Udp(udp)) => {
            let ports = (udp.source_port(), udp.destination_port());
            if matches!(ports, (68, 67)) {
                dhcp(udp.payload())?;
            }
            udp_kind(ports, destination)?
        }
        Some(TransportSlice::Tcp(tcp)) => {
            ensure!(frame[0] & 1 == 0, "tcp to everybody");
            by_destination("tcp", destination, tcp.destination_port())?
        }
        other => bail!("{source} > {destination}: {other:?}"),
    };
    Ok(kind.into())
}

fn udp_kind(ports: (u16, u16), destination: IpAddr) -> Result<&'static str> {
    const EVERYBODY6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
    Ok(match ports {
        (68, 67) => "dhcp",
        (546, 547) if destination == EVERYBODY6 || !destination.is_multicast() => "dhcp",
        (41642, 51820) => "tunnel",
        (_, 51820) if destination == IpAddr::V4(RELAY_V4) => "proof of the relay",
        // Who opens ports to the internet: tailscaled does not say who asks.
        (_, 1900) if destination == IpAddr::from([239, 255, 255, 250]) => "a search for UPnP",
        (41641, _) if !destination.is_multicast() => "tailscaled",
        (_, port) => by_destination("udp", destination, port)?,
    })
}

/// Nobody in the house but the router is spoken to: for names, the time, and a way in from outside.
fn by_destination(protocol: &str, to: IpAddr, port: u16) -> Result<&'static str> {
    let is_everybody = match to {
        IpAddr::V4(to) => to.is_multicast() || to.is_broadcast() || to.octets()[3] == 255,
        IpAddr::V6(to) => to.is_multicast(),
    };
    ensure!(!is_everybody, "{protocol} to everybody: {to} port {port}");
    let text = to.to_string();
    let is_router = ["192.168.77.1", "2001:db8:77::1"].contains(&text.as_str()) || text.starts_with("fe80:");
    let in_the_house = text.starts_with("192.168.") || text.starts_with("2001:db8:77:");
    match (is_router, in_the_house, port) {
        // Names, the time, NAT-PMP and PCP, UPnP.
        (true, _, 53 | 123 | 5351 | 1900) => Ok("to the router"),
        (false, false, 53 | 80 | 123 | 443 | 853 | 3478) => Ok("to the internet"),
        _ => bail!("{protocol} to {to} port {port}"),
    }
}

/// Who has which address, who is a router, and to which groups one listens: those that this needs, and no others.
fn neighbour(kind: u8, payload: &[u8], to: IpAddr) -> Result<&'static str> {
    match kind {
        133 | 135 => Ok("neighbour"),
        136 => {
            ensure!(payload.len() >= 16, "half an advertisement");
            Ok("neighbour")
        }
        131 | 132 => {
            let group = payload.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets));
            ensure!(group.is_some_and(is_of_neighbours), "a report of the group {group:?}");
            Ok("groups")
        }
        // Of an interface that was up before the agent came.
        143 => {
            let groups = payload.chunks_exact(20).map(|record| <[u8; 16]>::try_from(&record[4..]));
            let groups: Vec<Ipv6Addr> =
                groups.map(|group| group.map(Ipv6Addr::from)).collect::<Result<_, _>>()?;
            ensure!(groups.iter().copied().all(is_of_neighbours), "a report of the groups {groups:?}");
            Ok("groups")
        }
        other => bail!("icmpv6 type {other} to {to}"),
    }
}

/// Where a machine is asked for its address (RFC 4291 2.7.1).
fn is_of_neighbours(group: Ipv6Addr) -> bool {
    group.segments()[..6] == [0xff02, 0, 0, 0, 0, 1] && group.octets()[12] == 0xff
}

/// Neither a name (12, 81) nor a vendor's word (60) is said, and no routes (33, 121, 249) are asked for.
fn dhcp(message: &[u8]) -> Result<()> {
    const COOKIE: usize = 236;
    let mut options = message.get(COOKIE + 4..).unwrap_or_default();
    while let [code, rest @ ..] = options {
        match code {
            0 => options = rest,
            255 => return Ok(()),
            code => {
                let Some((length, rest)) = rest.split_first() else { bail!("half a DHCP option") };
                let (value, later) = rest.split_at_checked(usize::from(*length)).unwrap_or((rest, &[]));
                ensure!(![12, 60, 77, 81].contains(code), "DHCP option {code}: {value:02x?}");
                let routes = value.iter().find(|wanted| [33, 121, 249].contains(*wanted));
                ensure!(*code != 55 || routes.is_none(), "DHCP option {routes:?} is asked for");
                options = later;
            }
        }
    }
    bail!("a DHCP message without an end")
}
