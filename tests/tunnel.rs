//! The tunnel's engine and its prober against an independent implementation, wireguard-go, as the relay; each of them in
//! a network namespace that its test makes and that ends with it. Needs root, `ip`, nft, dnsmasq and wireguard-go.

use std::time::Duration;

use byway::tunnel::{Engine, Stamps};
use byway::watchdog::Pulses;

use crate::client::{BULK, CLIENT, Client};
use crate::stream::Course;
use crate::world::{DEVICE, OUTSIDE, Relay, eventually, within};

#[path = "tunnel/client.rs"]
mod client;
#[path = "tunnel/flood.rs"]
mod flood;
#[path = "tunnel/flow.rs"]
mod flow;
#[path = "tunnel/internet.rs"]
mod internet;
#[path = "tunnel/link.rs"]
mod link;
#[path = "tunnel/loss.rs"]
mod loss;
#[path = "tunnel/prober.rs"]
mod prober;
#[path = "tunnel/session.rs"]
mod session;
#[path = "tunnel/soak.rs"]
mod soak;
#[path = "tunnel/stream.rs"]
mod stream;
#[path = "tunnel/world.rs"]
mod world;

/// How soon a relay that is there again must carry: one retry of the handshake, with room for a busy machine.
const CARRIED_AGAIN: Duration = Duration::from_secs(8);
/// Silence after which everybody's timers have noticed.
const SILENCE: Duration = Duration::from_secs(16);

#[test]
fn carries_both_families_over_both_families() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let engine = world::start_engine();
    for endpoint in [relay.endpoint_v4(), relay.endpoint_v6()] {
        engine.set_peer(relay.peer(endpoint));
        eventually("a handshake", || engine.stats().handshake.is_some());
        eventually("an answer by IPv4", || world::answer_v4() == Some(1));
        eventually("an answer by IPv6", || world::answer_v6() == Some(1));
    }
    let stats = engine.stats();
    assert!(stats.last_received >= stats.handshake, "{stats:?}");
    assert!(stats.rx_bytes > 0 && stats.tx_bytes >= stats.rx_bytes, "{stats:?}");
    assert!(engine.healthy());
}

#[test]
fn carries_again_soon_after_a_silent_relay_returns() {
    world::enter_namespace();
    let mut relay = Relay::new(1);
    let engine = world::start_engine();
    engine.set_peer(relay.peer(relay.endpoint_v4()));
    eventually("an answer", || world::answer_v4().is_some());

    relay.stop();
    let last_heard = engine.stats().last_received.expect("it answered");
    eventually("long silence", || {
        world::answer_v4();
        world::boot_time() > last_heard + SILENCE
    });
    relay.start();
    within(CARRIED_AGAIN, "an answer", || world::answer_v4().is_some());
}

#[test]
fn finds_a_relay_that_lost_its_sessions() {
    world::enter_namespace();
    let mut relay = Relay::new(1);
    let engine = world::start_engine();
    engine.set_peer(relay.peer(relay.endpoint_v4()));
    eventually("an answer", || world::answer_v4().is_some());

    relay.stop();
    relay.start();
    within(CARRIED_AGAIN, "an answer", || world::answer_v4().is_some());
}

#[test]
fn a_kick_finds_it_at_once() {
    world::enter_namespace();
    let mut relay = Relay::new(1);
    let engine = world::start_engine();
    engine.set_peer(relay.peer(relay.endpoint_v4()));
    eventually("an answer", || world::answer_v4().is_some());

    relay.stop();
    relay.start();
    within(Duration::from_secs(4), "an answer", || {
        engine.kick();
        world::answer_v4().is_some()
    });
}

#[test]
fn carries_by_an_uplink_too_narrow_for_its_trains() {
    world::enter_namespace();
    let relay = Relay::new(1);
    relay.namespace.run(stream::serve);
    world::narrow_cable(1, 1_300);
    let engine = world::start_engine();
    for endpoint in [relay.endpoint_v4(), relay.endpoint_v6()] {
        engine.set_peer(relay.peer(endpoint));
        eventually("an answer", || world::answer_v4() == Some(1));
        for server in loss::SERVERS {
            stream::carry(server, Course::ToRelay, 1 << 20);
        }
    }
    assert_eq!(engine.stats().unsent, 0);
}

#[test]
fn swaps_the_relay_under_a_device_that_stays() {
    world::enter_namespace();
    let (first, second) = (Relay::new(1), Relay::new(2));
    let engine = world::start_engine();
    engine.set_peer(first.peer(first.endpoint_v4()));
    eventually("an answer of the first", || world::answer_v4() == Some(1));
    // A client may hear an answer before it is told.
    eventually("its handshake", || engine.stats().handshake.is_some());
    let (device, before) = (world::device_index(), engine.stats());

    engine.set_peer(second.peer(second.endpoint_v4()));
    assert_ne!(engine.stats().handshake, before.handshake);
    eventually("an answer of the second", || world::answer_v4() == Some(2));
    eventually("counters that grew", || {
        let after = engine.stats();
        after.rx_bytes > before.rx_bytes && after.tx_bytes > before.tx_bytes
    });
    assert_eq!(world::device_index(), device);
}

#[test]
fn the_device_outlives_the_engine_with_its_addresses() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let engine = world::start_engine();
    let device = world::device_index();
    drop(engine);
    assert_eq!(world::device_index(), device);

    let engine = Engine::start(DEVICE, OUTSIDE, Stamps::in_memory(), &Pulses::default())
        .expect("the device can be taken again");
    engine.set_peer(relay.peer(relay.endpoint_v4()));
    eventually("an answer", || world::answer_v4().is_some());
    assert_eq!(world::device_index(), device);
}

#[test]
fn a_device_that_somebody_else_holds_is_refused_by_name() {
    world::enter_namespace();
    let _engine = world::start_engine();
    let error =
        Engine::start(DEVICE, OUTSIDE, Stamps::in_memory(), &Pulses::default()).expect_err("it is held");
    assert!(error.to_string().contains(DEVICE), "{error}");
}

#[test]
fn makes_the_device_anew_when_somebody_deletes_it() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let engine = world::start_engine();
    engine.set_peer(relay.peer(relay.endpoint_v4()));
    eventually("an answer", || world::answer_v4().is_some());

    let deleted = world::device_index();
    world::delete_device();
    eventually("another device", || world::device_index().is_some_and(|now| Some(now) != deleted));
    eventually("health", || engine.healthy());
    world::configure_device();
    eventually("an answer", || world::answer_v4().is_some());
}

/// Without a clamp, in packets that each stand for many: whose pieces are too big gets an error, and they go nowhere.
#[test]
fn whoever_sends_pieces_that_do_not_fit_learns_the_size_that_does() {
    world::enter_namespace();
    let relay = Relay::new(1);
    relay.serve_bulk();
    let engine = world::start_engine();
    world::narrow_device(1300);
    let client = Client::new();
    engine.set_peer(relay.peer(relay.endpoint_v4()));
    eventually("an answer", || world::answer_v4().is_some());

    for address in client::inside() {
        assert_eq!((client.mtu_to(address), client.upload(address)), (None, BULK), "to {address}");
        assert_eq!(client.mtu_to(address), Some(1300), "of the way to {address}");
    }
    let packets = client::packets_from_client();
    assert!(packets < BULK / 1300, "{packets} packets: each stood for one");
    world::narrow_client(1280);
    for (address, client_s) in client::inside().into_iter().zip(CLIENT) {
        assert_eq!((relay.mtu_to(client_s), client.download(address)), (None, BULK), "from {address}");
        assert_eq!(relay.mtu_to(client_s), Some(1280), "of the way to {client_s}");
    }
}

#[test]
fn sends_only_with_its_mark_and_survives_a_firewall_that_refuses_it() {
    world::enter_namespace();
    let relay = Relay::new(1);
    world::refuse_mark();
    let engine = world::start_engine();
    engine.set_peer(relay.peer(relay.endpoint_v4()));
    eventually("two refusals", || engine.stats().unsent >= 2);
    assert!(engine.healthy() && engine.stats().handshake.is_none());

    world::allow_mark();
    within(CARRIED_AGAIN, "an answer", || world::answer_v4().is_some());
}
