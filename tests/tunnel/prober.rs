//! Relays proven in memory, and every obstacle that keeps one from being proven: against wireguard-go, a resolver and a
//! check host behind it, on the real kernel's way there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use byway::clock::Servers;
use byway::proof::ExitCheck;
use byway::tls::Trust;
use byway::tunnel::{Line, Peer, Prober, Stamps};
use byway_core::Expect;
use byway_core::relays::{Obstacle, Proof, Verdict};
use byway_core::uplink::Offers;
use tokio::sync::watch;

use crate::internet::{self, CHECK, Internet, Manner};
use crate::session;
use crate::world::{self, INSIDE_V4, INSIDE_V6, Relay, eventually, ip};

const MTU: u16 = 1_380;
/// What sealing adds to a UDP datagram, its header included, to a packet of at least 1280 bytes.
const SEALED: u16 = 8 + 32;
/// No attempt takes longer; with room for a busy machine.
const AT_MOST: Duration = Duration::from_secs(10);
const OURS: [&str; 2] = ["10.64.0.2", "fd00:64::2"];

#[test]
fn proves_a_relay_by_both_families() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let internet = Internet::behind(&relay, Manner::Honest);
    let prober = TestProber::new(&internet.trust);
    for endpoint in [relay.endpoint_v4(), relay.endpoint_v6()] {
        let proof = prober.prove(relay.peer(endpoint)).expect("it can be proven");
        assert_eq!(seen_as(&proof), addresses(&OURS), "{proof:?}");
        assert!(proof.exits.iter().all(|exit| exit.mullvad == Some(true)), "{proof:?}");
        assert_eq!(proof.mtu, MTU);
        let round_trip = proof.round_trip.expect("the gateway answers");
        assert!(proof.handshake + round_trip < proof.took && proof.took < AT_MOST, "{proof:?}");
        eventually("that nobody waits for us", || relay.namespace.run(world::open_connections) == 0);
    }
}

#[test]
fn proves_a_relay_without_a_gateway_by_the_exit_check_alone() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let internet = Internet::behind(&relay, Manner::Honest);
    mute_pings(&relay);
    let prober = TestProber { expect: Expect::Any, ..TestProber::new(&internet.trust) };
    let proof = prober.prove(relay.peer(relay.endpoint_v4())).expect("it can be proven");
    assert_eq!((proof.round_trip, proof.mtu), (None, MTU));
    assert_eq!(seen_as(&proof), addresses(&OURS));
}

#[test]
fn asks_only_in_the_families_that_it_has() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let internet = Internet::behind(&relay, Manner::Honest);
    let prober = TestProber { ours: addresses(&OURS[..1]), ..TestProber::new(&internet.trust) };
    let proof = prober.prove(relay.peer(relay.endpoint_v4())).expect("it can be proven");
    assert_eq!(seen_as(&proof), addresses(&OURS[..1]));
}

/// On the wire, both ways, with all headers.
#[test]
#[expect(clippy::print_stdout, reason = "what was measured is for people")]
fn a_proof_costs_no_more_than_it_must() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let internet = Internet::behind(&relay, Manner::Honest);
    let prober = TestProber::new(&internet.trust);
    for turn in ["first", "second"] {
        let before = world::carried_by_cable(1);
        let proof = prober.prove(relay.peer(relay.endpoint_v4())).expect("it can be proven");
        let (bytes, packets) = world::carried_by_cable(1);
        let (bytes, packets) = (bytes - before.0, packets - before.1);
        println!("the {turn} proof: {bytes} bytes in {packets} packets, {proof:?}");
        assert!(bytes > 5_000 && bytes < 40_000, "{bytes} bytes in {packets} packets");
    }
}

#[test]
fn succeeds_mostly_where_every_fifth_datagram_is_lost() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let internet = Internet::behind(&relay, Manner::Honest);
    let prober = TestProber::new(&internet.trust);
    filter(&relay, "numgen random mod 100 < 20 drop", "numgen random mod 100 < 20 drop");
    let verdicts: Vec<_> = (0..8).map(|_| prober.prove(relay.peer(relay.endpoint_v4()))).collect();
    let proven = verdicts.iter().filter(|verdict| verdict.is_ok()).count();
    assert!(2 * proven >= verdicts.len(), "{verdicts:#?}");
}

#[test]
fn a_relay_of_another_key_is_silent_but_its_machine_is_there() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let prober = TestProber::new(&internet::certificates().0);
    let peers = [relay.endpoint_v4(), relay.endpoint_v6()].map(|endpoint| relay.peer_of(2, endpoint));
    prober.assert_each(peers, &Err(Obstacle::Silence { machine: true, udp: false }));
}

#[test]
fn so_is_one_whose_datagrams_are_lost() {
    world::enter_namespace();
    let relay = Relay::new(1);
    filter(&relay, "drop", "accept");
    let verdict = TestProber::new(&internet::certificates().0).prove(relay.peer(relay.endpoint_v4()));
    assert_eq!(verdict, Err(Obstacle::Silence { machine: true, udp: false }));
}

/// By UDP, as the relay would be asked.
#[test]
fn that_somebody_else_is_heard_is_told() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let prober =
        TestProber { time_server: relay.endpoint_v4().ip(), ..TestProber::new(&internet::certificates().0) };
    let peer = relay.peer_of(2, relay.endpoint_v4());
    assert_eq!(prober.prove(peer.clone()), Err(Obstacle::Silence { machine: true, udp: false }));
    relay.tells_the_time();
    assert_eq!(prober.prove(peer), Err(Obstacle::Silence { machine: true, udp: true }));
}

#[test]
fn where_no_machine_is_nothing_answers() {
    world::enter_namespace();
    let relay = Relay::new(1);
    ip("route add 198.51.100.0/24 dev cable1");
    ip("route add 2001:db8:51::/48 dev cable1");
    let prober = TestProber::new(&internet::certificates().0);
    let nobodys = ["198.51.100.7:51820", "[2001:db8:51::7]:51820"];
    let peers = nobodys.map(|endpoint| relay.peer(endpoint.parse().expect("an address")));
    prober.assert_each(peers, &Err(Obstacle::Silence { machine: false, udp: false }));
}

#[test]
fn a_closed_port_refuses() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let prober = TestProber::new(&internet::certificates().0);
    let closed = [relay.endpoint_v4(), relay.endpoint_v6()].map(|open| SocketAddr::new(open.ip(), 51_999));
    prober.assert_each(closed.map(|endpoint| relay.peer(endpoint)), &Err(Obstacle::Refused));
}

/// Anybody can forge one.
#[test]
fn a_refusal_ends_no_attempt() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let internet = Internet::behind(&relay, Manner::Honest);
    let prober = TestProber::new(&internet.trust);
    let peer = relay.peer(SocketAddr::new(relay.endpoint_v4().ip(), 51_999));
    let verdict = std::thread::scope(|scope| {
        scope.spawn(|| {
            eventually("a refusal", || relay.namespace.run(world::refusals_sent) > 0);
            relay.listen_at(51_999);
        });
        prober.prove(peer)
    });
    assert!(verdict.is_ok(), "{verdict:?}");
}

#[test]
fn what_the_kernel_refuses_is_told_in_its_words() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let prober = TestProber::new(&internet::certificates().0);
    let peer = relay.peer(relay.endpoint_v4());
    assert_unsent(&prober.prove_by("", peer.clone()), "no interface");
    assert_unsent(&prober.prove_by("no-such", peer.clone()), "No such device");
    // Without a route, IPv4 takes everybody for a neighbour of a socket that is bound to a device.
    let nowhere = relay.peer("[2001:db8:99::9]:51820".parse().expect("an address"));
    assert_unsent(&prober.prove(nowhere), "unreachable");
    world::nft(
        "table inet shut { chain out { type filter hook output priority 0; meta mark 0x05000000 drop; }; }",
    );
    assert_unsent(&prober.prove(peer), "not permitted");
}

#[test]
fn no_handshake_is_made_by_a_clock_that_cannot_be_right() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let folder = tempfile::tempdir().expect("a folder");
    let stamps = session::stamps(folder.path(), || byway::clock::wall() + 50 * session::YEAR);
    let prober = TestProber { stamps: Arc::new(stamps), ..TestProber::new(&internet::certificates().0) };
    assert_eq!(prober.prove(relay.peer(relay.endpoint_v4())), Err(Obstacle::Clock));
}

#[test]
fn a_gateway_that_does_not_answer_is_told_apart() {
    world::enter_namespace();
    let relay = Relay::new(1);
    mute_pings(&relay);
    let verdict = TestProber::new(&internet::certificates().0).prove(relay.peer(relay.endpoint_v4()));
    assert_eq!(verdict, Err(Obstacle::Gateway));
}

#[test]
fn finds_what_fits_through_a_hole_in_either_direction() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let internet = Internet::behind(&relay, Manner::Honest);
    let prober = TestProber::new(&internet.trust);
    // The relay pads its answers up to a multiple of 16.
    for (longest, found) in [(1_379, 1_360), (1_330, 1_320), (1_299, 1_280)] {
        let too_long = format!("udp length > {} drop", longest + SEALED);
        for (inwards, outwards) in [(too_long.as_str(), "accept"), ("accept", too_long.as_str())] {
            filter(&relay, inwards, outwards);
            let proof = prober.prove(relay.peer(relay.endpoint_v4()));
            assert_eq!(proof.as_ref().map(|proof| proof.mtu), Ok(found), "{too_long}: {proof:?}");
        }
    }
    let too_long = format!("udp length > {} drop", 1_200 + SEALED);
    filter(&relay, &too_long, "accept");
    assert_eq!(prober.prove(relay.peer(relay.endpoint_v4())), Err(Obstacle::Narrow(1_152)));
}

/// Where pieces of a datagram pass, nothing is too long.
#[test]
fn a_narrow_uplink_cuts_datagrams_into_pieces() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let internet = Internet::behind(&relay, Manner::Honest);
    let prober = TestProber::new(&internet.trust);
    world::narrow_cable(1, 1_300);
    relay.narrow_cable(1_300);
    for endpoint in [relay.endpoint_v4(), relay.endpoint_v6()] {
        let proof = prober.prove(relay.peer(endpoint));
        assert_eq!(proof.as_ref().map(|proof| proof.mtu), Ok(MTU), "{proof:?}");
    }
}

#[test]
fn a_check_host_that_never_answers_is_told_in_time() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let internet = Internet::behind(&relay, Manner::Silent);
    let verdict = TestProber::new(&internet.trust).prove(relay.peer(relay.endpoint_v4()));
    assert_no_exit_check(&verdict, "no answer from the check host within");
}

#[test]
fn a_check_host_that_a_stranger_vouches_for_is_not_believed() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let _internet = Internet::behind(&relay, Manner::Honest);
    let verdict = TestProber::new(&internet::certificates().0).prove(relay.peer(relay.endpoint_v4()));
    assert_no_exit_check(&verdict, "no safe connection to the check host");
}

#[test]
fn a_name_that_no_resolver_knows_is_told() {
    world::enter_namespace();
    let relay = Relay::new(1);
    let internet = Internet::behind(&relay, Manner::Honest);
    let prober = TestProber::asking("nowhere.example.net", &internet.trust);
    assert_no_exit_check(
        &prober.prove(relay.peer(relay.endpoint_v4())),
        "no address for nowhere.example.net",
    );
    let prober = TestProber::new(&internet.trust);
    drop(internet);
    assert_no_exit_check(&prober.prove(relay.peer(relay.endpoint_v4())), "no name server answers");
}

/// What a prober is made of, and asked with.
struct TestProber {
    check: Arc<ExitCheck>,
    stamps: Arc<Stamps>,
    expect: Expect,
    ours: Vec<IpAddr>,
    /// Asked whether UDP is answered at all.
    time_server: IpAddr,
}

impl TestProber {
    fn new(trust: &Trust) -> TestProber {
        TestProber::asking(CHECK, trust)
    }

    fn asking(host: &str, trust: &Trust) -> TestProber {
        let url = format!("https://{host}/json").parse().expect("a URL");
        TestProber {
            check: Arc::new(ExitCheck::new(url, trust)),
            stamps: Arc::new(Stamps::in_memory()),
            expect: Expect::Mullvad,
            ours: addresses(&OURS),
            time_server: Ipv4Addr::LOCALHOST.into(),
        }
    }

    fn prove(&self, peer: Peer) -> Verdict {
        self.prove_by("cable1", peer)
    }

    /// All at once: nobody answers any.
    fn assert_each<const N: usize>(&self, peers: [Peer; N], expected: &Verdict) {
        std::thread::scope(|scope| {
            for peer in peers {
                scope.spawn(move || {
                    let endpoint = peer.endpoint;
                    assert_eq!(self.prove(peer), *expected, "{endpoint}");
                });
            }
        });
    }

    /// As the agent runs it: in a task of its own.
    #[expect(clippy::unwrap_in_result, reason = "a world that cannot be made is no verdict")]
    fn prove_by(&self, device: &str, peer: Peer) -> Verdict {
        let (_uplink, uplink) = watch::channel(device.to_owned());
        let (_offers, offers) = watch::channel(Offers::default());
        let servers = Servers::new(&[self.time_server], offers);
        let (check, stamps) = (Arc::clone(&self.check), Arc::clone(&self.stamps));
        let prober = Prober::new(check, self.expect, stamps, uplink, servers);
        // The first of them is nobody's.
        let resolvers = addresses(&["10.64.0.9", INSIDE_V4, INSIDE_V6]);
        let line = Line { peer, addresses: self.ours.clone(), resolvers, mtu: MTU };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let begun = Instant::now();
        let verdict =
            runtime.block_on(async { tokio::spawn(async move { Box::pin(prober.prove(line)).await }).await });
        assert!(begun.elapsed() < AT_MOST, "{:?}: {verdict:?}", begun.elapsed());
        verdict.expect("no panic")
    }
}

/// In place of what was done before to the relay's datagrams.
fn filter(relay: &Relay, inwards: &str, outwards: &str) {
    let rules = format!(
        "table inet hole; delete table inet hole; table inet hole {{
            chain in {{ type filter hook input priority 0; udp dport 51820 {inwards}; }}
            chain out {{ type filter hook output priority 0; udp sport 51820 {outwards}; }}
        }}"
    );
    relay.namespace.run(move || world::nft(&rules));
}

/// Of the gateway: those of the machine are answered.
fn mute_pings(relay: &Relay) {
    let rules = "table inet mute { chain in { type filter hook input priority 0; ip daddr 10.64.0.1 icmp type echo-request drop; }; }";
    relay.namespace.run(move || world::nft(rules));
}

fn seen_as(proof: &Proof) -> Vec<IpAddr> {
    proof.exits.iter().map(|exit| exit.address).collect()
}

fn addresses(words: &[&str]) -> Vec<IpAddr> {
    words.iter().map(|word| word.parse().expect("an address")).collect()
}

fn assert_unsent(verdict: &Verdict, word: &str) {
    assert!(matches!(verdict, Err(Obstacle::Unsent(why)) if why.contains(word)), "{word}: {verdict:?}");
}

fn assert_no_exit_check(verdict: &Verdict, words: &str) {
    assert!(
        matches!(verdict, Err(Obstacle::ExitCheck(why)) if why.starts_with(words)),
        "{words}: {verdict:?}"
    );
}
