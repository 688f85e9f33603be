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

/// Written before an interface to the house comes up: advertisements of its routers are heard though the box forwards.
pub fn before_uplink(interface: &str) -> Vec<Sysctl> {
    vec![Sysctl { path: format!("net/ipv6/conf/{interface}/accept_ra"), value: "2" }]
}

/// Whether an interface to the house has IPv6: with the carrier it is taken away and given anew, since the kernel asks for
/// routers only when it begins, and keeps what another network has lent.
pub fn ipv6(interface: &str, has_carrier: bool) -> Vec<Sysctl> {
    let value = if has_carrier { "0" } else { "1" };
    vec![Sysctl { path: format!("net/ipv6/conf/{interface}/disable_ipv6"), value }]
}

/// Written before [`forwarding`].
pub fn before_forwarding() -> Vec<Sysctl> {
    vec![
        // Errors and resets that the box answers with leave where the packet came from (routing.rs, 4995).
        sysctl("net/ipv4/fwmark_reflect", "1"),
        sysctl("net/ipv6/fwmark_reflect", "1"),
        // Nobody on the LAN learns the tunnel's address by ARP.
        sysctl("net/ipv4/conf/all/arp_ignore", "2"),
        sysctl("net/ipv4/conf/all/arp_announce", "2"),
        // A middle of a connection is not a connection: after a flip it must be refused, not adopted.
        sysctl("net/netfilter/nf_conntrack_tcp_loose", "0"),
        sysctl("net/netfilter/nf_conntrack_tcp_be_liberal", "1"),
        sysctl("net/netfilter/nf_conntrack_udp_timeout_stream", "300"),
        // What was refused is remembered for longer than FORGET: else the same SYN or INIT would soon be a new flow.
        sysctl("net/netfilter/nf_conntrack_tcp_timeout_close", "120"),
        sysctl("net/netfilter/nf_conntrack_sctp_timeout_closed", "120"),
        sysctl("net/netfilter/nf_conntrack_sctp_timeout_cookie_wait", "120"),
        sysctl("net/netfilter/nf_conntrack_sctp_timeout_cookie_echoed", "120"),
        // Of thousands of flows that a flip ends, each is told at once; the kernel's own bound for all of them stays.
        sysctl("net/ipv4/icmp_ratelimit", "0"),
        sysctl("net/ipv6/icmp/ratelimit", "0"),
    ]
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
    // A forwarding kernel listens to the house's router advertisements only if it is told twice.
    let uplink = posture.facts.uplink.iter();
    sysctls.extend(
        uplink.map(|uplink| Sysctl {
            path: format!("net/ipv6/conf/{}/accept_ra", uplink.interface),
            value: "2",
        }),
    );
    sysctls
}

fn sysctl(path: &str, value: &'static str) -> Sysctl {
    Sysctl { path: String::from(path), value }
}
