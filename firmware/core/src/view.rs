//! What may be told: one projection of the verified state for panel, web page and command line.

mod subject;

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub(crate) use subject::{Subject, phase_and_door};

use crate::account;
use crate::board::Board;
use crate::clients::ClientView;
use crate::evidence::Offload;
use crate::names::NamesReport;
use crate::relays::RelayView;
use crate::tailnet::{Reach, TailnetFacts, Ways};
use crate::{ClockReport, Egress, Lack, Uptime, Wish};

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
    /// Why some of them are not served though the owner wants it; a sentence.
    pub unserved: Option<String>,
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
