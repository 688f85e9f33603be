//! The house's side of the rule set: its own machines as clients, and its network as tailnet peers may reach it. Where
//! neither is wanted there is nothing.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

use ipnet::IpNet;

use super::{TAILNET4, TAILNET6};
use crate::posture::{Facts, HouseAccess, Household, Mark};

/// By their places in `ruleset.nft`.
pub(super) fn rules(facts: &Facts) -> [(&'static str, Vec<String>); 6] {
    let reachable = facts.reachable();
    let apart = |rules: fn(&Household) -> Vec<String>| facts.household_apart().map(rules).unwrap_or_default();
    [
        ("routers", facts.household.as_deref().and_then(strangers).into_iter().collect()),
        ("reach", reachable.iter().flat_map(reach).collect()),
        ("reach_back", reachable.iter().map(reach_back).collect()),
        ("own_lan_in", facts.household_apart().map(|lan| heard(lan, facts.house_access)).unwrap_or_default()),
        ("own_lan_out", apart(said)),
        ("own_lan_guard", apart(names)),
    ]
}

/// What a router hands on is not the house's, whatever its source says.
fn strangers(Household { routers, .. }: &Household) -> Option<String> {
    let routers: Vec<String> = routers.iter().map(ToString::to_string).collect();
    (!routers.is_empty()).then(|| format!("ether saddr {{ {} }} return", routers.join(", ")))
}

/// Tailnet peers to the house's own network, and what it answers.
fn reach(net: &IpNet) -> [String; 2] {
    let (ip, tailnet, paused) = match net {
        IpNet::V4(_) => ("ip", IpNet::V4(TAILNET4), "paused4"),
        IpNet::V6(_) => ("ip6", IpNet::V6(TAILNET6), "paused6"),
    };
    [
        format!("iifname @inside oifname @uplinks {ip} saddr {tailnet} {ip} daddr {net} goto to_house"),
        format!(
            "iifname @uplinks oifname @inside {ip} saddr {net} {ip} daddr != @{paused} ct mark 0 ct state established,related accept"
        ),
    ]
}

/// The house's answers may be forwarded inwards, as a door's may (rule 5021).
fn reach_back(net: &IpNet) -> String {
    let ip = if net.addr().is_ipv4() { "ip" } else { "ip6" };
    let answer = Mark::ANSWER;
    format!(
        "iifname @uplinks {ip} saddr {net} ct mark 0 ct state established,related meta mark set meta mark | {answer}"
    )
}

/// On an interface of their own machines ask for an address, for a router, and whether the box is there.
fn heard(Household { interface, .. }: &Household, access: HouseAccess) -> Vec<String> {
    let from = format!("iifname \"{interface}\"");
    let icmp6 = "nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query";
    let mut rules = Vec::from([
        format!("{from} udp dport {{ 67, 547 }} accept"),
        format!("{from} icmpv6 type {{ {icmp6} }} accept"),
    ]);
    if access.ping {
        rules.push(format!("{from} icmp type echo-request accept"));
        rules.push(format!("{from} icmpv6 type echo-request accept"));
    }
    rules
}

/// dnsmasq's answers, and that here is a router.
fn said(Household { interface, .. }: &Household) -> Vec<String> {
    let to = format!("oifname \"{interface}\"");
    Vec::from([
        format!("{to} udp sport 67 udp dport 68 accept"),
        format!("{to} udp sport 547 udp dport 546 accept"),
        format!("{to} icmpv6 type nd-router-advert accept"),
    ])
}

fn names(Household { interface, addresses, .. }: &Household) -> Vec<String> {
    let ours = addresses.iter().map(|net| match net.addr() {
        IpAddr::V4(address) => format!("oifname \"{interface}\" ip saddr {address} accept"),
        IpAddr::V6(address) => format!("oifname \"{interface}\" ip6 saddr {address} accept"),
    });
    ours.chain([format!("oifname \"{interface}\" ip6 saddr {{ fe80::/10, :: }} accept")]).collect()
}
