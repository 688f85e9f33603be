//! How a view is made of what the core knows.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::{
    DnsView, Drift, LanView, NOWHERE, Phase, ResidentialView, SeenAs, TunnelView, UplinkView, UpstreamView,
    View,
};
use crate::account;
use crate::allowance::Allowance;
use crate::board::Board;
use crate::clients::{ClientView, Clients, Ledger};
use crate::evidence::Evidence;
use crate::machine::{House, household};
use crate::posture::Refused;
use crate::relays::{RelayView, Relays, Role};
use crate::tailnet::{self, TailnetFacts, Ways};
use crate::{ClockReport, Egress, Expect, Facts, Lack, Serve, Settings, State, Uptime, Wish};

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
        let unserved = self.unserved();
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
            unserved: self.unserved(),
            reach: self.facts.reachable(),
        })
    }

    fn unserved(&self) -> Option<String> {
        household::obstacle(&self.settings.serve, self.facts, self.house.apart.as_deref())
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
