//! The relays as tables of 80 columns: what does not fit beside a relay stands below it.

use std::fmt::Write as _;

use byway_core::relays::Role;

use super::{ago, printable};
use crate::control::{Country, Entry, Relay};

pub(in super::super) fn relays(relays: &[Relay]) -> String {
    let wide = width(relays);
    let mut text =
        format!("{:<wide$}  {:<7}  {:>10}  {:>10}  {}\n", "NAME", "ROLE", "ROUND TRIP", "PROVEN", "ENDPOINT");
    for relay in relays {
        let proven = relay.proven_s_ago.map_or_else(|| "never".to_owned(), ago);
        let (name, role, round_trip) = (printable(&relay.name), role(relay.role), round_trip(relay));
        _ = writeln!(text, "{name:<wide$}  {role:<7}  {round_trip:>10}  {proven:>10}  {}", relay.endpoint);
        below(&mut text, trouble(relay));
    }
    text
}

/// What came of the test that was asked for as many seconds ago.
pub(in super::super) fn tested(relays: &[Relay], asked_s_ago: u64) -> String {
    let wide = width(relays);
    let mut text = format!(
        "{:<wide$}  {:<7}  {:<14}  {:>10}  {:>10}  {:>4}\n",
        "NAME", "ROLE", "VERDICT", "TESTED", "ROUND TRIP", "MTU"
    );
    for relay in relays {
        let verdict = match (relay.was_tested_within(asked_s_ago), relay.is_proven()) {
            (false, _) => "not tested yet",
            (true, true) => "proven",
            (true, false) => "not proven",
        };
        let tested = relay.tested_s_ago.map_or_else(|| "never".to_owned(), ago);
        let (name, role, round_trip) = (printable(&relay.name), role(relay.role), round_trip(relay));
        let mtu = relay.mtu.map_or_else(|| "-".to_owned(), |mtu| mtu.to_string());
        _ = writeln!(
            text,
            "{name:<wide$}  {role:<7}  {verdict:<14}  {tested:>10}  {round_trip:>10}  {mtu:>4}"
        );
        below(&mut text, Some(place(relay)));
        below(&mut text, trouble(relay));
    }
    text
}

/// Why none of the wanted ones, asked for as many seconds ago, carries, and who does.
pub(in super::super) fn instead(wanted: &[&Relay], relays: &[Relay], asked_s_ago: u64) -> String {
    let mut tested = wanted.iter().filter(|relay| relay.was_tested_within(asked_s_ago));
    let verdict = tested.find_map(|relay| relay.obstacle.as_deref());
    let why = verdict.unwrap_or("it is not proven yet; `byway relays` tells when it is");
    let active = relays.iter().find(|relay| relay.role == Role::Active);
    let carries = active.map_or_else(|| "none".to_owned(), |relay| relay.name.clone());
    printable(&format!("{why}; {carries} carries"))
}

/// How many relays are where, in Mullvad's list.
pub(in super::super) fn countries(countries: &[Country]) -> String {
    let mut text = format!("{:<8}  {:>6}  {}\n", "CODE", "RELAYS", "WHERE");
    for Country { code, name, relays, cities } in countries {
        _ = writeln!(text, "{:<8}  {relays:>6}  {}", printable(code), printable(name));
        for city in cities {
            let (code, place) = (printable(&city.code), printable(&format!("{name}, {}", city.name)));
            _ = writeln!(text, "{code:<8}  {:>6}  {place}", city.relays);
        }
    }
    text
}

/// A country's relays, in Mullvad's list.
pub(in super::super) fn entries(entries: &[Entry]) -> String {
    let wide = widest("NAME", entries, |entry| &entry.name);
    let far = widest("CITY", entries, |entry| &entry.city);
    let mut text = format!(
        "{:<wide$}  {:<far$}  {:<5}  {:<6}  {:>6}  {}\n",
        "NAME", "CITY", "WORKS", "WHOSE", "WEIGHT", "PROVIDER"
    );
    for Entry { name, city, active, owned, provider, weight } in entries {
        let (name, city, provider) = (printable(name), printable(city), printable(provider));
        let works = if *active { "yes" } else { "no" };
        let whose = if *owned { "owned" } else { "rented" };
        _ = writeln!(text, "{name:<wide$}  {city:<far$}  {works:<5}  {whose:<6}  {weight:>6}  {provider}");
    }
    text
}

fn width(relays: &[Relay]) -> usize {
    widest("NAME", relays, |relay| &relay.name)
}

/// Of a column, as it is printed.
fn widest<Row>(heading: &str, rows: &[Row], text: impl Fn(&Row) -> &str) -> usize {
    let letters = |row| printable(text(row)).chars().count();
    rows.iter().map(letters).max().unwrap_or_default().max(heading.len())
}

fn below(text: &mut String, told: Option<String>) {
    if let Some(told) = told {
        _ = writeln!(text, "  {}", printable(&told));
    }
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::Active => "active",
        Role::Standby => "standby",
        Role::Spare => "spare",
    }
}

fn round_trip(relay: &Relay) -> String {
    relay.round_trip_ms.map_or_else(|| "-".to_owned(), |took| format!("{took} ms"))
}

fn place(relay: &Relay) -> String {
    let mut text = format!("at {}", relay.endpoint);
    for (nth, address) in relay.seen_as.iter().enumerate() {
        let before = if nth == 0 { ", seen as " } else { " and " };
        _ = write!(text, "{before}{address}");
    }
    text
}

fn trouble(relay: &Relay) -> Option<String> {
    let failures = match relay.failures {
        0 => None,
        1 => Some("1 failure".to_owned()),
        more => Some(format!("{more} failures")),
    };
    match (failures, &relay.obstacle) {
        (failures, None) => failures,
        (None, Some(obstacle)) => Some(obstacle.clone()),
        (Some(failures), Some(obstacle)) => Some(format!("{failures}: {obstacle}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::City;

    fn few() -> [Relay; 3] {
        let relay = |name: &str, endpoint: &str, role| Relay {
            name: name.to_owned(),
            endpoint: endpoint.parse().unwrap(),
            role,
            round_trip_ms: Some(23),
            mtu: Some(1380),
            proven_s_ago: Some(12),
            tested_s_ago: Some(12),
            failures: 0,
            obstacle: None,
            seen_as: Vec::from(["198.51.100.10".parse().unwrap()]),
        };
        let both = ["198.51.100.20", "2001:db8:52::20"].map(|address| address.parse().unwrap()).to_vec();
        [
            relay("se-got-wg-001", "192.0.2.130:51820", Role::Active),
            Relay {
                round_trip_ms: Some(141),
                proven_s_ago: Some(150),
                tested_s_ago: Some(60),
                failures: 1,
                seen_as: both,
                ..relay("de-fra-wg-001", "[2001:db8:5:f011::a01f]:51820", Role::Standby)
            },
            Relay {
                round_trip_ms: None,
                mtu: None,
                proven_s_ago: None,
                failures: 3,
                obstacle: Some("nothing comes back".to_owned()),
                seen_as: Vec::new(),
                ..relay("nl-ams-wg-001", "192.0.2.132:51820", Role::Spare)
            },
        ]
    }

    #[test]
    fn relays_are_a_table_with_trouble_below() {
        let text = relays(&few());
        assert_eq!(
            text,
            "NAME           ROLE     ROUND TRIP      PROVEN  ENDPOINT\n\
             se-got-wg-001  active        23 ms    12 s ago  192.0.2.130:51820\n\
             de-fra-wg-001  standby      141 ms   2 min ago  [2001:db8:5:f011::a01f]:51820\n  \
               1 failure\n\
             nl-ams-wg-001  spare             -       never  192.0.2.132:51820\n  \
               3 failures: nothing comes back\n"
        );
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }

    #[test]
    fn a_test_is_told_with_verdicts_and_timings() {
        let text = tested(&few(), 30);
        assert_eq!(
            text,
            "NAME           ROLE     VERDICT             TESTED  ROUND TRIP   MTU\n\
             se-got-wg-001  active   proven            12 s ago       23 ms  1380\n  \
               at 192.0.2.130:51820, seen as 198.51.100.10\n\
             de-fra-wg-001  standby  not tested yet   1 min ago      141 ms  1380\n  \
               at [2001:db8:5:f011::a01f]:51820, seen as 198.51.100.20 and 2001:db8:52::20\n  \
               1 failure\n\
             nl-ams-wg-001  spare    not proven        12 s ago           -     -\n  \
               at 192.0.2.132:51820\n  \
               3 failures: nothing comes back\n"
        );
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }

    #[test]
    fn who_carries_instead_is_told_with_the_reason() {
        let [active, standby, spare] = few();
        let all = [active.clone(), standby.clone(), spare.clone()];
        assert_eq!(instead(&[&spare], &all, 12), "nothing comes back; se-got-wg-001 carries");
        assert_eq!(instead(&[&standby, &spare], &all, 12), "nothing comes back; se-got-wg-001 carries");
        let not_yet = "it is not proven yet; `byway relays` tells when it is";
        assert_eq!(
            instead(&[&spare], &all, 11),
            format!("{not_yet}; se-got-wg-001 carries"),
            "that was before"
        );
        assert_eq!(instead(&[&standby], &[standby.clone(), spare], 12), format!("{not_yet}; none carries"));
        assert_eq!(instead(&[], &[], 12), format!("{not_yet}; none carries"));
    }

    #[test]
    fn a_name_moves_no_cursor() {
        let [mut relay, ..] = few();
        relay.name = "\u{1b}[2J".to_owned();
        assert!(!relays(&[relay.clone()]).contains('\u{1b}') && !tested(&[relay], 0).contains('\u{1b}'));
        let [mut country, mut other] = [sweden(), sweden()];
        country.name = "\u{1b}[2J".to_owned();
        other.cities[0].name = "\u{1b}[2J".to_owned();
        assert!(!countries(&[country, other]).contains('\u{1b}'));
        let [listed, ..] = gothenburg();
        let provider = "\u{1b}[2J".to_owned();
        assert!(!entries(&[Entry { provider, ..listed }]).contains('\u{1b}'));
    }

    fn sweden() -> Country {
        let city =
            |code: &str, name: &str, relays| City { code: code.to_owned(), name: name.to_owned(), relays };
        let cities = Vec::from([city("se-got", "Gothenburg", 14), city("se-sto", "Stockholm", 100)]);
        Country { code: "se".to_owned(), name: "Sweden".to_owned(), relays: 114, cities }
    }

    fn gothenburg() -> [Entry; 2] {
        let entry = Entry {
            name: "se-got-wg-001".to_owned(),
            city: "Gothenburg".to_owned(),
            active: true,
            owned: false,
            provider: "31173".to_owned(),
            weight: 100,
        };
        let other = Entry {
            name: "se-got-wg-101".to_owned(),
            active: false,
            owned: true,
            weight: 0,
            ..entry.clone()
        };
        [entry, other]
    }

    #[test]
    fn mullvad_s_list_is_told_by_countries_and_cities() {
        assert_eq!(
            countries(&[sweden()]),
            "CODE      RELAYS  WHERE\n\
             se           114  Sweden\n\
             se-got        14  Sweden, Gothenburg\n\
             se-sto       100  Sweden, Stockholm\n"
        );
    }

    #[test]
    fn a_country_s_relays_are_a_table() {
        let text = entries(&gothenburg());
        assert_eq!(
            text,
            "NAME           CITY        WORKS  WHOSE   WEIGHT  PROVIDER\n\
             se-got-wg-001  Gothenburg  yes    rented     100  31173\n\
             se-got-wg-101  Gothenburg  no     owned        0  31173\n"
        );
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }
}
