//! The status as other people's scripts read it (DESIGN 7): the core's view with its moments turned into ages.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use byway_core::board::Board;
use byway_core::clock::Source;
use byway_core::tailnet::{ExitNode, Reach, TailnetFacts};
use byway_core::{
    Drift, Egress, Offload, Phase, ResidentialView, SeenAs, TunnelView, UpstreamView, Uptime, View, Wish,
};
use serde::{Deserialize, Serialize};

use super::{Account, Client};

/// Unknown is null, never a guess.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub name: String,
    pub wish: Wish,
    pub door: Option<Egress>,
    pub state: Phase,
    pub why: String,
    /// RFC 3339, when state or door last changed.
    pub since: String,
    pub tunnel: Tunnel,
    pub tailnet: Tailnet,
    pub seen_as: Option<Seen>,
    pub uplink: Option<Uplink>,
    /// Null: neither are machines of the house served, nor can the tailnet's peers reach into it.
    pub lan: Option<Lan>,
    pub drift: Drift,
    pub dns: Dns,
    /// `"ntp"`, `"tls"`, `"rtc"`, `"saved"`, `"build"`, `"none"`: where the time comes from.
    pub clock: Option<Source>,
    /// What had to be added to the clock when it was last checked; null: not since the agent's start.
    pub clock_offset_ms: Option<i64>,
    pub clock_checked_s: Option<u64>,
    pub board: Board,
    /// Who has gone out in this boot, the busiest first; null: nobody has looked yet.
    pub clients: Option<Vec<Client>>,
    pub residential: Residential,
    /// How the machine stopped last, and how often the agent crashed since; null at its first boot.
    pub last_stop: Option<String>,
    /// Null: the configuration names none.
    pub account: Option<Account>,
    pub version: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnel {
    pub relay: String,
    pub endpoint: String,
    pub handshake_age_s: Option<u64>,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    pub mtu: u16,
    /// `"tso"`, `"uso"`, `"udp-gso"`, `"udp-gro"`: those that this kernel has; the more, the faster.
    pub offloads: Vec<Offload>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tailnet {
    pub state: Option<String>,
    pub name: Option<String>,
    pub addresses: Vec<IpAddr>,
    /// `"offered"`, `"approved"`, or null: not joined.
    pub exit_node: Option<String>,
    pub key_expiry: Option<String>,
    pub health: Vec<String>,
    /// How the tailnet reaches the box.
    pub reach: Reach,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub v4: Option<IpAddr>,
    pub v6: Option<IpAddr>,
    pub mullvad: Option<bool>,
    pub checked_s_ago: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uplink {
    pub interface: String,
    pub addresses: Vec<String>,
    pub gateway: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lan {
    /// Where machines of the house are served; null: they are not, at the moment.
    pub interface: Option<String>,
    /// From which prefixes.
    pub serves: Vec<String>,
    /// Where peers of the tailnet can reach into, if that was approved.
    pub reach: Vec<String>,
}

/// Whom each door asks for names, and how they answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dns {
    pub privacy: Upstream,
    pub residential: Upstream,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// As `byway.toml` has it, without what names a person's profile.
    pub upstream: String,
    /// Seconds since it last answered; null: not since the agent's start.
    pub last_ok_s: Option<u64>,
    /// Questions that it did not answer, since the agent's start.
    pub failures: u64,
    /// Half of its last answers came within as many milliseconds.
    pub p50_ms: Option<u64>,
    /// Why it did not answer the last question; null: it did, or was never asked.
    pub error: Option<String>,
}

/// What clients may do by the house's line, and have tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Residential {
    /// Whether they may send mail to other people's servers (TCP 25).
    pub smtp: bool,
    /// Tries at it that were refused in this boot.
    pub smtp_tries: Option<u64>,
    /// What they may move in a day, both ways; null: whatever they like.
    pub daily_gb: Option<u16>,
    /// What they have moved of it.
    pub used_bytes: Option<u64>,
}

impl Residential {
    /// How much of the day's allowance is used; none where there is no bound.
    pub fn used(&self) -> Option<String> {
        let (bytes, gb) = self.used_bytes.zip(self.daily_gb)?;
        let (whole, tenths) = (bytes / 1_000_000_000, bytes / 100_000_000 % 10);
        Some(format!("{whole}.{tenths} of {gb} GB of this day are used"))
    }
}

impl From<&ResidentialView> for Residential {
    fn from(view: &ResidentialView) -> Self {
        let (used_bytes, daily_gb) = view.used.unzip();
        Self { smtp: view.smtp, smtp_tries: view.smtp_tries, daily_gb, used_bytes }
    }
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub uptime: Uptime,
    pub wall: SystemTime,
}

impl Now {
    /// When that was, by the present wall clock. One that was set back to 1970 knows of nothing before.
    pub fn wall_time_of(self, then: Uptime) -> SystemTime {
        let earliest = SystemTime::UNIX_EPOCH;
        self.wall.checked_sub(self.uptime.since(then)).map_or(earliest, |then| then.max(earliest))
    }
}

impl Status {
    pub fn new(view: &View, now: Now) -> Self {
        Self {
            name: view.name.clone(),
            wish: view.wish,
            door: view.door,
            state: view.phase,
            why: view.why.clone(),
            since: rfc3339(now, view.since),
            tunnel: tunnel(&view.tunnel, now),
            tailnet: tailnet(&view.tailnet, &view.reach),
            seen_as: view.seen_as.as_ref().map(|seen| seen_as(seen, now)),
            uplink: view.uplink.as_ref().map(|uplink| Uplink {
                interface: uplink.interface.clone(),
                addresses: uplink.addresses.iter().map(ToString::to_string).collect(),
                gateway: uplink.gateway,
            }),
            lan: view.lan.as_ref().map(|lan| Lan {
                interface: lan.interface.clone(),
                serves: lan.serves.iter().map(ToString::to_string).collect(),
                reach: lan.reach.iter().map(ToString::to_string).collect(),
            }),
            drift: view.drift.clone(),
            dns: Dns {
                privacy: upstream(&view.dns.privacy, now),
                residential: upstream(&view.dns.residential, now),
            },
            clock: view.clock.source,
            clock_offset_ms: view.clock.offset.map(|offset| offset.as_micros() / 1000),
            clock_checked_s: view.clock.checked.map(|checked| age(now, checked)),
            board: view.board.clone(),
            clients: view.clients.as_ref().map(|clients| Client::list(clients, now)),
            residential: Residential::from(&view.residential),
            last_stop: view.last_stop.clone(),
            account: view.account.as_ref().map(Account::new),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Whom that door asks for names.
    pub const fn upstream(&self, door: Egress) -> &Upstream {
        match door {
            Egress::Privacy => &self.dns.privacy,
            Egress::Residential => &self.dns.residential,
        }
    }

    /// The wished door is open, or no door as wished.
    pub fn is_as_wished(&self) -> bool {
        self.wish.is_reached(self.state, self.door)
    }
}

fn tunnel(tunnel: &TunnelView, now: Now) -> Tunnel {
    Tunnel {
        relay: tunnel.relay.clone(),
        endpoint: endpoint(tunnel.endpoint),
        handshake_age_s: tunnel.handshake.map(|made| age(now, made)),
        rx_bytes: tunnel.rx_bytes,
        tx_bytes: tunnel.tx_bytes,
        mtu: tunnel.mtu,
        offloads: tunnel.offloads.clone(),
    }
}

/// Nothing where there is none.
fn endpoint(endpoint: SocketAddr) -> String {
    if endpoint.ip().is_unspecified() { String::new() } else { endpoint.to_string() }
}

fn tailnet(facts: &TailnetFacts, reach: &Reach) -> Tailnet {
    Tailnet {
        state: facts.state.map(|state| state.to_string()),
        name: facts.name.clone(),
        addresses: facts.addresses.clone(),
        exit_node: facts.exit_node.map(|exit_node| {
            match exit_node {
                ExitNode::Offered => "offered",
                ExitNode::Approved => "approved",
            }
            .to_owned()
        }),
        key_expiry: facts.key_expiry.clone(),
        health: facts.health.clone(),
        reach: reach.clone(),
    }
}

fn seen_as(seen: &SeenAs, now: Now) -> Seen {
    Seen { v4: seen.v4, v6: seen.v6, mullvad: seen.mullvad, checked_s_ago: age(now, seen.checked) }
}

fn upstream(view: &UpstreamView, now: Now) -> Upstream {
    let report = &view.report;
    Upstream {
        upstream: view.upstream.clone(),
        last_ok_s: report.last_ok.map(|answered| age(now, answered)),
        failures: report.failures,
        p50_ms: report.p50.map(|p50| u64::try_from(p50.as_millis()).unwrap_or(u64::MAX)),
        error: report.error.clone(),
    }
}

fn age(now: Now, then: Uptime) -> u64 {
    now.uptime.since(then).as_secs()
}

fn rfc3339(now: Now, then: Uptime) -> String {
    let moment = now.wall_time_of(then);
    // Rounded: the two clocks drift apart by microseconds, and a moment must read the same every time.
    let moment = moment.checked_add(Duration::from_millis(500)).unwrap_or(moment);
    humantime::format_rfc3339_seconds(moment).to_string()
}

#[cfg(test)]
mod tests {
    use byway_core::names::NamesReport;
    use byway_core::tailnet::{PortMapping, Protocol, Ways};
    use byway_core::{Core, Input};

    use super::*;
    use crate::sample;

    #[test]
    fn tells_how_names_are_answered_as_scripts_read_it() {
        let at = |seconds| Uptime::since_boot(Duration::from_secs(seconds));
        let mut view = Core::start(at(1), sample::settings(), Wish::Privacy, None).0.view();
        view.dns.privacy.report = NamesReport {
            last_ok: Some(at(30)),
            failures: 2,
            p50: Some(Duration::from_micros(23_900)),
            error: None,
        };
        view.dns.residential.report.error = Some("no answer within 4 s".to_owned());
        let now = Now { uptime: at(42), wall: SystemTime::UNIX_EPOCH };
        assert_eq!(
            serde_json::to_value(Status::new(&view, now)).unwrap()["dns"],
            serde_json::json!({
                "privacy": {"upstream": "https://dns.mullvad.net", "last_ok_s": 12, "failures": 2, "p50_ms": 23, "error": null},
                "residential": {"upstream": "https://dns.quad9.net", "last_ok_s": null, "failures": 0, "p50_ms": null, "error": "no answer within 4 s"},
            })
        );
    }

    #[test]
    fn tells_the_board_as_scripts_read_it() {
        let (mut core, _) = Core::start(Uptime::default(), sample::settings(), Wish::Privacy, None);
        let json = |core: &Core| {
            let now = Now { uptime: Uptime::default(), wall: SystemTime::UNIX_EPOCH };
            serde_json::to_value(Status::new(&core.view(), now)).unwrap()["board"].clone()
        };
        assert_eq!(
            json(&core),
            serde_json::json!({"model": null, "temperature_c": null, "under_voltage": null, "hot": null, "throttled": null})
        );
        let mut board = Board { model: Some("Raspberry Pi 4".to_owned()), ..Board::default() };
        board.learn_temperature("51540");
        board.learn_throttled("80001");
        core.step(Uptime::default(), Input::Board(board));
        assert_eq!(
            json(&core),
            serde_json::json!({
                "model": "Raspberry Pi 4", "temperature_c": 52, "under_voltage": "now", "hot": "since boot", "throttled": "no",
            })
        );
    }

    #[test]
    fn tells_how_the_tailnet_reaches_the_box_as_scripts_read_it() {
        let (mut core, _) = Core::start(Uptime::default(), sample::settings(), Wish::Privacy, None);
        let json = |core: &Core| {
            let now = Now { uptime: Uptime::default(), wall: SystemTime::UNIX_EPOCH };
            serde_json::to_value(Status::new(&core.view(), now)).unwrap()["tailnet"]["reach"].clone()
        };
        assert_eq!(
            json(&core),
            serde_json::json!({"by": null, "relay": null, "router": null, "mapped": null, "says": "nobody talks to it now"})
        );
        let offers = Vec::from([Protocol::Pcp, Protocol::NatPmp, Protocol::Upnp]);
        let router = Some(PortMapping { offers, mapped: "198.51.100.10:41641".parse().ok() });
        let ways = Ways { relay: Some("fra".to_owned()), router, direct: 1, ..Ways::default() };
        core.step(Uptime::default(), Input::Ways(ways));
        assert_eq!(
            json(&core),
            serde_json::json!({
                "by": "direct", "relay": "fra", "router": ["pcp", "nat-pmp", "upnp"], "mapped": "198.51.100.10:41641",
                "says": "reached directly; the router opens a port (PCP, NAT-PMP, UPnP) at 198.51.100.10",
            })
        );
    }

    #[test]
    fn a_clock_that_was_set_back_to_1970_tells_no_earlier_time() {
        let now = Now { uptime: Uptime::since_boot(Duration::from_hours(1)), wall: SystemTime::UNIX_EPOCH };
        assert_eq!(rfc3339(now, Uptime::default()), "1970-01-01T00:00:00Z");
    }
}
