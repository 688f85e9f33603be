//! What the tunnel carries over a link that loses, doubles and reorders.

use crate::link::{FOUL, Link, Way};
use crate::stream::{self, Course};
use crate::world::{self, Relay, eventually};

const SEED: u64 = 20_261_126;
const LENGTH: u64 = 3 << 20;
pub(crate) const SERVERS: [&str; 2] = ["10.64.0.1", "[fd00:64::1]"];

#[test]
fn streams_both_ways_are_exact_over_a_link_that_loses_doubles_and_reorders() {
    world::enter_namespace();
    let relay = Relay::new(1);
    relay.namespace.run(stream::serve);
    let link = Link::to(relay.endpoint_v4(), SEED);
    let engine = world::start_engine();
    engine.set_peer(relay.peer(link.address()));
    eventually("an answer", || world::answer_v4() == Some(1));

    link.set(FOUL);
    let streams: Vec<_> = SERVERS
        .iter()
        .flat_map(|server| [Course::ToRelay, Course::ToBox].map(|course| (*server, course)))
        .map(|(server, course)| std::thread::spawn(move || stream::carry(server, course, LENGTH)))
        .collect();
    for stream in streams {
        stream.join().expect("every byte came, once and in order");
    }
    for way in [Way::ToRelay, Way::ToBox] {
        let tally = link.tally(way);
        let least = tally.lost.datagrams.min(tally.doubled.datagrams).min(tally.late.datagrams);
        assert!(least > 10 && tally.taken.packet_bytes > 2 * LENGTH, "{way:?}: the link was kind: {tally:?}");
    }
    eventually("what the box sent is what the link got", || {
        engine.stats().tx_bytes == link.tally(Way::ToRelay).taken.packet_bytes
    });
}
