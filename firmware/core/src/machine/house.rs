//! What is known of the house beside the uplink's addresses: what keeps the box from being attached, whether its network
//! wants a login first, and by which way the relay is reached from a house without IPv4.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use ipnet::IpNet;

use super::{Core, Effect, Turn};
use crate::uplink::Trouble;
use crate::uplink::router::Nat64;
use crate::{Facts, Mac, TunnelEnd, Uplink, Uptime, Why};

/// After the relay was not heard for the first time; what is well takes less.
pub(super) const FIRST_LOOK: Duration = Duration::from_secs(3);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

#[derive(Debug, Default)]
pub(crate) struct House {
    pub(super) trouble: Option<Trouble>,
    pub(crate) portal: Option<String>,
    nat64: Option<Nat64>,
    /// The house's routers by the addresses that the box knows them by, as they were seen last.
    pub(super) routers: BTreeMap<IpAddr, Mac>,
    /// What is wrong with the interface that its machines have to themselves.
    pub(crate) apart: Option<String>,
    /// Between the last two looks for a portal.
    pause: Duration,
    /// When its line was there anew, or became another; and whether it ever was.
    pub(super) attached: Uptime,
    pub(super) was_attached: bool,
}

impl Core {
    pub(super) fn on_uplink(&mut self, uplink: Option<Uplink>, turn: &Turn) {
        if uplink != self.facts.uplink {
            self.house.attached = turn.now;
            self.relays.try_again(turn.now);
            self.house.portal = None;
            self.house.pause = Duration::ZERO;
            self.agenda.stop(Why::LookForPortal);
        }
        self.house.was_attached |= uplink.is_some();
        self.facts.uplink = uplink;
        self.learn_way();
        self.learn_household();
    }

    /// The login is over, or was never asked for.
    pub(super) fn on_portal(&mut self, page: Option<String>, turn: &Turn) {
        if self.house.portal.is_some() && page.is_none() {
            self.relays.try_again(turn.now);
        }
        self.house.portal = page;
    }

    pub(super) fn on_nat64(&mut self, prefix: Option<Nat64>, turn: &Turn) {
        if prefix != self.house.nat64 {
            self.relays.try_again(turn.now);
        }
        self.house.nat64 = prefix;
        self.learn_way();
    }

    /// Where the relays are, from this house.
    pub(super) fn learn_way(&mut self) {
        let end = self.relays.end();
        self.facts.tunnel = end.map(|end| TunnelEnd { relay: self.way_to(end.relay), ..end });
        let mut candidates: Vec<SocketAddr> =
            self.relays.endpoints().map(|endpoint| self.way_to(endpoint)).collect();
        candidates.sort();
        candidates.dedup();
        self.facts.candidates = candidates;
    }

    pub(super) fn way_to(&self, relay: SocketAddr) -> SocketAddr {
        self.house.way_to(relay, &self.facts)
    }

    /// While the relay is not heard, or a page has been seen; ever more rarely.
    pub(super) fn look_for_portal(&mut self, turn: &mut Turn) {
        if !self.suspects_portal(turn) {
            self.house.pause = Duration::ZERO;
            return;
        }
        // Of a page that was seen, the owner waits for the end.
        let longest = if self.house.portal.is_some() { FIRST_LOOK } else { LONGEST_PAUSE };
        self.house.pause = (self.house.pause * 2).clamp(FIRST_LOOK, longest);
        self.agenda.set(Why::LookForPortal, turn.now + self.house.pause);
        turn.effects.push(Effect::LookForPortal);
    }

    pub(super) fn suspects_portal(&self, turn: &Turn) -> bool {
        // A session may be of the house that the box has just been carried away from.
        let unheard = !self.evidence.has_session(turn.now) || self.evidence.is_suspect(turn.now);
        (unheard || self.house.portal.is_some()) && self.facts.uplink.is_some()
    }
}

impl House {
    /// Where a relay is reached from here.
    pub(crate) fn way_to(&self, relay: SocketAddr, facts: &Facts) -> SocketAddr {
        way_to(relay, facts.uplink.as_ref(), self.nat64)
    }

    pub(super) fn missing(&self) -> Trouble {
        self.trouble.clone().unwrap_or(Trouble::NoAddress)
    }

    /// What is missing, or else what is odd about a house that the box is attached to.
    pub(crate) fn sentences(&self, facts: &Facts, wanted: Option<SocketAddr>) -> Vec<String> {
        let Some(uplink) = &facts.uplink else { return Vec::from([self.missing().to_string()]) };
        let trouble = self.trouble.as_ref().map(Trouble::to_string);
        let portal = self.portal.as_ref().map(|page| {
            alloc::format!("the house's network wants somebody to log in on a web page first: {page}")
        });
        let only_v6 = (!has_ipv4(&uplink.addresses)).then(|| {
            let relay = facts.tunnel.as_ref().map(|tunnel| tunnel.relay);
            let reached = match (wanted, relay) {
                (None | Some(SocketAddr::V6(_)), _) => "the residential door carries no IPv4",
                (Some(SocketAddr::V4(_)), Some(SocketAddr::V6(_))) => "the relay is reached by its NAT64",
                (Some(SocketAddr::V4(_)), _) => "the relay's address is IPv4, so it cannot be reached",
            };
            alloc::format!("the house has IPv6 only: {reached}")
        });
        let carrier_grade = uplink
            .is_carrier_grade()
            .then(|| String::from("the house's own addresses are of the tailnet's range, 100.64.0.0/10"));
        [portal, trouble, only_v6, carrier_grade].into_iter().flatten().collect()
    }
}

pub(crate) fn has_ipv4(addresses: &[IpNet]) -> bool {
    addresses.iter().any(|net| matches!(net, IpNet::V4(_)))
}

/// From a house without IPv4 by its NAT64, if it has one.
fn way_to(relay: SocketAddr, uplink: Option<&Uplink>, nat64: Option<Nat64>) -> SocketAddr {
    match (relay.ip(), uplink, nat64) {
        (IpAddr::V4(address), Some(uplink), Some(prefix)) if !has_ipv4(&uplink.addresses) => {
            SocketAddr::new(prefix.address_of(address).into(), relay.port())
        }
        (IpAddr::V4(_) | IpAddr::V6(_), _, _) => relay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uplink(addresses: &[&str]) -> Uplink {
        let addresses = addresses.iter().map(|net| net.parse().unwrap()).collect();
        Uplink { interface: String::from("eth0"), addresses, gateway4: None, gateway6: None }
    }

    #[test]
    fn a_relay_is_reached_by_nat64_only_from_a_house_without_ipv4() {
        let relay: SocketAddr = "192.0.2.130:51820".parse().unwrap();
        let (v6, both) = (uplink(&["2001:db8::2/64"]), uplink(&["192.168.1.2/24", "2001:db8::2/64"]));
        let prefix = Nat64::of_96_bits("64:ff9b::".parse().unwrap());
        let by_nat64: SocketAddr = "[64:ff9b::c000:282]:51820".parse().unwrap();
        assert_eq!(way_to(relay, Some(&v6), Some(prefix)), by_nat64);
        assert_eq!(way_to(relay, Some(&both), Some(prefix)), relay);
        assert_eq!(way_to(relay, Some(&v6), None), relay);
        let relay6: SocketAddr = "[2001:db8:50::130]:51820".parse().unwrap();
        assert_eq!(way_to(relay6, Some(&v6), Some(prefix)), relay6);
    }
}
