//! The house's own machines: as clients of the box, in their own network or behind an interface to themselves, and as the
//! tailnet's peers reach them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use byway_lab::guest::Guest;
use byway_lab::judge::{Door, Vantage};
use byway_lab::probe::{Probe, Talk};
use byway_lab::question::RecordType;
use byway_lab::stage::{Stage, is_as_wished};
use byway_lab::topology::{Numbering, Place};
use byway_lab::traffic::{EchoServer, Rates};
use byway_lab::wait_for;
use byway_lab::wire::{Wire, mac_of};
use serde_json::{Value, json};

use crate::evidence::{Tailnet, address, flows_leaving, house_addresses, none_heard};
use crate::ordeal::{GENTLE, Ordeal, PATIENCE, says};
use crate::rush::{A_SECOND, A_WHILE, answered, busiest_second};

/// A second and family, of the phone and of a machine of the house each: 1,200 new ones in all.
const RUSH: Rates = Rates { long_udp: 50, new_udp: 270, new_tcp: 30, long_tcp: 10, ..Rates::NONE };
const EVERY_STATE: [Option<Door>; 3] = [Some(Door::Privacy), Some(Door::Residential), None];
const NAME: (&str, RecordType) = ("web.example.net", RecordType::A);
/// Somebody on the internet, whom machines ask for names.
const STRANGER: &str = "192.0.2.80";
/// Of a machine that is a client, and of one that nobody knows.
const MEMBERS: [&str; 2] = ["192.168.77.50", "2001:db8:77::50"];
const SERVERS: [&str; 2] = ["192.0.2.80", "2001:db8:40::80"];
/// A page of the house's router, or whatever its owner wants to mend from far away.
const PAGE: u16 = 8080;

pub(super) fn machines_of_the_house(stage: &mut Stage) -> Result<()> {
    let card = Card::with(stage, &[("[uplink]\n", "[lan]\nserve = true\n\n[uplink]\n")])?;
    let served = json!(["192.168.77.0/24", "2001:db8:77::/64"]);
    let is_served = |status: &Value| is_as_wished(status) && status["lan"]["serves"] == served;
    stage.byway.wait_status("the house's machines to be served", PATIENCE, is_served)?;
    let mut ordeal = Ordeal::begin(stage, RUSH)?;
    let guest = Guest::move_in(&stage.world, house_addresses(stage)?)?;
    ordeal.watch.add_guest(&guest, RUSH)?;
    let doctor = stage.byway.cli(&["doctor"])?.stdout;
    ensure!(
        doctor.contains("machines of 192.168.77.0/24 and 2001:db8:77::/64 at eth0 are served"),
        "{doctor}"
    );
    let mut forged = Vec::new();
    for door in [Door::Privacy, Door::Residential, Door::Privacy] {
        ordeal.watch.flip(&stage.byway, Some(door))?;
        ordeal.watch.wait_answered(PATIENCE)?;
        ordeal.watch.wait_guest_answered(PATIENCE)?;
        guest.wait_seen_by(door)?;
        for server in [address(STRANGER)?, house_addresses(stage)?[0]] {
            wait_for("a name for the guest", PATIENCE, || {
                let reply = guest.dig(server, NAME)?;
                ensure!(!reply.data.is_empty(), "no answer of {server}: {reply:?}");
                Ok(())
            })?;
        }
        forged.extend(hand_on(stage)?);
        thread::sleep(A_WHILE); // The load's duration.
    }
    let shut = SystemTime::now();
    ordeal.watch.flip(&stage.byway, None)?;
    let reply = wait_for("a word on a name", PATIENCE, || guest.dig(address(STRANGER)?, NAME))?;
    ensure!(reply.data.is_empty(), "a name is told: {reply:?}");
    forged.extend(hand_on(stage)?);
    ordeal.note("machines of the house, by each door", None, None);
    let outcome = ordeal.end()?;
    let guests_load = outcome.guests_load.as_ref().context("no guest talked")?;
    let most = busiest_second(&[&outcome.load, guests_load]);
    ensure!(most >= A_SECOND, "{most} new connections in the busiest second");
    let answered = answered(guests_load, shut)?;
    ensure!(answered > 0.5, "only {answered:.2} of the guest's new connections were answered, by every door");
    for link in [Vantage::House, Vantage::Relay, Vantage::Server] {
        none_heard(&forged, &flows_leaving(&outcome, link), &format!("the {link:?} link"))?;
    }
    drop(guest);
    card.put_back(stage)
}

/// As the router hands on what comes from outside under the name of a machine of the house.
fn hand_on(stage: &Stage) -> Result<Vec<Probe>> {
    let wire =
        Wire::open(&stage.world.namespace(Place::House), "lan", mac_of(stage.byway.namespace(), "eth0")?)?;
    let mut probes = Vec::new();
    for (member, server) in MEMBERS.into_iter().zip(SERVERS) {
        for talk in [Talk::Udp { port: 9 }, Talk::Udp { port: 53 }, Talk::Syn { port: 10 }, Talk::Echo] {
            let probe = Probe::new(talk, address(member)?, address(server)?)?;
            probe.send(&wire)?;
            probes.push(probe);
        }
    }
    Ok(probes)
}

pub(super) fn machines_apart(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    let guest = Guest::plug_in(&stage.world, "eth1")?;
    let card = Card::with(stage, &[("[uplink]\n", "[lan]\ninterface = \"eth1\"\n\n[uplink]\n")])?;
    let is_served = |status: &Value| is_as_wished(status) && status["lan"]["interface"] == "eth1";
    stage.byway.wait_status("the machines to be served", PATIENCE, is_served)?;
    let resolver = guest.take_lease().with_context(|| stage.byway.log_tail())?;
    wait_for("the machine to have an address of each family", PATIENCE, || {
        let addresses = guest.addresses()?;
        ensure!(
            [true, false].iter().all(|v4| addresses.iter().any(|it| it.is_ipv4() == *v4)),
            "{addresses:?}"
        );
        Ok(())
    })?;
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    ordeal.watch.add_guest(&guest, GENTLE)?;
    for door in [Door::Residential, Door::Privacy] {
        ordeal.watch.flip(&stage.byway, Some(door))?;
        ordeal.watch.wait_guest_answered(PATIENCE)?;
        guest.wait_seen_by(door)?;
        let reply = guest.dig(resolver, NAME)?;
        ensure!(!reply.data.is_empty(), "{reply:?}");
    }
    ordeal.note("machines behind an interface to themselves", None, None);
    ordeal.end()?;
    // Whoever trips over the cable does not shut the box for the tailnet.
    stage.byway.namespace().ip("link del eth1")?;
    let is_told =
        |status: &Value| says(status, "the machines at eth1 are not served: there is no such interface");
    stage.byway.wait_status("the missing adapter", PATIENCE, is_told)?;
    stage.wait_seen_by(Door::Privacy)?;
    drop(guest);
    card.put_back(stage)
}

pub(super) fn reach(stage: &mut Stage) -> Result<()> {
    let card = Card::with(stage, &[("[tailnet]\n", "[tailnet]\nadvertise_lan = true\n")])?;
    let waits = |status: &Value| {
        says(status, "the house's network waits for approval: headscale nodes approve-routes")
    };
    let status = stage.byway.wait_status("the LAN to wait for approval", PATIENCE, waits)?;
    approve_as_told(stage, &status)?;
    stage.byway.wait_status("the LAN's approval", PATIENCE, |status| !waits(status))?;
    stage.world.phone.accept_routes(true)?;

    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let house = stage.world.namespace(Place::House);
    let pages = pages(stage, Numbering::First)?;
    let servers =
        pages.iter().map(|page| EchoServer::start(&house.path(), *page)).collect::<Result<Vec<_>>>()?;
    for door in EVERY_STATE {
        ordeal.watch.flip(&stage.byway, door)?;
        for page in &pages {
            say(stage, *page).with_context(|| format!("{page}, {door:?}"))?;
        }
    }
    let own = house_addresses(stage)?.map(|address| SocketAddr::new(address, PAGE));
    let service = own.map(|own| EchoServer::start(&stage.byway.namespace().path(), own));
    for own in own {
        say(stage, own).with_context(|| format!("the box by its name in the house, {own}"))?;
    }
    drop(service);
    nobody_comes_in(stage)?;
    drop(servers);
    ordeal.watch.flip(&stage.byway, Some(Door::Privacy))?;
    ordeal.note("the house's network from the tailnet, sealed too", None, None);
    ordeal.end()?;

    // Another house: the route follows.
    stage.world.house.renumber(Numbering::Second)?;
    stage.byway.renew_lease()?;
    let moved =
        |status: &Value| is_as_wished(status) && is_reached(status, "192.168.88.0/24") && waits(status);
    let status = stage.byway.wait_status("the new network to be offered", PATIENCE, moved)?;
    approve_as_told(stage, &status)?;
    let house_page = SocketAddr::new(Numbering::Second.router().into(), PAGE);
    let server = EchoServer::start(&house.path(), house_page)?;
    say(stage, house_page)?;
    drop(server);
    stage.world.phone.accept_routes(false)?;
    stage.world.house.renumber(Numbering::First)?;
    stage.byway.renew_lease()?;
    card.put_back(stage)
}

fn is_reached(status: &Value, net: &str) -> bool {
    status["lan"]["reach"].as_array().is_some_and(|reach| reach.contains(&json!(net)))
}

/// The very command of the status.
fn approve_as_told(stage: &Stage, status: &Value) -> Result<()> {
    let why = status["why"].as_str().context("no why")?;
    let command = why.split("; ").find_map(|sentence| sentence.split_once("for approval: "));
    stage.world.control.type_in(command.with_context(|| why.to_owned())?.1)
}

/// Of the router, in both families.
fn pages(stage: &Stage, numbering: Numbering) -> Result<Vec<SocketAddr>> {
    ensure!(stage.world.house.numbering() == numbering, "the house has other numbers");
    let routers: [IpAddr; 2] = [numbering.router().into(), numbering.router_v6().into()];
    Ok(routers.map(|router| SocketAddr::new(router, PAGE)).to_vec())
}

/// From the phone, and back.
fn say(stage: &Stage, page: SocketAddr) -> Result<()> {
    wait_for(&format!("an answer of {page}"), PATIENCE, || {
        stage.world.namespace(Place::Phone).enter(|| {
            let mut connection = TcpStream::connect_timeout(&page, Duration::from_secs(2))?;
            connection.set_read_timeout(Some(Duration::from_secs(2)))?;
            connection.write_all(b"ping")?;
            let mut answer = [0; 4];
            connection.read_exact(&mut answer)?;
            ensure!(answer == *b"ping", "it answers {answer:?}");
            Ok(())
        })
    })
}

/// A machine of the house reaches no peer by the box, though it sends the box what is for one.
fn nobody_comes_in(stage: &Stage) -> Result<()> {
    let tailscale0 = stage.listen(Place::Box, "tailscale0", "tailnet")?;
    let wire =
        Wire::open(&stage.world.namespace(Place::House), "lan", mac_of(stage.byway.namespace(), "eth0")?)?;
    let phone = Tailnet::of(stage)?.phone;
    let mut probes = Vec::new();
    for (from, to) in ["192.168.77.66", "2001:db8:77::66"].into_iter().zip(phone) {
        for talk in [Talk::Udp { port: PAGE }, Talk::Syn { port: PAGE }, Talk::Echo] {
            let probe = Probe::new(talk, address(from)?, to)?;
            probe.send(&wire)?;
            probes.push(probe);
        }
    }
    stage.byway.status()?;
    let recording = tailscale0.stop()?;
    let flows: BTreeSet<u32> =
        recording.seen.iter().filter_map(|seen| Some(seen.packet.tag()?.flow)).collect();
    none_heard(&probes, &flows, "the tailnet")
}

/// The owner's card while it is another.
struct Card {
    before: String,
}

impl Card {
    /// Of a box that carries, which is started anew with it.
    fn with(stage: &mut Stage, changes: &[(&str, &str)]) -> Result<Self> {
        stage.carry()?;
        let before = fs::read_to_string(stage.byway.config_path())?;
        let mut text = before.clone();
        for (from, to) in changes {
            ensure!(text.contains(from), "the card has no {from}");
            text = text.replacen(from, to, 1);
        }
        write(stage, &text)?;
        Ok(Self { before })
    }

    fn put_back(self, stage: &mut Stage) -> Result<()> {
        write(stage, &self.before)?;
        stage.byway.wait_status("the wished door", PATIENCE, is_as_wished)?;
        stage.carry()
    }
}

fn write(stage: &mut Stage, text: &str) -> Result<()> {
    fs::write(stage.byway.config_path(), text)?;
    stage.byway.sigterm()?;
    stage.byway.start()
}
