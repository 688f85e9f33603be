//! Decides how the box is attached to the house: by which of its interfaces, what that one holds, and which sentence
//! says what is missing. Addresses and routes that IPv6 routers advertise are the kernel's business.
//!
//! [`Attachment`] hears what each interface is and what the house lends it, and answers with the whole of what the
//! interfaces should hold ([`Wanted`]); the agent makes it so, however often it is told.

mod lease;
mod lease6;
pub mod router;
mod side;
pub mod switch;
mod trouble;
pub mod wifi;

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use ipnet::IpNet;

use crate::Uptime;
pub use lease::{BadLease, Lease};
use router::{Nat64, Said};
use side::Side;
pub use trouble::Trouble;

/// What Ethernet carries.
pub const ETHERNET_MTU: u16 = 1500;

/// A kind of interface to the house.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Medium {
    Cable,
    Wifi,
}

impl Medium {
    pub const BOTH: [Self; 2] = [Self::Cable, Self::Wifi];
}

/// Who says what an interface holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// The house, by DHCP and router advertisements.
    Dhcp,
    /// The owner. Prefixes are the LAN's.
    Static { addresses: Vec<IpNet>, gateways: Vec<IpAddr> },
    /// Somebody else on the machine: the agent only watches.
    Foreign,
}

/// The box's interfaces, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interfaces {
    pub cable: String,
    /// Present where the owner has configured one.
    pub wifi: Option<String>,
}

impl Interfaces {
    pub fn name(&self, medium: Medium) -> Option<&str> {
        match medium {
            Medium::Cable => Some(&self.cable),
            Medium::Wifi => self.wifi.as_deref(),
        }
    }

    /// The cable's first.
    pub fn names(&self) -> Vec<String> {
        Medium::BOTH.into_iter().filter_map(|medium| self.name(medium).map(String::from)).collect()
    }
}

/// What one interface is like at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkState {
    pub carrier: Carrier,
    /// It has an address that is not link-local, and may be used.
    pub usable: bool,
    /// Another machine of the house has this one of its addresses (RFC 4862 5.4).
    pub duplicate: Option<IpAddr>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carrier {
    /// There is no such interface.
    #[default]
    Missing,
    /// No cable, or no radio network.
    Down,
    Up,
}

/// What an interface hears of the house's DHCP servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DhcpEvent {
    /// Lent, or lent anew.
    Leased(Lease),
    /// What was lent is no longer ours.
    Lost,
    /// Nobody answers. The client goes on asking.
    Unanswered,
    /// What was offered is in use by another machine, and was declined (RFC 2131 4.4.4).
    Taken(Ipv4Addr),
}

/// Whether another machine answers for an address (RFC 5227 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probed {
    Free,
    Taken,
}

/// What a server of `DHCPv6` lends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease6 {
    pub address: Lent,
    pub resolvers: Vec<IpAddr>,
}

/// An address, and for how long; `None`: for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lent {
    pub net: IpNet,
    pub lasts: Option<Duration>,
}

/// What happens to the interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkInput {
    Link(Medium, LinkState),
    Dhcp(Medium, DhcpEvent),
    /// The LAN was asked for an address of the owner's choice.
    Probed(Medium, Ipv4Addr, Probed),
    Dhcp6(Medium, Option<Lease6>),
    /// Why the radio has joined no network; `None`: it has.
    Wifi(Option<String>),
    /// A router says something beside addresses and routes.
    Said(Medium, Said),
}

/// What the interfaces must hold, whatever was before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub cable: Option<Link>,
    pub wifi: Option<Link>,
}

impl Wanted {
    pub const fn link(&self, medium: Medium) -> Option<&Link> {
        match medium {
            Medium::Cable => self.cable.as_ref(),
            Medium::Wifi => self.wifi.as_ref(),
        }
    }
}

/// One interface that is in use: up, and asking the house for what it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// A DHCP client runs.
    pub dhcp: bool,
    /// So does one of `DHCPv6`.
    pub dhcp6: bool,
    /// Which of its addresses the LAN is to be asked for before they are held.
    pub probes: Vec<Ipv4Addr>,
    /// What else it holds is left, until the house has answered: it may be of an agent before this one.
    pub standing: bool,
    /// Beside those that the kernel makes of router advertisements; other IPv4 ones must go.
    pub addresses: Vec<Lent>,
    /// Beside those that routers advertise.
    pub gateways: Vec<IpAddr>,
    pub mtu: u16,
}

/// Servers that the house offers for the box's own use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// Name servers, for the box's own names alone.
    pub dns: Vec<IpAddr>,
    pub ntp: Vec<IpAddr>,
    /// By which the house's network reaches IPv4 from IPv6.
    pub nat64: Option<Nat64>,
}

/// The one way by which the box is attached to the house.
#[derive(Debug)]
pub struct Attachment {
    method: Method,
    interfaces: Interfaces,
    cable: Side,
    wifi: Side,
    /// Why the radio has joined no network.
    radio: Option<String>,
}

impl Attachment {
    pub fn new(method: Method, interfaces: Interfaces) -> Self {
        Self { method, interfaces, cable: Side::default(), wifi: Side::default(), radio: None }
    }

    pub fn hear(&mut self, now: Uptime, input: LinkInput) {
        match input {
            LinkInput::Link(medium, link) => self.side(medium).learn_link(link),
            LinkInput::Dhcp(medium, event) => self.side(medium).learn_dhcp(event),
            LinkInput::Probed(medium, address, probed) => self.side(medium).learn_probe(address, probed),
            LinkInput::Dhcp6(medium, lease) => self.side(medium).learn_dhcp6(now, lease),
            LinkInput::Wifi(trouble) => self.radio = trouble,
            LinkInput::Said(medium, said) => self.side(medium).learn_router(now, said),
        }
    }

    /// What routers have said and `DHCPv6` has lent holds for a time; to be called now and then.
    pub fn forget(&mut self, now: Uptime) {
        for medium in Medium::BOTH {
            self.side(medium).forget(now);
        }
    }

    /// By which interface the house is reached. A cable that leads to no address does not silence the radio.
    pub const fn medium(&self) -> Medium {
        if self.interfaces.wifi.is_some() && !self.cable.link.usable { Medium::Wifi } else { Medium::Cable }
    }

    pub fn interface(&self) -> &str {
        self.interfaces.name(self.medium()).unwrap_or(&self.interfaces.cable)
    }

    pub fn wanted(&self) -> Wanted {
        match &self.method {
            Method::Foreign => Wanted::default(),
            Method::Dhcp | Method::Static { .. } => Wanted {
                cable: Some(self.link(&self.cable)),
                wifi: (self.medium() == Medium::Wifi).then(|| self.link(&self.wifi)),
            },
        }
    }

    /// Of the interface in use. Nobody's word counts twice.
    pub fn offers(&self) -> Offers {
        let side = self.attached();
        let lease = side.lease.iter();
        let resolvers = lease.clone().flat_map(|lease| lease.resolvers.iter().copied().map(IpAddr::V4));
        let of_lease6 = side.lease6.iter().flat_map(|lease| lease.resolvers.iter().copied());
        let dns = resolvers.chain(of_lease6).chain(side.advertised.resolvers()).filter(is_routed);
        let ntp = lease.flat_map(|lease| lease.time_servers.iter().copied().map(IpAddr::V4));
        Offers { dns: once_each(dns), ntp: once_each(ntp), nat64: side.advertised.nat64() }
    }

    /// What is missing before the box is attached; `None`: nothing.
    pub fn trouble(&self) -> Option<Trouble> {
        let medium = self.medium();
        let side = self.attached();
        let taken = side.taken.map(IpAddr::V4).or(side.link.duplicate);
        if side.link.usable {
            return taken.map(Trouble::Duplicate);
        }
        Some(match (side.link.carrier, medium) {
            (Carrier::Missing, _) => Trouble::NoLink(self.interface().into()),
            (Carrier::Down, Medium::Cable) => Trouble::NoCable(self.interface().into()),
            (Carrier::Down, Medium::Wifi) => self.radio.clone().map_or(Trouble::Joining, Trouble::NoWifi),
            (Carrier::Up, medium) => self.without_address(side, medium, taken),
        })
    }

    fn without_address(&self, side: &Side, medium: Medium, taken: Option<IpAddr>) -> Trouble {
        match (&self.method, taken) {
            (_, Some(address)) => Trouble::Duplicate(address),
            (Method::Dhcp, None) if side.unanswered => Trouble::NoLease(medium),
            (Method::Dhcp, None) => Trouble::Asking,
            (Method::Static { .. } | Method::Foreign, None) => Trouble::NoAddress,
        }
    }

    fn link(&self, side: &Side) -> Link {
        let lit = side.link.carrier == Carrier::Up;
        match &self.method {
            Method::Dhcp if lit => side.leased(),
            Method::Static { addresses, gateways } if lit => side.fixed(addresses, gateways),
            // What another network has lent must not be found on the next one.
            Method::Dhcp | Method::Static { .. } | Method::Foreign => {
                Link { mtu: ETHERNET_MTU, ..Link::default() }
            }
        }
    }

    const fn attached(&self) -> &Side {
        match self.medium() {
            Medium::Cable => &self.cable,
            Medium::Wifi => &self.wifi,
        }
    }

    const fn side(&mut self, medium: Medium) -> &mut Side {
        match medium {
            Medium::Cable => &mut self.cable,
            Medium::Wifi => &mut self.wifi,
        }
    }
}

/// Whoever asks a link-local server has to name the link, and this list has no room for that.
fn is_routed(server: &IpAddr) -> bool {
    !matches!(server, IpAddr::V6(server) if server.is_unicast_link_local())
}

fn once_each(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut seen = BTreeSet::new();
    addresses.filter(|address| seen.insert(*address)).collect()
}

#[cfg(test)]
mod tests;
