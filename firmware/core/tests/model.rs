//! The promises, kept by the core in any order of events: a simulated kernel, relay, check host, line and people
//! around it, a clock that jumps from deadline to deadline, and a judge that knows nothing of how the core works.
//! `PROPTEST_CASES=10000` is the long version.

#[path = "model/deed.rs"]
mod deed;
mod house;
#[path = "model/judge.rs"]
mod judge;
#[path = "model/world.rs"]
mod world;

use byway_core::{Input, Wish};
use deed::{Answer, Deed, Relay, Takes, Weather};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use world::World;

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    /// The judge looks on at every step; here is what must come in the end.
    #[test]
    fn when_the_faults_stop_the_wish_is_reached(first in wish(), deeds in story()) {
        let mut world = World::boot(first);
        for (deed, wait) in deeds {
            world.does(deed);
            world.runs(wait);
        }
        world.is_mended();
        world.runs(60_000);
        let view = world.core.view();
        prop_assert!(view.is_as_wished(), "{view:#?}");
        world.judges_pauses();
        world.does(Deed::Wish(Wish::Sealed));
        world.runs(50);
        prop_assert!(world.core.view().is_as_wished(), "{:#?}", world.core.view());
    }

    #[test]
    fn while_a_fault_lasts_the_box_is_sealed_and_says_why(first in wish(), deeds in story()) {
        let mut world = World::boot(first);
        for (deed, wait) in deeds {
            world.does(deed);
            world.runs(wait);
        }
        world.runs(60_000);
        let view = world.core.view();
        let sealed = view.door.is_none() && !view.why.is_empty();
        prop_assert!(view.is_as_wished() || sealed, "{view:#?}");
    }

    #[test]
    fn a_hundred_toggles_in_two_seconds_end_in_the_last_wish(
        first in wish(),
        waits in prop::collection::vec(0..40u64, 100),
        slow in 1..200u64,
    ) {
        let mut world = World::boot(first);
        world.runs(5_000);
        world.does(Deed::Kernel(Takes::All, slow));
        for wait in waits {
            world.does(Deed::Toggle);
            world.runs(wait);
        }
        world.runs(1_500);
        prop_assert!(world.core.view().is_as_wished(), "{:#?}", world.core.view());
    }
}

#[test]
fn a_calm_day_costs_next_to_nothing() {
    let mut world = World::boot(Wish::Privacy);
    let day = 24 * 60 * 60 * 1000;
    world.runs(day);
    assert!(world.core.view().is_as_wished());
    assert!(world.orders() < 5, "{} orders", world.orders());
    assert!(world.ticks() < 10_000, "{} deadlines: more than pings and checks", world.ticks());
}

#[test]
fn an_idle_hour_loses_no_relay() {
    let mut world = World::boot(Wish::Privacy);
    world.runs(60 * 60 * 1000);
    assert_eq!(world.relays_taken(), 1);
}

/// Ten minutes each, busy and idle, with the luck of a hundred houses.
#[test]
fn a_way_that_loses_every_fifth_packet_and_delays_the_others_loses_no_relay() {
    for seed in 0..100 {
        let mut world = World::boot(Wish::Privacy);
        world.runs(5_000);
        world.does(Deed::Traffic(seed % 2 == 0));
        world.does(Deed::Weather(Weather { lost: 20, late_ms: 300, seed }));
        world.runs(10 * 60 * 1000);
        assert_eq!(world.relays_taken(), 1, "with luck {seed}");
    }
}

/// However the losses fall.
#[test]
fn a_dead_relay_s_place_is_taken_within_six_seconds() {
    for seed in 0..100 {
        let mut world = World::boot(Wish::Privacy);
        world.does(Deed::Traffic(true));
        world.runs(20_000 + seed * 37);
        next_one_carries(&mut world, Relay::Silent, 6_000);
    }
}

/// When the first one does that, so many milliseconds later.
fn next_one_carries(world: &mut World, relay: Relay, within: u64) {
    world.does(Deed::Relay(0, relay));
    world.runs(within);
    let view = world.core.view();
    assert!(view.is_as_wished() && view.tunnel.relay == "se-mma-wg-001", "{view:#?}");
}

/// Servers that say again what nobody confirms keep a line busy on which nothing goes the other way.
#[test]
fn a_relay_that_does_not_hear_us_is_replaced_whatever_comes_from_it() {
    for seed in 0..100 {
        let mut world = World::boot(Wish::Privacy);
        world.does(Deed::Traffic(seed % 2 == 0));
        world.runs(20_000 + seed * 137);
        next_one_carries(&mut world, Relay::Deaf, 28_000);
    }
}

/// A client's uploads fill the line: nearly no ping is answered in time, but all are in the end.
#[test]
fn a_line_that_answers_late_loses_no_relay() {
    for seed in 0..100 {
        let mut world = World::boot(Wish::Privacy);
        world.runs(5_000);
        world.does(Deed::Traffic(true));
        world.does(Deed::Weather(Weather { lost: 0, late_ms: 2_500, seed }));
        world.runs(10 * 60 * 1000);
        assert_eq!(world.relays_taken(), 1, "with luck {seed}");
    }
}

#[test]
fn sees_the_outcome_of_nothing_that_was_not_ordered() {
    let mut world = World::boot(Wish::Sealed);
    world.runs(1_000);
    for generation in 0..100 {
        world.hears(Input::Applied(byway_core::Generation(generation), Ok(())));
    }
    assert!(world.core.view().is_as_wished());
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![Just(Wish::Privacy), Just(Wish::Residential), Just(Wish::Sealed)]
}

/// Things that happen, and how long nothing else does. Short waits meet orders under way, long ones meet what ages.
fn story() -> impl Strategy<Value = Vec<(Deed, u64)>> {
    let wait = prop_oneof![4 => 0..40u64, 4 => 40..2_000u64, 3 => 2_000..15_000u64, 1 => 15_000..200_000u64];
    prop::collection::vec((deed(), wait), 1..40)
}

fn deed() -> impl Strategy<Value = Deed> {
    let answer = prop_oneof![Just(Answer::Mullvad), Just(Answer::Foreign), Just(Answer::Nothing)];
    let relay = prop_oneof![3 => Just(Relay::Answers), 2 => Just(Relay::Silent), 1 => Just(Relay::Deaf)];
    let takes = prop_oneof![3 => Just(Takes::All), 1 => Just(Takes::NoDoor), 1 => Just(Takes::Nothing), 1 => Just(Takes::ButFails)];
    prop_oneof![
        4 => wish().prop_map(Deed::Wish),
        3 => Just(Deed::Toggle),
        1 => Just(Deed::Pause),
        3 => (0..2usize, relay).prop_map(|(which, relay)| Deed::Relay(which, relay)),
        1 => (0..2usize).prop_map(Deed::UseRelay),
        1 => Just(Deed::TestRelays),
        1 => (1..12u8).prop_map(Deed::Moves),
        1 => Just(Deed::Midnight),
        2 => (1..3u8, any::<bool>()).prop_map(|(which, paused)| Deed::PauseClient(which, paused)),
        3 => answer.prop_map(Deed::Exit),
        2 => (0..3u8).prop_map(Deed::Uplink),
        2 => any::<bool>().prop_map(Deed::Gateway),
        2 => (takes, 1..200u64).prop_map(|(takes, slow)| Deed::Kernel(takes, slow)),
        2 => any::<bool>().prop_map(Deed::Traffic),
        2 => Just(Deed::Drift),
        1 => (2u8..40).prop_map(Deed::Fight),
        2 => (1..4u64, any::<bool>()).prop_map(|(ago, ok)| Deed::StaleOutcome { ago, ok }),
        1 => Just(Deed::Restart),
    ]
}
