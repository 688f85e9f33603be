//! A session against boringtun as the relay, in memory, at made-up times.

use std::net::{IpAddr, Ipv4Addr};

use super::*;

mod hours;
use crate::tunnel::{PublicKey, StaticSecret};

const START: Duration = Duration::from_secs(1_000);
const SECOND: Duration = Duration::from_secs(1);
const BOX: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 129));

#[test]
fn carries_packets_both_ways_after_a_handshake() {
    let (mut session, mut relay) = connected();
    let out = &mut [0; 2_048];

    let datagram = session.seal(START, &packet(7), out).to_vec();
    session.on_sent(START, Train::single(&datagram));
    assert_eq!(relay.open(&datagram), packet(7));
    assert_eq!((session.stats().tx_bytes, session.stats().unanswered), (32, Some(START)));

    let datagram = relay.seal(&packet(9));
    assert_eq!(session.open(START + SECOND, relay_end(), &datagram, out), Opened::Packet(&mut packet(9)));
    session.on_delivered(packet(9).len() as u64);

    let stats = session.stats();
    assert_eq!((stats.handshake, stats.last_received), (Some(START), Some(START + SECOND)));
    assert_eq!((stats.rx_bytes, stats.unanswered), (29, None));
}

#[test]
fn pads_short_packets_and_no_packet_beyond_the_narrowest_tunnel() {
    let (mut session, mut relay) = connected();
    let out = &mut [0xff; 2_048];
    for (length, sealed) in [(20, 32), (32, 32), (33, 48), (1_265, 1_280), (1_280, 1_280), (1_281, 1_281)] {
        let mut packet = vec![0x55; length];
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        let datagram = session.seal(START, &packet, out);
        assert_eq!(datagram.len(), sealed + OVERHEAD);
        assert_eq!(relay.open(datagram), packet);
    }
}

#[test]
fn sends_what_waited_for_the_session() {
    let (mut session, mut relay) = strangers();
    let out = &mut [0; 2_048];
    let initiation = session.seal(START, &packet(7), out).to_vec();
    assert_eq!(kind(&initiation), Some(Kind::Initiation));
    shake(&mut session, &mut relay, &initiation);

    let datagram = session.waiting(START, out).to_vec();
    assert_eq!(relay.open(&datagram), packet(7));
    assert!(session.waiting(START, out).is_empty());
}

#[test]
fn counts_a_handshake_of_the_relay_once_the_relay_uses_it() {
    let (mut session, mut relay) = connected();
    let later = START + 60 * SECOND;
    let initiation = relay.initiation();
    let out = &mut [0; 2_048];
    let Opened::Answer(response) = session.open(later, relay_end(), &initiation, out) else {
        panic!("no answer")
    };
    let first_use = relay.answer(response);
    assert_eq!(session.stats().handshake, Some(START));

    assert_eq!(session.open(later + SECOND, relay_end(), &first_use, out), Opened::Nothing);
    assert_eq!(session.stats().handshake, Some(later));
}

#[test]
fn hears_nobody_but_the_relay() {
    let (mut session, mut relay) = connected();
    let (mut other, _) = strangers();
    let out = &mut [0; 2_048];
    let mut forged = relay.seal(&packet(7));
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let replayed = relay.seal(&packet(8));
    assert_eq!(session.open(START, relay_end(), &replayed, out), Opened::Packet(&mut packet(8)));

    let stranger = other.initiate(START, &mut [0; 2_048]).to_vec();
    for datagram in [&[][..], &[4], &forged, &replayed, &stranger, &[0xff; 1_500]] {
        assert_eq!(session.open(START + SECOND, relay_end(), datagram, out), Opened::Nothing);
    }
    assert_eq!(session.stats().last_received, Some(START));
}

#[test]
fn follows_the_relay_and_nobody_else() {
    let (mut session, mut relay) = connected();
    let out = &mut [0; 2_048];
    assert_eq!(session.endpoint(), relay_end());
    for moved in ["198.51.100.9:4500", "[2001:db8::9]:51820"].map(|end| end.parse().unwrap()) {
        let datagram = relay.seal(&packet(7));
        let mut forged = datagram.clone();
        forged[20] ^= 1;
        session.open(START, elsewhere(), &forged, out);
        session.open(START, moved, &datagram, out);
        session.open(START, elsewhere(), &datagram, out);
        assert_eq!(session.endpoint(), moved);
    }
    let moved = "203.0.113.5:1".parse().unwrap();
    session.open(START, moved, &relay.initiation(), out);
    assert_eq!(session.endpoint(), moved);
}

#[test]
fn takes_the_cookie_of_a_relay_under_load() {
    let (mut session, mut relay) = strangers();
    load(&mut relay.0, 2);
    let out = &mut [0; 2_048];
    let refused = session.initiate(START, out).to_vec();
    let cookie = relay.answer(&refused);
    assert_eq!(kind(&cookie), Some(Kind::Cookie));
    assert_eq!(session.open(START, relay_end(), &cookie, out), Opened::Nothing);
    assert_eq!(session.stats(), Stats::default());

    let again = session.initiate(START, out).to_vec();
    shake(&mut session, &mut relay, &again);
    assert_eq!(session.stats().handshake, Some(START));
}

#[test]
fn gives_a_cookie_to_its_relay_alone() {
    let (mut session, mut relay) = connected();
    load(session.machine.as_mut().unwrap(), 1);
    let before = session.stats();
    let (initiation, later, out) = (relay.initiation(), START + SECOND, &mut [0; 2_048]);
    assert_eq!(session.open(later, elsewhere(), &initiation, out), Opened::Nothing);
    let Opened::Answer(cookie) = session.open(later, relay_end(), &initiation, out) else { panic!("silent") };
    assert_eq!(kind(cookie), Some(Kind::Cookie));
    assert!(relay.open(cookie).is_empty());
    assert_eq!(session.stats(), before);

    let again = relay.initiation();
    let Opened::Answer(response) = session.open(later, relay_end(), &again, out) else { panic!("silent") };
    assert_eq!(kind(response), Some(Kind::Response));
}

#[test]
fn tries_for_ever_every_five_seconds_while_nobody_answers() {
    let (mut session, _) = strangers();
    let initiated = session.initiate(START, &mut [0; 2_048]).len();
    assert_eq!(initiated, CONTROL_ROOM);
    let tries = initiations(&mut session, START, 600 * SECOND);
    assert!(tries.len() >= 112, "{}", tries.len());
    let pauses: Vec<Duration> = tries.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    assert!(pauses.iter().all(|pause| *pause < RETRY_AFTER + SECOND), "{pauses:?}");
    // Giving up, after 90 s each time, cuts a pause short.
    assert!(pauses.iter().filter(|pause| **pause < RETRY_AFTER).count() <= 6, "{pauses:?}");
}

#[test]
fn renews_a_session_that_only_keepalives_use() {
    let (mut session, _) = connected();
    let tries = initiations(&mut session, START, REKEY_AFTER);
    assert_eq!(tries, [START + REKEY_AFTER]);
}

#[test]
fn tries_again_soon_and_then_ever_more_slowly() {
    let (mut session, _) = connected();
    let tries = initiations(&mut session, START, REKEY_AFTER + 30 * SECOND);
    let pauses: Vec<Duration> = tries.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    let least = [FIRST_RETRY_AFTER, 2 * FIRST_RETRY_AFTER, 4 * FIRST_RETRY_AFTER, 8 * FIRST_RETRY_AFTER];
    for (pause, least) in pauses.iter().zip(least.into_iter().chain([RETRY_AFTER; 9])) {
        assert!((least..least + SECOND).contains(pause), "{pauses:?}");
    }
    assert!(pauses.len() > 6, "{pauses:?}");
}

#[test]
fn asks_for_a_new_session_when_data_stays_unanswered() {
    let (mut session, _) = connected();
    let sent = START + 30 * SECOND;
    let datagram = session.seal(sent, &packet(7), &mut [0; 2_048]).to_vec();
    session.on_sent(sent, Train::single(&datagram));
    assert_eq!(initiations(&mut session, sent, UNANSWERED_AFTER), [sent + UNANSWERED_AFTER]);
}

#[test]
fn leaves_a_session_alone_whose_data_is_answered() {
    let (mut session, mut relay) = connected();
    let datagram = session.seal(START, &packet(7), &mut [0; 2_048]).to_vec();
    session.on_sent(START, Train::single(&datagram));
    session.open(START + SECOND, relay_end(), &relay.seal(&packet(9)), &mut [0; 2_048]);
    assert!(initiations(&mut session, START, 60 * SECOND).is_empty());
}

#[test]
fn honours_one_kick_a_second() {
    let (mut session, _) = connected();
    let out = &mut [0; 2_048];
    let later = START + 10 * SECOND;
    assert_eq!(kind(session.kick(later, out)), Some(Kind::Initiation));
    assert!(session.kick(later + SECOND / 2, out).is_empty());
    assert_eq!(kind(session.kick(later + SECOND, out)), Some(Kind::Initiation));
}

#[test]
fn goes_on_counting_with_another_peer_but_forgets_the_old_ones_handshake() {
    let before = Stats { handshake: Some(START), rx_bytes: 5, tx_bytes: 6, ..Stats::default() };
    let session = Session::new(START, peer(1, 2), before, stamps());
    assert_eq!(session.stats(), Stats { rx_bytes: 5, tx_bytes: 6, ..Stats::default() });
}

/// When a session makes initiations, asked every quarter of a second from `from` on.
fn initiations(session: &mut Session, from: Duration, span: Duration) -> Vec<Duration> {
    let out = &mut [0; 2_048];
    let step = SECOND / 4;
    let mut made = Vec::new();
    for now in (1..=span.as_millis() / step.as_millis()).map(|n| from + step * u32::try_from(n).unwrap()) {
        if kind(session.tick(now, out)) == Some(Kind::Initiation) {
            made.push(now);
        }
    }
    made
}

fn connected() -> (Session, Relay) {
    let (mut session, mut relay) = strangers();
    let initiation = session.initiate(START, &mut [0; 2_048]).to_vec();
    shake(&mut session, &mut relay, &initiation);
    (session, relay)
}

fn shake(session: &mut Session, relay: &mut Relay, initiation: &[u8]) {
    let out = &mut [0; 2_048];
    let response = relay.answer(initiation);
    let Opened::Answer(keepalive) = session.open(START, relay_end(), &response, out) else {
        panic!("no handshake")
    };
    assert!(relay.open(keepalive).is_empty());
}

fn strangers() -> (Session, Relay) {
    (Session::new(START, peer(1, 2), Stats::default(), stamps()), Relay::new(0))
}

fn peer(ours: u8, theirs: u8) -> Peer {
    Peer {
        private_key: StaticSecret::from([ours; 32]),
        public_key: PublicKey::from(&StaticSecret::from([theirs; 32])),
        preshared_key: Some([3; 32]),
        endpoint: relay_end(),
        keepalive_s: 0,
    }
}

fn relay_end() -> SocketAddr {
    "192.0.2.130:51820".parse().unwrap()
}

/// An IPv4 packet without a meaning, of 20 bytes and `extra`.
fn packet(extra: u8) -> Vec<u8> {
    let mut packet = vec![0; 20 + usize::from(extra)];
    packet[0] = 0x45;
    packet[3] = 20 + extra;
    packet
}

fn stamps() -> Arc<Stamps> {
    Arc::new(Stamps::in_memory())
}

fn elsewhere() -> SocketAddr {
    "198.51.100.66:51820".parse().unwrap()
}

/// More handshakes than a machine looks at in a second, by somebody who knows no more than its public key.
fn load(machine: &mut Machine, key: u8) {
    let mut nobody = fresh_machine(START, &peer(99, key), stamps().begin(START)).unwrap();
    let flood = datagram(nobody.at(START).format_handshake_initiation(&mut [0; 2_048], true));
    for _ in 0..20 {
        machine.at(START).decapsulate(None, &flood, &mut [0; 2_048]);
    }
}

struct Relay(Machine);

impl Relay {
    fn new(keepalive_s: u16) -> Relay {
        let peer = Peer { keepalive_s, ..peer(2, 1) };
        Relay(fresh_machine(START, &peer, stamps().begin(START)).unwrap())
    }

    fn initiation(&mut self) -> Vec<u8> {
        datagram(self.0.at(START).format_handshake_initiation(&mut [0; 2_048], true))
    }

    fn answer(&mut self, message: &[u8]) -> Vec<u8> {
        datagram(self.0.at(START).decapsulate(Some(BOX), message, &mut [0; 2_048]))
    }

    fn seal(&mut self, packet: &[u8]) -> Vec<u8> {
        datagram(self.0.at(START).encapsulate(packet, &mut [0; 2_048]))
    }

    /// Empty for a keepalive.
    fn open(&mut self, message: &[u8]) -> Vec<u8> {
        match self.0.at(START).decapsulate(None, message, &mut [0; 2_048]) {
            TunnResult::WriteToTunnelV4(packet, _) => packet.to_vec(),
            TunnResult::Done => Vec::new(),
            TunnResult::Err(error) => panic!("the relay cannot open it: {error:?}"),
            TunnResult::WriteToNetwork(_) | TunnResult::WriteToTunnelV6(..) => panic!("not what was sealed"),
        }
    }
}

fn datagram(result: TunnResult<'_>) -> Vec<u8> {
    let TunnResult::WriteToNetwork(datagram) = result else { panic!("nothing to send: {result:?}") };
    datagram.to_vec()
}
