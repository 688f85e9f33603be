//! Who is who in the test world, and what a single packet is by its addresses and its tag. Knows no time.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::{Door, Vantage};
use crate::packet::{Datagram, Packet, TcpFlags, Transport};

const NTP: u16 = 123;

/// The addresses by which the judge knows whose packet it sees.
#[derive(Debug, Clone)]
pub struct Places {
    /// Whom the phone talks to. The box itself has no business with them, but for `checks` and `resolvers`.
    pub servers: Vec<IpAddr>,
    pub tailnet: Vec<IpNet>,
    /// Addresses of the tailnet's range that the house uses itself: its router, and what it has lent the box.
    pub house_in_tailnet: Option<[IpAddr; 2]>,
    /// What the box may be called inside the tunnel.
    pub tunnel: Vec<IpNet>,
    pub relays: Vec<RelayPlace>,
    /// Where the house's traffic comes from as a server sees it: the outside of its NAT, and its own IPv6 prefix.
    pub house: Vec<IpNet>,
    /// TCP ends that the box asks who it is; clients must not use them.
    pub checks: Vec<SocketAddr>,
    /// Name servers that the box asks on port 53; clients must not.
    pub resolvers: Vec<IpAddr>,
    /// Whom the box asks for the time, by UDP.
    pub clocks: Vec<IpAddr>,
    /// Machines of the house that are clients: what the box says to them stays in the house.
    pub members: Vec<IpAddr>,
    /// Name servers that the box asks what its clients have asked, each by one door.
    pub upstreams: Vec<(Door, IpAddr)>,
}

/// Relays are different exits: a flow belongs to one of them.
#[derive(Debug, Clone)]
pub struct RelayPlace {
    /// What the recording of its tunnel is called.
    pub link: String,
    /// Where its traffic comes from as a server sees it.
    pub addresses: Vec<IpAddr>,
}

/// What a packet that leaves the box is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bearing {
    /// Because of a client, by this door.
    Client(Door),
    /// Between the box and whom it asks for its clients' names by this door.
    Names(Door),
    /// Never right, whatever was decided; with the reason.
    Never(&'static str),
}

impl Places {
    /// None: the box's own business, or nobody's.
    pub(super) fn bearing(&self, vantage: Vantage, packet: &Packet) -> Option<Bearing> {
        match vantage {
            Vantage::House if self.is_for_a_member(packet) => None,
            Vantage::House if self.is_inner_at_home(packet) => {
                Some(Bearing::Never("an address of the tunnel or the tailnet in the clear"))
            }
            Vantage::House => self.by_its_link(Door::Residential, packet),
            Vantage::Relay if packet.mentions(|address| self.is_tailnet(address)) => {
                Some(Bearing::Never("an address of the tailnet inside the tunnel"))
            }
            Vantage::Relay => self.by_its_link(Door::Privacy, packet),
            Vantage::Server if self.is_inner(packet) => {
                Some(Bearing::Never("an address of the tunnel or the tailnet on the internet"))
            }
            Vantage::Server => self.is_client(packet).then(|| self.by_source(packet)).flatten(),
        }
    }

    fn by_its_link(&self, door: Door, packet: &Packet) -> Option<Bearing> {
        let upstream = self.upstreams.iter().find(|(_, address)| packet.mentions(|other| other == *address));
        match upstream {
            // What the box answers to what comes by the tunnel goes back by it, whatever door is open.
            Some((Door::Privacy, _)) if door == Door::Privacy && is_reset(packet) => None,
            Some((own, _)) if *own == door => Some(Bearing::Names(door)),
            Some(_) => Some(Bearing::Never("the other door's name server")),
            None if packet.datagram().is_some_and(|datagram| self.asks_a_stranger(datagram)) => {
                Some(Bearing::Never("a question to a name server that the box was not told of"))
            }
            None => self.is_client(packet).then_some(Bearing::Client(door)),
        }
    }

    fn asks_a_stranger(&self, datagram: &Datagram) -> bool {
        let Some((_, to)) = datagram.ends() else { return false };
        to.port() == 53 && !self.resolvers.contains(&to.ip())
    }

    /// Talks to a server, quotes a talk with one, or carries the load's tag, and is not the box's own business.
    fn is_client(&self, packet: &Packet) -> bool {
        let own = packet.datagram().is_some_and(|datagram| self.is_own(datagram));
        packet.tag().is_some() || (!own && packet.mentions(|address| self.servers.contains(&address)))
    }

    /// The box's own exit checks, name look-ups and questions for the time, and errors about those.
    fn is_own(&self, datagram: &Datagram) -> bool {
        if let Some(inner) = datagram.inner() {
            return self.is_own(inner);
        }
        let Some((from, to)) = datagram.ends() else { return false };
        let is_tcp = matches!(datagram.transport, Transport::Tcp { .. });
        let is_udp = matches!(datagram.transport, Transport::Udp { .. });
        [from, to].iter().any(|end| {
            (is_udp && end.port() == NTP && self.clocks.contains(&end.ip()))
                || (is_tcp && self.checks.contains(end))
                || (end.port() == 53 && self.resolvers.contains(&end.ip()))
        })
    }

    fn by_source(&self, packet: &Packet) -> Option<Bearing> {
        let source = packet.datagram()?.source;
        if self.relay_of(source).is_some() {
            Some(Bearing::Client(Door::Privacy))
        } else if self.house.iter().any(|prefix| prefix.contains(&source)) {
            Some(Bearing::Client(Door::Residential))
        } else {
            // Untagged, it is some other inhabitant of the internet.
            packet.tag().map(|_| Bearing::Never("came from neither the relay nor the house"))
        }
    }

    /// By whom a client's packet came out of the tunnel, as this link shows it.
    pub(super) fn relay(&self, vantage: Vantage, link: &str, packet: &Packet) -> Option<usize> {
        match vantage {
            Vantage::House => None,
            Vantage::Relay => self.relays.iter().position(|relay| relay.link == link),
            Vantage::Server => packet.datagram().and_then(|datagram| self.relay_of(datagram.source)),
        }
    }

    fn relay_of(&self, source: IpAddr) -> Option<usize> {
        self.relays.iter().position(|relay| relay.addresses.contains(&source))
    }

    fn is_for_a_member(&self, packet: &Packet) -> bool {
        packet.datagram().is_some_and(|datagram| self.members.contains(&datagram.destination))
    }

    fn is_inner(&self, packet: &Packet) -> bool {
        packet.mentions(|address| self.is_in_tunnel(address) || self.is_tailnet(address))
    }

    /// On the house's own link, where it may use addresses of the tailnet's range itself. Its router has one of a peer's:
    /// a packet from there that leaves the box is that peer's.
    fn is_inner_at_home(&self, packet: &Packet) -> bool {
        let Some(house @ [router, _]) = self.house_in_tailnet else { return self.is_inner(packet) };
        packet.datagram().is_some_and(|datagram| datagram.source == router)
            || packet.mentions(|address| {
                !house.contains(&address) && (self.is_in_tunnel(address) || self.is_tailnet(address))
            })
    }

    fn is_in_tunnel(&self, address: IpAddr) -> bool {
        self.tunnel.iter().any(|prefix| prefix.contains(&address))
    }

    fn is_tailnet(&self, address: IpAddr) -> bool {
        self.tailnet.iter().any(|prefix| prefix.contains(&address))
    }
}

fn is_reset(packet: &Packet) -> bool {
    let transport = packet.datagram().map(|datagram| &datagram.transport);
    matches!(transport, Some(Transport::Tcp { flags, .. }) if flags.has(TcpFlags::RST))
}
