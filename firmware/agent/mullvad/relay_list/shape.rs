//! The list of relays as the API writes it, and as it is kept, without what is not ours.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use byway_core::account::{Catalogue, Listed, Place};
use serde::{Deserialize, Serialize};

use super::super::wire::{in_base64, is_name, printable, public_key};

/// Three times what there are, and so few that the kept list is never longer than the store takes.
const MOST_RELAYS: usize = 1_600;
const MOST_PLACES: usize = 400;
const MOST_PORT_RANGES: usize = 64;

#[derive(Default, Serialize, Deserialize)]
pub(in crate::mullvad) struct Condensed<'a> {
    pub(super) locations: BTreeMap<Cow<'a, str>, Location<'a>>,
    pub(super) port_ranges: Vec<(u16, u16)>,
    pub(super) relays: Vec<Relay<'a>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Location<'a> {
    country: Cow<'a, str>,
    city: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Relay<'a> {
    hostname: Cow<'a, str>,
    location: Cow<'a, str>,
    active: bool,
    owned: bool,
    provider: Cow<'a, str>,
    weight: u64,
    include_in_country: bool,
    ipv4_addr_in: Ipv4Addr,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv6_addr_in: Option<Ipv6Addr>,
    public_key: Cow<'a, str>,
}

impl Condensed<'_> {
    /// Without what is wrong, what is too much, and all but the first of a name.
    pub(in crate::mullvad) fn catalogue(self) -> Catalogue {
        let places = self.locations.into_iter().filter_map(|(code, location)| location.place(&code));
        let ports = self.port_ranges.into_iter().filter_map(|(first, last)| ports(first, last));
        let relays = self.relays.into_iter().filter_map(Relay::listed);
        let mut relays: Vec<Listed> = relays.take(MOST_RELAYS).collect();
        relays.sort_by(|one, other| one.host.cmp(&other.host));
        relays.dedup_by(|later, first| later.host == first.host);
        Catalogue {
            places: places.take(MOST_PLACES).collect(),
            relays,
            ports: ports.take(MOST_PORT_RANGES).collect(),
        }
    }
}

impl<'a> From<&'a Catalogue> for Condensed<'a> {
    fn from(catalogue: &'a Catalogue) -> Self {
        let location = |(code, place): (&'a String, &'a Place)| (code.into(), Location::from(place));
        Self {
            locations: catalogue.places.iter().map(location).collect(),
            port_ranges: catalogue.ports.iter().map(|range| (*range.start(), *range.end())).collect(),
            relays: catalogue.relays.iter().map(Relay::from).collect(),
        }
    }
}

impl Location<'_> {
    fn place(self, code: &str) -> Option<(String, Place)> {
        let place = Place { country: printable(&self.country), city: printable(&self.city) };
        let is_named = !place.country.is_empty() && !place.city.is_empty();
        (is_name(code) && is_named).then(|| (code.to_ascii_lowercase(), place))
    }
}

impl<'a> From<&'a Place> for Location<'a> {
    fn from(place: &'a Place) -> Self {
        Self { country: (&place.country).into(), city: (&place.city).into() }
    }
}

impl Relay<'_> {
    fn listed(self) -> Option<Listed> {
        let is_right = is_name(&self.hostname)
            && is_name(&self.location)
            && is_of_a_machine(self.ipv4_addr_in.into())
            && self.ipv6_addr_in.is_none_or(|address| is_of_a_machine(address.into()));
        is_right.then_some(Listed {
            host: self.hostname.to_ascii_lowercase(),
            place: self.location.to_ascii_lowercase(),
            active: self.active,
            owned: self.owned,
            provider: printable(&self.provider),
            weight: self.weight,
            in_country: self.include_in_country,
            v4: self.ipv4_addr_in,
            v6: self.ipv6_addr_in,
            key: public_key(&self.public_key)?,
        })
    }
}

impl<'a> From<&'a Listed> for Relay<'a> {
    fn from(relay: &'a Listed) -> Self {
        Self {
            hostname: (&relay.host).into(),
            location: (&relay.place).into(),
            active: relay.active,
            owned: relay.owned,
            provider: (&relay.provider).into(),
            weight: relay.weight,
            include_in_country: relay.in_country,
            ipv4_addr_in: relay.v4,
            ipv6_addr_in: relay.v6,
            public_key: in_base64(&relay.key).into(),
        }
    }
}

fn ports(first: u16, last: u16) -> Option<RangeInclusive<u16>> {
    (first > 0 && first <= last).then_some(first..=last)
}

/// Somewhere on the internet, not in the house and not in the box.
fn is_of_a_machine(address: IpAddr) -> bool {
    let is_ours = match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    };
    !is_ours && !address.is_unspecified() && !address.is_loopback() && !address.is_multicast()
}
