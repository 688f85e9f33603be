//! Flows that outlive doors: an app with one port for life, one that falls silent and goes on, ten thousand at once.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
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
    let carried = ordeal
        .until_carried(stage, |stage| stage.byway.cli(&["egress", "privacy", "--no-wait"]).map(drop))?;
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
        for app in &apps {
            app.lasts_a_second(stage)?;
        }
        wait_for("the box's kernel to forget both", PATIENCE, || {
            apps.iter().try_for_each(|app| app.is_forgotten(stage))
        })?;
    }
    let outcome = ordeal.end()?;
    for flows in said {
        for (ports, flow) in ports.iter_mut().zip(flows) {
            ports.extend(ports_at_server(&outcome, flow));
        }
    }
    ensure!(ports.iter().all(|ports| ports.len() == 4), "the app's own port and three others: {ports:?}");
    Ok(())
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
        let orders = || stage.byway.log().matches(" generation=").count();
        let before = orders();
        match self.say() {
            Err(error)
                if error.is::<io::Error>()
                    && (orders() > before || !is_as_wished(&stage.byway.status()?)) =>
            {
                stage.byway.wait_status("the wished door again", PATIENCE, is_as_wished)?;
                self.say()
            }
            said => said,
        }
        .with_context(|| format!("{:?}\n{}", stage.byway.status(), stage.byway.log_tail()))
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

    /// The kernel's memory of it, so that nobody waits for the half minute that is the agent's.
    fn lasts_a_second(&self, stage: &Stage) -> Result<()> {
        let (port, family) = (self.socket.local_addr()?.port().to_string(), self.family()?);
        let words =
            ["conntrack", "-U", "-f", family, "-p", "udp", "--orig-port-src", &port, "--timeout", "1"];
        // It may be forgotten already.
        stage.byway.namespace().output(&words, &[]).map(drop)
    }

    fn family(&self) -> Result<&'static str> {
        Ok(if self.socket.local_addr()?.is_ipv4() { "ipv4" } else { "ipv6" })
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

/// The box's kernel does, what clients have said to servers that echo.
fn forget_loads(stage: &Stage) -> Result<()> {
    for (family, protocol) in [("ipv4", "udp"), ("ipv6", "udp"), ("ipv4", "tcp"), ("ipv6", "tcp")] {
        let words = ["conntrack", "-D", "-f", family, "-p", protocol, "--orig-port-dst", "7"];
        stage.byway.namespace().output(&words, &[])?;
    }
    Ok(())
}

/// Refused all at once, and opened anew as apps do.
pub(super) fn ten_thousand(stage: &mut Stage) -> Result<()> {
    // One client may have so many flows and not many more: those of the promises before count too.
    forget_loads(stage)?;
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
    forget_loads(stage)?;
    // The first one was before the crowd.
    let flips = outcome.flips.get(1..).unwrap_or_default();
    let quickest = flips.iter().min().context("no flip let a packet pass")?;
    ensure!(
        *quickest <= FLIP_BOUND && flips.iter().all(|took| *took <= FLIP_BOUND * 3),
        "flips took {flips:?}"
    );
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
