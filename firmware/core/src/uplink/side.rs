//! One interface to the house: what it has heard, and what it should hold because of that.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::router::{Advertised, Dhcp};
use super::{Carrier, DhcpEvent, ETHERNET_MTU, Lease, Lease6, Lent, Link, LinkState, Probed};

/// As far as it is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    pub(super) link: LinkState,
    pub(super) lease: Option<Lease>,
    pub(super) lease6: Option<Lease6>,
    pub(super) advertised: Advertised,
    /// Something was lent, and is not any more.
    lost: bool,
    pub(super) unanswered: bool,
    pub(super) taken: Option<Ipv4Addr>,
    /// Of the owner's choice, and nobody else's.
    free: BTreeSet<Ipv4Addr>,
}

impl Side {
    /// Without a carrier everything that was lent is of another time.
    pub(super) fn learn_link(&mut self, link: LinkState) {
        if link.carrier == Carrier::Up {
            self.link = link;
        } else {
            *self = Self { link, ..Self::default() };
        }
    }

    pub(super) fn learn_dhcp(&mut self, event: DhcpEvent) {
        match event {
            DhcpEvent::Leased(lease) => {
                (self.unanswered, self.taken) = (false, None);
                self.lease = Some(lease);
            }
            DhcpEvent::Lost => (self.lease, self.lost) = (None, true),
            DhcpEvent::Unanswered => self.unanswered = true,
            DhcpEvent::Taken(address) => self.taken = Some(address),
        }
    }

    pub(super) fn learn_probe(&mut self, address: Ipv4Addr, probed: Probed) {
        match probed {
            Probed::Free => {
                self.free.insert(address);
                self.taken = self.taken.filter(|taken| *taken != address);
            }
            Probed::Taken => {
                self.free.remove(&address);
                self.taken = Some(address);
            }
        }
    }

    /// The kernel itself asks the LAN for IPv6 addresses.
    pub(super) fn fixed(&self, addresses: &[IpNet], gateways: &[IpAddr]) -> Link {
        let is_free = |net: &&IpNet| match net {
            IpNet::V4(net) => self.free.contains(&net.addr()),
            IpNet::V6(_) => true,
        };
        let all4 = addresses.iter().filter_map(|net| match net {
            IpNet::V4(net) => Some(net.addr()),
            IpNet::V6(_) => None,
        });
        let probes: Vec<Ipv4Addr> = all4.filter(|address| !self.free.contains(address)).collect();
        let held = addresses.iter().filter(is_free);
        Link {
            standing: !probes.is_empty() && self.taken.is_none(),
            probes,
            addresses: held.map(|net| Lent { net: *net, lasts: None }).collect(),
            gateways: gateways.iter().filter(|gateway| self.reaches(addresses, **gateway)).copied().collect(),
            mtu: ETHERNET_MTU,
            ..Link::default()
        }
    }

    /// The kernel takes no route by a gateway before there is an address beside it.
    fn reaches(&self, addresses: &[IpNet], gateway: IpAddr) -> bool {
        addresses.iter().any(|net| match (net, gateway) {
            (IpNet::V4(net), IpAddr::V4(gateway)) => {
                net.contains(&gateway) && self.free.contains(&net.addr())
            }
            (IpNet::V6(_), IpAddr::V6(_)) => true,
            (IpNet::V4(_), IpAddr::V6(_)) | (IpNet::V6(_), IpAddr::V4(_)) => false,
        })
    }

    pub(super) fn leased(&self) -> Link {
        let lease = self.lease.as_ref();
        let lent4 = lease.map(|lease| Lent { net: lease.address.into(), lasts: Some(lease.lasts) });
        let lent6 = self.lease6.as_ref().map(|lease| lease.address.clone());
        Link {
            dhcp: true,
            probes: Vec::new(),
            standing: lease.is_none() && !self.lost,
            dhcp6: self.advertised.dhcp() == Dhcp::Addresses,
            addresses: lent4.into_iter().chain(lent6).collect(),
            gateways: lease.and_then(|lease| lease.router).map(IpAddr::V4).into_iter().collect(),
            mtu: lease.and_then(|lease| lease.mtu).unwrap_or(ETHERNET_MTU),
        }
    }
}
