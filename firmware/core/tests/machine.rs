//! What must never come back: single sentences about the machine, each of which was once untrue.

mod drive;
mod house;

use byway_core::{Core, Effect, Egress, Input, Lack, PingReport, State, Wish};
use drive::{Drive, open};

/// A silent relay: three pings in seven seconds without an answer.
fn fall_silent(drive: &mut Drive) {
    drive.clock += 7_000;
    for _ in 0..3 {
        drive.feed(Input::Ping(PingReport { sent: drive.now(), answered: false }));
    }
}

#[test]
fn checks_the_exit_again_when_the_relay_returns_after_the_last_check_has_aged() {
    let mut drive = open(Egress::Privacy);
    drive.checked(Egress::Privacy, true);
    fall_silent(&mut drive);
    drive.applied();
    drive.clock += 60_000;
    drive.handshake();
    drive.pong();
    assert!(drive.effects.contains(&Effect::CheckExit(Egress::Privacy)), "{:?}", drive.effects);
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
    drive.pong();
    drive.clock += 5_000;
    drive.checked(Egress::Privacy, false);
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
    drive.feed(Input::Wished(Wish::Privacy));
    drive.handshake();
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

/// A drift that is put right, and what is proven again afterwards.
fn drift_once(drive: &mut Drive, what: &str) {
    drive.clock += 500;
    drive.feed(Input::Drifted(String::from(what)));
    while matches!(drive.core.state(), State::Unverified { .. }) {
        drive.clock += 1_000;
        drive.feed(Input::Tick);
    }
    while matches!(drive.core.state(), State::Applying { .. }) {
        drive.applied();
    }
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
