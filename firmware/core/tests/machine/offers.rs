//! The account's list of relays as it changes, under an open door.

use byway_core::account::PublicKey;
use byway_core::relays::{Keys, RelayId, Role};
use byway_core::{Door, Effect, Egress, Input, RelaySettings, Settings, State, Wish};

use crate::drive::Drive;
use crate::house;

/// By the device's key with this number.
fn relay(name: &str, endpoint: &str, key: u8) -> RelaySettings {
    let mut theirs = [0; 32];
    theirs[..name.len()].copy_from_slice(name.as_bytes());
    let keys = Keys::Device { ours: PublicKey([key; 32]), relay: PublicKey(theirs) };
    RelaySettings { keys, ..house::relay(name, endpoint) }
}

fn list(key: u8) -> Vec<RelaySettings> {
    Vec::from([
        relay("se-got-wg-001", "192.0.2.130:51820", key),
        relay("se-got-wg-002", "192.0.2.131:51820", key),
        relay("se-mma-wg-001", "192.0.2.140:51820", key),
    ])
}

/// By the first one, the second stands by.
fn open() -> Drive {
    let mut drive = Drive::attached(Settings { relays: Vec::new(), ..house::settings() }, Wish::Privacy);
    assert!(drive.core.view().why.starts_with("no relay is known yet"), "{}", drive.core.view().why);
    drive.feed(Input::Relays(list(1), 0));
    drive.applied();
    drive.applied();
    drive.proves(Ok(house::proof(true)));
    drive.applied();
    drive.handshake();
    drive.pong();
    settle(&mut drive);
    drive.proves(Ok(house::proof(true)));
    settle(&mut drive);
    assert_eq!(carries(&drive), "se-got-wg-001");
    drive
}

/// Whatever is ordered is done.
fn settle(drive: &mut Drive) {
    for _ in 0..4 {
        drive.applied();
    }
}

fn carries(drive: &Drive) -> String {
    assert_eq!(drive.core.view().door, Some(Egress::Privacy), "{}", drive.core.view().why);
    drive.core.view().tunnel.relay
}

fn proving(drive: &Drive) -> RelaySettings {
    let (attempt, _) = drive.attempt.expect("a relay that is being proven");
    drive.core.relay(attempt.relay).expect("it is in the list").clone()
}

fn door(drive: &Drive) -> Door {
    let State::Open { door } = *drive.core.state() else { panic!("{:?}", drive.core.state()) };
    door
}

#[test]
fn flows_go_on_while_others_come_and_go() {
    let mut drive = open();
    let before = door(&drive);
    let mut other = list(1);
    other[2] = relay("se-sto-wg-001", "192.0.2.150:51820", 1);
    drive.feed(Input::Relays(other, 0));
    assert!(drive.effects.iter().any(|effect| matches!(effect, Effect::Apply(..))), "{:?}", drive.effects);
    settle(&mut drive);
    assert_eq!(door(&drive), before, "of the same epoch");
    assert_eq!(proving(&drive).name, "se-sto-wg-001", "a new one is proven once");
}

#[test]
fn one_that_is_not_in_the_list_any_more_carries_until_another_one_is_proven() {
    let mut drive = open();
    drive.feed(Input::Relays(list(1).split_off(1), 0));
    settle(&mut drive);
    assert_eq!(carries(&drive), "se-got-wg-001");
    let names: Vec<String> = drive.core.view().relays.into_iter().map(|relay| relay.name).collect();
    assert_eq!(names, ["se-got-wg-002", "se-mma-wg-001", "se-got-wg-001"]);
    drive.proves(Ok(house::proof(true)));
    drive.handshake();
    settle(&mut drive);
    assert_eq!(carries(&drive), "se-got-wg-002");
    assert_eq!(drive.core.view().relays.len(), 2, "now it is gone");
    assert_eq!(drive.core.relay(RelayId(0)), None);
}

#[test]
fn another_key_of_the_device_is_taken_once_a_relay_is_proven_with_it_and_not_before() {
    let mut drive = open();
    let before = door(&drive);
    drive.feed(Input::Relays(list(2), 0));
    settle(&mut drive);
    assert_eq!((carries(&drive).as_str(), door(&drive)), ("se-got-wg-001", before));
    assert!(matches!(proving(&drive).keys, Keys::Device { ours, .. } if ours == PublicKey([2; 32])));
    assert_eq!(proving(&drive).name, "se-got-wg-001", "beside the one that carries: it is another session");
    drive.proves(Err(house::gone()));
    settle(&mut drive);
    assert_eq!(drive.core.view().relays.iter().filter(|relay| relay.role == Role::Active).count(), 1);
    while proving(&drive).name == "se-got-wg-001" {
        drive.proves(Err(house::gone()));
    }
    let next = proving(&drive).name;
    drive.proves(Ok(house::proof(true)));
    drive.handshake();
    settle(&mut drive);
    assert_eq!(carries(&drive), next);
    let view = drive.core.view();
    assert!(
        view.relays
            .iter()
            .all(|relay| matches!(relay.keys, Keys::Device { ours, .. } if ours == PublicKey([2; 32])))
    );
}

#[test]
fn a_key_that_is_taken_back_before_leaves_everything_as_it_was() {
    let mut drive = open();
    let before = door(&drive);
    drive.feed(Input::Relays(list(2), 0));
    settle(&mut drive);
    drive.feed(Input::Relays(list(1), 0));
    settle(&mut drive);
    let (_, began) = drive.attempt.expect("one by the newer key is under way");
    assert!(began < drive.now());
    drive.proves(Ok(house::proof(true)));
    settle(&mut drive);
    assert_eq!((carries(&drive).as_str(), door(&drive)), ("se-got-wg-001", before));
}

#[test]
fn those_that_the_owner_wants_take_over_and_no_others() {
    let mut drive = open();
    let mut list = list(1);
    list.rotate_right(1);
    drive.feed(Input::Relays(list.clone(), 1));
    settle(&mut drive);
    assert_eq!(carries(&drive), "se-got-wg-001", "the wanted one is not proven yet");
    assert_eq!(proving(&drive).name, "se-mma-wg-001");
    drive.proves(Ok(house::proof(true)));
    drive.handshake();
    settle(&mut drive);
    assert_eq!(carries(&drive), "se-mma-wg-001");
    let before = door(&drive);
    drive.feed(Input::Relays(list, 3));
    settle(&mut drive);
    assert_eq!((carries(&drive).as_str(), door(&drive)), ("se-mma-wg-001", before), "it is one of them");
}

#[test]
fn new_addresses_shut_the_privacy_door_for_a_moment_and_the_house_s_not_at_all() {
    for egress in [Egress::Privacy, Egress::Residential] {
        let mut drive = open();
        if egress == Egress::Residential {
            drive.feed(Input::Gateway(true));
            drive.feed(Input::Wished(Wish::Residential));
            settle(&mut drive);
        }
        let before = door(&drive);
        let mut moved = list(2);
        for relay in &mut moved {
            relay.end.addresses = Vec::from(["10.64.9.9".parse().unwrap()]);
        }
        drive.feed(Input::Relays(moved, 0));
        settle(&mut drive);
        assert_eq!(door(&drive), before, "until one of them is proven");
        drive.proves(Ok(house::proof(true)));
        let Some(Effect::Apply(_, posture)) = drive.effects.iter().find(|it| matches!(it, Effect::Apply(..)))
        else {
            panic!("no order: {:?}", drive.effects)
        };
        let tunnel = posture.facts.tunnel.as_ref().expect("a tunnel");
        assert_eq!(tunnel.addresses, ["10.64.9.9".parse::<std::net::IpAddr>().unwrap()]);
        match egress {
            Egress::Privacy => assert_eq!(posture.door, None),
            Egress::Residential => assert_eq!(posture.door, Some(before)),
        }
    }
}

/// It would take the prober for the box, and send there what belongs to clients.
#[test]
fn a_relay_at_another_address_is_not_proven_beside_itself() {
    let mut drive = open();
    drive.attempt = None;
    let before = door(&drive);
    let mut moved = relay("se-got-wg-001", "192.0.2.230:51820", 1);
    for (key, is_proven) in [(1, false), (2, true)] {
        if let Keys::Device { ours, .. } = &mut moved.keys {
            *ours = PublicKey([key; 32]);
        }
        drive.feed(Input::Relays(Vec::from([moved.clone()]), 0));
        settle(&mut drive);
        drive.feed(Input::TestRelays);
        settle(&mut drive);
        assert_eq!((carries(&drive).as_str(), door(&drive)), ("se-got-wg-001", before));
        assert_eq!(drive.attempt.is_some(), is_proven, "{:?}", drive.attempt);
    }
}

/// A box is registered, is removed at Mullvad, and is there anew.
#[test]
fn without_any_relay_and_with_new_ones_the_house_s_door_stays_open() {
    let mut drive = Drive::attached(Settings { relays: Vec::new(), ..house::settings() }, Wish::Residential);
    drive.feed(Input::Gateway(true));
    settle(&mut drive);
    let before = door(&drive);
    for list in [list(1), Vec::new(), list(2)] {
        drive.feed(Input::Relays(list, 0));
        settle(&mut drive);
        assert_eq!(door(&drive), before);
    }
}
