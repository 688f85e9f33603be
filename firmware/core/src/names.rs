//! Who answers for a name, and which answers are believed: names of the internet travel by the open door, a few never
//! leave the tailnet, the house or the box.
//!
//! A name is given in lower case, without the dot at its end; the root is the empty name.

use alloc::string::String;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use ipnet::{Ipv4Net, Ipv6Net};

use crate::Uptime;
use crate::posture::ruleset::{TAILNET4, TAILNET6};

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// tailscaled, which knows its peers.
    Tailnet,
    /// The house's own resolver.
    House,
    /// The box itself, as every resolver should: nobody else is asked. The zone that says so.
    Nobody(&'static str),
    /// The upstream of the open door.
    Internet,
}

/// Which names are the tailnet's and the house's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Territory {
    /// The tailnet's base domain, `tail.example.net`; `None`: not joined, or it has none.
    pub tailnet: Option<String>,
    /// The owner's name for the house, `lan`; `None`: none of its names is known apart.
    pub house: Option<String>,
}

/// 100.64.0.0/10, where tailnet addresses are from, as `in-addr.arpa` writes it: 64 to 127 below 100.
const TAILNET_REVERSE: &str = "100.in-addr.arpa";
/// The same in IPv6, of `fd7a:115c:a1e0::/48`.
pub const TAILNET_REVERSE6: &str = "0.e.1.a.c.5.1.1.a.7.d.f.ip6.arpa";

/// RFC 6303 4, RFC 6761 6, RFC 6762 3, RFC 7686 2, RFC 8375 4, RFC 9462 4, RFC 9476 2: what no resolver asks the internet.
const NOBODYS: &[&str] = &[
    "localhost",
    "invalid",
    "test",
    "onion",
    "alt",
    "local",
    "internal",
    "home.arpa",
    "resolver.arpa",
    "10.in-addr.arpa",
    "16.172.in-addr.arpa",
    "17.172.in-addr.arpa",
    "18.172.in-addr.arpa",
    "19.172.in-addr.arpa",
    "20.172.in-addr.arpa",
    "21.172.in-addr.arpa",
    "22.172.in-addr.arpa",
    "23.172.in-addr.arpa",
    "24.172.in-addr.arpa",
    "25.172.in-addr.arpa",
    "26.172.in-addr.arpa",
    "27.172.in-addr.arpa",
    "28.172.in-addr.arpa",
    "29.172.in-addr.arpa",
    "30.172.in-addr.arpa",
    "31.172.in-addr.arpa",
    "168.192.in-addr.arpa",
    "0.in-addr.arpa",
    "127.in-addr.arpa",
    "254.169.in-addr.arpa",
    "2.0.192.in-addr.arpa",
    "100.51.198.in-addr.arpa",
    "113.0.203.in-addr.arpa",
    "255.255.255.255.in-addr.arpa",
    "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
    "c.f.ip6.arpa",
    "d.f.ip6.arpa",
    "8.e.f.ip6.arpa",
    "9.e.f.ip6.arpa",
    "a.e.f.ip6.arpa",
    "b.e.f.ip6.arpa",
    "8.b.d.0.1.0.0.2.ip6.arpa",
];

impl Territory {
    pub fn whose(&self, name: &str) -> Whose {
        let is_ours = |zone: &Option<String>| zone.as_ref().is_some_and(|zone| lies_in(name, zone));
        if is_ours(&self.tailnet)
            || lies_in(name, TAILNET_REVERSE6)
            || octet_below(name, TAILNET_REVERSE).is_some_and(|octet| (64..128).contains(&octet))
        {
            return Whose::Tailnet;
        }
        if is_ours(&self.house) {
            return Whose::House;
        }
        NOBODYS.iter().find(|zone| lies_in(name, zone)).map_or(Whose::Internet, |zone| Whose::Nobody(zone))
    }
}

/// Whether somebody at this address may hear of the tailnet's peers: one of them, or the box itself.
pub fn may_know_peers(asker: IpAddr) -> bool {
    let is_peer = match asker {
        IpAddr::V4(address) => TAILNET4.contains(&address),
        IpAddr::V6(address) => TAILNET6.contains(&address),
    };
    is_peer || asker.is_loopback()
}

/// Whether the name is the zone's or below it. A dot behind a backslash is part of a label.
pub fn lies_in(name: &str, zone: &str) -> bool {
    let is_boundary = |rest: &str| rest.is_empty() || (rest.ends_with('.') && !rest.ends_with("\\."));
    name.strip_suffix(zone).is_some_and(is_boundary)
}

/// The label right above the zone, where it is a number.
fn octet_below(name: &str, zone: &str) -> Option<u8> {
    let above = name.strip_suffix(zone)?.strip_suffix('.')?;
    above.rsplit('.').next()?.parse().ok()
}

/// Whether an answer for a name of the internet must not lead there: a page from outside could speak to what stands
/// beside the client, under the page's own name (DNS rebinding). The rule set refuses the same destinations.
pub fn is_private(address: IpAddr) -> bool {
    const V4: [Ipv4Net; 8] = [
        Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 8),
        Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
        Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10),
        Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8),
        Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16),
        Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
        Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
        Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 3),
    ];
    /// Loopback and unspecified; what wraps an IPv4 address that nobody can tell (Teredo, 6to4, local NAT64); unique
    /// local, the tailnet's among them; link-local and the site-local of old; multicast.
    const V6: [Ipv6Net; 7] = [
        Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 96),
        Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48),
        Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32),
        Ipv6Net::new_assert(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
        Ipv6Net::new_assert(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
        Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 9),
        Ipv6Net::new_assert(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
    ];
    match address {
        IpAddr::V4(address) => V4.iter().any(|net| net.contains(&address)),
        IpAddr::V6(address) => match wrapped(address) {
            Some(wrapped) => is_private(IpAddr::V4(wrapped)),
            None => V6.iter().any(|net| net.contains(&address)),
        },
    }
}

/// The IPv4 address that it stands for: mapped, or by the well-known NAT64 (RFC 6052).
fn wrapped(address: Ipv6Addr) -> Option<Ipv4Addr> {
    const NAT64: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);
    let [.., a, b, c, d] = address.octets();
    address.to_ipv4_mapped().or_else(|| NAT64.contains(&address).then_some(Ipv4Addr::new(a, b, c, d)))
}

/// How one door's upstream has been answering.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamesReport {
    /// When it last answered.
    pub last_ok: Option<Uptime>,
    /// Questions that it did not answer, since the agent's start.
    pub failures: u64,
    /// Of its last answers, half were this quick; nothing out of the cache.
    pub p50: Option<Duration>,
    /// Why it did not answer the last question; `None`: it did, or was never asked.
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn territory() -> Territory {
        Territory { tailnet: Some(String::from("tail.example.net")), house: Some(String::from("lan")) }
    }

    #[test]
    fn the_tailnet_and_the_house_answer_for_their_own_names() {
        for (name, whose) in [
            ("phone.tail.example.net", Whose::Tailnet),
            ("tail.example.net", Whose::Tailnet),
            ("1.0.64.100.in-addr.arpa", Whose::Tailnet),
            ("1.0.127.100.in-addr.arpa", Whose::Tailnet),
            ("1.0.63.100.in-addr.arpa", Whose::Internet),
            ("1.0.128.100.in-addr.arpa", Whose::Internet),
            ("1.e.1.a.c.5.1.1.a.7.d.f.ip6.arpa", Whose::Nobody("d.f.ip6.arpa")),
            ("1.0.e.1.a.c.5.1.1.a.7.d.f.ip6.arpa", Whose::Tailnet),
            ("printer.lan", Whose::House),
            ("lan", Whose::House),
            ("plan", Whose::Internet),
            (r"x\.lan", Whose::Internet),
            ("sometail.example.net", Whose::Internet),
        ] {
            assert_eq!(territory().whose(name), whose, "{name}");
        }
        assert_eq!(Territory::default().whose("phone.tail.example.net"), Whose::Internet);
    }

    #[test]
    fn nobody_is_asked_about_what_is_private_by_definition() {
        for name in [
            "localhost",
            "a.localhost",
            "printer.local",
            "x.onion",
            "5.1.168.192.in-addr.arpa",
            "1.0.16.172.in-addr.arpa",
            "1.0.31.172.in-addr.arpa",
            "10.in-addr.arpa",
            "8.b.d.0.1.0.0.2.ip6.arpa",
        ] {
            assert!(matches!(territory().whose(name), Whose::Nobody(_)), "{name}");
        }
        for name in ["", "com", "1.0.15.172.in-addr.arpa", "1.0.32.172.in-addr.arpa", "localhost.example"] {
            assert_eq!(territory().whose(name), Whose::Internet, "{name}");
        }
    }

    #[test]
    fn an_answer_of_the_internet_does_not_lead_home() {
        for address in [
            "0.0.0.0",
            "127.0.0.1",
            "10.0.0.1",
            "100.64.0.1",
            "192.168.1.1",
            "::",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:a00:1::1",
            "2001::1",
            "fec0::1",
            "240.0.0.1",
        ] {
            assert!(is_private(address.parse().expect("an address")), "{address}");
        }
        for address in ["9.9.9.9", "100.63.0.1", "2620:fe::fe", "::ffff:9.9.9.9", "64:ff9b::9.9.9.9"] {
            assert!(!is_private(address.parse().expect("an address")), "{address}");
        }
    }
}
