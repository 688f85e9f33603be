//! Sessions with a relay that moves, is under load, remembers the stamps of handshakes, or is swapped.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use byway::clock;
use byway::store::{StampFile, Store};
use byway::tunnel::{Engine, Outside, Stamps};
use byway::watchdog::Pulses;

use crate::CARRIED_AGAIN;
use crate::flood::{PostOffice, Seen};
use crate::flow::{Flow, WINDOW};
use crate::world::{self, DEVICE, OUTSIDE, Relay, eventually, within};

pub(crate) const YEAR: Duration = Duration::from_hours(365 * 24);

#[test]
fn a_session_comes_up_whatever_the_clock_says() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let folder = tempfile::tempdir().expect("a folder");
    let forth_and_back = [3 * YEAR, Duration::ZERO, 2 * YEAR, 4 * YEAR, Duration::ZERO];
    for (turn, ahead) in forth_and_back.into_iter().enumerate() {
        let stamps = stamps(folder.path(), move || clock::wall() + ahead);
        let engine = Engine::start(DEVICE, OUTSIDE, stamps, &Pulses::default()).expect("the engine starts");
        if turn == 0 {
            world::configure_device();
        }
        engine.set_peer(relay.peer(relay.endpoint_v4()));
        within(CARRIED_AGAIN, "a handshake", || engine.stats().handshake.is_some());
        eventually("an answer", || world::answer_v4().is_some());
    }
}

#[test]
fn waits_for_a_clock_that_can_be_right() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let office = PostOffice::open(relay.endpoint_v4());
    let folder = tempfile::tempdir().expect("a folder");
    let years = Arc::new(AtomicU32::new(50));
    let shown = Arc::clone(&years);
    let stamps = stamps(folder.path(), move || clock::wall() + shown.load(Ordering::Relaxed) * YEAR);
    let engine = Engine::start(DEVICE, OUTSIDE, stamps, &Pulses::default()).expect("the engine starts");
    world::configure_device();
    engine.set_peer(relay.peer(office.address));
    assert!((0..8).all(|_| world::answer_v4().is_none()));
    assert_eq!(office.seen(), []);

    years.store(0, Ordering::Relaxed);
    eventually("an answer", || world::answer_v4().is_some());
    assert!(!office.seen().is_empty());
}

#[test]
fn follows_a_relay_that_moves_to_another_port() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let engine = world::start_engine();
    engine.set_peer(relay.peer(relay.endpoint_v4()));
    eventually("an answer", || world::answer_v4().is_some());

    relay.listen_at(51_999);
    assert!((0..4).all(|_| world::answer_v4().is_none()));
    relay.speaks();
    within(CARRIED_AGAIN, "an answer", || world::answer_v4().is_some());
}

#[test]
fn follows_a_relay_that_comes_back_by_the_other_family() {
    world::enter_namespace();
    let mut relay = Relay::new(1);
    let engine =
        Engine::start(DEVICE, Outside { port: 41_642, ..OUTSIDE }, Stamps::in_memory(), &Pulses::default());
    let engine = engine.expect("the engine starts");
    world::configure_device();
    engine.set_peer(relay.peer(relay.endpoint_v6()));
    eventually("an answer", || world::answer_v4().is_some());

    relay.stop();
    relay.forget_ipv6();
    relay.start();
    assert!((0..4).all(|_| world::answer_v4().is_none()));
    relay.calls("192.0.2.6:41642");
    within(CARRIED_AGAIN, "an answer", || world::answer_v4().is_some());
}

#[test]
fn a_relay_under_load_takes_the_cookie_that_it_gave() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let office = PostOffice::open(relay.endpoint_v4());
    let engine = world::start_engine();
    let flood = relay.flood();
    eventually("load", || flood.cookies() > 0);

    engine.set_peer(relay.peer(office.address));
    eventually("a handshake", || engine.stats().handshake.is_some());
    let seen = office.seen();
    let last = seen.last_chunk().expect("a handshake is two messages");
    assert_eq!(*last, [Seen::Initiation { with_cookie: true }, Seen::Response], "{seen:?}");
    assert!(seen.contains(&Seen::Cookie), "{seen:?}");
    let before = flood.cookies();
    eventually("load still", || flood.cookies() > before);
    eventually("an answer", || world::answer_v4().is_some());
}

#[test]
fn a_new_session_every_second_loses_no_packet_under_load() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let engine = world::start_engine();
    engine.set_peer(relay.peer(relay.endpoint_v4()));
    eventually("an answer", || world::answer_v4().is_some());

    let begun = Instant::now();
    let mut handshakes = Vec::from([engine.stats().handshake]);
    let flow = Flow::run(|_| {
        engine.kick();
        let newest = engine.stats().handshake;
        if handshakes.last() != Some(&newest) {
            handshakes.push(newest);
        }
        handshakes.len() > 8
    });
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!((flow.lost, flow.surplus), (0, 0), "{flow:?}");
    assert!(flow.answered > 1_000, "{flow:?}");
}

#[test]
fn a_swap_under_load_loses_no_more_than_is_under_way() {
    world::enter_namespace();
    let relays = [Relay::new(1), Relay::new(2)];
    let engine = world::start_engine();
    engine.set_peer(relays[0].peer(relays[0].endpoint_v4()));
    eventually("an answer", || world::answer_v4().is_some());

    let device = world::device_index();
    let (mut swaps, mut answered, mut before) = (0, 0, engine.stats());
    let flow = Flow::run(|flow| {
        let stats = engine.stats();
        assert!(stats.tx_bytes >= before.tx_bytes && stats.rx_bytes >= before.rx_bytes);
        before = stats;
        let relay = &relays[swaps % 2];
        if flow.relay == Some(relay.number()) && flow.answered > answered + 500 {
            answered = flow.answered;
            swaps += 1;
            let next = &relays[swaps % 2];
            engine.set_peer(next.peer(next.endpoint_v4()));
        }
        swaps > 10
    });
    assert!(flow.lost <= 11 * WINDOW as u64 && flow.surplus == 0, "{flow:?}");
    assert!(flow.longest_pause < CARRIED_AGAIN, "{flow:?}");
    assert_eq!(world::device_index(), device);
}

/// As a box has them whose clock shows `wall`.
pub(crate) fn stamps(folder: &Path, wall: impl Fn() -> Duration + Send + Sync + 'static) -> Stamps {
    let (file, mark) = StampFile::open(Store::new(folder));
    Stamps::kept_by(wall, file, mark.value).expect("a thread")
}
