//! Another machine in the house, and what it does to the box without touching the router: it lends addresses, claims
//! them, answers for names, and floods the LAN with routers that do not exist.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, bind, recv, setsockopt, socket, sockopt::ReceiveTimeout,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use crate::World;
use crate::dns::{At, Dns64, Names, Resolver};
use crate::house::{DhcpServer, Offer};
use crate::inside::{Inside, StopSign};
use crate::namespace::Namespace;
use crate::packet::{About, Packet, Transport};
use crate::probe::lan;
use crate::topology::{Numbering, Place};
use crate::wire::{Mac, Wire, link_address, mac_of};

pub const NEIGHBOUR_V4: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 66);
const DEVICE: &str = "eth0";
const ETHERTYPE_IPV6: u16 = 0x86dd;
const SOLICITATION: u8 = 135;
/// Between two looks at the stop sign.
const LOOK: i64 = 20;
/// Of a flood: how many a second, and from how many routers they claim to be.
const A_SECOND: u32 = 300;

/// A machine that lives at [`NEIGHBOUR_V4`] and forwards nothing. Dropping it takes its addresses away.
#[derive(Debug)]
pub struct Neighbour {
    namespace: Namespace,
}

impl Neighbour {
    pub fn move_in(world: &World) -> Result<Self> {
        let neighbour = Self { namespace: world.namespace(Place::Neighbour) };
        neighbour.take(NEIGHBOUR_V4)?;
        Ok(neighbour)
    }

    /// It has this address too, whoever else in the house has it.
    pub fn take(&self, address: Ipv4Addr) -> Result<()> {
        self.namespace.ip(&format!("addr replace {address}/24 dev {DEVICE}"))
    }

    pub fn give_up(&self, address: Ipv4Addr) -> Result<()> {
        self.namespace.ip(&format!("addr del {address}/24 dev {DEVICE}"))
    }

    /// A DHCP server, as somebody's second router is that was plugged in by the wrong socket.
    pub fn lend(&self, offer: &Offer) -> Result<DhcpServer> {
        let server = DhcpServer::lend(&self.namespace, DEVICE, offer, Numbering::First)?;
        server.context("an offer without IPv4")
    }

    /// A name server.
    pub fn answer_for_names(&self) -> Result<Resolver> {
        Resolver::start(&self.namespace, At::Address(NEIGHBOUR_V4.into()), Names::All, Dns64::Off)
    }

    /// Announces a new router with a new prefix, hundreds of times a second, until it is finished; tells how often.
    pub fn flood(&self) -> Result<Inside<u32>> {
        let wire = Wire::open(&self.namespace, DEVICE, lan::ALL_NODES_MAC)?;
        let run = move |(), stop: &StopSign| {
            let mut sent = 0;
            while !stop.is_up() {
                let (router, prefix) = invented(sent);
                wire.send(&lan::announcement(router, lan::Router::Serving, &[prefix])?)?;
                sent += 1;
                std::thread::sleep(Duration::from_secs(1) / A_SECOND);
            }
            Ok(sent)
        };
        Inside::start(&self.namespace.path(), "flood", || Ok(()), run)
    }

    /// Claims every address of IPv6 that anybody asks whether it is free, until it is finished; tells which.
    pub fn claim_everything(&self) -> Result<Inside<Vec<Ipv6Addr>>> {
        let wire = Wire::open(&self.namespace, DEVICE, lan::ALL_NODES_MAC)?;
        let mac = mac_of(&self.namespace, DEVICE)?;
        let claim = move |socket, stop: &StopSign| claim_all(&socket, &wire, mac, stop);
        Inside::start(&self.namespace.path(), "claims", listen, claim)
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // What an error leaves here ends with the world.
        let _ = self.namespace.ip(&format!("addr flush dev {DEVICE} scope global"));
    }
}

/// The router and the prefix of an announcement.
fn invented(number: u32) -> (Ipv6Addr, Ipv6Addr) {
    let [high, low] = [number >> 16, number & 0xffff].map(|half| u16::try_from(half).unwrap_or(0));
    (
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0xbad, 0, high, low),
        Ipv6Addr::new(0x2001, 0xdb8, 0xbad, low, 0, 0, 0, 0),
    )
}

fn listen() -> Result<OwnedFd> {
    let index = if_nametoindex(DEVICE).context("find the neighbour's interface")?;
    let socket = socket(AddressFamily::Packet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
        .context("open a packet socket")?;
    setsockopt(&socket, ReceiveTimeout, &TimeVal::milliseconds(LOOK)).context("limit a wait")?;
    bind(socket.as_raw_fd(), &link_address(index, ETHERTYPE_IPV6, [0; 6])?).context("listen to IPv6")?;
    Ok(socket)
}

fn claim_all(socket: &OwnedFd, wire: &Wire, mac: Mac, stop: &StopSign) -> Result<Vec<Ipv6Addr>> {
    let mut claimed = Vec::new();
    let mut buffer = [0; 256];
    while !stop.is_up() {
        match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Ok(length) => {
                if let Some(wanted) = probed(&Packet::parse(ETHERTYPE_IPV6, &buffer[..length])) {
                    lan::claim(wire, mac, wanted)?;
                    claimed.push(wanted);
                }
            }
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => {}
            Err(error) => return Err(io::Error::from(error)).context("hear what is probed"),
        }
    }
    Ok(claimed)
}

/// The address that somebody without one asks for (RFC 4862, 5.4.2).
fn probed(packet: &Packet) -> Option<Ipv6Addr> {
    let datagram = packet.datagram()?;
    match datagram.transport {
        Transport::Icmp { kind: SOLICITATION, about: About::Neighbour(IpAddr::V6(target)), .. }
            if datagram.source == IpAddr::V6(Ipv6Addr::UNSPECIFIED) =>
        {
            Some(target)
        }
        Transport::Icmp { .. }
        | Transport::Udp { .. }
        | Transport::Tcp { .. }
        | Transport::Wrapped(_)
        | Transport::LaterFragment { .. }
        | Transport::Other { .. } => None,
    }
}
