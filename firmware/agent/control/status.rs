//! The status as other people's scripts read it (DESIGN 7): the core's view with its moments turned into ages.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use byway_core::tailnet::{ExitNode, TailnetFacts};
use byway_core::{Drift, Egress, Offload, Phase, SeenAs, TunnelView, Uptime, View, Wish};
use serde::{Deserialize, Serialize};

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
    pub drift: Drift,
    pub clock: Option<Clock>,
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

/// Where the time comes from, as far as the kernel knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    Ntp,
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub uptime: Uptime,
    pub wall: SystemTime,
}

impl Now {
    /// When that was, by the present wall clock.
    pub fn wall_time_of(self, then: Uptime) -> SystemTime {
        self.wall.checked_sub(self.uptime.since(then)).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

impl Status {
    pub fn new(view: &View, now: Now, clock: Option<Clock>) -> Self {
        Self {
            name: view.name.clone(),
            wish: view.wish,
            door: view.door,
            state: view.phase,
            why: view.why.clone(),
            since: rfc3339(now, view.since),
            tunnel: tunnel(&view.tunnel, now),
            tailnet: tailnet(&view.tailnet),
            seen_as: view.seen_as.as_ref().map(|seen| seen_as(seen, now)),
            uplink: view.uplink.as_ref().map(|uplink| Uplink {
                interface: uplink.interface.clone(),
                addresses: uplink.addresses.iter().map(ToString::to_string).collect(),
                gateway: uplink.gateway,
            }),
            drift: view.drift.clone(),
            clock,
            version: env!("CARGO_PKG_VERSION").to_owned(),
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
        endpoint: tunnel.endpoint.to_string(),
        handshake_age_s: tunnel.handshake.map(|made| age(now, made)),
        rx_bytes: tunnel.rx_bytes,
        tx_bytes: tunnel.tx_bytes,
        mtu: tunnel.mtu,
        offloads: tunnel.offloads.clone(),
    }
}

fn tailnet(facts: &TailnetFacts) -> Tailnet {
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
    }
}

fn seen_as(seen: &SeenAs, now: Now) -> Seen {
    Seen { v4: seen.v4, v6: seen.v6, mullvad: seen.mullvad, checked_s_ago: age(now, seen.checked) }
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
