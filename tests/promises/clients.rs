//! A client that asks for what it must not get, and one that speaks more than TCP and UDP.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Result, ensure};
use byway_lab::capture::Heading;
use byway_lab::control::Approval;
use byway_lab::inlet::Inlet;
use byway_lab::judge::{Door, Vantage};
use byway_lab::probe::{Probe, Talk};
use byway_lab::stage::{Outcome, Stage};
use byway_lab::topology::{MORE_SERVERS, Place, RELAY_V4};
use byway_lab::wire::Wire;

use crate::evidence::{address, all_heard, flows, flows_leaving, leaving, none_heard, phone_addresses};
use crate::ordeal::{GENTLE, Ordeal, PATIENCE};

const EVERY_STATE: [Option<Door>; 3] = [Some(Door::Privacy), Some(Door::Residential), None];
const EVERY_LINK: [Vantage; 3] = [Vantage::House, Vantage::Relay, Vantage::Server];

/// In the house, and nobody at home: whoever looks for them shows it.
const LAN_HOSTS: [&str; 2] = ["192.168.77.66", "2001:db8:77::66"];

/// Nothing of a client's may go there, by no door.
const FORBIDDEN: &[&str] = &[
    "192.168.77.1", // the house: its router, a host of its
    "192.168.77.66",
    "192.168.77.255",
    "2001:db8:77::1",
    "2001:db8:77::66",
    "169.254.1.1", // the link's own, and the metadata of clouds
    "169.254.169.254",
    "fe80::1",
    "224.0.0.251", // everybody
    "239.255.255.250",
    "255.255.255.255",
    "ff02::fb",
    "ff0e::1",
    "10.64.5.5", // the tunnel: the box, the relay
    "10.64.0.1",
    "fc00:bbbb:bbbb:bb01::5",
    "fc00:bbbb:bbbb:bb01::1",
    "10.1.2.3", // private ranges
    "172.16.0.1",
    "192.168.1.1",
    "100.64.99.99",
    "0.0.0.1",
    "fd00::1",
    "2002:c0a8:4d01::1", // 192.168.77.1 and 169.254.169.254 in IPv6
    "2001:0:c0a8:4d01::1",
    "64:ff9b::c0a8:4d01",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::c0a8:4d01",
    "::ffff:192.168.77.1",
    "::192.168.77.1",
];

pub(super) fn forbidden_targets(stage: &mut Stage) -> Result<()> {
    stage.world.control.allow_everything()?;
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let way = Way::in_by(stage)?;
    let tailscale0 = stage.listen(Place::Box, "tailscale0", "tailnet")?;
    let (mut past_tailscaled, mut by_tailscaled) = (Vec::new(), Vec::new());
    for door in EVERY_STATE {
        ordeal.watch.flip(&stage.byway, door)?;
        past_tailscaled.extend(way.forbidden(&way.inlet.wire)?);
        by_tailscaled.extend(way.forbidden(&way.phone)?);
    }
    // Whatever the phone has sent is in the box before this answer is out of it.
    ordeal.watch.flip(&stage.byway, Some(Door::Privacy))?;
    ordeal.watch.wait_answered(PATIENCE)?;
    let outcome = ordeal.end()?;
    let arrived = flows(&tailscale0.stop()?, Heading::In);
    stage.world.control.set_approval(Approval::Automatic)?;
    all_heard(&past_tailscaled, &arrived, "the box")?;
    let through: BTreeSet<IpAddr> =
        by_tailscaled.iter().filter(|probe| arrived.contains(&probe.flow)).map(|probe| probe.to).collect();
    ensure!(through.len() > 1, "tailscaled let nothing through to be refused: {through:?}");
    assert_kept(&outcome, &past_tailscaled)?;
    assert_kept(&outcome, &by_tailscaled)
}

/// Also without a word to the house about whom the client looks for.
fn assert_kept(outcome: &Outcome, probes: &[Probe]) -> Result<()> {
    for link in EVERY_LINK {
        none_heard(probes, &flows_leaving(outcome, link), &format!("the {link:?} link"))?;
    }
    let sought = |to: IpAddr| LAN_HOSTS.iter().any(|host| address(host).is_ok_and(|host| host == to));
    let search = leaving(outcome, Vantage::House).find(|seen| seen.packet.mentions(sought));
    ensure!(search.is_none(), "the house hears of a client's wish: {search:?}");
    Ok(())
}

/// A SYN that is answered would be over, and the same again a new connection.
const SILENT_PORT: &str = "table inet silent {
  chain in { type filter hook input priority filter; tcp dport 10 drop; }
}";

pub(super) fn every_protocol(stage: &mut Stage) -> Result<()> {
    let server = stage.world.namespace(Place::Srv);
    server.nft(SILENT_PORT)?;
    stage.world.control.allow_everything()?;
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let way = Way::in_by(stage)?;
    let tailscale0 = stage.listen(Place::Box, "tailscale0", "tailnet")?;
    let mut spoken: Vec<(Option<Door>, Vec<Probe>)> = Vec::new();
    for (door, servers) in EVERY_STATE.into_iter().zip(MORE_SERVERS) {
        ordeal.watch.flip(&stage.byway, door)?;
        let fresh = way.every_talk(servers)?;
        // What was begun by another door goes on, and must not be seen by this one.
        for probe in spoken.iter().flat_map(|(_, probes)| probes).chain(&fresh) {
            probe.send(&way.inlet.wire)?;
            probe.send(&way.phone)?;
        }
        spoken.push((door, fresh));
        if door.is_some() {
            ordeal.watch.wait_answered(PATIENCE)?;
        }
    }
    ordeal.watch.flip(&stage.byway, Some(Door::Privacy))?;
    ordeal.watch.wait_answered(PATIENCE)?;
    let outcome = ordeal.end()?;
    let arrived = flows(&tailscale0.stop()?, Heading::In);
    stage.world.control.set_approval(Approval::Automatic)?;
    server.nft("delete table inet silent")?;
    for (door, probes) in &spoken {
        all_heard(probes, &arrived, "the box")?;
        assert_by_the_door_alone(&outcome, *door, probes)?;
    }
    Ok(())
}

fn assert_by_the_door_alone(outcome: &Outcome, door: Option<Door>, probes: &[Probe]) -> Result<()> {
    let [house, relay, server] = EVERY_LINK.map(|link| flows_leaving(outcome, link));
    let to_server: Vec<Probe> = probes.iter().filter(|probe| probe.to != RELAY_V4).cloned().collect();
    match door {
        Some(Door::Privacy) => {
            all_heard(probes, &relay, "the relay")?;
            all_heard(&to_server, &server, "the server")?;
            none_heard(probes, &house, "the house")
        }
        Some(Door::Residential) => {
            all_heard(probes, &house, "the house")?;
            all_heard(&to_server, &server, "the server")?;
            none_heard(probes, &relay, "the relay")
        }
        None => {
            let anywhere = house.into_iter().chain(relay).chain(server).collect();
            none_heard(probes, &anywhere, "a link of a sealed box")
        }
    }
}

/// Both ways in: as the phone's tailscaled and the box's carry it, and past what they themselves refuse.
pub(super) struct Way {
    phone: Wire,
    pub(super) inlet: Inlet,
    names: [IpAddr; 2],
}

impl Way {
    pub(super) fn in_by(stage: &Stage) -> Result<Self> {
        Ok(Self {
            phone: Wire::open(&stage.world.namespace(Place::Phone), "tailscale0", [0; 6])?,
            inlet: Inlet::lay(stage.byway.namespace())?,
            names: phone_addresses(stage)?,
        })
    }

    fn from(&self, to: IpAddr) -> IpAddr {
        self.names[usize::from(to.is_ipv6())]
    }

    pub(super) fn forbidden(&self, wire: &Wire) -> Result<Vec<Probe>> {
        let mut probes = Vec::new();
        for to in FORBIDDEN {
            let to = address(to)?;
            for talk in [Talk::Udp { port: 9 }, Talk::Echo, Talk::HugeUdp { port: 9 }] {
                probes.push(Probe::new(talk, self.from(to), to)?);
            }
        }
        probes.iter().try_for_each(|probe| probe.send(wire))?;
        Ok(probes)
    }

    fn every_talk(&self, servers: [&str; 2]) -> Result<Vec<Probe>> {
        let mut probes = Vec::new();
        for server in servers {
            let to = address(server)?;
            for talk in Talk::ALL {
                probes.push(Probe::new(talk, self.from(to), to)?);
            }
        }
        // Public, so it goes by the door; never beside the tunnel that ends there.
        let endpoint = RELAY_V4.into();
        probes.push(Probe::new(Talk::Udp { port: 51820 }, self.from(endpoint), endpoint)?);
        Ok(probes)
    }
}
