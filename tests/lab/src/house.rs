//! The relative's house: its router with what it lends, translates, lets through and keeps silent about. What a house can
//! do wrong without meaning to is here; what somebody in it does on purpose is the neighbour's.

mod carrier;
mod dhcp;
mod nat64;
mod opener;
mod portal;

use std::net::Ipv6Addr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

pub use dhcp::{DhcpServer, Offer};
pub use nat64::embedded;
pub use portal::LOGIN;

use crate::dns::{At, Dns64, Heard, Names, Resolver};
use crate::namespace::Namespace;
use crate::probe::lan;
use crate::topology::{Numbering, Place, Topology};
use crate::wire::Wire;
use nat64::Nat64;
use opener::Opener;
use portal::Portal;

/// What it has no connection for it does not let out untranslated, as routers do.
const NAT: &str = "table ip nat {
  chain post { type nat hook postrouting priority srcnat; oifname wan masquerade; }
  chain through { type filter hook forward priority filter; oifname wan ct state invalid drop; }
}";
/// Errors and resets about machines that have left the house are the router's, and would look like the box's to a server.
const NO_WORD_ABOUT_THE_GONE: &str = "table inet gone {
  chain own {
    type filter hook output priority filter;
    oifname wan icmp type destination-unreachable icmp code host-unreachable drop;
    oifname wan icmpv6 type destination-unreachable icmpv6 code addr-unreachable drop;
    oifname wan tcp flags & rst == rst drop;
  }
}";
/// What tailnet peers say to each other without a relay server comes from and goes to this port.
const NO_DIRECT_WAY: &str = "table inet direct {
  chain through { type filter hook forward priority raw; udp sport 41641 drop; udp dport 41641 drop; }
}";
/// A network where only pages are wanted: of what the house's machines send, UDP goes nowhere. TCP and pings pass, and
/// what the router sends itself.
const NO_UDP: &str = "table inet pages {
  chain through { type filter hook forward priority raw; iifname lan meta l4proto udp drop; }
}";
/// No router tells a sender that its packets are too big.
const ERRORS_ARE_LOST: &str = "table inet blackhole {
  chain out {
    type filter hook output priority filter;
    icmp type destination-unreachable icmp code frag-needed drop;
    icmpv6 type packet-too-big drop;
  }
}";

/// A house with a router, numbered in one way at a time. It ends with its world.
#[derive(Debug)]
pub struct House {
    router: Namespace,
    core: Namespace,
    folder: PathBuf,
    numbering: Numbering,
    offer: Option<Offer>,
    dhcp: Option<DhcpServer>,
    advertisements: Option<DhcpServer>,
    /// None only between two of them: they want the same port.
    resolver: Option<Resolver>,
    nat64: Option<Nat64>,
    portal: Option<Portal>,
    opener: Option<Opener>,
}

impl House {
    /// Moves in: the LAN has its first numbers, the router answers for names and offers both families.
    pub(crate) fn open(topology: &Topology) -> Result<Self> {
        let (router, core) = (topology.namespace(Place::House), topology.namespace(Place::Core));
        router.nft(NAT)?;
        router.nft(NO_WORD_ABOUT_THE_GONE)?;
        for numbering in Numbering::ALL {
            // Late answers to numbers that the house has left end here, without an error from a router to the server.
            router.ip(&format!(
                "route replace blackhole {}/24 metric 9999\nroute replace blackhole {}/64 metric 9999",
                numbering.network(),
                numbering.prefix()
            ))?;
            core.ip(&format!("route replace {}/64 via 2001:db8:10::10", numbering.prefix()))?;
        }
        router.ip(&addresses(Numbering::First))?;
        let folder = topology.run().folder().to_owned();
        let mut house = Self {
            router,
            core,
            folder,
            numbering: Numbering::First,
            offer: None,
            dhcp: None,
            advertisements: None,
            resolver: None,
            nat64: None,
            portal: None,
            opener: None,
        };
        house.answer_for_names(Names::All, Dns64::Off)?;
        house.offer(&Offer::both())?;
        Ok(house)
    }

    pub fn numbering(&self) -> Numbering {
        self.numbering
    }

    /// What its resolver, at the router's address, was ever asked.
    pub fn heard(&self) -> Vec<Heard> {
        self.resolver.as_ref().map(Resolver::heard).unwrap_or_default()
    }

    /// What its DHCP server has said; none where there is none.
    pub fn dhcp(&self) -> Option<&DhcpServer> {
        self.dhcp.as_ref()
    }

    /// From now on the router offers this. Who has something already keeps it until it asks again.
    pub fn offer(&mut self, offer: &Offer) -> Result<()> {
        self.offer_nothing();
        self.dhcp = DhcpServer::lend(&self.router, "lan", offer, self.numbering)?;
        self.advertisements = DhcpServer::advertise(&self.router, "lan", offer)?;
        self.offer = Some(offer.clone());
        Ok(())
    }

    /// Nobody answers DHCP, no router advertises itself.
    pub fn offer_nothing(&mut self) {
        (self.dhcp, self.advertisements, self.offer) = (None, None, None);
    }

    /// The router has new numbers and tells whoever listens: by IPv6 at once, by DHCP when it is asked.
    pub fn renumber(&mut self, numbering: Numbering) -> Result<()> {
        self.take_leave(numbering)?;
        self.router.ip("addr flush dev lan")?;
        self.router.ip(&addresses(numbering))?;
        self.numbering = numbering;
        self.dhcp = None;
        if let Some(offer) = &self.offer {
            self.dhcp = DhcpServer::lend(&self.router, "lan", offer, numbering)?;
        }
        Ok(())
    }

    /// In good order: an old prefix is said to be old, and a router that goes is nobody's any more (RFC 4861, 6.2.5).
    fn take_leave(&self, successor: Numbering) -> Result<()> {
        let (old, wire) = (self.numbering, Wire::open(&self.router, "lan", lan::ALL_NODES_MAC)?);
        let say = |state, prefixes: &[Ipv6Addr]| {
            wire.send(&lan::announcement(old.router_link_local(), state, prefixes)?)
        };
        if successor.prefix() != old.prefix() {
            say(lan::Router::Renumbering, &[old.prefix()])?;
        }
        if successor.router_link_local() != old.router_link_local() {
            say(lan::Router::Retiring, &[])?;
        }
        Ok(())
    }

    /// Another router with the same addresses, which announces itself as routers do when their link comes up.
    pub fn replace_router(&self, mac: &str) -> Result<()> {
        self.router.sysctl("net/ipv4/conf/lan/arp_notify", "1")?;
        self.router.sysctl("net/ipv6/conf/lan/ndisc_notify", "1")?;
        self.router.ip(&format!("link set lan address {mac}"))
    }

    /// Whoever has IPv6 alone reaches IPv4 by a prefix of the house's, and its resolver knows names by it.
    pub fn translate(&mut self) -> Result<()> {
        self.nat64 = Some(Nat64::start(&self.router, &self.folder)?);
        self.answer_for_names(Names::All, Dns64::On)
    }

    pub fn translate_no_more(&mut self) -> Result<()> {
        let nat64 = self.nat64.take().context("the house does not translate")?;
        nat64.stop(&self.router)?;
        self.answer_for_names(Names::All, Dns64::Off)
    }

    /// From now on its resolver says that there is no such name as that of Mullvad's API.
    pub fn forget_mullvad(&mut self) -> Result<()> {
        self.answer_for_names(Names::WithoutMullvad, Dns64::Off)
    }

    /// And now it knows it again.
    pub fn remember_mullvad(&mut self) -> Result<()> {
        self.answer_for_names(Names::All, Dns64::Off)
    }

    fn answer_for_names(&mut self, names: Names, dns64: Dns64) -> Result<()> {
        self.resolver = None;
        self.resolver = Some(Resolver::start(&self.router, At::Interface("lan"), names, dns64)?);
        Ok(())
    }

    /// Every page is the portal's until somebody logs in, and everything else is dropped.
    pub fn shut_portal(&mut self) -> Result<()> {
        self.portal = Some(Portal::shut(&self.router)?);
        Ok(())
    }

    pub fn log_in(&mut self) -> Result<()> {
        self.portal.take().context("there is no portal")?.log_in()
    }

    /// The line carries packets of `mtu` bytes; `PPPoE` leaves 1492 of Ethernet's 1500.
    pub fn narrow_line(&self, mtu: u16) -> Result<()> {
        self.router.ip(&format!("link set wan mtu {mtu}"))?;
        self.core.ip(&format!("link set c-house mtu {mtu}"))
    }

    /// Neither end of the line says that a packet was too big.
    pub fn lose_errors(&self) -> Result<()> {
        self.router.nft(ERRORS_ARE_LOST)?;
        self.core.nft(ERRORS_ARE_LOST)
    }

    pub fn tell_errors(&self) -> Result<()> {
        self.router.nft("delete table inet blackhole")?;
        self.core.nft("delete table inet blackhole")
    }

    /// From now on the tailnet reaches the box by the relay server only (DERP).
    pub fn block_direct(&self) -> Result<()> {
        self.router.nft(NO_DIRECT_WAY)?;
        // In a house without IPv6, tailscaled finds its peers' IPv6 through the tunnel.
        self.core.nft(NO_DIRECT_WAY)
    }

    pub fn allow_direct(&self) -> Result<()> {
        self.router.nft("delete table inet direct")?;
        self.core.nft("delete table inet direct")
    }

    /// From now on its line ends at a carrier's NAT; the internet sees what it saw before.
    pub fn move_behind_carrier(&self) -> Result<()> {
        carrier::stand_between(&self.router, &self.core)
    }

    pub fn leave_carrier(&self) -> Result<()> {
        carrier::step_aside(&self.router, &self.core)
    }

    /// From now on its router offers to open ports.
    pub fn offer_ports(&mut self) -> Result<()> {
        self.opener = Some(Opener::start(&self.router, &self.folder)?);
        Ok(())
    }

    pub fn offer_ports_no_more(&mut self) -> Result<()> {
        self.opener.take().context("the router offers no ports")?.stop(&self.router)
    }

    /// From now on no machine of the house reaches anybody by UDP.
    pub fn block_udp(&self) -> Result<()> {
        self.router.nft(NO_UDP)
    }

    pub fn allow_udp(&self) -> Result<()> {
        self.router.nft("delete table inet pages")
    }
}

fn addresses(numbering: Numbering) -> String {
    let (v4, v6, link_local) = (numbering.router(), numbering.router_v6(), numbering.router_link_local());
    format!(
        "addr add {v4}/24 dev lan\naddr add {v6}/64 dev lan nodad\naddr add {link_local}/64 dev lan nodad"
    )
}
