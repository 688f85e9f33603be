//! What tests of misbehaving neighbours share: who is who in the tailnet, and what a link has shown.

use std::collections::BTreeSet;
use std::net::{IpAddr, TcpStream, UdpSocket};

use anyhow::{Context as _, Result, ensure};
use byway_lab::capture::{Heading, Recording, Seen};
use byway_lab::ears::Ears;
use byway_lab::judge::Vantage;
use byway_lab::packet::{About, Packet, Transport};
use byway_lab::probe::Probe;
use byway_lab::stage::{Outcome, Stage};
use byway_lab::topology::Place;
use byway_lab::wait_for;
use serde_json::Value;

use crate::ordeal::PATIENCE;

/// The tailnet's addresses, IPv4 first.
#[derive(Clone, Copy)]
pub(super) struct Tailnet {
    pub(super) phone: [IpAddr; 2],
    pub(super) byway: [IpAddr; 2],
}

impl Tailnet {
    pub(super) fn of(stage: &Stage) -> Result<Self> {
        let byway = one_a_family(&stage.byway.status()?["tailnet"]["addresses"])?;
        Ok(Self { phone: phone_addresses(stage)?, byway })
    }
}

/// What the box is called in the house, by its kernel's word, IPv4 first: it makes the other one up itself. Those
/// of a house before may still be there.
pub(super) fn house_addresses(stage: &Stage) -> Result<[IpAddr; 2]> {
    let words = ["ip", "-j", "addr", "show", "dev", "eth0", "scope", "global", "-deprecated"];
    let links: Value = serde_json::from_str(&stage.byway.namespace().run(&words)?)?;
    let addresses = links[0]["addr_info"].as_array().context("no addresses")?;
    // Of the link-local one it prints the braces alone.
    let locals = addresses.iter().map(|address| address["local"].clone()).filter(Value::is_string);
    one_a_family(&locals.collect())
}

pub(super) fn phone_addresses(stage: &Stage) -> Result<[IpAddr; 2]> {
    one_a_family(&stage.world.phone.status()?["Self"]["TailscaleIPs"])
}

fn one_a_family(addresses: &Value) -> Result<[IpAddr; 2]> {
    let both = serde_json::from_value(addresses.clone());
    let mut both: [IpAddr; 2] = both.with_context(|| format!("not one address a family: {addresses}"))?;
    both.sort();
    ensure!(both[0].is_ipv4() && both[1].is_ipv6(), "not one address a family: {addresses}");
    Ok(both)
}

/// The tagged flows that passed a link in one direction.
pub(super) fn flows(recording: &Recording, heading: Heading) -> BTreeSet<u32> {
    let passed = recording.seen.iter().filter(|seen| seen.heading == heading);
    passed.filter_map(|seen| Some(seen.packet.tag()?.flow)).collect()
}

/// What the box's side sent on a link of the judge's.
pub(super) fn leaving(outcome: &Outcome, vantage: Vantage) -> impl Iterator<Item = &Seen> {
    let witnesses = outcome.witnesses.iter().filter(move |witness| witness.vantage == vantage);
    witnesses.flat_map(|witness| witness.recording.seen.iter().filter(|seen| seen.heading == witness.leaving))
}

pub(super) fn flows_leaving(outcome: &Outcome, vantage: Vantage) -> BTreeSet<u32> {
    leaving(outcome, vantage).filter_map(|seen| Some(seen.packet.tag()?.flow)).collect()
}

/// The address for which a packet says: that is me.
pub(super) fn claimed(packet: &Packet) -> Option<IpAddr> {
    const ADVERTISEMENT: u8 = 136;
    if let Packet::Arp { sender, .. } = packet {
        return Some((*sender).into());
    }
    match packet.datagram()?.transport {
        Transport::Icmp { kind: ADVERTISEMENT, about: About::Neighbour(target), .. } => Some(target),
        Transport::Icmp { .. }
        | Transport::Udp { .. }
        | Transport::Tcp { .. }
        | Transport::Wrapped(_)
        | Transport::LaterFragment { .. }
        | Transport::Other { .. } => None,
    }
}

/// Silence is worth something only where the probe was heard.
pub(super) fn all_heard(probes: &[Probe], heard: &BTreeSet<u32>, place: &str) -> Result<()> {
    let lost = probes.iter().filter(|probe| !heard.contains(&probe.flow));
    let lost: Vec<String> = lost.map(Probe::to_string).collect();
    ensure!(lost.is_empty(), "{} of {} never came to {place}: {lost:#?}", lost.len(), probes.len());
    Ok(())
}

pub(super) fn none_heard(probes: &[Probe], heard: &BTreeSet<u32>, place: &str) -> Result<()> {
    let found = probes.iter().filter(|probe| heard.contains(&probe.flow));
    let found: Vec<String> = found.map(Probe::to_string).collect();
    ensure!(found.is_empty(), "{} of {} came out at {place}: {found:#?}", found.len(), probes.len());
    Ok(())
}

/// An address of the lab.
pub(super) fn address(text: &str) -> Result<IpAddr> {
    text.parse().with_context(|| format!("no address: {text}"))
}

/// The service hears whom it may: the phone, by the tailnet.
pub(super) fn prove_ears(stage: &Stage, ears: &Ears, byway: [IpAddr; 2], port: u16) -> Result<()> {
    for address in byway {
        stage.world.namespace(Place::Phone).enter(|| {
            let local = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            UdpSocket::bind(local)?.send_to(b"hello", (address, port))?;
            TcpStream::connect_timeout(&(address, port).into(), PATIENCE).map(drop).context("connect")
        })?;
        wait_for("the service to hear the phone", PATIENCE, || {
            ears.connection()?.context("no connection yet").map(drop)
        })?;
        wait_for("the service to hear a datagram", PATIENCE, || {
            ears.datagram()?.context("no datagram yet").map(drop)
        })?;
    }
    Ok(())
}

pub(super) fn stay_deaf(ears: &Ears) -> Result<()> {
    let heard = ears.connection()?.map(|(_, from)| from).or(ears.datagram()?);
    ensure!(heard.is_none(), "the service has heard {heard:?}");
    Ok(())
}
