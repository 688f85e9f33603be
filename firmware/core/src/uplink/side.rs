//! One interface to the house: what it has heard, and what it should hold because of that.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use ipnet::IpNet;

use super::router::{Advertised, Dhcp, Said};
use super::{Carrier, DhcpEvent, ETHERNET_MTU, Lease, Lease6, Lent, Link, LinkState, Probed};
use crate::Uptime;

/// A house whose routers have not told machines to ask for this long has ceased to: two routers that disagree take turns more
/// often (RFC 4861 6.2.1, `MaxRtrAdvInterval`).
const ADVERTISED_EVERY: Duration = Duration::from_mins(30);

/// As far as it is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    pub(super) link: LinkState,
    pub(super) lease: Option<Lease>,
    pub(super) lease6: Option<Lease6>,
    /// When that ends unless it is lent anew; `None`: never.
    ends6: Option<Uptime>,
    /// Since when no router tells machines to ask for it.
    unasked6: Option<Uptime>,
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

    pub(super) fn learn_dhcp6(&mut self, now: Uptime, lease: Option<Lease6>) {
        self.ends6 = lease.as_ref().and_then(|lease| lease.address.lasts).map(|lasts| now + lasts);
        self.lease6 = lease;
    }

    /// Once routers do not tell machines to ask, nobody has an address lent anew, or taken back.
    pub(super) fn learn_router(&mut self, now: Uptime, said: Said) {
        self.advertised.hear(now, said);
        self.unasked6 = if self.asks6() { None } else { self.unasked6.or(Some(now)) };
    }

    /// What holds for a time only.
    pub(super) fn forget(&mut self, now: Uptime) {
        self.advertised.forget(now);
        let unasked = self.unasked6.map(|since| since + ADVERTISED_EVERY);
        if self.ends6.into_iter().chain(unasked).any(|ends| ends <= now) {
            (self.lease6, self.ends6) = (None, None);
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
            dhcp6: self.asks6(),
            addresses: lent4.into_iter().chain(lent6).collect(),
            gateways: lease.and_then(|lease| lease.router).map(IpAddr::V4).into_iter().collect(),
            mtu: lease.and_then(|lease| lease.mtu).unwrap_or(ETHERNET_MTU),
        }
    }

    fn asks6(&self) -> bool {
        self.advertised.dhcp() == Dhcp::Addresses
    }
}
