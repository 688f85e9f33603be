//! Hours of a session in seconds: both ends by one made-up clock, with a cable between them that may be cut.

use std::collections::VecDeque;

use super::*;

const TICK: Duration = Duration::from_millis(250);
const MILLISECOND: Duration = Duration::from_millis(1);

#[test]
fn renews_its_session_under_load_and_loses_nothing() {
    let mut world = World::new(0);
    let mut made = Vec::from([START]);
    for number in 0..20 * 60 * 1_000 {
        assert!(world.carries(number), "packet {number} after {made:?}");
        let handshake = world.session.stats().handshake.unwrap();
        if !made.contains(&handshake) {
            made.push(handshake);
        }
    }
    let pauses: Vec<Duration> = made.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    assert_eq!(pauses.len(), 10, "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause >= REKEY_AFTER && *pause < REKEY_AFTER + SECOND), "{pauses:?}");
}

/// A client's uploads fill the line; what it downloads meanwhile is heard all the time.
#[test]
fn renews_its_session_where_an_answer_takes_seconds() {
    for seconds in [2, 3, 6] {
        let mut world = World::new(0);
        let mut on_the_way = VecDeque::new();
        let renewed = (0..4 * 200).map(|number| {
            world.now += TICK;
            let datagram = world.session.tick(world.now, &mut [0; 2_048]).to_vec();
            if kind(&datagram) == Some(Kind::Initiation) {
                on_the_way.push_back((world.now + seconds * SECOND, datagram));
            }
            while let Some((_, initiation)) = on_the_way.pop_front_if(|(due, _)| *due <= world.now) {
                world.to_relay(&initiation);
            }
            assert!(world.comes_back(number));
            world.session.stats().handshake.unwrap().saturating_sub(START)
        });
        let last = renewed.last().unwrap();
        assert!(last > REKEY_AFTER, "{seconds} s: the last session was made after {last:?}");
    }
}

#[test]
fn answers_a_relay_that_renews_the_session_and_loses_nothing() {
    let mut world = World::new(0);
    for number in 0..5 * 60 * 1_000 {
        if number % 30_000 == 0 {
            world.relay_initiates();
        }
        assert!(world.carries(number), "packet {number}");
        if number % 30_000 == 1_000 {
            let made = world.session.stats().handshake.unwrap();
            assert_eq!(world.now.saturating_sub(made), SECOND + MILLISECOND);
        }
    }
    assert_eq!(world.initiations, 1);
}

#[test]
fn carries_soon_after_a_cable_that_was_cut_for_longer_than_the_protocol_tries() {
    for cut in [95 * SECOND, 30 * 60 * SECOND] {
        let mut world = World::new(25);
        assert!((0..1_000).all(|number| world.carries(number)));
        world.cut = true;
        let again = world.now + cut;
        while world.now < again {
            assert!(!world.carries(1_000));
        }
        world.cut = false;
        let late = (0..60_000).position(|number| world.carries(number)).unwrap();
        assert!(late <= 6_000, "{late} ms");
    }
}

#[test]
fn finds_a_relay_that_lost_its_session() {
    let mut world = World::new(0);
    assert!((0..1_000).all(|number| world.carries(number)));
    world.relay = Relay::new(0).0;
    let late = (0..60_000).position(|number| world.carries(number)).unwrap();
    assert!(late <= 5_500, "{late} ms");
}

#[test]
fn keeps_an_idle_session_alive() {
    let mut world = World::new(25);
    let idle = 3_600 * SECOND;
    world.passes(idle);
    let keepalives = world.keepalives;
    assert!((144..=180).contains(&keepalives), "{keepalives}");
    assert!((30..=31).contains(&world.initiations), "{}", world.initiations);
    assert!(world.carries(0));
}

#[test]
fn tells_a_relay_that_only_it_speaks_that_it_is_heard() {
    let mut world = World::new(0);
    world.passes(20 * SECOND);
    let before = world.keepalives;
    assert!(world.comes_back(7));
    world.passes(11 * SECOND);
    assert_eq!(world.keepalives, before + 1);
    world.passes(60 * SECOND);
    assert_eq!(world.keepalives, before + 1);
}

struct World {
    now: Duration,
    session: Session,
    relay: Machine,
    cut: bool,
    ticked: Duration,
    /// What the relay saw of the box, beside packets.
    initiations: u32,
    keepalives: u32,
    /// The last packet that came through, either way.
    out: Option<Vec<u8>>,
    back: Option<Vec<u8>>,
}

impl World {
    /// With a first handshake made.
    fn new(keepalive_s: u16) -> World {
        let peer = Peer { keepalive_s, ..peer(1, 2) };
        let mut world = World {
            now: START,
            session: Session::new(START, peer, Stats::default(), stamps()),
            relay: Relay::new(0).0,
            cut: false,
            ticked: START,
            initiations: 0,
            keepalives: 0,
            out: None,
            back: None,
        };
        let initiation = world.session.initiate(START, &mut [0; 2_048]).to_vec();
        world.to_relay(&initiation);
        assert!(world.session.stats().handshake.is_some());
        world
    }

    /// A packet each way in the next millisecond; whether both came through.
    fn carries(&mut self, number: u32) -> bool {
        self.passes(MILLISECOND);
        self.goes_out(number) & self.comes_back(number)
    }

    fn goes_out(&mut self, number: u32) -> bool {
        self.out = None;
        let datagram = self.session.seal(self.now, &numbered(number), &mut [0; 2_048]).to_vec();
        self.to_relay(&datagram);
        self.out == Some(numbered(number))
    }

    fn comes_back(&mut self, number: u32) -> bool {
        self.back = None;
        let out = &mut [0; 2_048];
        let made = written(self.relay.at(self.now).encapsulate(&numbered(number), out)).unwrap();
        self.to_session(&out[..made]);
        self.back == Some(numbered(number))
    }

    fn relay_initiates(&mut self) {
        let out = &mut [0; 2_048];
        let made = written(self.relay.at(self.now).format_handshake_initiation(out, true)).unwrap();
        self.to_session(&out[..made]);
    }

    fn passes(&mut self, span: Duration) {
        let end = self.now + span;
        while self.ticked + TICK <= end {
            self.ticked += TICK;
            self.now = self.ticked;
            let out = &mut [0; 2_048];
            let datagram = self.session.tick(self.now, out).to_vec();
            self.to_relay(&datagram);
            let made = written(self.relay.at(self.now).update_timers(out)).unwrap_or(0);
            self.to_session(&out[..made]);
        }
        self.now = end;
    }

    fn to_relay(&mut self, datagram: &[u8]) {
        if datagram.is_empty() {
            return;
        }
        self.session.on_sent(self.now, Train::single(datagram));
        if self.cut {
            return;
        }
        self.initiations += u32::from(kind(datagram) == Some(Kind::Initiation));
        self.keepalives += u32::from(kind(datagram) == Some(Kind::Data) && datagram.len() == OVERHEAD);
        let out = &mut [0; 2_048];
        match self.relay.at(self.now).decapsulate(Some(BOX), datagram, out) {
            TunnResult::WriteToNetwork(answer) => {
                let answer = answer.to_vec();
                self.to_session(&answer);
                self.flush_relay();
            }
            TunnResult::WriteToTunnelV4(packet, _) => self.out = Some(packet.to_vec()),
            TunnResult::Done | TunnResult::Err(_) | TunnResult::WriteToTunnelV6(..) => {}
        }
    }

    fn flush_relay(&mut self) {
        let out = &mut [0; 2_048];
        while let Ok(made @ 1..) = written(self.relay.at(self.now).decapsulate(None, &[], out)) {
            self.to_session(&out[..made]);
        }
    }

    fn to_session(&mut self, datagram: &[u8]) {
        if datagram.is_empty() || self.cut {
            return;
        }
        let out = &mut [0; 2_048];
        match self.session.open(self.now, relay_end(), datagram, out) {
            Opened::Packet(packet) => self.back = Some(packet.to_vec()),
            Opened::Answer(answer) => {
                let answer = answer.to_vec();
                self.to_relay(&answer);
                self.flush_session();
            }
            Opened::Nothing => {}
        }
    }

    fn flush_session(&mut self) {
        loop {
            let datagram = self.session.waiting(self.now, &mut [0; 2_048]).to_vec();
            if datagram.is_empty() {
                return;
            }
            self.to_relay(&datagram);
        }
    }
}

fn numbered(number: u32) -> Vec<u8> {
    let mut packet = packet(12);
    packet[20..24].copy_from_slice(&number.to_be_bytes());
    packet
}
