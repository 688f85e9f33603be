//! Everything the kernel must look like, as one value; [`ruleset`], [`routing`] and [`sysctl`] render it.
//!
//! | posture | clients to the internet | the stub to its upstreams | the box itself | tailnet to the box |
//! |---|---|---|---|---|
//! | sealed, no facts (boot) | refused | refused | tailscaled and the agent have no uplink yet | nothing arrives |
//! | sealed | refused | refused | tailscaled, agent and tunnel by the uplink | allowed |
//! | privacy door | by `wg0`, this epoch's flows only | by `wg0` | the same | allowed |
//! | residential door | by the uplink, this epoch's flows only | by the uplink | the same | allowed |

pub mod routing;
pub mod ruleset;
pub mod sysctl;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};

use crate::{Egress, Epoch};

/// The tunnel's interface to Mullvad.
pub const TUNNEL: &str = "wg0";
/// The interface that client packets come in by.
pub const TAILNET: &str = "tailscale0";
/// The UDP port of tailscaled, told to it at its start; its packets are not tracked.
pub const TAILSCALED_PORT: u16 = 41641;
/// The UDP port of our end of the tunnel; likewise.
pub const TUNNEL_PORT: u16 = 41642;
/// Where clients' questions for names are redirected to, whomever they asked, by UDP and TCP. Not port 53, where the box's
/// own answers to tailnet peers are not tracked and would keep the box's address.
pub const STUB_PORT: u16 = 41653;
/// Where dropbear listens, at every address: who comes that far is decided by the rules.
pub const SSH_PORT: u16 = 22;

/// A packet mark of ours; bits 24-31, because tailscaled owns 16-23 (tailscale `tsconst/linuxfw.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(pub u32);

impl Mark {
    /// The bits that are ours.
    pub const MASK: u32 = 0xff00_0000;
    /// A client's packet, while the privacy door is open.
    pub const PRIVACY: Self = Self(0x0100_0000);
    /// A client's packet, while the residential door is open.
    pub const RESIDENTIAL: Self = Self(0x0200_0000);
    /// What came in by the tunnel; reflected on what the box answers to it.
    pub const FROM_TUNNEL: Self = Self(0x0300_0000);
    /// The tunnel's own UDP socket.
    pub const TUNNEL_SOCKET: Self = Self(0x0400_0000);
    /// The prober's UDP sockets.
    pub const PROBER: Self = Self(0x0500_0000);
    /// The agent's own sockets by the uplink: name look-ups, exit check.
    pub const AGENT: Self = Self(0x0800_0000);
    /// The stub resolver's sockets to its upstreams, each bound to a door's device.
    pub const STUB: Self = Self(0x1000_0000);
    /// An answer to a client, which may be forwarded inwards.
    pub const ANSWER: Self = Self(0x2000_0000);
    /// A packet of a machine of the house that is a client, beside the mark of the door.
    pub const MEMBER: Self = Self(0x4000_0000);

    const fn of(egress: Egress) -> Self {
        match egress {
            Egress::Privacy => Self::PRIVACY,
            Egress::Residential => Self::RESIDENTIAL,
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

/// The house's interface as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uplink {
    pub interface: String,
    /// With the prefix length of the LAN; global and private ones, no link-local.
    pub addresses: Vec<IpNet>,
    pub gateway4: Option<Ipv4Addr>,
    pub gateway6: Option<Ipv6Addr>,
}

impl Uplink {
    /// From which address clients' packets leave: the one that the gateway has for a neighbour.
    pub fn source4(&self) -> Option<IpAddr> {
        let ours = || self.addresses.iter().filter(|net| net.addr().is_ipv4());
        let beside = |net: &&IpNet| self.gateway4.is_some_and(|gateway| net.contains(&IpAddr::V4(gateway)));
        ours().find(beside).or_else(|| ours().next()).map(IpNet::addr)
    }

    /// The same for IPv6, whose gateway is link-local: one that the internet can answer, if there is one.
    pub fn source6(&self) -> Option<IpAddr> {
        let ours = || self.addresses.iter().map(IpNet::addr).filter(IpAddr::is_ipv6);
        let is_private = |address: &IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unique_local());
        ours().find(|address| !is_private(address)).or_else(|| ours().next())
    }

    /// In the order in which the box asks for them.
    pub fn gateways(&self) -> impl Iterator<Item = IpAddr> + use<> {
        self.gateway4.map(IpAddr::V4).into_iter().chain(self.gateway6.map(IpAddr::V6))
    }

    /// Whether the house itself lives in 100.64.0.0/10, which the tailnet's addresses are taken from.
    pub fn is_carrier_grade(&self) -> bool {
        const CARRIER_GRADE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10);
        self.addresses.iter().any(|net| match net {
            IpNet::V4(net) => CARRIER_GRADE.contains(&net.addr()),
            IpNet::V6(_) => false,
        })
    }
}

/// Our end of the tunnel and the relay at the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelEnd {
    /// Our addresses inside the tunnel.
    pub addresses: Vec<IpAddr>,
    /// The only place the tunnel's socket may send to.
    pub relay: SocketAddr,
    /// Of the interface, in bytes.
    pub mtu: u16,
}

/// What the house's hosts get from the box itself; the tailnet gets all of it in every state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HouseAccess {
    /// Answers to their pings.
    pub ping: bool,
    /// A way in for who has a key.
    pub ssh: bool,
}

/// The house's own machines, where they are clients too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Household {
    /// Where they are: the uplink's, or one of their own, behind which there is nobody else.
    pub interface: String,
    /// Ours there, with the length of the prefixes whose machines are served.
    pub addresses: Vec<IpNet>,
    /// What these hand on is of no machine of the house. Empty on an interface of its own.
    pub routers: Vec<Mac>,
}

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = self.0;
        write!(f, "{first:02x}")?;
        rest.iter().try_for_each(|byte| write!(f, ":{byte:02x}"))
    }
}

/// What the rules must know about the world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub uplink: Option<Uplink>,
    /// By which interfaces the house may be heard, before there is an address too.
    pub interfaces: Vec<String>,
    pub tunnel: Option<TunnelEnd>,
    /// Where the prober may send to: each relay's ports, sorted.
    pub candidates: Vec<SocketAddr>,
    /// How many flows the kernel can track at once; 0: not known.
    pub flow_table: u32,
    /// Whether clients may not ask resolvers of their own over TLS or QUIC.
    pub refuse_dot: bool,
    /// Whether clients may not send mail to other people's servers (TCP 25) by the house's line.
    pub refuse_smtp: bool,
    /// What each address of a client's may take in each direction; `None`: whatever the line gives.
    pub limit_mbit: Option<u16>,
    pub house_access: HouseAccess,
    pub household: Option<Box<Household>>,
    /// Whether tailnet peers may reach the house's own network, whatever door is open.
    pub reach: bool,
}

impl Facts {
    /// Of the house's machines that have an interface to themselves.
    pub fn household_apart(&self) -> Option<&Household> {
        let uplink = self.uplink.as_ref().map(|uplink| &uplink.interface);
        self.household.as_deref().filter(|household| Some(&household.interface) != uplink)
    }

    /// The house's own prefixes, where tailnet peers may reach them. A house of the tailnet's own range cannot be told
    /// from the tailnet.
    pub fn reachable(&self) -> Vec<IpNet> {
        let uplink = self.uplink.as_ref().filter(|_| self.reach);
        let carrier_grade = uplink.is_some_and(Uplink::is_carrier_grade);
        let prefixes = uplink.iter().flat_map(|uplink| &uplink.addresses).map(IpNet::trunc);
        IpNet::aggregate(&prefixes.filter(|net| !(carrier_grade && net.addr().is_ipv4())).collect())
    }

    /// What of it is new, beside what was the case before.
    pub fn differ(&self, before: &Self) -> Difference {
        let elsewhere =
            Self { tunnel: before.tunnel.clone(), candidates: before.candidates.clone(), ..self.clone() };
        match (&self.tunnel, &before.tunnel) {
            _ if self == before => Difference::Nothing,
            _ if elsewhere != *before => Difference::More,
            (tunnel, other) if tunnel == other => Difference::Candidates,
            (Some(tunnel), Some(other)) if tunnel.addresses == other.addresses => Difference::Relay,
            (Some(_) | None, Some(_) | None) => Difference::Addresses,
        }
    }
}

/// How far facts differ from others; each step includes the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    Nothing,
    /// Whom the prober may speak to: no client notices.
    Candidates,
    /// Where the tunnel leads, with the same addresses at our end: one transaction takes it there.
    Relay,
    /// Those too, or whether it leads anywhere: nothing that went by the tunnel fits any more.
    Addresses,
    More,
}

/// An open door: where to, and the stamp of its flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    pub egress: Egress,
    pub epoch: Epoch,
}

/// Whom nothing is carried for, by the owner's word: the same by every door.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Sorted.
    pub clients: Vec<IpAddr>,
    /// Where tailscaled answers their questions for names, beside the stub.
    pub name_ports: Vec<u16>,
}

/// What the kernel must look like. The default is the boot's: sealed, and knowing nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Posture {
    pub facts: Facts,
    /// `None` is sealed.
    pub door: Option<Door>,
    pub refused: Refused,
}

impl Posture {
    pub const fn sealed(facts: Facts) -> Self {
        let refused = Refused { clients: Vec::new(), name_ports: Vec::new() };
        Self { facts, door: None, refused }
    }

    /// Nothing else is new: a change of a few elements, which no flow of anybody else notices.
    pub fn differs_in_refused_alone(&self, before: &Self) -> bool {
        self.facts == before.facts && self.door == before.door
    }

    /// The interface that client packets leave by.
    pub fn door_interface(&self) -> Option<&str> {
        match self.door?.egress {
            Egress::Privacy => Some(TUNNEL),
            Egress::Residential => self.facts.uplink.as_ref().map(|uplink| uplink.interface.as_str()),
        }
    }
}

/// One human sentence, for the log.
impl fmt::Display for Posture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uplink = self.facts.uplink.as_ref().map_or("no uplink", |uplink| &uplink.interface);
        match self.door {
            Some(Door { egress, epoch }) => {
                write!(f, "{egress} door open, epoch {epoch}, uplink {uplink}")
            }
            None => write!(f, "sealed, uplink {uplink}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uplink(addresses: &[&str]) -> Uplink {
        let addresses = addresses.iter().map(|net| net.parse().expect("an address")).collect();
        let gateway4 = Some(Ipv4Addr::new(192, 168, 77, 1));
        Uplink { interface: String::from("eth0"), addresses, gateway4, gateway6: None }
    }

    #[test]
    fn clients_leave_with_the_address_that_the_gateway_has_for_a_neighbour() {
        let house = uplink(&["10.0.0.2/8", "192.168.77.2/24", "2001:db8::2/64"]);
        assert_eq!(house.source4(), Some(IpAddr::from([192, 168, 77, 2])));
        assert_eq!(uplink(&["10.0.0.2/8"]).source4(), Some(IpAddr::from([10, 0, 0, 2])));
        assert_eq!(uplink(&["2001:db8::2/64"]).source4(), None);
    }

    #[test]
    fn clients_leave_with_an_ipv6_address_that_the_internet_can_answer() {
        let answerable = uplink(&["fd00::2/64", "2001:db8::2/64"]).source6();
        assert_eq!(answerable, "2001:db8::2".parse().ok());
        assert_eq!(uplink(&["fd00::2/64"]).source6(), "fd00::2".parse().ok());
        assert_eq!(uplink(&["192.168.77.2/24"]).source6(), None);
    }
}
