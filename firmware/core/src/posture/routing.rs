//! Posture to ip rules and routes: the convenience beside the filter's promise (DESIGN 4, Steering).
//!
//! `main` belongs to the ISP for ever and is never consulted for clients; so does table 52 to tailscaled, which
//! only answers to clients may consult.

mod house;

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{Mark, Posture, TAILNET, TUNNEL};

/// Default by the tunnel.
pub const PRIVACY_TABLE: u32 = 7001;
/// Default by the house's gateway.
pub const RESIDENTIAL_TABLE: u32 = 7002;
/// The ISP's.
pub const MAIN_TABLE: u32 = 254;
/// The bits of a packet's mark that belong to byway or to tailscaled.
const OUR_AND_TAILSCALES: u32 = 0xffff_0000;
/// tailscaled's own: a route for each peer.
pub const TAILSCALE_TABLE: u32 = 52;
/// The priorities that are ours; whatever else stands there is foreign.
pub const OUR_PRIORITIES: core::ops::RangeInclusive<u32> = 4990..=5024;
/// Of the route that ends each of our tables: the weakest there is but one.
pub const LAST_RESORT: u32 = 4_278_198_272;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub const fn of(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    Lookup(u32),
    /// What stands in `main` for networks that the box is in itself: no default route.
    OnLink,
    Unreachable,
    Blackhole,
}

/// An ip rule, as `ip rule` knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    pub family: Family,
    pub priority: u32,
    /// (value, mask)
    pub fwmark: Option<(u32, u32)>,
    pub iif: Option<String>,
    pub oif: Option<String>,
    pub from: Option<IpNet>,
    pub to: Option<IpNet>,
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hop {
    Device(String),
    Gateway(IpAddr, String),
    Unreachable,
}

/// A default route in one of our tables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    pub family: Family,
    pub table: u32,
    pub hop: Hop,
    /// 0 leaves the choice to the kernel.
    pub metric: u32,
}

/// Sorted, so that two plans compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub rules: Vec<Rule>,
    pub routes: Vec<Route>,
}

/// The door does not matter here: rules and routes stand still when it changes.
pub fn plan(posture: &Posture) -> Plan {
    let mut rules: Vec<Rule> =
        Family::BOTH.into_iter().flat_map(|family| family_rules(posture, family)).collect();
    rules.extend(tunnel_address_rules(posture));
    rules.extend(tailnet_address_rules(posture));
    rules.extend(uplink_address_rules(posture));
    rules.extend(house::reach_rules(&posture.facts));
    rules.extend(house::household_rules(&posture.facts));
    rules.sort();
    let mut routes: Vec<Route> =
        Family::BOTH.into_iter().flat_map(|family| family_routes(posture, family)).collect();
    routes.sort();
    Plan { rules, routes }
}

/// What all rules of a family begin with.
const fn rule(family: Family, priority: u32, action: Action) -> Rule {
    Rule { family, priority, fwmark: None, iif: None, oif: None, from: None, to: None, action }
}

fn family_rules(posture: &Posture, family: Family) -> Vec<Rule> {
    let rule = |priority, action| rule(family, priority, action);
    let tunnel = || Some(String::from(TUNNEL));
    let tailnet = || Some(String::from(TAILNET));
    let ours = |mark: Mark| Some((mark.0, Mark::MASK));
    let answer = Some((Mark::ANSWER.0, Mark::ANSWER.0));
    // Bit 0x20 (an answer to a client) may stand beside it.
    let reflected = Some((Mark::FROM_TUNNEL.0, 0x1f00_0000));
    let mut rules = Vec::from([
        // Sockets bound to the tunnel's device.
        Rule { oif: tunnel(), ..rule(4990, Action::Lookup(PRIVACY_TABLE)) },
        // The box's own answers to what came by the tunnel.
        Rule {
            fwmark: reflected,
            iif: Some(String::from("lo")),
            ..rule(4995, Action::Lookup(PRIVACY_TABLE))
        },
        Rule { fwmark: ours(Mark::PRIVACY), iif: tailnet(), ..rule(5000, Action::Lookup(PRIVACY_TABLE)) },
        Rule {
            fwmark: ours(Mark::RESIDENTIAL),
            iif: tailnet(),
            ..rule(5001, Action::Lookup(RESIDENTIAL_TABLE))
        },
        // The agent's own words go to the house, also where a tailnet peer has the same address as a neighbour.
        Rule {
            fwmark: ours(Mark::AGENT),
            iif: Some(String::from("lo")),
            ..rule(5002, Action::Lookup(MAIN_TABLE))
        },
        Rule { iif: tailnet(), ..rule(5010, Action::Unreachable) },
        Rule { fwmark: answer, iif: tunnel(), ..rule(5020, Action::Lookup(TAILSCALE_TABLE)) },
        // Nothing but answers is forwarded inwards, rule set or not.
        Rule { iif: tunnel(), ..rule(5022, Action::Blackhole) },
    ]);
    if let Some(uplink) = &posture.facts.uplink {
        let iif = || Some(uplink.interface.clone());
        rules.push(Rule { fwmark: answer, iif: iif(), ..rule(5021, Action::Lookup(TAILSCALE_TABLE)) });
        rules.push(Rule { iif: iif(), ..rule(5023, Action::Blackhole) });
    }
    rules
}

/// Answers from the tunnel's addresses never take `main`, rule set or not. `iif lo` keeps a spoofed source from
/// being forwarded by them.
fn tunnel_address_rules(posture: &Posture) -> impl Iterator<Item = Rule> + '_ {
    let addresses = posture.facts.tunnel.iter().flat_map(|tunnel| &tunnel.addresses);
    addresses.flat_map(|address| {
        let family = Family::of(address);
        let blackhole = Rule {
            family,
            priority: 4991,
            fwmark: None,
            iif: Some(String::from("lo")),
            oif: None,
            from: Some(IpNet::from(*address)),
            to: Some(tailnet(family)),
            action: Action::Blackhole,
        };
        let lookup =
            Rule { priority: 4992, to: None, action: Action::Lookup(PRIVACY_TABLE), ..blackhole.clone() };
        [blackhole, lookup]
    })
}

/// Answers from the tailnet's addresses go to the tailnet or nowhere, rule set or not. Where the house's own addresses
/// are of the same range, IPv4 is left to the rule set.
fn tailnet_address_rules(posture: &Posture) -> impl Iterator<Item = Rule> + '_ {
    let carrier_grade = posture.facts.uplink.as_ref().is_some_and(super::Uplink::is_carrier_grade);
    let families = Family::BOTH.into_iter().filter(move |family| !(carrier_grade && *family == Family::V4));
    families.flat_map(|family| {
        let lookup = Rule {
            family,
            priority: 4996,
            fwmark: None,
            iif: Some(String::from("lo")),
            oif: None,
            from: Some(tailnet(family)),
            to: None,
            action: Action::Lookup(TAILSCALE_TABLE),
        };
        let blackhole = Rule { priority: 4997, action: Action::Blackhole, ..lookup.clone() };
        [lookup, blackhole]
    })
}

/// What nobody on the box has marked, a reset say of what a server still sends for a flow that is over, goes to the
/// house's own network or nowhere, rule set or not.
fn uplink_address_rules(posture: &Posture) -> impl Iterator<Item = Rule> + '_ {
    let addresses = posture.facts.uplink.iter().flat_map(|uplink| &uplink.addresses);
    addresses.flat_map(|net| {
        let family = Family::of(&net.addr());
        let within = |priority, place| Rule {
            family,
            priority,
            fwmark: Some((0, OUR_AND_TAILSCALES)),
            iif: Some(String::from("lo")),
            oif: None,
            from: Some(net.addr().into()),
            to: place,
            action: Action::Lookup(MAIN_TABLE),
        };
        let blackhole = Rule { action: Action::Blackhole, ..within(4999, None) };
        [within(4993, Some(link_local(family))), within(4998, Some(net.trunc())), blackhole]
    })
}

/// Neighbours that nobody has given an address, and IPv6 routers.
fn link_local(family: Family) -> IpNet {
    match family {
        Family::V4 => Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16).into(),
        Family::V6 => Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10).into(),
    }
}

fn tailnet(family: Family) -> IpNet {
    match family {
        Family::V4 => super::ruleset::TAILNET4.into(),
        Family::V6 => super::ruleset::TAILNET6.into(),
    }
}

fn family_routes(posture: &Posture, family: Family) -> Vec<Route> {
    let last_resort = |table| Route { family, table, hop: Hop::Unreachable, metric: LAST_RESORT };
    let mut routes = Vec::from([last_resort(PRIVACY_TABLE), last_resort(RESIDENTIAL_TABLE)]);
    let tunnel = posture.facts.tunnel.as_ref();
    if tunnel.is_some_and(|tunnel| tunnel.addresses.iter().any(|address| Family::of(address) == family)) {
        let hop = Hop::Device(String::from(TUNNEL));
        routes.push(Route { family, table: PRIVACY_TABLE, hop, metric: 0 });
    }
    if let Some(uplink) = &posture.facts.uplink {
        let gateway = match family {
            Family::V4 => uplink.gateway4.map(IpAddr::V4),
            Family::V6 => uplink.gateway6.map(IpAddr::V6),
        };
        routes.extend(gateway.map(|gateway| Route {
            family,
            table: RESIDENTIAL_TABLE,
            hop: Hop::Gateway(gateway, uplink.interface.clone()),
            metric: 0,
        }));
    }
    routes
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "ip -4",
            Self::V6 => "ip -6",
        })
    }
}

/// As `ip rule` would write it.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rule pref {}", self.family, self.priority)?;
        if let Some((value, mask)) = self.fwmark {
            write!(f, " fwmark {value:#010x}/{mask:#010x}")?;
        }
        let words = [
            ("iif", self.iif.clone()),
            ("oif", self.oif.clone()),
            ("from", self.from.map(|net| net.to_string())),
            ("to", self.to.map(|net| net.to_string())),
        ];
        for (word, value) in words {
            if let Some(value) = value {
                write!(f, " {word} {value}")?;
            }
        }
        match self.action {
            Action::Lookup(table) => write!(f, " lookup {table}"),
            Action::OnLink => write!(f, " lookup {MAIN_TABLE} suppress_prefixlength 0"),
            Action::Unreachable => f.write_str(" unreachable"),
            Action::Blackhole => f.write_str(" blackhole"),
        }
    }
}

/// As `ip route` would write it.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hop = match &self.hop {
            Hop::Device(device) => format!("default dev {device}"),
            Hop::Gateway(gateway, device) => format!("default via {gateway} dev {device}"),
            Hop::Unreachable => String::from("unreachable default"),
        };
        write!(f, "{} route {hop} table {}", self.family, self.table)?;
        if self.metric != 0 {
            write!(f, " metric {}", self.metric)?;
        }
        Ok(())
    }
}
