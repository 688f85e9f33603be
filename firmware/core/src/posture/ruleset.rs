//! Posture to nftables text: the promise (DESIGN 4). The rules themselves stand in `ruleset.nft`, for anybody who
//! can read a rule set; here is only what differs from box to box and from door to door.

mod house;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{Display, Write as _};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{Door, Facts, HouseAccess, Mark, Posture, Refused, STUB_PORT, TUNNEL, Uplink};
use crate::Egress;

/// Where tailnet addresses are taken from.
pub const TAILNET4: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10);
pub const TAILNET6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xfd7a, 0x115c, 0xa1e0, 0, 0, 0, 0, 0), 48);

/// Where the box itself is asked for names.
const DNS_PORT: u16 = 53;

/// What a flip rewrites beside `door`, in the order of `ruleset.nft`.
pub const FLIPPED_CHAINS: [&str; 5] = ["steer", "epoch", "epoch_back", "own", "dns_out"];

/// The whole rule set; one transaction for `nft -f -`, whatever was there before.
pub fn whole(posture: &Posture) -> String {
    let mut text = String::from(include_str!("ruleset.nft"));
    for (chain, rules) in door_chains(posture.door) {
        // nft 1.0.6 takes no rule before a closing brace without its semicolon.
        let rules: Vec<String> = rules.iter().map(|rule| format!("{rule}; ")).collect();
        text = text.replace(&format!("@{chain}@ }}"), &format!("{}}}", rules.concat()));
    }
    for (set, elements) in sets(posture) {
        text = text.replace(&format!("@{set}@ }}"), &format!("{}}}", set_elements(&elements)));
    }
    let carrier_grade = posture.facts.uplink.as_ref().is_some_and(Uplink::is_carrier_grade);
    let (inwards, outwards) =
        if carrier_grade { (CARRIER_GRADE_IN, CARRIER_GRADE_OUT) } else { (ANTI_SPOOF_IN, ANTI_SPOOF_OUT) };
    for (place, rules) in house::rules(&posture.facts) {
        let rules = if rules.is_empty() { String::from("# none") } else { rules.join("\n    ") };
        text = text.replace(&format!("@{place}@"), &rules);
    }
    let dot = if posture.facts.refuse_dot { REFUSE_DOT } else { ALLOW_DOT };
    let HouseAccess { ping, ssh } = posture.facts.house_access;
    let smtp = if posture.facts.refuse_smtp { REFUSE_SMTP } else { ALLOW_SMTP };
    text.replace("@dot@", dot)
        .replace("@smtp@", smtp)
        .replace("@limit_out@", &limit(posture.facts.limit_mbit, "out", "saddr"))
        .replace("@limit_in@", &limit(posture.facts.limit_mbit, "in", "daddr"))
        .replace("@pings@", if ping { FEW_PINGS } else { NO_PINGS })
        .replace("@house_ssh@", if ssh { HOUSE_SSH } else { NO_HOUSE_SSH })
        .replace("@carrier_grade_in@", inwards)
        .replace("@carrier_grade_out@", outwards)
        .replace("@tunnel_nat@", &tunnel_nat(&posture.facts).join("\n    "))
        .replace("@house_nat@", &house_nat(&posture.facts).join("\n    "))
        .replace("@flows@", &flows_of_one_client(posture.facts.flow_table).to_string())
}

/// The one transaction of a flip: the door and the chains that go with it, both families. Needs the rule set of
/// the same facts in the kernel, else `nft` refuses it whole.
pub fn flip(posture: &Posture) -> String {
    // Flows of older epochs are dead: they do not count against a client's new ones.
    let mut text = String::new();
    for set in ["door", "flows4", "flows6"] {
        _ = writeln!(text, "flush set inet byway {set}");
    }
    for chain in FLIPPED_CHAINS {
        _ = writeln!(text, "flush chain inet byway {chain}");
    }
    for (chain, rules) in door_chains(posture.door) {
        for rule in rules {
            _ = writeln!(text, "add rule inet byway {chain} {rule}");
        }
    }
    if let Some(interface) = posture.door_interface() {
        _ = writeln!(text, "add element inet byway door {{ \"{interface}\" }}");
    }
    text + &refuse(posture)
}

/// Where nothing but who is refused is new ([`Posture::differs_in_refused_alone`]).
pub fn refuse(posture: &Posture) -> String {
    refused_sets(&posture.refused).into_iter().map(replaced).collect()
}

/// The same where the tunnel leads to another relay from now on, or others may be proven
/// ([`Difference::Relay`](super::Difference::Relay)).
pub fn flip_to_relay(posture: &Posture) -> String {
    flip(posture) + &relay_sets(&posture.facts).map(replaced).concat()
}

fn replaced((set, elements): (&str, Vec<String>)) -> String {
    let mut text = format!("flush set inet byway {set}\n");
    if !elements.is_empty() {
        _ = writeln!(text, "add element inet byway {set} {{ {} }}", elements.join(", "));
    }
    text
}

/// Of each family: a client that means it takes no more than a quarter of the connection table, of a small one half.
fn flows_of_one_client(flow_table: u32) -> u32 {
    /// Enough for anybody who browses.
    const LEAST: u32 = 1024;
    /// With that many flows the kernel walks through them all for each new one, 30 us; with 65,536 it were 240.
    const MOST: u32 = 12_288;
    (flow_table / 8).clamp(LEAST, MOST)
}

const ANTI_SPOOF_IN: &str = "iifname @uplinks ip saddr 100.64.0.0/10 drop";
const ANTI_SPOOF_OUT: &str = "ip daddr 100.64.0.0/10 counter name guard drop";
/// The house itself is 100.64/10: the uplink keeps its neighbours, the tunnel still has none there.
const CARRIER_GRADE_IN: &str = "# the house itself is 100.64/10: its own neighbours may speak to us";
const CARRIER_GRADE_OUT: &str = "oifname \"wg0\" ip daddr 100.64.0.0/10 counter name guard drop";

/// DNS over TLS and over QUIC.
const REFUSE_DOT: &str = "meta l4proto { tcp, udp } th dport 853 goto refuse";
const ALLOW_DOT: &str = "# questions for names over TLS or QUIC leave by the door, as all else";

/// The line's address is a person's; what a provider's relay lets through is the provider's business.
const REFUSE_SMTP: &str = "oifname @uplinks tcp dport 25 counter name smtp goto refuse";
const ALLOW_SMTP: &str = "# mail leaves by the door, as all else";

/// Packets beyond it are dropped, which TCP and QUIC take for a narrow line; a second's worth may come at once.
fn limit(limit_mbit: Option<u16>, way: &str, end: &str) -> String {
    let Some(mbit) = limit_mbit else { return String::from("# each client takes what the line gives") };
    let bytes = u64::from(mbit) * 125_000;
    let rule = |(family, number)| {
        format!("update @rate_{way}{number} {{ {family} {end} limit rate over {bytes} bytes/second }} drop")
    };
    [("ip ", "4"), ("ip6", "6")].map(rule).join("\n    ")
}

/// What becomes of the house's pings: dropped when there are many of them, or all.
const FEW_PINGS: &str = "limit rate over 5/second drop";
const NO_PINGS: &str = "drop";

/// At a pace that fills no connection table; of each family.
const HOUSE_SSH: &str =
    "iifname @uplinks ip  saddr @house4 ip  daddr @up_self4 tcp dport 22 limit rate 10/second accept
    iifname @uplinks ip6 saddr @house6 ip6 daddr @up_self6 tcp dport 22 limit rate 10/second accept";
const NO_HOUSE_SSH: &str = "# the owner comes in by the tailnet alone";

fn door_chains(door: Option<Door>) -> [(&'static str, Vec<String>); 5] {
    let Some(Door { egress, epoch }) = door else {
        return FLIPPED_CHAINS.map(|chain| (chain, Vec::new()));
    };
    // Whether it is a machine of the house stays with the packet.
    let steer = format!("meta mark set meta mark & 0x40ffffff | {}", Mark::of(egress));
    // Not `ct state new`: an unanswered UDP flow stays new, and would be stamped over and over.
    let stamp = format!("ct mark 0 ct mark set {epoch}");
    let refuse = format!("ct mark != {epoch} goto refuse");
    let (own, upstreams) = match egress {
        Egress::Privacy => (Vec::new(), format!("oifname \"{TUNNEL}\" accept")),
        Egress::Residential => {
            (Vec::from([format!("ct mark {epoch} accept")]), String::from("oifname @uplinks accept"))
        }
    };
    [
        ("steer", Vec::from([steer])),
        ("epoch", Vec::from([stamp, refuse])),
        ("epoch_back", Vec::from([format!("ct mark != {epoch} drop")])),
        ("own", own),
        ("dns_out", Vec::from([upstreams])),
    ]
}

/// Clients' packets into the tunnel get its address of their family, if it has one.
fn tunnel_nat(facts: &Facts) -> Vec<String> {
    let addresses: Vec<IpAddr> = facts.tunnel.iter().flat_map(|tunnel| tunnel.addresses.clone()).collect();
    let sources = [true, false].map(|v4| addresses.iter().find(|address| address.is_ipv4() == v4).copied());
    let of_source = |source| format!("oifname \"{TUNNEL}\" {}", snat(source, ""));
    sources.into_iter().flatten().map(of_source).collect()
}

/// Clients' packets to the house's side; UDP below the ports that are not tracked.
fn house_nat(facts: &Facts) -> Vec<String> {
    let sources = facts.uplink.as_ref().map(|uplink| [uplink.source4(), uplink.source6()]);
    let of_source = |source| {
        let udp = snat(source, ":1024-41640");
        let others = snat(source, "");
        ["meta l4proto udp ", ""].into_iter().zip([udp, others])
    };
    let translations = sources.into_iter().flatten().flatten().flat_map(of_source);
    translations.map(|(which, snat)| format!("oifname @uplinks {which}{snat}")).collect()
}

fn snat(source: IpAddr, ports: &str) -> String {
    match source {
        IpAddr::V4(source) => format!("snat ip to {source}{ports} fully-random"),
        IpAddr::V6(source) => format!("snat ip6 to [{source}]{ports} fully-random"),
    }
}

/// The sets whose elements are facts, or the door.
fn sets(posture: &Posture) -> Vec<(&'static str, Vec<String>)> {
    let Facts { uplink, interfaces, tunnel, household, .. } = &posture.facts;
    let quoted = |name: &str| format!("\"{name}\"");
    let inside: Vec<IpAddr> = tunnel.iter().flat_map(|tunnel| tunnel.addresses.iter().copied()).collect();
    let outside: Vec<IpNet> = uplink.iter().flat_map(|uplink| uplink.addresses.iter().copied()).collect();
    let served: Vec<IpNet> =
        household.iter().flat_map(|household| household.addresses.iter().copied()).collect();
    let outside_hosts: Vec<IpAddr> = outside.iter().map(IpNet::addr).collect();
    let [relay4, relay6, candidate4, candidate6] = relay_sets(&posture.facts);
    let [paused4, paused6, names] = refused_sets(&posture.refused);
    Vec::from([
        ("uplinks", uplink.iter().map(|uplink| quoted(&uplink.interface)).collect()),
        ("heard", interfaces.iter().map(|interface| quoted(interface)).collect()),
        ("door", posture.door_interface().map(quoted).into_iter().collect()),
        ("wg_self4", texts(inside.iter().filter(|address| address.is_ipv4()))),
        ("wg_self6", texts(inside.iter().filter(|address| address.is_ipv6()))),
        ("up_self4", texts(outside_hosts.iter().filter(|address| address.is_ipv4()))),
        ("up_self6", texts(outside_hosts.iter().filter(|address| address.is_ipv6()))),
        ("house4", prefixes(&outside, true)),
        ("house6", prefixes(&outside, false)),
        ("lan", household.iter().map(|household| quoted(&household.interface)).collect()),
        ("lan4", prefixes(&served, true)),
        ("lan6", prefixes(&served, false)),
        relay4,
        relay6,
        candidate4,
        candidate6,
        paused4,
        paused6,
        names,
    ])
}

/// Where the tunnel's socket may send to, and the prober's.
fn relay_sets(facts: &Facts) -> [(&'static str, Vec<String>); 4] {
    let relay: Vec<SocketAddr> = facts.tunnel.iter().map(|tunnel| tunnel.relay).collect();
    let candidates = &facts.candidates;
    [
        ("relay4", endpoints(&relay, true)),
        ("relay6", endpoints(&relay, false)),
        ("candidate4", endpoints(candidates, true)),
        ("candidate6", endpoints(candidates, false)),
    ]
}

/// Who is refused, and where questions for names are answered.
fn refused_sets(refused: &Refused) -> [(&'static str, Vec<String>); 3] {
    let of_family = |v4: bool| texts(refused.clients.iter().filter(|address| address.is_ipv4() == v4));
    let names = [DNS_PORT, STUB_PORT].into_iter().chain(refused.name_ports.iter().copied());
    let names = names.map(|port| port.to_string()).collect();
    [("paused4", of_family(true)), ("paused6", of_family(false)), ("names", names)]
}

fn endpoints(of: &[SocketAddr], v4: bool) -> Vec<String> {
    let of_family = of.iter().filter(|endpoint| endpoint.is_ipv4() == v4);
    of_family.map(|endpoint| format!("{} . {}", endpoint.ip(), endpoint.port())).collect()
}

/// On-link prefixes, without those that lie inside another: an interval set refuses overlaps.
fn prefixes(nets: &[IpNet], v4: bool) -> Vec<String> {
    let wanted = nets.iter().map(IpNet::trunc).filter(|net| net.addr().is_ipv4() == v4);
    texts(IpNet::aggregate(&wanted.collect()).iter())
}

fn texts<'a, T: Display + 'a>(items: impl Iterator<Item = &'a T>) -> Vec<String> {
    items.map(ToString::to_string).collect()
}

fn set_elements(elements: &[String]) -> String {
    if elements.is_empty() {
        return String::new();
    }
    format!("elements = {{ {} }} ", elements.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::{SSH_PORT, STUB_PORT, TAILSCALED_PORT, TUNNEL_PORT};
    use crate::{Epoch, Uptime};

    #[test]
    fn names_the_ports_and_the_mark_that_the_agent_uses() {
        let house_access = HouseAccess { ping: true, ssh: true };
        let text = whole(&Posture::sealed(Facts { house_access, ..Facts::default() }));
        let udp = format!("udp dport {{ {TAILSCALED_PORT}, {TUNNEL_PORT} }} fib daddr type local notrack");
        let stub = [format!("redirect to :{STUB_PORT}"), format!("== {} jump dns_out", Mark::STUB)];
        let ssh = format!("tcp dport {SSH_PORT} ");
        for rule in stub.iter().chain([&udp, &ssh]) {
            assert!(text.contains(rule), "{rule}");
        }
    }

    #[test]
    fn ends_every_rule_of_a_one_line_chain_with_a_semicolon_else_nft_refuses_the_set() {
        let door = Door { egress: Egress::Residential, epoch: Epoch::fresh(None, Uptime::default()) };
        let text = whole(&Posture { door: Some(door), ..Posture::default() });
        for chain in FLIPPED_CHAINS {
            let line = text.lines().find(|line| line.trim().starts_with(&format!("chain {chain} ")));
            let body = line.and_then(|line| line.split(['{', '}']).nth(1)).expect("a one-line chain");
            assert!(body.trim_end().ends_with(';'), "{chain}: {body}");
        }
    }
}
