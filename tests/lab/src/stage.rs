//! A world with a box in it, watched on every link while the phone talks: what every test of a promise starts from.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::capture::{Capture, Heading};
use crate::card::Card;
use crate::guest::Guest;
use crate::judge::{
    Decision, Door, Judge, Places, RELAY_DRAIN, RelayPlace, Timeline, Vantage, Verdict, Witness,
};
use crate::mullvad_api::POOL;
use crate::neighbour::NEIGHBOUR_V4;
use crate::relay::DEVICE_ADDRESSES;
use crate::topology::{
    BOX_PORT, MORE_SERVERS, Numbering, PRIVACY_DNS, Place, RELAYS, RESIDENTIAL_DNS, SERVER_V4, SERVER_V6,
    TIME_SERVERS,
};
use crate::traffic::{Line, Load, LoadReport, OddServer, Rates};
use crate::{BywayBox, World};

/// Whom the box asks for its own names in a house that has told it of no resolver yet.
const WELL_KNOWN: [&str; 4] = ["9.9.9.9", "1.1.1.1", "2620:fe::fe", "2606:4700:4700::1111"];

/// How long a fresh pair of peers may take to find each other.
const PATIENCE: Duration = Duration::from_mins(1);

/// One world, one box.
#[derive(Debug)]
pub struct Stage {
    // Before the world: the box's power goes first.
    pub byway: BywayBox,
    pub world: World,
    binary: PathBuf,
}

/// A test in progress: captures on every link, the decisions so far, the load.
#[derive(Debug)]
pub struct Watch {
    captures: Vec<(Vantage, Heading, Capture)>,
    places: Places,
    timeline: Timeline,
    load: Load,
    /// A machine's of the house, where there is one that is served.
    guests_load: Option<Load>,
    _odd_server: Option<OddServer>,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    pub load: LoadReport,
    /// Of a machine of the house, where one talked.
    pub guests_load: Option<LoadReport>,
    /// From a request to the first client packet by the new door, for every change of door that let one pass.
    pub flips: Vec<Duration>,
    /// Who judged, and what they went by: for questions that the verdict does not answer.
    pub judge: Judge,
    pub witnesses: Vec<Witness>,
}

impl Stage {
    /// The box is in the house, switched off, with a good card and an empty disk.
    pub fn raise(binary: &Path) -> Result<Self> {
        Self::raise_with(binary, Card::for_world)
    }

    /// The same with another card.
    pub fn raise_with(binary: &Path, card: impl FnOnce(&World) -> Result<Card>) -> Result<Self> {
        let world = World::raise()?;
        let byway = BywayBox::new(&world, binary, &card(&world)?)?;
        Ok(Self { byway, world, binary: binary.to_owned() })
    }

    /// Another box with an empty disk; the tailnet has forgotten the one before.
    pub fn replace_box(&mut self, card: &Card) -> Result<()> {
        self.byway.power_cut()?;
        self.world.control.forget("byway")?;
        // Nor does another box know how far the one before has stamped its handshakes.
        for relay in RELAYS {
            self.world.relay_called(relay.name)?.forget()?;
        }
        self.byway = BywayBox::new(&self.world, &self.binary, card)?;
        Ok(())
    }

    /// Boots the box, waits for its door, and lets the phone use it.
    pub fn boot_and_carry(&mut self) -> Result<()> {
        self.byway.boot()?;
        self.byway.wait_status("the wished door", PATIENCE, is_as_wished)?;
        self.byway.wait_status("the exit node's approval", PATIENCE, is_approved)?;
        self.world.phone.use_exit("byway")?;
        self.wait_carried()
    }

    /// A box that carries by the privacy door, whatever was before: booted if it is off.
    pub fn carry(&mut self) -> Result<()> {
        if !self.byway.is_running() {
            self.boot_and_carry()?;
        }
        let said = self.byway.cli(&["egress", "privacy"])?;
        ensure!(said.code == Some(0), "byway egress privacy: {said:?}");
        self.wait_seen_by(Door::Privacy)
    }

    /// Waits until the phone gets through in both families; by which door is the judge's business.
    pub fn wait_carried(&self) -> Result<()> {
        self.world.phone.wait_carried()
    }

    /// Waits until the internet sees the phone as that door's.
    pub fn wait_seen_by(&self, door: Door) -> Result<()> {
        self.world.phone.wait_seen_by(door)
    }

    /// One more capture, for what the judge does not look at.
    pub fn listen(&self, place: Place, interface: &str, link: &str) -> Result<Capture> {
        Capture::start(&self.world.namespace(place).path(), interface, link)
    }

    /// Captures on every link, then a load in both families. `door` is what the box has decided before.
    pub fn watch(&self, door: Option<Door>, rates: Rates) -> Result<Watch> {
        Watch::begin(&self.world, door, rates)
    }
}

impl Watch {
    /// In any world, whatever box is in it: captures on every link, then a load in both families. `door` is what the box has decided before.
    pub fn begin(world: &World, door: Option<Door>, rates: Rates) -> Result<Self> {
        let mut timeline = Timeline::default();
        let began = SystemTime::now();
        timeline.add(Decision { requested: began, decided: began, door });
        let capture = |place, interface: &str, vantage, link: &str| -> Result<_> {
            Ok((vantage, Heading::In, Capture::start(&world.namespace(place).path(), interface, link)?))
        };
        let mut captures = Vec::from([
            capture(Place::House, BOX_PORT, Vantage::House, "house")?,
            capture(Place::Srv, "eth0", Vantage::Server, "server")?,
        ]);
        for relay in world.relays() {
            captures.push(capture(relay.site().place, relay.device(), Vantage::Relay, relay.name())?);
        }
        let odd_server = rates
            .need_odd_server()
            .then(|| OddServer::start(&world.namespace(Place::Srv), &[SERVER_V4.into(), SERVER_V6.into()]));
        let odd_server = odd_server.transpose()?;
        let load = Load::start(&world.namespace(Place::Phone).path(), &echo_servers(), rates)?;
        Ok(Self {
            captures,
            places: places(world.house.numbering()),
            timeline,
            load,
            guests_load: None,
            _odd_server: odd_server,
        })
    }

    /// A machine of the house talks too: the same promise is for it.
    pub fn add_guest(&mut self, guest: &Guest, rates: Rates) -> Result<()> {
        self.places.members = guest.addresses()?;
        self.guests_load = Some(Load::start(&guest.namespace().path(), &echo_servers(), rates)?);
        Ok(())
    }

    /// Waits for an answer to something that the machine of the house sends from now on.
    pub fn wait_guest_answered(&self, patience: Duration) -> Result<SystemTime> {
        self.guests_load.as_ref().context("no guest talks")?.wait_for_answer(SystemTime::now(), patience)
    }

    /// Asks the box for a door and waits for its verdict.
    pub fn flip(&mut self, byway: &BywayBox, door: Option<Door>) -> Result<()> {
        let requested = SystemTime::now();
        let wish = door.map_or_else(|| "sealed".to_owned(), |door| door.to_string());
        let said = byway.cli(&["egress", &wish])?;
        ensure!(said.code == Some(0), "byway egress {wish}: {said:?}\n{}", byway.log_tail());
        self.decide(requested, door);
        Ok(())
    }

    /// From `requested` until now the box was on its way to `door`; now it has told so.
    pub fn decide(&mut self, requested: SystemTime, door: Option<Door>) {
        self.timeline.add(Decision { requested, decided: SystemTime::now(), door });
    }

    /// Pulls the box's plug and leaves it out.
    pub fn cut_power(&mut self, byway: &mut BywayBox) -> Result<()> {
        byway.power_cut()?;
        self.timeline.add_power_cut(SystemTime::now());
        Ok(())
    }

    /// Waits for an answer to something that the phone sends from now on.
    pub fn wait_answered(&self, patience: Duration) -> Result<SystemTime> {
        self.load.wait_for_answer(SystemTime::now(), patience)
    }

    /// The same for what is sent by lines of this sort.
    pub fn wait_answered_to(
        &self,
        patience: Duration,
        of_the_sort: impl Fn(Line) -> bool,
    ) -> Result<SystemTime> {
        self.load.wait_for_answer_to(SystemTime::now(), patience, of_the_sort)
    }

    /// Stops the load, then the captures, and judges.
    pub fn end(self) -> Result<Outcome> {
        let guests_load = self.guests_load.map(Load::stop).transpose()?;
        let load = self.load.stop()?;
        let mut witnesses = Vec::new();
        for (vantage, leaving, capture) in self.captures {
            witnesses.push(Witness { vantage, leaving, recording: capture.stop()? });
        }
        let judge = Judge { places: self.places, timeline: self.timeline, relay_drain: RELAY_DRAIN };
        let verdict = judge.judge(&load.during, &witnesses).context("no verdict")?;
        let flips = flip_times(&judge, &witnesses);
        Ok(Outcome { verdict, load, guests_load, flips, judge, witnesses })
    }
}

impl Outcome {
    /// Nothing by the wrong door, nothing linked, and every door that was open under load was heard.
    pub fn assert_clean(&self) -> Result<()> {
        ensure!(self.verdict.is_clean(), "{}", self.verdict);
        self.verdict.heard_something()
    }
}

/// The status says that the wish is reached.
pub fn is_as_wished(status: &Value) -> bool {
    match status["wish"].as_str() {
        Some("sealed") => status["state"] == "sealed",
        Some(wish) => status["state"] == "open" && status["door"] == wish,
        None => false,
    }
}

pub fn is_approved(status: &Value) -> bool {
    status["tailnet"]["exit_node"] == "approved"
}

fn flip_times(judge: &Judge, witnesses: &[Witness]) -> Vec<Duration> {
    let changes = judge.timeline.changes();
    changes
        .filter_map(|(requested, door)| {
            let first = judge.first_by(door, requested, witnesses)?;
            first.duration_since(requested).ok()
        })
        .collect()
}

fn echo_servers() -> [SocketAddr; 2] {
    [SocketAddr::new(SERVER_V4.into(), 7), SocketAddr::new(SERVER_V6.into(), 7)]
}

fn places(house: Numbering) -> Places {
    let parse = |text: &str| text.parse().expect("an address of the lab");
    let net = |text: &str| text.parse().expect("a prefix of the lab");
    let more_servers = MORE_SERVERS.as_flattened().iter().map(|address| parse(address));
    let upstreams = [(Door::Privacy, PRIVACY_DNS), (Door::Residential, RESIDENTIAL_DNS)]
        .into_iter()
        .flat_map(|(door, (v4, v6))| [(door, v4.into()), (door, v6.into())]);
    Places {
        servers: [SERVER_V4.into(), SERVER_V6.into()].into_iter().chain(more_servers).collect(),
        tailnet: Vec::from([net("100.64.0.0/10"), net("fd7a:115c:a1e0::/48")]),
        house_in_tailnet: (house == Numbering::CarrierGrade)
            .then(|| [house.router().into(), house.of_the_box().into()]),
        tunnel: DEVICE_ADDRESSES.split(',').chain(POOL).map(net).collect(),
        relays: RELAYS
            .map(|relay| RelayPlace { link: relay.name.to_owned(), addresses: relay.addresses().into() })
            .into(),
        house: Vec::from([net("198.51.100.10/32"), net("2001:db8:77::/64"), net("2001:db8:88::/64")]),
        checks: Vec::from([SocketAddr::new(SERVER_V4.into(), 443), SocketAddr::new(SERVER_V6.into(), 443)]),
        resolvers: Numbering::resolvers()
            .chain([parse("10.64.0.1"), NEIGHBOUR_V4.into()])
            .chain(WELL_KNOWN.map(parse))
            .collect(),
        clocks: TIME_SERVERS.as_flattened().iter().map(|address| parse(address)).collect(),
        members: Vec::new(),
        upstreams: upstreams.collect(),
    }
}
