use alloc::vec;
use std::string::ToString as _;

use super::*;

const HOUSE: &str = "2001:db8:77::1";

#[test]
fn resolvers_are_told_with_their_lifetime() {
    let option = resolvers_option(600, &[HOUSE, "fe80::1"]);
    let addresses = vec![HOUSE.parse().unwrap(), "fe80::1".parse().unwrap()];
    assert_eq!(Said::parse(&option), Some(Said::Resolvers(addresses, seconds(600))));
}

#[test]
fn addresses_of_no_machine_are_no_resolvers() {
    for nobody in ["::", "::1", "ff02::1"] {
        assert_eq!(Said::parse(&resolvers_option(600, &[nobody])), None, "{nobody}");
    }
}

#[test]
fn a_prefix_of_every_length_carries_an_ipv4_address() {
    // The examples of RFC 6052 2.4.
    for (code, prefix, expected) in [
        (5, "2001:db8::", "2001:db8:c000:221::"),
        (4, "2001:db8:100::", "2001:db8:1c0:2:21::"),
        (3, "2001:db8:122::", "2001:db8:122:c000:2:2100::"),
        (2, "2001:db8:122:300::", "2001:db8:122:3c0:0:221::"),
        (1, "2001:db8:122:344::", "2001:db8:122:344:c0:2:2100::"),
        (0, "2001:db8:122:344::", "2001:db8:122:344::192.0.2.33"),
        (0, "64:ff9b::", "64:ff9b::192.0.2.33"),
    ] {
        let Some(Said::Nat64(nat64, lifetime)) = Said::parse(&nat64_option(600, code, prefix)) else {
            panic!("{prefix} is not understood");
        };
        let address = nat64.address_of(Ipv4Addr::new(192, 0, 2, 33));
        assert_eq!((address, lifetime), (expected.parse().unwrap(), seconds(600)), "{prefix}");
    }
    assert_eq!(Said::parse(&nat64_option(600, 6, "64:ff9b::")), None, "no such length");
}

#[test]
fn what_is_cut_off_says_nothing() {
    for whole in [resolvers_option(9, &[HOUSE]), nat64_option(8, 0, "64:ff9b::")] {
        assert!(Said::parse(&whole).is_some());
        for length in 0..whole.len() {
            assert_eq!(Said::parse(&whole[..length]), None, "{length} of {whole:?}");
        }
        let mut lies = whole.clone();
        lies[1] = 0;
        assert_eq!(Said::parse(&lies), None, "no length");
    }
}

#[test]
fn what_was_said_holds_for_as_long_as_it_was_said_to() {
    let mut advertised = Advertised::default();
    advertised.hear(at(0), parsed(&resolvers_option(60, &[HOUSE])));
    advertised.hear(at(0), parsed(&nat64_option(80, 0, "64:ff9b::")));
    advertised.hear(at(0), parsed(&resolvers_option(u32::MAX, &["fd00::1"])));
    assert_eq!((advertised.deadline(), advertised.resolvers().len()), (Some(at(60)), 2));
    assert!(!advertised.forget(at(59)));
    assert!(advertised.forget(at(60)));
    assert_eq!((advertised.deadline(), advertised.resolvers().len()), (Some(at(80)), 1));
    assert!(advertised.nat64().is_some());
    assert!(advertised.forget(at(80)));
    assert_eq!((advertised.deadline(), advertised.nat64(), advertised.resolvers().len()), (None, None, 1));
}

#[test]
fn what_is_said_again_holds_longer_and_what_is_taken_back_no_more() {
    let mut advertised = Advertised::default();
    advertised.hear(at(0), parsed(&resolvers_option(60, &[HOUSE])));
    advertised.hear(at(30), parsed(&resolvers_option(60, &[HOUSE])));
    assert_eq!((advertised.deadline(), advertised.resolvers().len()), (Some(at(90)), 1));
    advertised.hear(at(31), parsed(&resolvers_option(0, &[HOUSE])));
    assert!(advertised.resolvers().is_empty());
}

#[test]
fn a_flood_pushes_nothing_aside_and_takes_no_room() {
    let mut advertised = Advertised::default();
    advertised.hear(at(0), parsed(&resolvers_option(600, &[HOUSE])));
    advertised.hear(at(0), parsed(&nat64_option(600, 0, "64:ff9b::")));
    for number in 1..1000 {
        let address = Ipv6Addr::from([0x2001, 0xdb8, number, 0, 0, 0, 0, 0]).to_string();
        advertised.hear(at(1), parsed(&resolvers_option(u32::MAX, &[&address])));
        advertised.hear(at(1), parsed(&nat64_option(8, 0, &address)));
    }
    assert_eq!(advertised.resolvers().len(), MOST);
    assert_eq!(advertised.resolvers()[0], HOUSE.parse::<IpAddr>().unwrap());
    assert_eq!(
        advertised.nat64().unwrap().address_of(Ipv4Addr::UNSPECIFIED),
        "64:ff9b::".parse::<Ipv6Addr>().unwrap()
    );
}

#[test]
fn the_last_word_about_dhcp_counts() {
    let mut advertised = Advertised::default();
    assert_eq!(advertised.dhcp(), Dhcp::Nothing);
    for dhcp in [Dhcp::Addresses, Dhcp::Nothing] {
        advertised.hear(at(0), Said::Dhcp(dhcp));
        assert_eq!(advertised.dhcp(), dhcp);
    }
}

fn at(seconds: u64) -> Uptime {
    Uptime::since_boot(Duration::from_secs(seconds))
}

fn seconds(seconds: u64) -> Lifetime {
    Lifetime::For(Duration::from_secs(seconds))
}

fn parsed(option: &[u8]) -> Said {
    Said::parse(option).expect("it says something")
}

fn resolvers_option(lifetime: u32, addresses: &[&str]) -> Vec<u8> {
    let mut value = vec![0, 0];
    value.extend(lifetime.to_be_bytes());
    value.extend(addresses.iter().flat_map(|address| address.parse::<Ipv6Addr>().unwrap().octets()));
    option(RESOLVERS, &value)
}

fn nat64_option(lifetime: u16, code: u16, prefix: &str) -> Vec<u8> {
    let mut value = (lifetime | code).to_be_bytes().to_vec();
    value.extend(&prefix.parse::<Ipv6Addr>().unwrap().octets()[..12]);
    option(NAT64, &value)
}

fn option(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut option = vec![kind, 0];
    option.extend(value);
    option.resize(option.len().next_multiple_of(8), 0);
    option[1] = u8::try_from(option.len() / 8).unwrap();
    option
}
