//! A house that misbehaves: its hosts ask for addresses that are none of theirs, want the box to carry their packets,
//! and go on while the rule set is gone.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Error, Result, ensure};
use byway_lab::capture::{Capture, Heading};
use byway_lab::ears::Ears;
use byway_lab::judge::{Door, Vantage};
use byway_lab::namespace::Namespace;
use byway_lab::probe::{Probe, Talk, lan};
use byway_lab::stage::{Outcome, Stage, is_as_wished};
use byway_lab::topology::Place;
use byway_lab::wait_for;
use byway_lab::wire::{Mac, Wire, mac_of};

use crate::evidence::{
    Tailnet, address, all_heard, claimed, flows, flows_leaving, house_addresses, leaving, none_heard,
    prove_ears, stay_deaf,
};
use crate::ordeal::{GENTLE, Ordeal, PATIENCE};
use crate::relay::SERVICE;

const ROUTER: [&str; 2] = ["192.168.77.1", "2001:db8:77::1"];
const HOST: [&str; 2] = ["192.168.77.66", "2001:db8:77::66"];
const TUNNEL: [&str; 2] = ["10.64.5.5", "fc00:bbbb:bbbb:bb01::5"];
const GATEWAY: [&str; 2] = ["10.64.0.1", "fc00:bbbb:bbbb:bb01::1"];
const SERVER: [&str; 2] = ["192.0.2.80", "2001:db8:40::80"];
const RELAY: [&str; 2] = ["192.0.2.130", "2001:db8:50::130"];
const TALKS: [Talk; 3] = [Talk::Echo, Talk::Udp { port: SERVICE }, Talk::Syn { port: SERVICE }];
/// How often the rule set is flushed by each door.
const FLUSHES: usize = 2;

pub(super) fn house_hosts(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let neighbour = Neighbour::of(stage)?;
    let ears = Ears::open(stage.byway.namespace(), SERVICE)?;
    prove_ears(stage, &ears, neighbour.tailnet.byway, SERVICE)?;
    let watched = Watched::begin(stage)?;
    let mut sent = Vec::new();
    for door in [Some(Door::Privacy), Some(Door::Residential), None] {
        ordeal.watch.flip(&stage.byway, door)?;
        neighbour.ask_for_every_address()?;
        neighbour.redirect()?;
        sent.extend(neighbour.talk(Kernel::Whole)?);
        ensure_not_redirected(stage.byway.namespace())?;
    }
    let outcome = ordeal.end()?;
    stay_deaf(&ears)?;
    watched.judge(&outcome, &sent)?;
    none_heard(&sent, &flows_leaving(&outcome, Vantage::Relay), "the relay")?;
    assert_only_its_own_addresses_are_answered(&outcome, neighbour.byway)
}

/// The rule set is gone, with a door open, and the house goes on: what remains are rules, routes and sysctls.
pub(super) fn house_hosts_after_a_flush(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let neighbour = Neighbour::of(stage)?;
    let watched = Watched::begin(stage)?;
    let mut sent = Vec::new();
    for door in [Door::Privacy, Door::Residential] {
        ordeal.watch.flip(&stage.byway, Some(door))?;
        for _ in 0..FLUSHES {
            let healed = |stage: &Stage| Ok::<_, Error>(stage.byway.status()?["drift"]["healed"].clone());
            let before = healed(stage)?;
            ordeal.until_carried(stage, |stage| {
                stage.byway.namespace().nft("flush ruleset")?;
                wait_for("the rule set to be back", PATIENCE, || {
                    sent.extend(neighbour.talk(Kernel::WithoutRuleSet(door))?);
                    neighbour.ask_for_every_address()?;
                    neighbour.redirect()?;
                    ensure!(healed(stage)? != before, "it is not");
                    Ok(())
                })?;
                ensure_not_redirected(stage.byway.namespace())?;
                stage.byway.wait_status("the door again", PATIENCE, is_as_wished).map(drop)
            })?;
        }
    }
    let outcome = ordeal.end()?;
    watched.judge(&outcome, &sent)?;
    // For its name in the tunnel it answers into the tunnel.
    sent.retain(|probe| !is(probe.to, TUNNEL));
    none_heard(&sent, &flows_leaving(&outcome, Vantage::Relay), "the relay")?;
    assert_only_its_own_addresses_are_answered(&outcome, neighbour.byway)
}

/// Everything in the house's own network, for the box's ears.
struct Neighbour {
    wire: Wire,
    mac: Mac,
    router: IpAddr,
    byway: [IpAddr; 2],
    tailnet: Tailnet,
}

/// What the box is by itself while the house talks to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kernel {
    Whole,
    /// With nothing but its rules, routes and sysctls, whichever door was open.
    WithoutRuleSet(Door),
}

impl Kernel {
    /// Whether nobody may hear anything of such a probe, not even an answer.
    fn must_swallow(self, neighbour: &Neighbour, talk: Talk, [from, to]: [IpAddr; 2]) -> bool {
        let Neighbour { byway, tailnet, .. } = neighbour;
        match self {
            // An echo of the box's own name is answered, and should be.
            Self::Whole => !(byway.contains(&to) && talk == Talk::Echo),
            // So is whatever else, now; the phone, for its name in the tailnet, too.
            Self::WithoutRuleSet(door) => {
                let in_the_tunnel = door == Door::Privacy && (is(from, HOST) || is(from, ROUTER));
                let to_the_phone = tailnet.byway.contains(&to) && tailnet.phone.contains(&from);
                !byway.contains(&to) && !to_the_phone && (!is(to, TUNNEL) || in_the_tunnel)
            }
        }
    }
}

impl Neighbour {
    fn of(stage: &Stage) -> Result<Self> {
        let house = stage.world.namespace(Place::House);
        let wire = Wire::open(&house, "lan", mac_of(stage.byway.namespace(), "eth0")?)?;
        let link_local = house.run(&["ip", "-br", "-6", "addr", "show", "dev", "lan", "scope", "link"])?;
        let router = link_local.split_whitespace().find_map(|word| word.strip_suffix("/64"));
        let router = address(router.unwrap_or(&link_local))?;
        Ok(Self {
            wire,
            mac: mac_of(&house, "lan")?,
            router,
            byway: house_addresses(stage)?,
            tailnet: Tailnet::of(stage)?,
        })
    }

    /// Everybody's name on both ends.
    fn talk(&self, state: Kernel) -> Result<Vec<Probe>> {
        let mut probes = Vec::new();
        for family in [0, 1] {
            let mut names = vec![self.byway[family], self.tailnet.phone[family], self.tailnet.byway[family]];
            for name in [ROUTER, HOST, TUNNEL, GATEWAY, SERVER, RELAY] {
                names.push(address(name[family])?);
            }
            for (from, to) in names.iter().flat_map(|from| names.iter().map(move |to| (*from, *to))) {
                for talk in TALKS.into_iter().filter(|talk| state.must_swallow(self, *talk, [from, to])) {
                    probes.push(Probe::new(talk, from, to)?);
                }
            }
        }
        probes.iter().try_for_each(|probe| probe.send(&self.wire))?;
        Ok(probes)
    }

    fn ask_for_every_address(&self) -> Result<()> {
        for family in [0, 1] {
            for asker in [HOST, ROUTER] {
                for wanted in [TUNNEL, GATEWAY, SERVER] {
                    self.ask(asker[family], address(wanted[family])?)?;
                }
                self.ask(asker[family], self.byway[family])?;
                self.ask(asker[family], self.tailnet.byway[family])?;
                self.ask(asker[family], self.tailnet.phone[family])?;
            }
        }
        Ok(())
    }

    fn ask(&self, asker: &str, wanted: IpAddr) -> Result<()> {
        lan::ask_who_has(&self.wire, self.mac, address(asker)?, wanted)
    }

    /// To a host of the house, from where it would see the tunnel and what the box says for itself.
    fn redirect(&self) -> Result<()> {
        let routers = [address(ROUTER[0])?, self.router];
        for (family, router) in routers.into_iter().enumerate() {
            let [relay, better] = [RELAY, HOST].map(|name| address(name[family]));
            lan::redirect(&self.wire, router, self.byway[family], relay?, better?)?;
        }
        Ok(())
    }
}

fn ensure_not_redirected(kernel: &Namespace) -> Result<()> {
    for (relay, better) in RELAY.into_iter().zip(HOST) {
        let route = kernel.run(&["ip", "route", "get", relay])?;
        ensure!(!route.contains(better), "a host of the house has redirected the box: {route}");
    }
    Ok(())
}

/// The captures beside the judge's: what came to the box, and what the phone got.
struct Watched {
    cable: Capture,
    phone: Capture,
}

impl Watched {
    fn begin(stage: &Stage) -> Result<Self> {
        Ok(Self {
            cable: stage.listen(Place::Box, "eth0", "cable")?,
            phone: stage.listen(Place::Phone, "tailscale0", "phone")?,
        })
    }

    fn judge(self, outcome: &Outcome, sent: &[Probe]) -> Result<()> {
        all_heard(sent, &flows(&self.cable.stop()?, Heading::In), "the box")?;
        none_heard(sent, &flows(&self.phone.stop()?, Heading::In), "the phone")?;
        for link in [Vantage::House, Vantage::Server] {
            none_heard(sent, &flows_leaving(outcome, link), &format!("the {link:?} link"))?;
        }
        Ok(())
    }
}

fn is(address: IpAddr, names: [&str; 2]) -> bool {
    names.iter().any(|name| address.to_string() == *name)
}

/// By ARP or neighbour discovery.
fn assert_only_its_own_addresses_are_answered(outcome: &Outcome, byway: [IpAddr; 2]) -> Result<()> {
    let answered: BTreeSet<IpAddr> =
        leaving(outcome, Vantage::House).filter_map(|seen| claimed(&seen.packet)).collect();
    for own in byway {
        ensure!(answered.contains(&own), "nobody has asked for {own}: {answered:?}");
    }
    let own = |claim: &IpAddr| byway.contains(claim) || is_link_local(*claim);
    let strange: Vec<_> = answered.iter().filter(|claim| !own(claim)).collect();
    ensure!(strange.is_empty(), "the box claims {strange:?} in the house");
    Ok(())
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}
