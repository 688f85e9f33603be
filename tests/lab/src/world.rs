//! The whole world: raised in the right order, taken down completely. Its parts live in files of their own.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::certs::Certs;
use crate::control::Control;
use crate::dns::{At, Dns64, Names, Resolver};
use crate::house::House;
use crate::internet::{Check, Internet};
use crate::mullvad_api::FakeMullvadApi;
use crate::namespace::Namespace;
use crate::peers::Peers;
use crate::phone::Phone;
use crate::relay::Relay;
use crate::time_server::TimeServer;
use crate::tools;
use crate::topology::{Place, SERVER_V4, TIME_SERVERS, Topology};
use crate::upstream::Upstreams;

/// A small internet with a house in it; no box runs yet. One at a time on a machine: raising a second one waits.
/// Dropping it ends every process and removes every name.
#[derive(Debug)]
pub struct World {
    pub phone: Phone,
    pub control: Control,
    /// The relay that a card names first.
    pub relay: Relay,
    /// In its city, and in another one.
    pub more_relays: [Relay; 2],
    /// The switch of `https://check.example.net/json`.
    pub check: Check,
    /// Where the relays' customers register.
    pub mullvad: FakeMullvadApi,
    /// Who is asked for names by each door.
    pub upstreams: Upstreams,
    /// Whom the box asks for the time.
    pub time: [TimeServer; 3],
    /// Where the box is.
    pub house: House,
    pub peers: Peers,
    _internets_resolver: Resolver,
    _internet: Internet,
    certs: Certs,
    /// Last, and shared with a box: the ground goes when nobody stands on it any more.
    topology: Arc<Topology>,
}

impl World {
    /// Raises everything and joins the phone to a fresh tailnet: about 10 seconds with built peers.
    pub fn raise() -> Result<Self> {
        tools::require_for_world()?;
        let peers = Peers::build(say_what_is_built)?;
        let topology = Arc::new(Topology::lay()?);
        let folder = topology.run().folder().to_owned();
        let certs = Certs::make(&folder)?;
        let namespace = |place| topology.namespace(place);
        let internet = Internet::open(&namespace(Place::Srv), &certs.check)?;
        let at = At::Address(IpAddr::V4(SERVER_V4));
        let internets_resolver = Resolver::start(&namespace(Place::Srv), at, Names::All, Dns64::Off)?;
        let house = House::open(&topology)?;
        topology.plug_in_box()?;
        let upstreams = Upstreams::start(&namespace(Place::Srv), &folder, &certs)?;
        let time = time_servers(&namespace(Place::Srv))?;
        let [relay, nearby, remote] = Relay::start_all(&topology, &peers)?;
        let mullvad =
            FakeMullvadApi::start(&namespace(Place::Srv), &certs.mullvad, [&relay, &nearby, &remote])?;
        let control =
            Control::start(namespace(Place::Ctl), &peers, &folder.join("headscale"), &certs.control)?;
        let phone = Phone::start("phone", namespace(Place::Phone), &peers, &folder, &certs.authority)?;
        phone.up(&control.phone_key()?).context("the phone cannot join the tailnet")?;
        Ok(Self {
            phone,
            control,
            relay,
            more_relays: [nearby, remote],
            check: internet.check.clone(),
            mullvad,
            upstreams,
            house,
            time,
            peers,
            _internets_resolver: internets_resolver,
            _internet: internet,
            certs,
            topology,
        })
    }

    /// Switches the owner's laptop on, which joins the tailnet; dropping it switches it off.
    pub fn laptop(&self) -> Result<Phone> {
        let namespace = self.namespace(Place::Laptop);
        let laptop = Phone::start("laptop", namespace, &self.peers, &self.folder(), self.authority())?;
        laptop.up(&self.control.phone_key()?).context("the laptop cannot join the tailnet")?;
        Ok(laptop)
    }

    /// All of them, in the order of the cards.
    pub fn relays(&self) -> [&Relay; 3] {
        let [second, third] = &self.more_relays;
        [&self.relay, second, third]
    }

    /// The same, by name and to be hurt.
    pub fn relay_called(&mut self, name: &str) -> Result<&mut Relay> {
        let mut relays = std::iter::once(&mut self.relay).chain(&mut self.more_relays);
        relays.find(|relay| relay.name() == name).with_context(|| format!("no relay is called {name}"))
    }

    pub fn namespace(&self, place: Place) -> Namespace {
        self.topology.namespace(place)
    }

    /// Places, cables and the box's power.
    pub fn topology(&self) -> &Arc<Topology> {
        &self.topology
    }

    /// The certificate authority that every peer of this world trusts.
    pub fn authority(&self) -> &Path {
        &self.certs.authority
    }

    /// Logs, keys and state of this run; gone with the world unless `BYWAY_LAB_KEEP` is set.
    pub fn folder(&self) -> PathBuf {
        self.topology.run().folder().to_owned()
    }

    /// A network device's name that no other world uses; the suffix of a few letters is whose it is.
    pub fn device(&self, suffix: &str) -> String {
        self.topology.run().device(suffix)
    }
}

fn time_servers(namespace: &Namespace) -> Result<[TimeServer; 3]> {
    let start = |[v4, v6]: [&str; 2]| TimeServer::start(namespace, &[v4.parse()?, v6.parse()?]);
    let [first, second, third] = TIME_SERVERS.map(start);
    Ok([first?, second?, third?])
}

#[expect(clippy::print_stderr, reason = "minutes of silence look like a hang to the person at the terminal")]
fn say_what_is_built(program: &str) {
    eprintln!("building {program} from its pinned source");
}
