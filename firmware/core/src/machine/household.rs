//! The house's own machines as clients: whom the box serves, as far as it can tell them from what a router hands on.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use ipnet::IpNet;

use super::Core;
use crate::machine::house::House;
use crate::posture::routing::Family;
use crate::settings::Serve;
use crate::{Facts, Household, Mac, Uplink};

impl Core {
    /// One that is not seen any more is remembered: its packets may still come.
    pub(super) fn on_routers(&mut self, seen: Vec<(IpAddr, Mac)>) {
        self.house.routers.extend(seen);
        self.learn_household();
    }

    pub(super) fn learn_household(&mut self) {
        self.house.forget_other_houses(self.facts.uplink.as_ref());
        self.facts.household = match &self.settings.serve {
            Serve::Nobody => None,
            Serve::House => self.house.household(self.facts.uplink.as_ref()),
            Serve::Apart { interface, addresses } => {
                let household = Household {
                    interface: interface.clone(),
                    addresses: addresses.clone(),
                    routers: Vec::new(),
                };
                let is_free = overlap(addresses, &self.facts).is_none();
                // Cables that were swapped: nobody may give addresses in the house's own network.
                Some(household).filter(|_| is_free && self.house.was_attached)
            }
        }
        .map(Box::new);
    }
}

impl House {
    fn forget_other_houses(&mut self, uplink: Option<&Uplink>) {
        self.routers.retain(|address, _| {
            uplink.is_some_and(|uplink| uplink.gateways().any(|gateway| gateway == *address))
        });
    }

    /// Those of a family whose router is known, so that what it hands on is nobody's of the house.
    fn household(&self, uplink: Option<&Uplink>) -> Option<Household> {
        let uplink = uplink?;
        let is_served = |net: &&IpNet| {
            let is_ours_alone = uplink.is_carrier_grade() && net.addr().is_ipv4();
            let is_one_host = net.prefix_len() == net.max_prefix_len();
            !is_ours_alone && !is_one_host && self.knows_router(uplink, Family::of(&net.addr()))
        };
        let addresses: Vec<IpNet> = uplink.addresses.iter().filter(is_served).copied().collect();
        let mut routers: Vec<Mac> = self.routers.values().copied().collect();
        routers.sort();
        routers.dedup();
        (!addresses.is_empty()).then(|| Household { interface: uplink.interface.clone(), addresses, routers })
    }

    fn knows_router(&self, uplink: &Uplink, family: Family) -> bool {
        let mut of_family = uplink.gateways().filter(|gateway| Family::of(gateway) == family);
        of_family.all(|gateway| self.routers.contains_key(&gateway))
    }
}

/// A prefix that the owner gave the machines of an interface of their own, and that the house has itself.
fn overlap(addresses: &[IpNet], facts: &Facts) -> Option<IpNet> {
    let houses: Vec<&IpNet> = facts.uplink.iter().flat_map(|uplink| &uplink.addresses).collect();
    let meets = |net: &&IpNet| {
        houses.iter().any(|house| house.contains(&net.network()) || net.contains(&house.network()))
    };
    addresses.iter().find(meets).copied()
}

/// What keeps machines of the house from being served, as a sentence.
pub(crate) fn obstacle(serve: &Serve, facts: &Facts, apart: Option<&str>) -> Option<String> {
    match serve {
        Serve::Nobody => None,
        Serve::House => {
            let uplink = facts.uplink.as_ref().filter(|_| facts.household.is_none())?;
            let because = if uplink.is_carrier_grade() {
                "its addresses are of the tailnet's range"
            } else {
                "their router is not seen yet"
            };
            Some(alloc::format!("the house's machines are not served: {because}"))
        }
        Serve::Apart { interface, addresses } => {
            let because = match overlap(addresses, facts) {
                Some(net) => {
                    alloc::format!("the house has {} itself; write another address below [lan]", net.trunc())
                }
                None if facts.household.is_none() => {
                    String::from("the house was not reached yet; are the cables where they belong?")
                }
                None => String::from(apart?),
            };
            Some(alloc::format!("the machines at {interface} are not served: {because}"))
        }
    }
}
