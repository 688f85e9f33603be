//! Whom of the house the box serves, as it learns of the house and of its routers.

use std::net::IpAddr;

use byway_core::{Facts, Household, Input, Mac, Serve, Settings, State, Uplink, Wish};

use crate::drive::Drive;
use crate::house;

const ROUTER4: Mac = Mac([2, 0, 0, 0, 0x77, 1]);
const ROUTER6: Mac = Mac([2, 0, 0, 0, 0x77, 6]);

fn attached(serve: Serve) -> Drive {
    Drive::attached(Settings { serve, ..house::settings() }, Wish::Sealed)
}

fn facts(drive: &Drive) -> Facts {
    match drive.core.state() {
        State::Applying { posture, .. } => posture.facts.clone(),
        State::Sealed | State::Proving { .. } | State::Open { .. } | State::Unverified { .. } => {
            drive.core.proven_posture().expect("a proven posture").facts.clone()
        }
    }
}

fn household(drive: &Drive) -> Option<Household> {
    facts(drive).household.map(|household| *household)
}

fn gateways() -> [IpAddr; 2] {
    let Uplink { gateway4, gateway6, .. } = house::uplink();
    [gateway4.expect("a router").into(), gateway6.expect("a router").into()]
}

#[test]
fn nobody_is_served_before_the_family_s_router_is_known_from_others() {
    let mut drive = attached(Serve::House);
    assert_eq!(household(&drive), None);
    assert!(drive.core.view().why.contains("their router is not seen yet"), "{}", drive.core.view().why);
    let [v4, v6] = gateways();
    drive.feed(Input::Routers(vec![(v4, ROUTER4)]));
    drive.applied();
    let served = household(&drive).unwrap();
    assert!(served.addresses.iter().all(|net| net.addr().is_ipv4()), "{served:?}");
    drive.feed(Input::Routers(vec![(v4, ROUTER4), (v6, ROUTER6)]));
    drive.applied();
    let served = household(&drive).unwrap();
    assert_eq!((served.addresses, served.routers), (house::uplink().addresses, vec![ROUTER4, ROUTER6]));
    assert!(!drive.core.view().why.contains("not served"), "{}", drive.core.view().why);
}

#[test]
fn a_router_that_is_not_seen_at_the_moment_is_one_all_the_same() {
    let mut drive = attached(Serve::House);
    let [v4, v6] = gateways();
    drive.feed(Input::Routers(vec![(v4, ROUTER4), (v6, ROUTER6)]));
    drive.applied();
    let served = household(&drive);
    drive.feed(Input::Routers(Vec::new()));
    assert_eq!(household(&drive), served);
    assert!(drive.effects.is_empty(), "{:?}", drive.effects);
}

#[test]
fn another_house_s_routers_say_nothing_of_this_one() {
    let mut drive = attached(Serve::House);
    let [v4, _] = gateways();
    drive.feed(Input::Routers(vec![(v4, ROUTER4)]));
    drive.applied();
    drive.feed(Input::Uplink(None));
    drive.applied();
    drive.feed(Input::Uplink(Some(house::uplink())));
    drive.applied();
    assert_eq!(household(&drive), None);
}

#[test]
fn a_house_of_the_tailnets_range_serves_no_ipv4_and_is_not_reached_by_it() {
    let mut uplink = house::uplink();
    uplink.addresses[0] = "100.72.0.2/24".parse().unwrap();
    let settings = Settings { serve: Serve::House, reach: true, ..house::settings() };
    let mut drive = Drive::start(settings, Wish::Sealed);
    drive.feed(Input::Uplink(Some(uplink)));
    let [v4, v6] = gateways();
    drive.feed(Input::Routers(vec![(v4, ROUTER4), (v6, ROUTER6)]));
    drive.applied();
    drive.applied();
    let served = household(&drive).unwrap();
    assert!(served.addresses.iter().all(|net| net.addr().is_ipv6()), "{served:?}");
    assert!(facts(&drive).reachable().iter().all(|net| net.addr().is_ipv6()));
}

#[test]
fn a_prefix_that_the_house_has_itself_is_not_given_to_machines_apart() {
    let apart =
        |net: &str| Serve::Apart { interface: "eth1".to_owned(), addresses: vec![net.parse().unwrap()] };
    let drive = attached(apart("192.168.78.1/24"));
    assert_eq!(household(&drive).unwrap().interface, "eth1");
    let drive = attached(apart("192.168.0.1/16"));
    assert_eq!(household(&drive), None);
    let why = drive.core.view().why;
    assert!(why.contains("the house has 192.168.0.0/16 itself; write another address below [lan]"), "{why}");
}

/// Whoever has swapped the cables has the house's own network there.
#[test]
fn machines_apart_are_given_nothing_before_the_house_was_reached_and_all_when_its_line_is_lost() {
    let serve =
        Serve::Apart { interface: "eth1".to_owned(), addresses: vec!["192.168.78.1/24".parse().unwrap()] };
    let mut drive = Drive::start(Settings { serve, ..house::settings() }, Wish::Sealed);
    drive.applied();
    assert_eq!(household(&drive), None);
    let lan = drive.core.view().lan.unwrap();
    assert!(lan.interface.is_none() && lan.unserved.unwrap().contains("are the cables where they belong?"));
    for uplink in [Some(house::uplink()), None] {
        drive.feed(Input::Uplink(uplink));
        drive.applied();
        assert_eq!(household(&drive).unwrap().interface, "eth1");
        assert_eq!(drive.core.view().lan.unwrap().unserved, None);
    }
    drive.feed(Input::Apart(Some("there is no such interface".to_owned())));
    let view = drive.core.view();
    assert!(
        view.why.contains("the machines at eth1 are not served: there is no such interface"),
        "{}",
        view.why
    );
}
