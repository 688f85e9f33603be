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
/// Of those, elsewhere in the country, where a whole city may be lost that the list has working.
const ELSEWHERE: usize = 2;
/// How far that is.
const ELSE: u8 = 2;
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

/// By the code that begins a city's: `se` of `se-got`.
pub fn country_of(place: &str) -> &str {
    place.split('-').next().unwrap_or(place)
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
        let is_in = |country: &str| country_of(&relay.place) == country;
        match self {
            Self::Country(country) => (is_in(country) && relay.in_country).then_some(0),
            Self::City { country, city } => {
                is_in(country).then_some(if relay.place == *city { 0 } else { ELSE })
            }
            Self::Host { country, city, host } => {
                let near = if relay.place == *city { 1 } else { ELSE };
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
    /// Whom to try, in this order: what was asked for, then its city, then its country. Never more than six, of which two
    /// are in another city where there are such; none where the list has nothing there that works.
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
        let near = chosen.iter().filter(|(distance, ..)| *distance < ELSE).count();
        let far = (chosen.len() - near).min(ELSEWHERE);
        let near = chosen.iter().take(near.min(MOST - far));
        let chosen = near.chain(chosen.iter().filter(|(distance, ..)| *distance == ELSE)).take(MOST);
        chosen.map(|(_, _, relay)| *relay).collect()
    }

    /// Whether there is anything of it in the list, working or not.
    pub fn knows(&self, choice: &Choice) -> bool {
        self.relays.iter().any(|relay| match choice {
            Choice::Country(_) => choice.distance(relay).is_some(),
            Choice::City { .. } | Choice::Host { .. } => choice.is_met_by(relay),
        })
    }

    /// This one, if relays listen there.
    pub fn port(&self, usual: u16) -> u16 {
        let is_open = self.ports.iter().any(|range| range.contains(&usual));
        if is_open { usual } else { self.ports.first().map_or(usual, |range| *range.start()) }
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

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    fn listed(host: &str, weight: u64) -> Listed {
        Listed {
            host: host.to_string(),
            place: host[..6].to_string(),
            active: true,
            owned: false,
            provider: String::new(),
            weight,
            in_country: true,
            v4: Ipv4Addr::new(192, 0, 2, 1),
            v6: None,
            key: PublicKey([1; 32]),
        }
    }

    fn of(relays: Vec<Listed>) -> Catalogue {
        Catalogue { relays, ..Catalogue::default() }
    }

    fn names(catalogue: &Catalogue, choice: &str, owned: bool) -> Vec<String> {
        let chosen = catalogue.choose(&choice.parse().unwrap(), owned, 7);
        chosen.into_iter().map(|relay| relay.host.clone()).collect()
    }

    #[test]
    fn a_choice_is_a_country_a_city_or_a_relay() {
        for (text, told, country) in [
            ("se", "se", "se"),
            ("SE-Got", "se-got", "se"),
            ("us-nyc-wg-301", "us-nyc-wg-301", "us"),
            ("gb-lon-wg-socks5-001", "gb-lon-wg-socks5-001", "gb"),
        ] {
            let choice: Choice = text.parse().unwrap();
            assert_eq!((choice.to_string().as_str(), choice.country()), (told, country));
        }
        for text in
            ["", "sweden", "s", "se-", "se-got-", "se-gothenburg", "se got", "se-got-wg_001", "1e-got"]
        {
            assert!(text.parse::<Choice>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_was_asked_for_comes_first_and_no_other_country_at_all() {
        let hosts = ["se-got-wg-001", "se-got-wg-002", "se-mma-wg-001", "se-sto-wg-001", "no-osl-wg-001"];
        let catalogue = of(hosts.iter().map(|host| listed(host, 100)).collect());
        assert_eq!(names(&catalogue, "se", false).len(), 4);
        let city = names(&catalogue, "se-got", false);
        assert!(city.len() == 4 && city[..2].iter().all(|host| host.starts_with("se-got")), "{city:?}");
        let host = names(&catalogue, "se-got-wg-002", false);
        assert_eq!((host.len(), &host[0], &host[1]), (4, &hosts[1].to_string(), &hosts[0].to_string()));
        assert_eq!(names(&catalogue, "fi", false), [""; 0]);
        assert_eq!(names(&catalogue, "no-osl", false), ["no-osl-wg-001"]);
    }

    #[test]
    fn who_rests_or_is_rented_or_weighs_nothing_is_left_out() {
        let rests = Listed { active: false, ..listed("se-got-wg-001", 100) };
        let own = Listed { owned: true, ..listed("se-got-wg-002", 1) };
        let apart = Listed { in_country: false, ..listed("se-sto-wg-001", 100) };
        let catalogue =
            of(Vec::from([rests, own, listed("se-got-wg-003", 0), apart, listed("se-mma-wg-001", 1)]));
        assert_eq!(names(&catalogue, "se-got", true), ["se-got-wg-002"]);
        assert!(!names(&catalogue, "se", false).contains(&"se-sto-wg-001".to_string()));
        assert!(names(&catalogue, "se-sto", false).contains(&"se-sto-wg-001".to_string()));
        assert_eq!(names(&catalogue, "se-got-wg-003", false)[0], "se-got-wg-003", "by name all the same");
        assert!(
            catalogue.knows(&"se-got-wg-001".parse().unwrap())
                && !catalogue.knows(&"se-got-wg-9".parse().unwrap())
        );
    }

    #[test]
    fn the_first_one_is_chosen_as_often_as_it_weighs() {
        let catalogue = of(Vec::from([listed("se-got-wg-001", 300), listed("se-got-wg-002", 100)]));
        let choice: Choice = "se".parse().unwrap();
        let first = |dice| catalogue.choose(&choice, false, dice)[0].host == "se-got-wg-001";
        let heavier = (0..2_000).filter(|dice| first(*dice)).count();
        assert!((1_400..1_600).contains(&heavier), "{heavier} of 2000");
    }

    #[test]
    fn another_list_changes_nothing_but_what_has_changed() {
        let many: Vec<Listed> =
            (1..=9).map(|number| listed(&alloc::format!("se-got-wg-00{number}"), 100)).collect();
        let before = names(&of(many.clone()), "se-got", false);
        assert_eq!(before.len(), MOST);
        let fewer = many.into_iter().filter(|relay| relay.host != before[2]).collect();
        let after = names(&of(fewer), "se-got", false);
        let kept = [&before[..2], &before[3..]].concat();
        assert_eq!(after[..5], kept[..]);
    }

    #[test]
    fn a_big_city_is_not_all_that_is_tried() {
        let mut many: Vec<Listed> =
            (1..=9).map(|number| listed(&alloc::format!("se-got-wg-00{number}"), 100)).collect();
        many.extend(["se-mma-wg-001", "se-sto-wg-001", "se-sto-wg-002"].map(|host| listed(host, 100)));
        for choice in ["se-got", "se-got-wg-003"] {
            let chosen = names(&of(many.clone()), choice, false);
            let nearby = chosen.iter().take_while(|host| host.starts_with("se-got")).count();
            assert_eq!((chosen.len(), nearby), (MOST, MOST - ELSEWHERE), "{chosen:?}");
        }
        assert_eq!(names(&of(many), "se", false).len(), MOST);
    }

    #[test]
    fn ports_are_those_of_the_list() {
        let catalogue = Catalogue { ports: Vec::from([53..=53, 4000..=33433]), ..Catalogue::default() };
        assert_eq!(catalogue.ports_among(&[443, 4500, 53]), [4500, 53]);
        assert_eq!((catalogue.port(4000), catalogue.port(51820)), (4000, 53));
    }
}
