//! What may be told: one projection of the verified state for panel, web page and command line.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::account;
use crate::allowance::Allowance;
use crate::board::Board;
use crate::clients::{ClientView, Clients, Ledger};
use crate::evidence::{Evidence, Offload};
use crate::machine::{House, household};
use crate::names::NamesReport;
use crate::posture::Refused;
use crate::relays::{RelayView, Relays, Role};
use crate::tailnet::{self, Reach, TailnetFacts, Ways};
use crate::{ClockReport, Egress, Expect, Facts, Lack, Serve, Settings, State, Uptime, Wish};

/// Of a relay that nobody knows yet.
const NOWHERE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));

/// The box in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// No door is open: as wished, or until the owner mends something.
    Sealed,
    /// On the way to the wished door.
    Proving,
    /// The door is open and was read back.
    Open,
}

/// Unknown is `None`, never a guess.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub name: String,
    pub wish: Wish,
    /// What client packets can leave by at this moment.
    pub door: Option<Egress>,
    pub phase: Phase,
    /// A sentence without ages: it changes only when something changed.
    pub why: String,
    /// What of it keeps a door from being open.
    pub lack: Option<Lack>,
    /// When phase or door last changed.
    pub since: Uptime,
    pub tunnel: TunnelView,
    /// In the order of the owner's list.
    pub relays: Vec<RelayView>,
    pub tailnet: TailnetFacts,
    /// How that one reaches the box.
    pub reach: Reach,
    pub seen_as: Option<SeenAs>,
    pub uplink: Option<UplinkView>,
    /// `None`: the owner wants nothing of the kind.
    pub lan: Option<LanView>,
    /// What is missing of the house's line, or else what is odd about it, in sentences.
    pub house: Vec<String>,
    /// The page that the house's network wants somebody to log in on.
    pub portal: Option<String>,
    pub drift: Drift,
    pub dns: DnsView,
    pub clock: ClockReport,
    pub board: Board,
    /// Who has gone out in this boot, by name; `None`: nobody has looked yet.
    pub clients: Option<Vec<ClientView>>,
    pub residential: ResidentialView,
    /// How the machine stopped last, and how often the agent crashed since; `None` at its first boot.
    pub last_stop: Option<String>,
    /// `None`: the owner's relays are those of files alone.
    pub account: Option<account::Report>,
}

/// Whom each door asks for names, and how they answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsView {
    pub privacy: UpstreamView,
    pub residential: UpstreamView,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamView {
    pub upstream: String,
    pub report: NamesReport,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelView {
    pub relay: String,
    pub endpoint: SocketAddr,
    pub handshake: Option<Uptime>,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    pub mtu: u16,
    /// What the kernel helps the engine with; the more, the faster.
    pub offloads: Vec<Offload>,
}

/// Who the internet sees, by the open door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenAs {
    pub v4: Option<IpAddr>,
    pub v6: Option<IpAddr>,
    pub mullvad: Option<bool>,
    /// The city that it takes this to be in, where the check host tells.
    pub place: Option<String>,
    pub checked: Uptime,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UplinkView {
    pub interface: String,
    pub addresses: Vec<IpNet>,
    pub gateway: Option<IpAddr>,
}

/// What the house's own network has of the box, and the tailnet of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanView {
    /// Where machines of the house are served.
    pub interface: Option<String>,
    /// From which prefixes they are.
    pub serves: Vec<IpNet>,
    /// Where tailnet peers can reach into.
    pub reach: Vec<IpNet>,
}

/// What clients may do by the house's line, and have tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResidentialView {
    /// Whether they may send mail to other people's servers (TCP 25).
    pub smtp: bool,
    /// Tries at it that were refused in this boot; `None`: nobody has looked yet.
    pub smtp_tries: Option<u64>,
    /// What they have moved this day, and the most in GB; `None`: there is no such bound.
    pub used: Option<(u64, u16)>,
}

/// What somebody else changed in the kernel, and was put right.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    pub healed: u64,
    pub last: Option<String>,
}

impl View {
    /// Of a box that has no configuration, and waits for one. `why`: what the owner has to do.
    pub fn without_configuration(now: Uptime, why: String) -> Self {
        let nobody = UpstreamView { upstream: String::new(), report: NamesReport::default() };
        Self {
            name: String::from("byway"),
            wish: Egress::Privacy.into(),
            door: None,
            phase: Phase::Sealed,
            why,
            lack: None,
            since: now,
            tunnel: TunnelView {
                relay: String::new(),
                endpoint: NOWHERE,
                handshake: None,
                rx_bytes: 0,
                tx_bytes: 0,
                mtu: 0,
                offloads: Vec::new(),
            },
            relays: Vec::new(),
            tailnet: TailnetFacts::default(),
            reach: Ways::default().reach(),
            seen_as: None,
            uplink: None,
            lan: None,
            house: Vec::new(),
            portal: None,
            drift: Drift::default(),
            dns: DnsView { privacy: nobody.clone(), residential: nobody },
            clock: ClockReport::default(),
            board: Board::default(),
            clients: None,
            residential: ResidentialView::default(),
            last_stop: None,
            account: None,
        }
    }

    /// The wished door is open, or no door as wished.
    pub fn is_as_wished(&self) -> bool {
        self.wish.is_reached(self.phase, self.door)
    }

    /// Without what only grows older or counts: two views that are told apart by nothing else are no change.
    #[must_use]
    pub fn without_ages(&self) -> Self {
        let tunnel = TunnelView { handshake: None, rx_bytes: 0, tx_bytes: 0, ..self.tunnel.clone() };
        let relays = self.relays.iter().map(RelayView::without_ages).collect();
        let seen_as = self.seen_as.clone().map(|seen| SeenAs { checked: Uptime::default(), ..seen });
        let dns = self.dns.without_ages();
        let (clock, board) = (self.clock.without_ages(), self.board.without_ages());
        let clients = self.clients.as_ref().map(|all| all.iter().map(ClientView::without_ages).collect());
        let residential = ResidentialView { smtp_tries: None, used: None, ..self.residential.clone() };
        Self { tunnel, relays, seen_as, dns, clock, board, clients, residential, ..self.clone() }
    }
}

impl DnsView {
    fn without_ages(&self) -> Self {
        let ageless = |of: &UpstreamView| UpstreamView {
            upstream: of.upstream.clone(),
            report: NamesReport { error: of.report.error.clone(), ..NamesReport::default() },
        };
        Self { privacy: ageless(&self.privacy), residential: ageless(&self.residential) }
    }
}

impl Drift {
    pub(crate) fn count(&mut self, what: String) {
        self.healed = self.healed.saturating_add(1);
        self.last = Some(what);
    }
}

/// All that a view is made of.
pub(crate) struct Subject<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) wish: Wish,
    pub(crate) unsaved: Option<&'a str>,
    pub(crate) state: &'a State,
    pub(crate) since: Uptime,
    pub(crate) facts: &'a Facts,
    pub(crate) house: &'a House,
    pub(crate) evidence: &'a Evidence,
    pub(crate) relays: &'a Relays,
    pub(crate) account: Option<&'a account::Report>,
    pub(crate) tailnet: &'a TailnetFacts,
    pub(crate) ways: &'a Ways,
    pub(crate) drift: &'a Drift,
    pub(crate) clock: &'a ClockReport,
    pub(crate) board: &'a Board,
    pub(crate) clients: &'a Clients,
    pub(crate) allowance: &'a Allowance,
    /// As it was read back.
    pub(crate) refused: Option<&'a Refused>,
}

impl Subject<'_> {
    pub(crate) fn view(&self) -> View {
        let (phase, door) = phase_and_door(self.state);
        View {
            name: self.settings.name.clone(),
            wish: self.wish,
            door,
            phase,
            why: self.why(),
            lack: self.lack(),
            since: self.since,
            tunnel: self.tunnel(),
            relays: self.relays(),
            tailnet: self.tailnet.clone(),
            reach: self.ways.reach(),
            seen_as: door.and_then(|door| self.seen_as(door)),
            uplink: self.uplink(),
            lan: self.lan(),
            house: self.house.sentences(self.facts, self.wanted_relay()),
            portal: self.house.portal.clone(),
            drift: self.drift.clone(),
            dns: self.dns(),
            clock: self.clock.clone(),
            board: self.board.clone(),
            clients: self.clients(),
            residential: self.residential(),
            last_stop: self.settings.last_stop.clone(),
            account: self.account.cloned(),
        }
    }

    fn lack(&self) -> Option<Lack> {
        match self.state {
            State::Applying { lack, .. } => lack.clone(),
            State::Proving { lack, .. } => Some(lack.clone()),
            State::Sealed | State::Open { .. } | State::Unverified { .. } => None,
        }
    }

    fn why(&self) -> String {
        let door = match self.state {
            State::Sealed => String::from("as wished"),
            State::Applying { posture, lack, .. } => match (posture.door, lack) {
                (Some(door), _) => format!("opening the {} door", door.egress),
                (None, Some(lack)) => format!("sealing: {lack}"),
                (None, None) => String::from("sealing"),
            },
            State::Proving { lack, .. } => lack.to_string(),
            State::Open { door } => self.why_open(door.egress),
            State::Unverified { error } => error.clone(),
        };
        let unsaved = self.unsaved.map(|error| format!("the wish is forgotten at the next boot: {error}"));
        let tailnet = tailnet::sentence(self.tailnet, self.settings.control.as_deref());
        // What is missing may be what the door lacks.
        let house = self.house.sentences(self.facts, self.wanted_relay());
        let house: Vec<String> = house.into_iter().filter(|sentence| !door.contains(sentence)).collect();
        let unserved = household::obstacle(&self.settings.serve, self.facts);
        let account =
            self.account.and_then(|account| account.trouble.clone().or_else(|| account.note.clone()));
        let of_the_box =
            [unsaved, unserved, self.clock.complaint(), self.board.complaint(), account, tailnet]
                .into_iter()
                .flatten();
        let sentences: Vec<String> = core::iter::once(door).chain(house).chain(of_the_box).collect();
        sentences.join("; ")
    }

    fn why_open(&self, egress: Egress) -> String {
        let by = match (egress, self.settings.expect) {
            (Egress::Privacy, Expect::Mullvad) => format!("by mullvad {}", self.relay_name()),
            (Egress::Privacy, Expect::Any) => format!("by {}", self.relay_name()),
            (Egress::Residential, _) => String::from("by the house's own line"),
        };
        let oddities = match egress {
            Egress::Privacy => self.relays.oddities(),
            Egress::Residential => Vec::new(),
        };
        let checked = self.evidence.check_error(egress);
        let checked = checked.map(|error| format!("the exit check gets no answer: {error}"));
        let upstream = match egress {
            Egress::Privacy => &self.settings.upstreams.privacy,
            Egress::Residential => &self.settings.upstreams.residential,
        };
        let names = self.evidence.names(egress).error.as_ref();
        let names = names.map(|error| format!("names get no answer from {upstream}: {error}"));
        let sentences: Vec<String> =
            core::iter::once(by).chain(oddities).chain(checked).chain(names).collect();
        sentences.join("; ")
    }

    fn dns(&self) -> DnsView {
        let of = |upstream: &String, egress| UpstreamView {
            upstream: upstream.clone(),
            report: self.evidence.names(egress).clone(),
        };
        let upstreams = &self.settings.upstreams;
        DnsView {
            privacy: of(&upstreams.privacy, Egress::Privacy),
            residential: of(&upstreams.residential, Egress::Residential),
        }
    }

    fn tunnel(&self) -> TunnelView {
        let report = &self.evidence.tunnel;
        let end = self.facts.tunnel.as_ref();
        TunnelView {
            relay: self.relay_name().into(),
            endpoint: end.map(|end| end.relay).or(self.wanted_relay()).unwrap_or(NOWHERE),
            handshake: report.handshake,
            rx_bytes: report.rx_bytes,
            tx_bytes: report.tx_bytes,
            mtu: self.relays.end().map_or(0, |end| end.mtu),
            offloads: report.offloads.clone(),
        }
    }

    /// Empty while none is known.
    fn relay_name(&self) -> &str {
        self.relays.name().unwrap_or_default()
    }

    fn wanted_relay(&self) -> Option<SocketAddr> {
        self.relays.end().map(|end| end.relay)
    }

    fn relays(&self) -> Vec<RelayView> {
        let mut views = self.relays.views();
        for view in &mut views {
            view.endpoint = self.house.way_to(view.endpoint, self.facts);
            if view.role == Role::Active
                && let Some((sent, round_trip)) = self.evidence.pong()
            {
                (view.proven, view.tested) = (view.proven.max(Some(sent)), view.tested.max(Some(sent)));
                view.round_trip = Some(round_trip);
            }
        }
        views
    }

    fn clients(&self) -> Option<Vec<ClientView>> {
        let mut clients = self.clients.views(self.refused)?;
        for client in &mut clients {
            client.limit_mbit = self.settings.limit_mbit;
        }
        Some(clients)
    }

    fn residential(&self) -> ResidentialView {
        ResidentialView {
            smtp: !self.settings.refuse_smtp,
            smtp_tries: self.clients.ledger.as_ref().map(Ledger::smtp_tries),
            used: self.allowance.told(),
        }
    }

    fn seen_as(&self, door: Egress) -> Option<SeenAs> {
        let (exits, checked) = self.evidence.exits(door)?;
        let seen = |v4: bool| exits.iter().map(|exit| exit.address).find(|address| address.is_ipv4() == v4);
        let mullvad = exits.iter().map(|exit| exit.mullvad).reduce(|a, b| Some(a? && b?)).flatten();
        let place = exits.iter().find_map(|exit| exit.city.clone());
        Some(SeenAs { v4: seen(true), v6: seen(false), mullvad, place, checked })
    }

    fn lan(&self) -> Option<LanView> {
        let household = self.facts.household.as_ref();
        let serves = household.iter().flat_map(|household| &household.addresses).map(IpNet::trunc);
        let wanted = self.settings.serve != Serve::Nobody || self.settings.reach;
        wanted.then(|| LanView {
            interface: household.map(|household| household.interface.clone()),
            serves: serves.collect(),
            reach: self.facts.reachable(),
        })
    }

    fn uplink(&self) -> Option<UplinkView> {
        self.facts.uplink.as_ref().map(|uplink| UplinkView {
            interface: uplink.interface.clone(),
            addresses: uplink.addresses.clone(),
            gateway: uplink.gateway4.map(IpAddr::V4).or(uplink.gateway6.map(IpAddr::V6)),
        })
    }
}

/// While an order is on its way, nobody knows which door is open.
pub(crate) const fn phase_and_door(state: &State) -> (Phase, Option<Egress>) {
    match state {
        // The second is for the owner to mend, the third for the next day.
        State::Sealed | State::Proving { lack: Lack::NotMullvad(_) | Lack::Spent(_), door: None, .. } => {
            (Phase::Sealed, None)
        }
        State::Applying { .. } | State::Unverified { .. } | State::Proving { door: None, .. } => {
            (Phase::Proving, None)
        }
        State::Proving { door: Some(door), .. } => (Phase::Proving, Some(door.egress)),
        State::Open { door } => (Phase::Open, Some(door.egress)),
    }
}
