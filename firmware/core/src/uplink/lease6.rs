//! What a DHCPv6 server may say, and what of it is believed: an address, and servers for the box's own use.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use ipnet::{IpNet, Ipv6Net};

use super::{Lease6, Lent};

/// Name servers that are remembered.
const MOST_SERVERS: usize = 4;
/// The lifetime of what is lent for ever (RFC 8415 7.7).
const FOR_EVER: u32 = u32::MAX;

impl Lease6 {
    /// `None`: no machine can have such an address, or not any more. Which others are on the link say the routers, not the
    /// server: the address comes alone.
    pub fn new(address: Ipv6Addr, seconds: u32, resolvers: &[Ipv6Addr]) -> Option<Self> {
        if !is_machine(&address) || address.is_unicast_link_local() || seconds == 0 {
            return None;
        }
        let lasts = (seconds != FOR_EVER).then(|| Duration::from_secs(seconds.into()));
        let net = IpNet::V6(Ipv6Net::new_assert(address, 128));
        let resolvers = resolvers.iter().filter(|resolver| is_machine(resolver));
        let resolvers: Vec<IpAddr> = resolvers.take(MOST_SERVERS).copied().map(IpAddr::V6).collect();
        Some(Self { address: Lent { net, lasts }, resolvers })
    }
}

/// Neither nobody nor everybody nor the box itself.
pub(super) const fn is_machine(address: &Ipv6Addr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && !address.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_alone_with_its_time_and_a_few_resolvers() {
        let resolvers = ["fe80::1", "ff02::1", "::", "fd00::1", "fd00::2", "fd00::3", "fd00::4"].map(address);
        let lease = Lease6::new(address("2001:db8:77::100"), 120, &resolvers).expect("a lease");
        let net = "2001:db8:77::100/128".parse().expect("a network");
        assert_eq!(lease.address, Lent { net, lasts: Some(Duration::from_mins(2)) });
        let kept = ["fe80::1", "fd00::1", "fd00::2", "fd00::3"].map(|text| IpAddr::V6(address(text)));
        assert_eq!(lease.resolvers, kept);
        let for_ever = Lease6::new(address("2001:db8:77::100"), u32::MAX, &[]).expect("a lease");
        assert_eq!(for_ever.address.lasts, None);
    }

    #[test]
    fn what_no_machine_can_have_is_no_lease() {
        for nobody in ["::", "::1", "ff02::1", "fe80::1"] {
            assert_eq!(Lease6::new(address(nobody), 120, &[]), None, "{nobody}");
        }
        assert_eq!(Lease6::new(address("2001:db8:77::100"), 0, &[]), None, "taken back");
    }

    fn address(text: &str) -> Ipv6Addr {
        text.parse().expect("an address")
    }
}
