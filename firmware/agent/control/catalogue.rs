//! Mullvad's whole list of relays as other people's scripts read it: how many there are where, or those of one country.

use byway_core::account::{Catalogue, Listed, country_of};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Country {
    /// `"se"`
    pub code: String,
    pub name: String,
    pub relays: usize,
    pub cities: Vec<City>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct City {
    /// `"se-got"`
    pub code: String,
    pub name: String,
    pub relays: usize,
}

/// One relay of a country's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `"se-got-wg-001"`
    pub name: String,
    /// Its city's name.
    pub city: String,
    /// It works, by Mullvad's word.
    pub active: bool,
    /// Mullvad's own machine, not a rented one.
    pub owned: bool,
    pub provider: String,
    /// How often it is chosen among its like; 0: only by its name.
    pub weight: u64,
}

/// By their codes, those without a relay left out.
pub(super) fn countries(catalogue: &Catalogue) -> Vec<Country> {
    let mut countries: Vec<Country> = Vec::new();
    for (code, place) in &catalogue.places {
        let relays = catalogue.relays.iter().filter(|relay| relay.place == *code).count();
        if relays == 0 {
            continue;
        }
        let city = City { code: code.clone(), name: place.city.clone(), relays };
        match countries.last_mut().filter(|country| country.code == country_of(code)) {
            Some(country) => {
                country.relays += relays;
                country.cities.push(city);
            }
            None => countries.push(Country {
                code: country_of(code).to_owned(),
                name: place.country.clone(),
                relays,
                cities: Vec::from([city]),
            }),
        }
    }
    countries
}

/// In the order of their names; empty where the country is not in the list.
pub(super) fn relays_of(country: &str, catalogue: &Catalogue) -> Vec<Entry> {
    let entry = |relay: &Listed| Entry {
        name: relay.host.clone(),
        city: catalogue
            .places
            .get(&relay.place)
            .map_or_else(|| relay.place.clone(), |place| place.city.clone()),
        active: relay.active,
        owned: relay.owned,
        provider: relay.provider.clone(),
        weight: relay.weight,
    };
    let of_country = |relay: &&Listed| country_of(&relay.place).eq_ignore_ascii_case(country);
    catalogue.relays.iter().filter(of_country).map(entry).collect()
}

#[cfg(test)]
mod tests {
    use byway_core::account::{Place, PublicKey};

    use super::*;

    fn catalogue() -> Catalogue {
        let place = |country: &str, city: &str| Place { country: country.to_owned(), city: city.to_owned() };
        let listed = |host: &str, place: &str| Listed {
            host: host.to_owned(),
            place: place.to_owned(),
            active: true,
            owned: host.ends_with('1'),
            provider: "31173".to_owned(),
            weight: 100,
            in_country: true,
            v4: [192, 0, 2, 1].into(),
            v6: None,
            key: PublicKey([0; 32]),
        };
        let places = [
            ("de-fra", place("Germany", "Frankfurt")),
            ("se-got", place("Sweden", "Gothenburg")),
            ("se-mma", place("Sweden", "Malm\u{f6}")),
            ("se-sto", place("Sweden", "Stockholm")),
            ("us-nyc", place("USA", "New York, NY")),
        ];
        Catalogue {
            places: places.into_iter().map(|(code, place)| (code.to_owned(), place)).collect(),
            relays: Vec::from([
                listed("de-fra-wg-001", "de-fra"),
                listed("se-got-wg-001", "se-got"),
                listed("se-got-wg-002", "se-got"),
                listed("se-nowhere-1", "se-now"),
                listed("se-sto-wg-001", "se-sto"),
            ]),
            ports: Vec::new(),
        }
    }

    #[test]
    fn countries_are_told_with_their_cities_as_far_as_there_are_relays() {
        assert_eq!(
            serde_json::to_value(countries(&catalogue())).unwrap(),
            serde_json::json!([
                {"code": "de", "name": "Germany", "relays": 1,
                 "cities": [{"code": "de-fra", "name": "Frankfurt", "relays": 1}]},
                {"code": "se", "name": "Sweden", "relays": 3,
                 "cities": [{"code": "se-got", "name": "Gothenburg", "relays": 2},
                            {"code": "se-sto", "name": "Stockholm", "relays": 1}]},
            ])
        );
        assert_eq!(countries(&Catalogue::default()), []);
    }

    #[test]
    fn a_country_s_relays_are_told_as_scripts_read_them() {
        let told = relays_of("SE", &catalogue());
        let named: Vec<(&str, &str)> =
            told.iter().map(|entry| (entry.name.as_str(), entry.city.as_str())).collect();
        assert_eq!(
            named,
            [
                ("se-got-wg-001", "Gothenburg"),
                ("se-got-wg-002", "Gothenburg"),
                ("se-nowhere-1", "se-now"),
                ("se-sto-wg-001", "Stockholm")
            ]
        );
        assert_eq!(
            serde_json::to_value(&told[1]).unwrap(),
            serde_json::json!({"name": "se-got-wg-002", "city": "Gothenburg", "active": true, "owned": false,
                               "provider": "31173", "weight": 100})
        );
        assert_eq!(relays_of("us", &catalogue()), []);
    }
}
