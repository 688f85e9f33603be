//! See `relay_list.rs`.

use byway_core::account::{Listed, Place, PublicKey};

use super::*;

/// With these entries behind the sample's own.
fn read_with(places: &str, port_ranges: &str, relays: &str) -> Catalogue {
    let list = SAMPLE
        .replacen("\"locations\": {", &format!("\"locations\": {{{places}"), 1)
        .replacen("\"port_ranges\": [", &format!("\"port_ranges\": [{port_ranges}"), 1)
        .replacen("\"relays\": [", &format!("\"relays\": [{relays}"), 1);
    read(list.as_bytes()).unwrap()
}

fn sample() -> Catalogue {
    read(SAMPLE.as_bytes()).unwrap()
}

/// One that would be taken.
const RELAY: &str = r#"{"hostname":"de-fra-wg-001","active":true,"owned":true,"location":"de-fra","provider":"31173",
    "ipv4_addr_in":"203.0.113.9","ipv6_addr_in":"2001:db8::9","weight":100,"include_in_country":true,
    "public_key":"CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk="},"#;

#[test]
fn reads_the_list_as_it_is_documented() {
    let Catalogue { places, relays, ports } = sample();
    let malmo = Place { country: "Sweden".to_owned(), city: "Malm\u{f6}".to_owned() };
    assert_eq!((places.len(), &places["se-mma"]), (3, &malmo));
    assert_eq!(ports, [53..=53, 123..=123, 4_000..=33_433, 33_565..=51_820, 52_001..=60_000]);
    let hosts: Vec<&str> = relays.iter().map(|relay| relay.host.as_str()).collect();
    assert_eq!(hosts, ["al-tia-wg-003", "se-got-wg-001", "se-mma-wg-001"]);
    let gothenburg = Listed {
        host: "se-got-wg-001".to_owned(),
        place: "se-got".to_owned(),
        active: true,
        owned: true,
        provider: "31173".to_owned(),
        weight: 100,
        in_country: true,
        v4: "192.0.2.130".parse().unwrap(),
        v6: Some("2001:db8:130::f001".parse().unwrap()),
        key: PublicKey([1; 32]),
    };
    assert_eq!(relays[1], gothenburg);
    assert_eq!((relays[0].v6, relays[0].active, relays[0].weight), (None, false, 1));
}

#[test]
fn an_entry_that_cannot_be_understood_costs_no_other() {
    assert_eq!(read_with("", "", RELAY).relays.len(), 4, "the one that is spoilt below is right");
    let spoilt = [
        ("\"active\":true,", ""),
        ("\"active\":true", "\"active\":\"yes\""),
        ("\"weight\":100", "\"weight\":-1"),
        ("de-fra-wg-001", ""),
        ("de-fra-wg-001", "de fra"),
        ("\"de-fra\"", "\"de/fra\""),
        ("203.0.113.9", "203.0.113.256"),
        ("203.0.113.9", "192.168.1.1"),
        ("203.0.113.9", "127.0.0.1"),
        ("2001:db8::9", "fe80::1"),
        ("CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=", "CQkJ"),
        (RELAY, "null,"),
        (RELAY, "[[[]]],"),
        (RELAY, "{},"),
    ];
    for (right, wrong) in spoilt {
        let relay = RELAY.replacen(right, wrong, 1);
        assert_ne!(relay, RELAY);
        assert_eq!(read_with("", "", &relay), sample(), "{relay}");
    }
    for place in
        [r#""x y":{"country":"X","city":"Y"},"#, r#""xx":7,"#, r#""xx-yyy":{"country":"X","city":""},"#]
    {
        assert_eq!(read_with(place, "", ""), sample(), "{place}");
    }
    for range in ["[5],", "[5,6,7],", "[6,5],", "[0,0],", "[1,70000],", "\"53\","] {
        assert_eq!(read_with("", range, ""), sample(), "{range}");
    }
}

#[test]
fn the_first_relay_of_a_name_counts_and_letters_are_small() {
    let again = RELAY.replace("de-fra-wg-001", "SE-GOT-WG-001").replace("de-fra", "DE-FRA");
    let list = read_with("", "", &again);
    assert_eq!(list.relays.len(), 3);
    assert_eq!((list.relays[1].host.as_str(), list.relays[1].place.as_str()), ("se-got-wg-001", "de-fra"));
}

#[test]
fn a_relay_without_ipv6_or_whose_city_nobody_names_is_one() {
    let lonely = RELAY.replace(r#""ipv6_addr_in":"2001:db8::9","#, "");
    for relay in [lonely.clone(), lonely.replace("\"weight\"", "\"ipv6_addr_in\":null,\"weight\"")] {
        assert_eq!(read_with("", "", &relay).relays.len(), 4, "{relay}");
    }
}

#[test]
fn what_is_no_list_or_holds_nothing_is_none() {
    let whole = SAMPLE.as_bytes();
    let no_relay = format!("{}]}}}}", SAMPLE.split("{\n        \"hostname\"").next().unwrap());
    let cases: [(&[u8], &str); 6] = [
        (b"", "it is none (line 1, column 0)"),
        (b"<html>log in</html>", "it is none (line 1, column 1)"),
        (b"{}", "it is none"),
        (b"[1]", "it is none"),
        (&whole[..whole.len() / 2], "it is none"),
        (no_relay.as_bytes(), "no relay in it"),
    ];
    for (body, reason) in cases {
        let error = read(body).unwrap_err();
        assert!(error.starts_with(reason), "{error}");
    }
    let portless =
        SAMPLE.replacen("[53, 53], [123, 123], [4000, 33433], [33565, 51820], [52001, 60000]", "", 1);
    assert_eq!(read(portless.as_bytes()).unwrap_err(), "it has no port");
}
