//! A month in account mode: core and account together, with everything that Mullvad may do to its customers.

mod house;
#[path = "month/mullvad.rs"]
mod mullvad;
#[path = "month/world.rs"]
mod world;

use std::time::Duration;

use byway_core::account::Call;
use mullvad::Mood;
use world::{BOOT, DAY, World};

const A_MINUTE: Duration = Duration::from_mins(1);

/// How often this was asked.
fn count(world: &World, what: fn(&Call) -> bool) -> usize {
    world.mullvad.calls.iter().filter(|call| what(call)).count()
}

#[test]
fn a_box_fresh_from_the_card_is_open_within_seconds() {
    let mut world = World::boot(DAY * 30);
    world.runs(Duration::from_secs(4));
    assert!(world.is_open(), "{} {:?}", world.core.view().why, world.core.view().relays);
    assert!(world.relay().starts_with("se-got-wg-"), "{}", world.relay());
    assert_eq!(count(&world, |call| matches!(call, Call::Register(_))), 1);
}

#[test]
fn a_calm_month_asks_little_and_makes_the_key_anew_without_a_gap() {
    let mut world = World::boot(DAY * 30);
    world.runs(DAY * 31);
    assert!(world.is_open());
    assert_eq!(count(&world, |call| matches!(call, Call::Register(_))), 1);
    assert_eq!(count(&world, |call| matches!(call, Call::Replace { .. })), 1);
    let relays = count(&world, |call| matches!(call, Call::Relays));
    assert!((150..=240).contains(&relays), "{relays} times the list");
    let others = count(&world, |call| matches!(call, Call::Devices | Call::Expiry));
    assert!((50..=80).contains(&others), "{others} times devices and expiry");
    assert!(world.longest <= Duration::from_secs(2), "shut for {:?}", world.longest);
}

#[test]
fn a_month_of_everything_that_may_happen_ends_open() {
    let mut world = World::boot(DAY * 7);
    world.runs(DAY * 2);

    // The API is away for three days.
    world.mullvad.mood = Mood::Away;
    world.runs(DAY * 3);
    assert!(world.is_open() && world.shut == Duration::ZERO);
    world.mullvad.mood = Mood::Fine;
    world.runs(DAY);

    // The key is old, and the answer that the new one is taken gets lost.
    world.mullvad.mood = Mood::LosesAnswers;
    world.runs(DAY + Duration::from_hours(2));
    world.mullvad.mood = Mood::Fine;
    world.runs(Duration::from_hours(12));
    assert!(world.is_open(), "{:#?}", world.core.view());
    assert_eq!((world.record.next, world.record.before), (None, None), "it is known which key is good");
    let device = world.record.device.clone().expect("a device");
    assert_eq!(world.mullvad.devices, std::slice::from_ref(&device));

    // The device is removed at Mullvad.
    let now = world.now;
    world.mullvad.removes_devices(now);
    world.runs(A_MINUTE * 2);
    assert!(world.is_open(), "{:#?}", world.core.view());
    assert_ne!(world.record.device.as_ref().map(|anew| &anew.id), Some(&device.id));
    assert!(world.core.view().why.contains("is there anew as happy seal"), "{}", world.core.view().why);
    world.runs(DAY * 2);

    // The relay that carries goes out of the list, and then dies; later the whole city does, without a word.
    let (old, shut) = (world.relay(), world.shut);
    let left: Vec<&str> = world.mullvad.relays.iter().copied().filter(|relay| *relay != old).collect();
    world.mullvad.lists(&left);
    world.runs(DAY);
    assert!(world.is_open() && world.relay().starts_with("se-got") && world.relay() != old);
    assert!(world.shut < shut + Duration::from_secs(1), "left for another one that is proven");
    world.mullvad.relays = left;
    world.mullvad.relays.retain(|relay| !relay.starts_with("se-got"));
    let left = world.mullvad.relays.clone();
    world.mullvad.lists(&left);
    world.runs(DAY);
    assert!(world.is_open() && !world.relay().starts_with("se-got"), "{}", world.relay());
    assert!(world.core.view().why.contains("others of its country are used"), "{}", world.core.view().why);

    // No relay hears of the next key.
    let key = world.record.device.as_ref().map(|device| device.key);
    world.mullvad.mood = Mood::KeepsKeysToItself;
    world.runs(DAY * 6);
    assert!(world.is_open());
    assert_eq!(world.record.device.as_ref().map(|device| device.key), key, "the one before is used");
    world.mullvad.mood = Mood::Fine;
    world.runs(DAY * 2);
    assert_ne!(world.record.device.as_ref().map(|device| device.key), key, "the next one is");
    assert!(world.is_open());

    // The account runs out, and is paid a day later.
    world.mullvad.expiry = BOOT + world.now + A_MINUTE;
    world.runs(DAY);
    let view = world.core.view();
    assert!(!world.is_open() && view.why.contains("the mullvad account has run out"), "{}", view.why);
    world.mullvad.expiry = BOOT + DAY * 400;
    world.runs(A_MINUTE);
    assert!(world.is_open(), "{:#?}", world.core.view());
    world.runs(DAY * 10);

    assert!(world.is_open());
    let view = world.core.view();
    assert!(!view.why.contains("account"), "{}", view.why);
    assert!(world.mullvad.calls.len() < 1_500, "{} calls", world.mullvad.calls.len());
}
