//! What must never come back: single sentences about the machine, each of which was once untrue.

mod drive;
mod house;
mod household;
#[path = "machine/offers.rs"]
mod offers;

use byway_core::relays::{Proof, RelayId};
use byway_core::{Core, Effect, Egress, Input, Lack, Phase, PingReport, Settings, State, TunnelReport, Wish};
use drive::{Drive, open};

#[test]
fn checks_the_exit_again_when_the_proof_has_aged_before_the_relay_answers() {
    let mut drive = Drive::at_home(Wish::Sealed);
    drive.handshake();
    drive.clock += 60_000;
    drive.handshake();
    drive.feed(Input::Wished(Wish::Privacy));
    assert!(drive.effects.contains(&Effect::CheckExit(Egress::Privacy)), "{:?}", drive.effects);
}

#[test]
fn a_lost_relay_s_place_is_taken_in_one_step_and_its_flows_are_refused() {
    let mut drive = open(Egress::Privacy);
    let State::Open { door: before } = *drive.core.state() else { panic!("{:?}", drive.core.state()) };
    drive.proves(Ok(house::proof(true)));
    drive.relay_falls_silent(Ok(house::proof(true)));
    let State::Applying { posture, .. } = drive.core.state() else { panic!("{:?}", drive.core.state()) };
    let (door, relay) = (posture.door.expect("an open door"), posture.facts.tunnel.clone());
    assert!(door.egress == Egress::Privacy && door.epoch > before.epoch);
    assert_eq!(relay, Some(house::settings().relays[1].end.clone()));
    drive.applied();
    assert!(matches!(drive.core.state(), State::Open { .. }), "{:?}", drive.core.state());
    let there = house::settings().relays[1].end.relay;
    assert!(drive.effects.contains(&Effect::Handshake(RelayId(1), there)), "{:?}", drive.effects);
}

/// The kernel does as it is told.
fn settle(drive: &mut Drive) {
    while matches!(drive.core.state(), State::Applying { .. }) {
        drive.applied();
    }
}

#[test]
fn a_lost_relay_shuts_the_door_where_no_other_is_proven_and_nobody_leaves_by_the_house() {
    let mut drive = open(Egress::Privacy);
    drive.proves_nobody();
    drive.relay_falls_silent(Err(house::gone()));
    assert!(matches!(drive.core.state(), State::Applying { posture, .. } if posture.door.is_none()));
    drive.applied();
    for _ in 0..20 {
        drive.clock += 10_000;
        drive.feed(Input::Tick);
        drive.proves_nobody();
        assert_eq!(drive.core.view().door, None);
    }
    drive.clock += 10_000;
    drive.feed(Input::Tick);
    drive.proves(Ok(house::proof(true)));
    settle(&mut drive); // By another port it is another fact.
    drive.handshake();
    drive.pong();
    settle(&mut drive);
    assert_eq!(drive.core.view().door, Some(Egress::Privacy), "{}", drive.core.view().why);
}

/// Files of two devices: what the kernel holds of the tunnel changes as well.
#[test]
fn a_relay_that_knows_us_by_another_address_is_taken_behind_a_shut_door() {
    let mut settings = house::settings();
    settings.relays[1].end.addresses.truncate(1);
    let mut drive = Drive::attached(settings, Wish::Privacy);
    drive.proves(Ok(house::proof(true)));
    drive.handshake();
    drive.pong();
    settle(&mut drive);
    drive.proves(Ok(house::proof(true)));
    drive.relay_falls_silent(Ok(house::proof(true)));
    assert!(matches!(drive.core.state(), State::Applying { posture, .. } if posture.door.is_none()));
    settle(&mut drive);
    drive.handshake();
    drive.pong();
    settle(&mut drive);
    let view = drive.core.view();
    assert!(view.is_as_wished() && view.tunnel.relay == "se-mma-wg-001", "{view:#?}");
}

#[test]
fn what_stood_by_before_the_silence_is_not_believed_after_it() {
    let mut drive = open(Egress::Privacy);
    drive.proves(Ok(house::proof(true)));
    drive.relay_falls_silent(Err(house::gone()));
    assert!(matches!(drive.core.state(), State::Applying { posture, .. } if posture.door.is_none()));
    assert!(drive.core.view().why.contains("se-got-wg-001 fell silent"), "{}", drive.core.view().why);
}

#[test]
fn whoever_was_proven_before_the_silence_is_asked_anew_at_once_when_who_stood_by_is_gone_too() {
    let mut settings = house::settings();
    let third = settings.relays[1].clone();
    settings.relays.push(third);
    let mut drive = Drive::attached(settings, Wish::Privacy);
    drive.proves(Ok(house::proof(true)));
    drive.handshake();
    drive.pong();
    settle(&mut drive);
    drive.feed(Input::TestRelays);
    for _ in 0..3 {
        drive.proves(Ok(house::proof(true)));
    }
    let made = Some(drive.now());
    drive.feed(Input::Tunnel(TunnelReport {
        handshake: made,
        heard: made,
        unanswered: made,
        ..TunnelReport::default()
    }));
    drive.clock += 2_000;
    drive.feed(Input::Tick);
    drive.clock += 3_000;
    for _ in 0..8 {
        drive.feed(Input::Ping(PingReport { sent: drive.now(), round_trip: None }));
    }
    settle(&mut drive);
    assert_eq!(drive.attempt.map(|(attempt, _)| attempt.relay), Some(RelayId(1)));
    drive.proves(Err(house::gone()));
    assert_eq!(drive.attempt.map(|(attempt, _)| attempt.relay), Some(RelayId(2)));
}

#[test]
fn who_asks_for_privacy_waits_for_no_pause_between_two_attempts() {
    let mut drive = Drive::attached(house::settings(), Wish::Sealed);
    let tries = |drive: &Drive| drive.effects.iter().any(|effect| matches!(effect, Effect::Prove(_)));
    drive.proves_nobody();
    while tries(&drive) {
        drive.proves_nobody();
    }
    drive.feed(Input::Tick);
    assert!(!tries(&drive), "no pause: {:?}", drive.effects);
    drive.feed(Input::Wished(Wish::Privacy));
    assert!(tries(&drive), "{:?}", drive.effects);
}

#[test]
fn who_asks_for_a_test_is_not_answered_by_an_attempt_that_was_under_way() {
    let mut drive = open(Egress::Privacy);
    drive.feed(Input::TestRelays);
    let (_, before) = drive.attempt.expect("the second relay is being proven");
    drive.proves(Ok(house::proof(true)));
    let (attempt, began) = drive.attempt.expect("and once more");
    assert!(attempt.relay == RelayId(1) && began > before, "{attempt:?}");
}

#[test]
fn flows_by_the_house_go_on_when_the_relay_changes() {
    let mut drive = open(Egress::Residential);
    let State::Open { door } = *drive.core.state() else { panic!("{:?}", drive.core.state()) };
    drive.proves(Ok(house::proof(true)));
    drive.relay_falls_silent(Ok(house::proof(true)));
    drive.applied();
    assert_eq!(*drive.core.state(), State::Open { door });
}

#[test]
fn a_chosen_relay_carries_once_it_is_proven_and_not_before() {
    let mut drive = open(Egress::Privacy);
    drive.feed(Input::UseRelay(RelayId(1)));
    assert_eq!(drive.effects, [Effect::RememberRelay(String::from("se-mma-wg-001"))]);
    drive.proves_nobody();
    assert_eq!(drive.core.view().tunnel.relay, "se-got-wg-001");
    drive.clock += 20_000;
    drive.handshake();
    drive.proves(Ok(house::proof(true)));
    drive.applied();
    assert_eq!(drive.core.view().tunnel.relay, "se-mma-wg-001");
}

#[test]
fn a_cable_that_is_out_is_no_relay_s_fault() {
    let mut drive = open(Egress::Privacy);
    drive.proves(Ok(house::proof(true)));
    drive.feed(Input::Uplink(None));
    drive.applied();
    drive.clock += 60_000;
    let made = Some(house::at(1_000));
    let unheard = TunnelReport { handshake: made, heard: made, unanswered: made, ..TunnelReport::default() };
    for _ in 0..8 {
        drive.feed(Input::Tunnel(unheard.clone()));
        drive.feed(Input::Ping(PingReport { sent: drive.now(), round_trip: None }));
    }
    drive.feed(Input::Uplink(Some(house::uplink())));
    drive.applied();
    assert_eq!(drive.core.view().tunnel.relay, "se-got-wg-001");
    assert!(!drive.effects.contains(&Effect::HangUp));
}

#[test]
fn another_port_is_tried_where_nothing_answers_by_the_files_own() {
    let mut drive = Drive::attached(house::settings(), Wish::Privacy);
    let mut tried = Vec::new();
    for _ in 0..4 {
        let (attempt, _) = drive.attempt.expect("an attempt");
        tried.push(attempt.endpoint.to_string());
        drive.proves_nobody();
    }
    let expected = ["192.0.2.130:51820", "192.0.2.140:51820", "192.0.2.130:443", "192.0.2.140:443"];
    assert_eq!(tried, expected);
}

#[test]
fn a_way_that_is_too_narrow_for_the_tunnel_makes_the_tunnel_narrow() {
    let mut drive = Drive::attached(house::settings(), Wish::Privacy);
    drive.proves(Ok(Proof { mtu: 1_300, ..house::proof(true) }));
    let State::Applying { posture, .. } = drive.core.state() else { panic!("{:?}", drive.core.state()) };
    assert_eq!(posture.facts.tunnel.as_ref().map(|tunnel| tunnel.mtu), Some(1_300));
}

#[test]
fn checks_a_foreign_exit_again_when_privacy_is_wished_again() {
    let mut drive = open(Egress::Privacy);
    drive.checked(Egress::Privacy, false);
    drive.applied();
    drive.feed(Input::Wished(Wish::Residential));
    drive.feed(Input::Gateway(true));
    drive.applied();
    drive.checked(Egress::Residential, false);
    drive.feed(Input::Wished(Wish::Privacy));
    drive.pong();
    assert!(drive.effects.contains(&Effect::CheckExit(Egress::Privacy)), "{:?}", drive.effects);
}

#[test]
fn forgets_no_epoch_while_an_order_is_on_its_way() {
    let mut drive = open(Egress::Residential);
    drive.handshake();
    drive.clock += 90_000;
    drive.feed(Input::Wished(Wish::Sealed));
    assert!(drive.effects.iter().any(|effect| matches!(effect, Effect::Apply(..))));
    assert!(!drive.effects.iter().any(|effect| matches!(effect, Effect::Forget(_))), "{:?}", drive.effects);
}

#[test]
fn dates_the_view_from_the_moment_it_turned_to_sealed() {
    let mut drive = Drive::at_home(Wish::Privacy);
    drive.handshake();
    drive.clock += 5_000;
    drive.checked(Egress::Privacy, false);
    drive.pong();
    assert_eq!(drive.core.view().since, drive.now());
}

#[test]
fn keeps_no_door_that_lost_its_proof_because_it_is_wished_again() {
    let mut drive = open(Egress::Privacy);
    drive.handshake();
    drive.clock += 179_900;
    drive.feed(Input::Wished(Wish::Residential));
    drive.clock += 200;
    drive.feed(Input::Wished(Wish::Privacy));
    assert!(matches!(drive.core.state(), State::Applying { posture, .. } if posture.door.is_none()));
}

#[test]
fn blames_no_door_for_the_other_ones_check() {
    let mut drive = open(Egress::Residential);
    drive.unchecked(Egress::Residential);
    drive.handshake();
    drive.clock += 61_000;
    drive.feed(Input::Wished(Wish::Privacy));
    drive.pong();
    let State::Proving { lack, .. } = drive.core.state() else { panic!("{:?}", drive.core.state()) };
    assert_eq!(*lack, Lack::ExitCheck(None));
}

#[test]
fn waits_a_second_before_it_opens_again_what_the_kernel_refused_and_says_why() {
    let mut drive = Drive::at_home(Wish::Residential);
    drive.feed(Input::Gateway(true));
    drive.refused("nft: out of memory");
    drive.applied();
    assert!(matches!(drive.core.state(), State::Proving { .. }), "{:?}", drive.core.state());
    assert!(drive.core.view().why.contains("nft: out of memory"), "{}", drive.core.view().why);
    drive.clock += 1_000;
    drive.feed(Input::Tick);
    assert!(matches!(drive.core.state(), State::Applying { posture, .. } if posture.door.is_some()));
}

#[test]
fn the_residential_door_shuts_when_the_day_is_used_up_and_opens_the_next_day_by_itself() {
    let settings = Settings { daily_gb: Some(1), ..house::settings() };
    let mut drive = drive::open_with(settings, Egress::Residential);
    drive.moves(999_999_999, Some(7));
    assert!(matches!(drive.core.state(), State::Open { .. }), "{:?}", drive.core.state());
    drive.moves(1_000_000_000, Some(7));
    assert!(matches!(drive.core.state(), State::Applying { posture, .. } if posture.door.is_none()));
    settle(&mut drive);
    let view = drive.core.view();
    assert_eq!((view.phase, view.door), (Phase::Sealed, None), "{}", view.why);
    drive.feed(Input::Gateway(true));
    assert_eq!(drive.core.view().door, None);
    drive.moves(1_000_000_000, Some(8));
    settle(&mut drive);
    assert_eq!(drive.core.view().door, Some(Egress::Residential), "{}", drive.core.view().why);
}

#[test]
fn a_used_up_day_is_no_business_of_privacy() {
    let settings = Settings { daily_gb: Some(1), ..house::settings() };
    let mut drive = drive::open_with(settings, Egress::Privacy);
    drive.moves(5_000_000_000, Some(7));
    assert!(matches!(drive.core.state(), State::Open { .. }), "{:?}", drive.core.state());
}

/// A drift that is put right, and what is proven again afterwards.
fn drift_once(drive: &mut Drive, what: &str) {
    drive.clock += 500;
    drive.feed(Input::Drifted(String::from(what)));
    while matches!(drive.core.state(), State::Unverified { .. }) {
        drive.clock += 1_000;
        drive.feed(Input::Tick);
    }
    settle(drive);
}

#[test]
fn opens_no_door_while_somebody_keeps_changing_the_kernel_and_opens_it_by_itself_afterwards() {
    let mut drive = open(Egress::Residential);
    for _ in 0..9 {
        drift_once(&mut drive, "a rule is gone, by nft (pid 7)");
        assert!(matches!(drive.core.state(), State::Open { .. }), "{:?}", drive.core.state());
    }
    drift_once(&mut drive, "a rule is gone, by nft (pid 7)");
    assert!(matches!(drive.core.state(), State::Proving { .. }), "{:?}", drive.core.state());
    let why = drive.core.view().why;
    assert!(why.contains("keeps changing the kernel") && why.contains("nft (pid 7)"), "{why}");
    while matches!(drive.core.state(), State::Proving { .. }) {
        let (due, _) = drive.core.deadline().expect("it wants to be called when the fight is over");
        drive.core.step(due, Input::Tick);
    }
    assert!(matches!(drive.core.state(), State::Applying { posture, .. } if posture.door.is_some()));
}

#[test]
fn heals_no_faster_than_once_a_second_when_somebody_fights() {
    let mut drive = open(Egress::Residential);
    for _ in 0..10 {
        drift_once(&mut drive, "a rule is gone");
    }
    drive.feed(Input::Drifted(String::from("a rule is gone")));
    assert!(matches!(drive.core.state(), State::Unverified { .. }), "{:?}", drive.core.state());
    assert_eq!(drive.effects, [Effect::ShutNames, Effect::StopForwarding]);
}

#[test]
fn the_first_order_knows_the_line_that_is_there_already() {
    let (_, effects) = Core::start(house::at(1_000), house::settings(), Wish::Privacy, Some(house::uplink()));
    let [Effect::ShutNames, Effect::Apply(_, posture)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(posture.facts.uplink, Some(house::uplink()));
}
