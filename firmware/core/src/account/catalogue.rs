//! Mullvad's relays, and which of them the owner means by a place. The order among those of a place is the dice's, by the
//! list's weights, but always the same for the same box: another list changes nothing but what has changed in it.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::ops::RangeInclusive;
use core::str::FromStr;

use super::words::PublicKey;

/// More than anybody needs one after the other.
const MOST: usize = 6;
/// Of the dice; the list's weights are up to some hundred.
const HEAVIEST: u64 = 1_000;

/// Everything that could be read of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// By the code that relays name: `se-got`.
    pub places: BTreeMap<String, Place>,
    /// Sorted by host name.
    pub relays: Vec<Listed>,
    /// Where each listens.
    pub ports: Vec<RangeInclusive<u16>>,
}

/// A city.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub country: String,
    pub city: String,
}

/// A relay in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// `se-got-wg-001`
    pub host: String,
    /// `se-got`
    pub place: String,
    /// It works, by Mullvad's word.
    pub active: bool,
    /// Mullvad's own machine, not a rented one.
    pub owned: bool,
    pub provider: String,
    /// How often it is to be chosen among its like; 0: only by name.
    pub weight: u64,
    /// Whoever wants the country means it too.
    pub in_country: bool,
    pub v4: Ipv4Addr,
    pub v6: Option<Ipv6Addr>,
    pub key: PublicKey,
}

/// Which relays somebody wants: `se`, `se-got` or `se-got-wg-001`. In small letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    Country(String),
    City { country: String, city: String },
    Host { country: String, city: String, host: String },
}

impl FromStr for Choice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRITE: &str = "write a country (\"se\"), a city (\"se-got\") or a relay (\"se-got-wg-001\"), as `byway relays list` tells them";
        let text = text.to_ascii_lowercase();
        let is_code = |part: &str, length: RangeInclusive<usize>| {
            length.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphabetic())
        };
        let parts: Vec<&str> = text.split('-').collect();
        let country = parts.first().filter(|part| is_code(part, 2..=2)).ok_or(WRITE)?;
        let Some(city) = parts.get(1) else { return Ok(Self::Country(String::from(*country))) };
        if !is_code(city, 2..=4) {
            return Err(WRITE);
        }
        let place = alloc::format!("{country}-{city}");
        let is_rest = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match &parts[2..] {
            [] => Ok(Self::City { country: String::from(*country), city: place }),
            rest if rest.iter().all(is_rest) => {
                Ok(Self::Host { country: String::from(*country), city: place, host: text })
            }
            _ => Err(WRITE),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Country(country) => country,
            Self::City { city, .. } => city,
            Self::Host { host, .. } => host,
        })
    }
}

impl Choice {
    pub fn country(&self) -> &str {
        match self {
            Self::Country(country) | Self::City { country, .. } | Self::Host { country, .. } => country,
        }
    }

    /// How far a relay is from what is wanted; `None`: in another country, where nobody goes unasked.
    fn distance(&self, relay: &Listed) -> Option<u8> {
        let is_in = |country: &str| relay.place.split('-').next() == Some(country);
        match self {
            Self::Country(country) => (is_in(country) && relay.in_country).then_some(0),
            Self::City { country, city } => {
                is_in(country).then_some(if relay.place == *city { 0 } else { 2 })
            }
            Self::Host { country, city, host } => {
                let near = if relay.place == *city { 1 } else { 2 };
                is_in(country).then_some(if relay.host == *host { 0 } else { near })
            }
        }
    }

    /// Whether that is what was asked for, not the next best.
    pub fn is_met_by(&self, relay: &Listed) -> bool {
        self.distance(relay) == Some(0)
    }
}

impl Catalogue {
    /// Whom to try, in this order: what was asked for, then its city, then its country. Never more than six; none where
    /// the list has nothing there that works.
    pub fn choose(&self, choice: &Choice, owned: bool, dice: u64) -> Vec<&Listed> {
        let fits = |relay: &&Listed| relay.active && (!owned || relay.owned);
        let mut chosen: Vec<(u8, u64, &Listed)> = self
            .relays
            .iter()
            .filter(fits)
            .filter_map(|relay| {
                let distance = choice.distance(relay)?;
                let is_named = distance == 0 && matches!(choice, Choice::Host { .. });
                (is_named || relay.weight > 0).then(|| (distance, u64::MAX - luck(relay, dice), relay))
            })
            .collect();
        chosen.sort_by_key(|(distance, luck, _)| (*distance, *luck));
        chosen.into_iter().take(MOST).map(|(_, _, relay)| relay).collect()
    }

    /// Whether there is anything of it in the list, working or not.
    pub fn knows(&self, choice: &Choice) -> bool {
        self.relays.iter().any(|relay| match choice {
            Choice::Country(_) => choice.distance(relay).is_some(),
            Choice::City { .. } | Choice::Host { .. } => choice.is_met_by(relay),
        })
    }

    /// Of those that somebody likes best, the ones where relays listen.
    pub fn ports_among(&self, liked: &[u16]) -> Vec<u16> {
        let listens = |port: &&u16| self.ports.iter().any(|range| range.contains(*port));
        liked.iter().filter(listens).copied().collect()
    }
}

/// The best of as many throws as the relay weighs: among others it is the best as often as its weight says.
fn luck(relay: &Listed, dice: u64) -> u64 {
    let name = relay.host.bytes().fold(dice ^ 0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut throws = crate::relays::Dice(name);
    (0..relay.weight.clamp(1, HEAVIEST)).map(|_| throws.roll()).max().unwrap_or_default()
}
