//! What must never come back: single sentences about the machine, each of which was once untrue.

mod drive;
mod house;

use byway_core::{Effect, Egress, Input, Lack, PingReport, State, Wish};
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
