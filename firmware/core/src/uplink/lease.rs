//! What a DHCP server may say, and what of it is believed: an address, a router beside it, servers for the box's own
//! use. Routes (options 33, 121, 249) are not even asked for.

use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::ops::RangeInclusive;
use core::time::Duration;

use ipnet::Ipv4Net;

/// Servers of one kind that are remembered.
const MOST_SERVERS: usize = 4;
/// IPv6 needs the least (RFC 8200 5), Ethernet carries the most.
const MTU: RangeInclusive<u16> = 1280..=super::ETHERNET_MTU;
/// Who lends for less would only keep the box busy.
const SHORTEST: Duration = Duration::from_secs(30);

/// RFC 2131, RFC 2132
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// With the LAN's prefix length.
    pub address: Ipv4Net,
    /// A neighbour; `None` where the server names none that could be one.
    pub router: Option<Ipv4Addr>,
    pub resolvers: Vec<Ipv4Addr>,
    pub time_servers: Vec<Ipv4Addr>,
    pub mtu: Option<u16>,
    pub lasts: Duration,
}

/// Nobody can live at such an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLease(pub Ipv4Addr, pub u8);

impl Lease {
    /// # Errors
    /// The address is none for a machine.
    pub fn new(address: Ipv4Addr, prefix: u8, lasts: Duration) -> Result<Self, BadLease> {
        let bad = BadLease(address, prefix);
        let net = Ipv4Net::new(address, prefix).map_err(|_| bad)?;
        if prefix < 8 || !is_machine(address) {
            return Err(bad);
        }
        let lasts = lasts.max(SHORTEST);
        let (resolvers, time_servers) = (Vec::new(), Vec::new());
        Ok(Self { address: net, router: None, resolvers, time_servers, mtu: None, lasts })
    }

    /// The first that is a neighbour.
    #[must_use]
    pub fn with_routers(mut self, routers: &[Ipv4Addr]) -> Self {
        let own = self.address;
        let is_neighbour = |router: &&Ipv4Addr| own.contains(*router) && **router != own.addr();
        self.router = routers.iter().find(is_neighbour).copied();
        self
    }

    #[must_use]
    pub fn with_servers(mut self, resolvers: &[Ipv4Addr], time_servers: &[Ipv4Addr]) -> Self {
        self.resolvers = usable(resolvers);
        self.time_servers = usable(time_servers);
        self
    }

    #[must_use]
    pub fn with_mtu(mut self, mtu: Option<u16>) -> Self {
        self.mtu = mtu.filter(|mtu| MTU.contains(mtu));
        self
    }
}

fn usable(servers: &[Ipv4Addr]) -> Vec<Ipv4Addr> {
    servers.iter().copied().filter(|server| is_machine(*server)).take(MOST_SERVERS).collect()
}

const fn is_machine(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    first != 0 && first != 127 && first < 224 && !address.is_link_local()
}
