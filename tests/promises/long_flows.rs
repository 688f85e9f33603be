//! Flows that outlive doors: an app with one port for life, one that falls silent and goes on, ten thousand at once.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Error, Result, ensure};
use byway_lab::crowd::{Crowd, FIRST_FLOW};
use byway_lab::flow_table;
use byway_lab::judge::{Door, FORGET, RELAY_DRAIN, Vantage};
use byway_lab::packet::Tag;
use byway_lab::phone::Family;
use byway_lab::stage::{Outcome, Stage, is_as_wished};
use byway_lab::topology::{Numbering, Place, SERVER_V4, SERVER_V6};
use byway_lab::traffic::{Kind, Rates, a_port_for_life};
use byway_lab::wait_for;
use serde_json::Value;

use crate::house::wait_leased;
use crate::memory;
use crate::ordeal::{GENTLE, Ordeal, PATIENCE};

const TALKING_ON: Rates = Rates { for_life: 20, ..GENTLE };
/// Of a promise that is tried at each `just test`.
const A_WHILE: Duration = Duration::from_secs(3);
/// What the box needs on a busy machine to forget after [`FORGET`].
const LATENESS: Duration = Duration::from_secs(5);
const CROWD: usize = 10_000;
/// Generous: the design's own bound is for the bench.
const FLIP_BOUND: Duration = Duration::from_secs(2);

/// It talks all the time: before, while the relay dies, while the box is sealed, when the owner asks for the other door,
/// and when the first one is back.
pub(super) fn one_port_for_life_is_refused(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, TALKING_ON)?;
    wait_alive(&ordeal)?;
    let mut died = SystemTime::now();
    let (sealed, _) = ordeal.until_sealed(stage, |stage| {
        stage.world.relay.die();
        died = SystemTime::now();
        Ok(())
    })?;
    thread::sleep(A_WHILE); // The load's duration, here and below.
    ordeal.watch.flip(&stage.byway, Some(Door::Residential))?;
    ordeal.watch.wait_answered(PATIENCE)?;
    thread::sleep(A_WHILE);
    stage.world.relay.come_back()?;
    let carried = ordeal.until_carried(stage, |stage| {
        let said = stage.byway.cli(&["egress", "privacy"])?;
        ensure!(said.code == Some(0), "{said:?}");
        Ok(())
    })?;
    thread::sleep(A_WHILE);
    ordeal.note("relay dies, residential, back: flows of one port", sealed, carried);
    let outcome = ordeal.end()?;
    for (number, flow) in outcome.load.flows.iter().filter(|(_, flow)| is_for_life(flow.line.kind)) {
        let by = |door| times_of(&outcome, *number, door);
        let (first_door, other_door) = (by(Door::Privacy), by(Door::Residential));
        let late = first_door.iter().filter(|at| **at > died + RELAY_DRAIN).count();
        ensure!(late == 0, "{flow:?} was alive again before it was forgotten, {late} packets");
        ensure!(other_door.is_empty(), "{flow:?} went by the house, {} packets", other_door.len());
        ensure!(flow.sent > 100, "{flow:?} did not keep trying");
        // Those without ports may still be one with a flow of an earlier test.
        let has_ports = matches!(flow.line.kind, Kind::OnePort | Kind::Ping | Kind::Sctp);
        ensure!(!has_ports || !first_door.is_empty(), "{flow:?} was never heard");
    }
    Ok(())
}

/// A house that renumbers and a tunnel that is robbed of its addresses take them from the flows of the door before, which
/// talk on all the time: the kernel must not forget whose they were.
pub(super) fn addresses_go_and_flows_stay_refused(stage: &mut Stage) -> Result<()> {
    type Change = fn(&mut Stage) -> Result<()>;
    let renumber_it: Change = |stage| renumber(stage, Numbering::Second);
    let renumber_back: Change = |stage| renumber(stage, Numbering::First);
    let rob: Change = |stage| {
        let healed = |status: &Value| status["drift"]["healed"].as_u64();
        let before = healed(&stage.byway.status()?);
        stage.byway.namespace().ip("addr flush dev wg0 scope global")?;
        let noticed = |status: &Value| healed(status) > before;
        stage.byway.wait_status("the loss to be noticed", PATIENCE, noticed).map(drop)
    };
    let changes: [(&str, Door, &[Change]); 2] = [
        (
            "house's addresses change while its old flows talk on",
            Door::Residential,
            &[renumber_it, renumber_back],
        ),
        ("wg0's addresses go while its old flows talk on", Door::Privacy, &[rob]),
    ];
    for (fault, first, changes) in changes {
        let mut ordeal = Ordeal::begin_by(stage, first, TALKING_ON)?;
        wait_alive(&ordeal)?;
        let other = if first == Door::Privacy { Door::Residential } else { Door::Privacy };
        ordeal.watch.flip(&stage.byway, Some(other))?;
        ordeal.watch.wait_answered(PATIENCE)?;
        for change in changes {
            let carried = ordeal.until_carried(stage, change)?;
            ordeal.note(fault, None, carried);
        }
        ordeal.end()?;
    }
    Ok(())
}

fn renumber(stage: &mut Stage, numbering: Numbering) -> Result<()> {
    stage.world.house.renumber(numbering)?;
    stage.byway.renew_lease()?;
    wait_leased(stage).map(drop)
}

/// Alive again by each door, once the box has forgotten it; never while it is sealed.
pub(super) fn one_port_for_life_is_alive_again(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, TALKING_ON)?;
    wait_alive(&ordeal)?;
    for door in [Door::Residential, Door::Privacy] {
        let requested = SystemTime::now();
        ordeal.watch.flip(&stage.byway, Some(door))?;
        let decided = SystemTime::now();
        let alive = wait_alive(&ordeal)?;
        let (least, most) = (alive.duration_since(requested)?, alive.duration_since(decided)?);
        ensure!(least >= FORGET && most <= FORGET + LATENESS, "by {door}: alive again after {least:?}");
        ordeal.note(format!("a port for life, alive again by {door}"), None, least);
    }
    let (sealed, _) = ordeal.until_sealed(stage, |stage| {
        stage.world.relay.die();
        Ok(())
    })?;
    thread::sleep(Duration::from_mins(2)); // The load's duration.
    ordeal.watch.flip(&stage.byway, Some(Door::Residential))?;
    let asked = SystemTime::now();
    let alive = wait_alive(&ordeal)?;
    let after = alive.duration_since(asked)?;
    ordeal.note("relay dead, sealed for two minutes, residential: a port for life", sealed, after);
    stage.world.relay.come_back()?;
    ordeal.end().map(drop)
}

/// In both families, by whichever door.
fn wait_alive(ordeal: &Ordeal) -> Result<SystemTime> {
    let mut alive = SystemTime::now();
    for family in [Family::V4, Family::V6] {
        let at = ordeal.watch.wait_answered_to(FORGET + PATIENCE, |line| {
            line.kind == Kind::OnePort && line.target.is_ipv4() == (family == Family::V4)
        })?;
        alive = alive.max(at);
    }
    Ok(alive)
}

fn is_for_life(kind: Kind) -> bool {
    Kind::FOR_LIFE.contains(&kind)
}

fn times_of(outcome: &Outcome, flow: u32, door: Door) -> Vec<SystemTime> {
    let packets = outcome.judge.left_by(door, &outcome.witnesses);
    packets.filter(|seen| seen.packet.tag().is_some_and(|tag| tag.flow == flow)).map(|seen| seen.at).collect()
}

/// Each time under another port, so that nothing but what it says ties it to the flow before.
pub(super) fn silent_and_resumed(stage: &mut Stage) -> Result<()> {
    forget_udp_after(stage, "1")?;
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let servers = [SERVER_V4.into(), SERVER_V6.into()].map(|server| SocketAddr::new(server, 7));
    let apps = servers.iter().map(|server| App::open(stage, *server)).collect::<Result<Vec<_>>>()?;
    let mut ports = Vec::new();
    for app in &apps {
        ports.push(BTreeSet::from([app.socket.local_addr()?.port()]));
    }
    let mut said = Vec::new();
    for door in [Door::Residential, Door::Privacy, Door::Residential] {
        said.push(apps.iter().map(|app| app.talk(stage)).collect::<Result<Vec<_>>>()?);
        ordeal.watch.flip(&stage.byway, Some(door))?;
        wait_for("the box's kernel to forget both", PATIENCE, || {
            apps.iter().try_for_each(|app| app.is_forgotten(stage))
        })?;
    }
    forget_udp_after(stage, "30")?;
    let outcome = ordeal.end()?;
    for flows in said {
        for (ports, flow) in ports.iter_mut().zip(flows) {
            ports.extend(ports_at_server(&outcome, flow));
        }
    }
    ensure!(ports.iter().all(|ports| ports.len() == 4), "the app's own port and three others: {ports:?}");
    Ok(())
}

/// Of a flow that has talked for no more than two seconds; the time of others is the agent's.
fn forget_udp_after(stage: &Stage, seconds: &str) -> Result<()> {
    stage.byway.namespace().sysctl("net/netfilter/nf_conntrack_udp_timeout", seconds)
}

/// An app on the phone, with one UDP socket.
struct App {
    socket: UdpSocket,
}

impl App {
    fn open(stage: &Stage, server: SocketAddr) -> Result<Self> {
        stage.world.namespace(Place::Phone).enter(|| {
            let socket = UdpSocket::bind(a_port_for_life(server))?;
            socket.connect(server)?;
            socket.set_read_timeout(Some(Duration::from_secs(2)))?;
            Ok(Self { socket })
        })
    }

    /// Says something and waits for the answer; returns under which number. A box that shuts its door meanwhile, for
    /// whatever reason, refuses, and the app says it again; an open one must not.
    fn talk(&self, stage: &Stage) -> Result<u32> {
        let since = |stage: &Stage| Ok::<_, Error>(stage.byway.status()?["since"].clone());
        let before = since(stage)?;
        let refused = |error: &Error| {
            error
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
        };
        match self.say() {
            Err(error) if refused(&error) && since(stage)? != before => {
                stage.byway.wait_status("the wished door again", PATIENCE, is_as_wished)?;
                self.say()
            }
            said => said,
        }
        .with_context(|| format!("since {before}: {:?}\n{}", stage.byway.status(), stage.byway.log_tail()))
    }

    fn say(&self) -> Result<u32> {
        let flow = Tag::new_flow();
        self.socket.send(&Tag { flow, sequence: 0 }.payload(SystemTime::now()))?;
        let mut answer = [0; Tag::LENGTH];
        self.socket.recv(&mut answer).context("the app was not answered")?;
        let answered = Tag::read(&answer).map(|(tag, _)| tag.flow);
        ensure!(answered == Some(flow), "an answer to {answered:?} instead of {flow}");
        Ok(flow)
    }

    fn is_forgotten(&self, stage: &Stage) -> Result<()> {
        let port = format!("sport={} dport=7 ", self.socket.local_addr()?.port());
        let tracked = stage
            .byway
            .namespace()
            .enter(|| fs::read_to_string("/proc/thread-self/net/nf_conntrack").context("no list of flows"))?;
        // Somebody's TCP may have the same port.
        let known = tracked.lines().find(|line| line.contains(" udp ") && line.contains(&port));
        ensure!(known.is_none(), "{known:?}");
        Ok(())
    }
}

fn ports_at_server(outcome: &Outcome, flow: u32) -> impl Iterator<Item = u16> {
    let servers = outcome.witnesses.iter().filter(|witness| witness.vantage == Vantage::Server);
    let seen = servers.flat_map(|witness| witness.recording.seen.iter().map(|seen| &seen.packet));
    let of_flow = seen.filter(move |packet| packet.tag().is_some_and(|tag| tag.flow == flow));
    let ends = of_flow.filter_map(|packet| packet.datagram()?.ends());
    ends.filter(|(_, to)| to.port() == 7).map(|(from, _)| from.port())
}

/// Refused all at once, and opened anew as apps do.
pub(super) fn ten_thousand(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let before = flow_table::memory()?;
    let crowd = Crowd::open(stage, CROWD)?;
    memory::check_connections(before, flow_table::memory()?)?;
    for door in [Door::Residential, Door::Privacy] {
        ordeal.watch.flip(&stage.byway, Some(door))?;
        ordeal.watch.wait_answered(PATIENCE)?;
        thread::sleep(A_WHILE); // The load's duration.
    }
    crowd.close()?;
    let outcome = ordeal.end()?;
    // The next ones' flows would get one of these ports in four, and be refused for what the crowd has left there.
    for family in ["ipv4", "ipv6"] {
        stage.byway.namespace().run(&[
            "conntrack",
            "-D",
            "-f",
            family,
            "-p",
            "udp",
            "--orig-port-dst",
            "7",
        ])?;
    }
    let slowest = outcome.flips.iter().max().context("no flip let a packet pass")?;
    ensure!(*slowest <= FLIP_BOUND, "a flip took {slowest:?}");
    let members = |door| {
        let packets = outcome.judge.left_by(door, &outcome.witnesses);
        let flows =
            packets.filter_map(|seen| Some(seen.packet.tag()?.flow)).filter(|flow| *flow >= FIRST_FLOW);
        flows.collect::<BTreeSet<_>>().len()
    };
    let (privacy, residential) = (members(Door::Privacy), members(Door::Residential));
    ensure!(privacy > CROWD * 9 / 10, "only {privacy} flows of the crowd were there before the flip");
    ensure!(residential > CROWD / 20, "only {residential} flows of the crowd were opened anew");
    Ok(())
}
