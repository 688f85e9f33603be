//! What the house's routers advertise beside addresses and routes, which are the kernel's business: resolvers, the
//! prefix by which IPv4 is reached, and whether to ask a DHCP server. How long it holds.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use super::lease6::is_machine;
use crate::Uptime;

/// Of one kind: who floods the house with advertisements gets no more room than a house needs.
const MOST: usize = 4;

/// RFC 8106 5.1, RFC 8781 4
const RESOLVERS: u8 = 25;
const NAT64: u8 = 38;

/// One thing that a router says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// For so long; zero: not any more.
    Resolvers(Vec<Ipv6Addr>, Lifetime),
    Nat64(Nat64, Lifetime),
    Dhcp(Dhcp),
}

/// How long something holds after it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    For(Duration),
    Forever,
}

/// What a DHCPv6 server is asked for (RFC 4861 4.2, flags M and O).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dhcp {
    #[default]
    Nothing,
    /// All but addresses.
    Others,
    /// Addresses, and all else.
    Addresses,
}

/// A prefix below which an IPv6-only house reaches IPv4 (RFC 6052).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat64 {
    prefix: Ipv6Addr,
    /// In bytes; one of those that RFC 6052 2.2 knows.
    length: usize,
}

impl Said {
    /// One option of an advertisement (RFC 4861 4.6) with its type and length; `None`: it says nothing of ours, or
    /// nothing that makes sense.
    pub fn parse(option: &[u8]) -> Option<Self> {
        let [kind, units, ..] = *option else { return None };
        let value = option.get(2..usize::from(units) * 8)?;
        match kind {
            RESOLVERS => resolvers(value),
            NAT64 => nat64(value),
            _ => None,
        }
    }
}

fn resolvers(value: &[u8]) -> Option<Said> {
    let (_reserved, value) = value.split_first_chunk::<2>()?;
    let (seconds, addresses) = value.split_first_chunk::<4>()?;
    let lifetime = match u32::from_be_bytes(*seconds) {
        u32::MAX => Lifetime::Forever,
        seconds => Lifetime::For(Duration::from_secs(seconds.into())),
    };
    let (addresses, rest) = addresses.as_chunks::<16>();
    let addresses = addresses.iter().copied().map(Ipv6Addr::from).filter(is_machine);
    let addresses: Vec<Ipv6Addr> = addresses.take(MOST).collect();
    (rest.is_empty() && !addresses.is_empty()).then_some(Said::Resolvers(addresses, lifetime))
}

fn nat64(value: &[u8]) -> Option<Said> {
    let (scaled, prefix) = value.split_first_chunk::<2>()?;
    let scaled = u16::from_be_bytes(*scaled);
    let length = *[12, 8, 7, 6, 5, 4].get(usize::from(scaled & 7))?;
    let mut octets = [0; 16];
    octets[..length].copy_from_slice(prefix.first_chunk::<12>()?.get(..length)?);
    // Eight seconds are the unit, and their number stands above the three bits of the length.
    let lifetime = Lifetime::For(Duration::from_secs((scaled & !7).into()));
    Some(Said::Nat64(Nat64 { prefix: octets.into(), length }, lifetime))
}

impl Nat64 {
    /// Of 96 bits, as nearly all are; what stands behind them does not count.
    pub const fn of_96_bits(prefix: Ipv6Addr) -> Self {
        Self { prefix: Ipv6Addr::from_bits(prefix.to_bits() & !0xffff_ffff), length: 12 }
    }

    /// Where an IPv4 address is found: behind the prefix, around the byte that is left out for routers' sake.
    pub fn address_of(&self, v4: Ipv4Addr) -> Ipv6Addr {
        const LEFT_OUT: usize = 8;
        let mut octets = self.prefix.octets();
        let places = (self.length..).filter(|place| *place != LEFT_OUT);
        for (place, octet) in places.zip(v4.octets()) {
            octets[place] = octet;
        }
        octets.into()
    }
}

/// All that the routers of one link have said and that holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advertised {
    resolvers: Vec<Holding<Ipv6Addr>>,
    nat64: Vec<Holding<Nat64>>,
    dhcp: Dhcp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holding<T> {
    what: T,
    /// `None`: for ever.
    until: Option<Uptime>,
}

impl Advertised {
    pub fn hear(&mut self, now: Uptime, said: Said) {
        self.forget(now);
        match said {
            Said::Resolvers(addresses, lifetime) => {
                for address in addresses {
                    renew(&mut self.resolvers, now, address, lifetime);
                }
            }
            Said::Nat64(prefix, lifetime) => renew(&mut self.nat64, now, prefix, lifetime),
            Said::Dhcp(dhcp) => self.dhcp = dhcp,
        }
    }

    /// Drops what does not hold any more; returns whether there was something.
    pub fn forget(&mut self, now: Uptime) -> bool {
        let before = self.resolvers.len() + self.nat64.len();
        self.resolvers.retain(|holding| holding.holds(now));
        self.nat64.retain(|holding| holding.holds(now));
        before != self.resolvers.len() + self.nat64.len()
    }

    /// When [`Advertised::forget`] will find something.
    pub fn deadline(&self) -> Option<Uptime> {
        let resolvers = self.resolvers.iter().filter_map(|holding| holding.until);
        resolvers.chain(self.nat64.iter().filter_map(|holding| holding.until)).min()
    }

    /// In the order in which they were first named. Some may be link-local: for a socket that is bound to the link.
    pub fn resolvers(&self) -> Vec<IpAddr> {
        self.resolvers.iter().map(|holding| holding.what.into()).collect()
    }

    pub fn nat64(&self) -> Option<Nat64> {
        self.nat64.first().map(|holding| holding.what)
    }

    pub const fn dhcp(&self) -> Dhcp {
        self.dhcp
    }
}

impl<T> Holding<T> {
    fn holds(&self, now: Uptime) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// What is known already stays, whoever names others: a flood does not push the house's own aside.
fn renew<T: PartialEq>(known: &mut Vec<Holding<T>>, now: Uptime, what: T, lifetime: Lifetime) {
    let until = match lifetime {
        Lifetime::For(lifetime) => Some(now + lifetime),
        Lifetime::Forever => None,
    };
    if let Some(holding) = known.iter_mut().find(|holding| holding.what == what) {
        holding.until = until;
    } else if known.len() < MOST {
        known.push(Holding { what, until });
    }
    known.retain(|holding| holding.holds(now));
}

#[cfg(test)]
mod tests;
