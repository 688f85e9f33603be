//! A relay that lies: what comes out of the tunnel may claim any source, want any destination, and quote any flow.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use byway_lab::capture::Heading;
use byway_lab::ears::Ears;
use byway_lab::judge::{Door, Vantage};
use byway_lab::packet::{TcpFlags, Transport};
use byway_lab::probe::{Complaint, Probe, Talk, lan};
use byway_lab::stage::{Outcome, Stage};
use byway_lab::topology::{Place, SERVER_V4, SERVER_V6};
use byway_lab::wait_for;
use byway_lab::wire::Wire;

use crate::evidence::{
    Tailnet, address, all_heard, claimed, flows, flows_leaving, house_addresses, leaving, none_heard,
    phone_addresses, prove_ears, stay_deaf,
};
use crate::ordeal::{GENTLE, Ordeal, PATIENCE};

/// Open on the box to everybody whom the box lets in.
pub(super) const SERVICE: u16 = 2222;
/// The relay's name in the tunnel.
const GATEWAY: [&str; 2] = ["10.64.0.1", "fc00:bbbb:bbbb:bb01::1"];
/// Whom a forged packet names, beside the tailnet's and the box in the house: the house's router and a host of its, the box
/// in the tunnel, the relay in the tunnel, a server.
const NAMES: [[&str; 5]; 2] = [
    ["192.168.77.1", "192.168.77.66", "10.64.5.5", "10.64.0.1", "192.0.2.80"],
    [
        "2001:db8:77::1",
        "2001:db8:77::66",
        "fc00:bbbb:bbbb:bb01::5",
        "fc00:bbbb:bbbb:bb01::1",
        "2001:db8:40::80",
    ],
];
const TALKS: [Talk; 3] = [Talk::Echo, Talk::Udp { port: SERVICE }, Talk::Syn { port: SERVICE }];

pub(super) fn lies(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let tailnet = Tailnet::of(stage)?;
    let ears = Ears::open(stage.byway.namespace(), SERVICE)?;
    prove_ears(stage, &ears, tailnet.byway, SERVICE)?;
    stage.world.relay.claim_everything()?;
    let wire = Wire::open(&stage.world.namespace(Place::Relay), stage.world.relay.device(), [0; 6])?;
    let wg0 = stage.listen(Place::Box, "wg0", "tunnel")?;
    let phone = stage.listen(Place::Phone, "tailscale0", "phone")?;
    let in_the_house = house_addresses(stage)?;
    let mut lies = Vec::new();
    for door in [Some(Door::Privacy), Some(Door::Residential), None] {
        ordeal.watch.flip(&stage.byway, door)?;
        for probe in forged(tailnet, in_the_house)? {
            probe.send(&wire)?;
            lies.push(probe);
        }
        for wanted in [address("fc00:bbbb:bbbb:bb01::5")?, in_the_house[1], tailnet.byway[1]] {
            lan::ask_who_has(&wire, [2; 6], address(GATEWAY[1])?, wanted)?;
        }
    }
    ordeal.watch.flip(&stage.byway, Some(Door::Privacy))?;
    ordeal.watch.wait_answered(PATIENCE)?;
    stage.world.relay.claim_its_own()?;
    let outcome = ordeal.end()?;
    all_heard(&lies, &flows(&wg0.stop()?, Heading::In), "wg0")?;
    let phone = phone.stop()?;
    none_heard(&lies, &flows(&phone, Heading::In), "the phone")?;
    none_heard(&lies, &flows_leaving(&outcome, Vantage::House), "the house")?;
    stay_deaf(&ears)?;
    no_word_to_the_liars(&outcome)
}

/// Everybody's name on both ends.
fn forged(Tailnet { phone, byway }: Tailnet, in_the_house: [IpAddr; 2]) -> Result<Vec<Probe>> {
    let mut probes = Vec::new();
    for (family, names) in NAMES.iter().enumerate() {
        let mut all = vec![phone[family], byway[family], in_the_house[family]];
        for name in names {
            all.push(address(name)?);
        }
        for (from, to) in all.iter().flat_map(|from| all.iter().map(move |to| (*from, *to))) {
            for talk in TALKS {
                probes.push(Probe::new(talk, from, to)?);
            }
        }
    }
    Ok(probes)
}

/// No answer of the service's, wherever it might go, and no word to the house's hosts.
fn no_word_to_the_liars(outcome: &Outcome) -> Result<()> {
    for link in [Vantage::House, Vantage::Relay] {
        let answer = leaving(outcome, link).find(|seen| {
            let Some(datagram) = seen.packet.datagram() else { return false };
            let Transport::Tcp { ports, flags, .. } = datagram.transport else { return false };
            // The NAT may give a client's own connection that port.
            let is_answer = flags.has(TcpFlags::SYN) && flags.has(TcpFlags::ACK) || flags.has(TcpFlags::RST);
            ports.source == SERVICE && is_answer
        });
        ensure!(answer.is_none(), "the service has answered a liar, on the {link:?} link: {answer:?}");
    }
    let claim = leaving(outcome, Vantage::Relay).find(|seen| claimed(&seen.packet).is_some());
    ensure!(claim.is_none(), "the tunnel has no neighbours, and one was answered: {claim:?}");
    let hosts = [address("192.168.77.66")?, address("2001:db8:77::66")?];
    let word =
        leaving(outcome, Vantage::House).find(|seen| seen.packet.mentions(|name| hosts.contains(&name)));
    ensure!(word.is_none(), "the house hears of a lie: {word:?}");
    Ok(())
}

/// Errors about a live flow reach the phone by the door of the flow, and by no other way.
pub(super) fn quotes(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let critic = Critic::of(stage)?;
    let phone = stage.listen(Place::Phone, "tailscale0", "phone")?;
    let wg0 = stage.listen(Place::Box, "wg0", "tunnel")?;
    stage.world.relay.claim_everything()?;

    let by_privacy = critic.new_flows(stage)?;
    let rightly = critic.complain(&by_privacy)?;
    ordeal.watch.wait_answered(PATIENCE)?;
    ordeal.watch.flip(&stage.byway, Some(Door::Residential))?;
    let by_house = critic.new_flows(stage)?;
    let mut wrongly = critic.complain(&[by_privacy, by_house].concat())?;
    ordeal.watch.flip(&stage.byway, Some(Door::Privacy))?;
    wrongly.extend(critic.complain(&[by_privacy, by_house].concat())?);
    ordeal.watch.wait_answered(PATIENCE)?;

    stage.world.relay.claim_its_own()?;
    let outcome = ordeal.end()?;
    let (told, arrived) = (flows(&phone.stop()?, Heading::In), flows(&wg0.stop()?, Heading::In));
    all_heard(&rightly, &told, "the phone")?;
    all_heard(&wrongly, &arrived, "wg0")?;
    none_heard(&wrongly, &told, "the phone")?;
    none_heard(&wrongly, &flows_leaving(&outcome, Vantage::House), "the house")
}

/// The relay has something to say about flows that the phone begins.
struct Critic {
    relay: Wire,
    phone: Wire,
    names: [IpAddr; 2],
}

/// A flow as the kernel tracks it behind the door's NAT.
#[derive(Debug, Clone, Copy)]
struct Tracked {
    ours: (IpAddr, u16),
    server: (IpAddr, u16),
}

impl Critic {
    fn of(stage: &Stage) -> Result<Self> {
        Ok(Self {
            relay: Wire::open(&stage.world.namespace(Place::Relay), stage.world.relay.device(), [0; 6])?,
            phone: Wire::open(&stage.world.namespace(Place::Phone), "tailscale0", [0; 6])?,
            names: phone_addresses(stage)?,
        })
    }

    /// One a family, to the server that echoes.
    fn new_flows(&self, stage: &Stage) -> Result<[Tracked; 2]> {
        let begin = |from, server| -> Result<Tracked> {
            let probe = Probe::new(Talk::Udp { port: 7 }, from, server)?;
            tracked(stage, &probe, &self.phone)
        };
        Ok([begin(self.names[0], SERVER_V4.into())?, begin(self.names[1], SERVER_V6.into())?])
    }

    fn complain(&self, flows: &[Tracked]) -> Result<Vec<Probe>> {
        let mut complaints = Vec::new();
        for flow in flows {
            let from = GATEWAY[usize::from(flow.ours.0.is_ipv6())];
            for complaint in Complaint::ALL {
                complaints.push(Probe::complaint(complaint, address(from)?, flow.ours, flow.server)?);
            }
        }
        complaints.iter().try_for_each(|complaint| complaint.send(&self.relay))?;
        Ok(complaints)
    }
}

/// Waits until the kernel knows the probe's flow; what is lost is sent again.
fn tracked(stage: &Stage, probe: &Probe, phone: &Wire) -> Result<Tracked> {
    let family = if probe.from.is_ipv4() { "ipv4" } else { "ipv6" };
    let (from, port) = (probe.from.to_string(), probe.port().to_string());
    let words = ["conntrack", "-L", "-f", family, "-p", "udp", "-s", &from, "--sport", &port];
    wait_for("the flow to be tracked", PATIENCE, || {
        probe.send(phone)?;
        let listing = stage.byway.namespace().run(&words)?;
        // The way back stands behind the way there.
        let of = |key: &str| {
            let value = listing.split_whitespace().rev().find_map(|word| word.strip_prefix(key));
            value.map(str::to_owned).with_context(|| format!("no {key} in {listing:?}"))
        };
        Ok(Tracked {
            ours: (of("dst=")?.parse()?, of("dport=")?.parse()?),
            server: (of("src=")?.parse()?, of("sport=")?.parse()?),
        })
    })
}
