//! How the house is numbered: the network that its router lends addresses of, the prefix that its provider has lent it,
//! and who of them is the router and who the box.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One plan of addresses for the house's LAN. The router gives the box always the same address of IPv4; of IPv6 the box
/// makes one itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// `192.168.77.0/24` and `2001:db8:77::/64`
    First,
    /// `192.168.88.0/24` and `2001:db8:88::/64`
    Second,
    /// The first, by a router with other addresses on it.
    AnotherRouter,
    /// The first prefix, and `100.64.0.0/24`: the router has an address that the tailnet gives to the phone.
    CarrierGrade,
}

impl Numbering {
    pub const ALL: [Self; 4] = [Self::First, Self::Second, Self::AnotherRouter, Self::CarrierGrade];

    /// The network that IPv4 is lent of, with 24 bits.
    pub fn network(self) -> Ipv4Addr {
        match self {
            Self::First | Self::AnotherRouter => Ipv4Addr::new(192, 168, 77, 0),
            Self::Second => Ipv4Addr::new(192, 168, 88, 0),
            Self::CarrierGrade => Ipv4Addr::new(100, 64, 0, 0),
        }
    }

    /// The prefix of IPv6, with 64 bits.
    pub fn prefix(self) -> Ipv6Addr {
        match self {
            Self::First | Self::AnotherRouter | Self::CarrierGrade => {
                Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 0)
            }
            Self::Second => Ipv6Addr::new(0x2001, 0xdb8, 0x88, 0, 0, 0, 0, 0),
        }
    }

    /// The router's address, which is also its resolver's.
    pub fn router(self) -> Ipv4Addr {
        let [a, b, c, _] = self.network().octets();
        Ipv4Addr::new(a, b, c, self.router_host())
    }

    pub fn router_v6(self) -> Ipv6Addr {
        self.in_prefix(self.router_host().into())
    }

    /// What it announces itself by.
    pub fn router_link_local(self) -> Ipv6Addr {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, self.router_host().into())
    }

    /// What the box is lent.
    pub fn of_the_box(self) -> Ipv4Addr {
        let [a, b, c, _] = self.network().octets();
        // The tailnet gives its first addresses to its nodes.
        let host = if self == Self::CarrierGrade { 77 } else { 2 };
        Ipv4Addr::new(a, b, c, host)
    }

    pub fn is_prefix_of(self, address: Ipv6Addr) -> bool {
        address.segments()[..4] == self.prefix().segments()[..4]
    }

    /// What a box has that somebody numbers by hand.
    pub fn of_a_static_box(self) -> Ipv6Addr {
        self.in_prefix(2)
    }

    /// Whom the router's own resolver answers, and where: all of its addresses, in every numbering.
    pub fn resolvers() -> impl Iterator<Item = IpAddr> {
        Self::ALL.into_iter().flat_map(|numbering| {
            [numbering.router().into(), numbering.router_v6().into(), numbering.router_link_local().into()]
        })
    }

    fn router_host(self) -> u8 {
        match self {
            Self::First | Self::Second | Self::CarrierGrade => 1,
            Self::AnotherRouter => 254,
        }
    }

    fn in_prefix(self, host: u16) -> Ipv6Addr {
        let mut segments = self.prefix().segments();
        segments[7] = host;
        segments.into()
    }
}
