//! Posture to sysctls, in the order in which they are written.

use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};

use super::{Posture, TAILNET, TUNNEL};

/// A path below `/proc/sys` and what it must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl {
    pub path: String,
    pub value: &'static str,
}

/// Forwarding; 0 in the image, 1 once the rule set is in the kernel and verified.
pub fn forwarding() -> Vec<Sysctl> {
    vec![sysctl("net/ipv4/ip_forward", "1"), sysctl("net/ipv6/conf/all/forwarding", "1")]
}

/// Written before an interface to the house comes up.
pub fn before_uplink(interface: &str) -> Vec<Sysctl> {
    vec![
        // Its own number would tell every website what machine this is, and where it has been before. This one is random,
        // and stays for as long as the machine is up.
        of_ipv6(interface, "addr_gen_mode", "3"),
        of_ipv6(interface, "use_tempaddr", "0"),
        listens_to_routers(interface),
        speaks_of_one_group_at_a_time(interface),
        is_no_router(interface),
    ]
}

/// Whether an interface to the house has IPv6: with the carrier it is taken away and given anew, since the kernel asks for
/// routers only when it begins, and keeps what another network has lent.
pub fn ipv6(interface: &str, has_carrier: bool) -> Vec<Sysctl> {
    let value = if has_carrier { "0" } else { "1" };
    vec![of_ipv6(interface, "disable_ipv6", value)]
}

/// Written before [`forwarding`].
pub fn before_forwarding(posture: &Posture) -> Vec<Sysctl> {
    let mut sysctls = vec![
        // Errors and resets that the box answers with leave where the packet came from (routing.rs, 4995).
        sysctl("net/ipv4/fwmark_reflect", "1"),
        sysctl("net/ipv6/fwmark_reflect", "1"),
        // Nobody on the LAN learns the tunnel's address by ARP.
        sysctl("net/ipv4/conf/all/arp_ignore", "2"),
        sysctl("net/ipv4/conf/all/arp_announce", "2"),
        // A middle of a connection is not a connection: after a flip it must be refused, not adopted.
        sysctl("net/netfilter/nf_conntrack_tcp_loose", "0"),
        sysctl("net/netfilter/nf_conntrack_tcp_be_liberal", "1"),
        // A silent connection is kept for as long as TCP's own signs of life may take, two hours, and a little more (RFC 5382 5),
        // in place of the kernel's five days; one of UDP for as long as apps leave it alone, and for a moment where nobody answers.
        sysctl("net/netfilter/nf_conntrack_tcp_timeout_established", "7440"),
        sysctl("net/netfilter/nf_conntrack_udp_timeout", "30"),
        sysctl("net/netfilter/nf_conntrack_udp_timeout_stream", "300"),
        // What was refused is remembered for longer than FORGET: else the same SYN or INIT would soon be a new flow.
        sysctl("net/netfilter/nf_conntrack_tcp_timeout_close", "120"),
        sysctl("net/netfilter/nf_conntrack_sctp_timeout_closed", "120"),
        sysctl("net/netfilter/nf_conntrack_sctp_timeout_cookie_wait", "120"),
        sysctl("net/netfilter/nf_conntrack_sctp_timeout_cookie_echoed", "120"),
        // Of thousands of flows that a flip ends, each is told at once; the kernel's own bound for all of them stays.
        sysctl("net/ipv4/icmp_ratelimit", "0"),
        sysctl("net/ipv6/icmp/ratelimit", "0"),
    ];
    for interface in &posture.facts.interfaces {
        sysctls.extend([listens_to_routers(interface), speaks_of_one_group_at_a_time(interface)]);
    }
    sysctls
}

/// Written after [`forwarding`]: the kernel resets `accept_redirects` whenever `ip_forward` changes
/// (Documentation/networking/ip-sysctl.rst). The greater of `all` and the interface's own counts for `rp_filter`
/// and `send_redirects`, and the reverse path is not the forward path here (rule 5010): the rule set's anti-spoof
/// does that job.
pub fn after_forwarding(posture: &Posture) -> Vec<Sysctl> {
    let uplink = posture.facts.uplink.iter().map(|uplink| uplink.interface.as_str());
    let interfaces = ["all", "default", TUNNEL, TAILNET].into_iter().chain(uplink);
    let mut sysctls = vec![sysctl("net/ipv4/conf/all/accept_redirects", "0")];
    for interface in interfaces {
        for name in ["ipv4/conf/#/rp_filter", "ipv4/conf/#/send_redirects", "ipv6/conf/#/accept_redirects"] {
            sysctls.push(Sysctl { path: format!("net/{}", name.replace('#', interface)), value: "0" });
        }
    }
    let serves = |interface: &str| {
        posture.facts.household.as_ref().is_some_and(|household| household.interface == *interface)
    };
    sysctls.extend(posture.facts.interfaces.iter().map(|interface| {
        // Whoever has it for a gateway takes it for gone if it says that it is no router (RFC 4861 7.2.5).
        if serves(interface) { of_ipv6(interface, "forwarding", "1") } else { is_no_router(interface) }
    }));
    sysctls
}

/// A forwarding kernel heeds router advertisements only if it is told twice, and forgets what it has heard when it begins
/// to forward.
fn listens_to_routers(interface: &str) -> Sysctl {
    of_ipv6(interface, "accept_ra", "2")
}

/// MLD version 1: the rule set can tell which group a report is about.
fn speaks_of_one_group_at_a_time(interface: &str) -> Sysctl {
    of_ipv6(interface, "force_mld_version", "1")
}

/// The house is not told that here is a router: neither by the flag in neighbour advertisements nor by a membership in
/// the routers' groups. Whether the kernel forwards is decided by `all` alone (Documentation/networking/ip-sysctl.rst).
fn is_no_router(interface: &str) -> Sysctl {
    of_ipv6(interface, "forwarding", "0")
}

fn of_ipv6(interface: &str, name: &str, value: &'static str) -> Sysctl {
    Sysctl { path: format!("net/ipv6/conf/{interface}/{name}"), value }
}

fn sysctl(path: &str, value: &'static str) -> Sysctl {
    Sysctl { path: String::from(path), value }
}
