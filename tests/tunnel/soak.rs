//! Ten minutes of everything at once: full load over a link whose weather changes, rekeys, kicks, swaps of the relay.
//! Every stream is exact, the counters add up, memory is flat, and nothing but the tunnel is on the cable.
#![expect(clippy::print_stdout, reason = "its figures are for people")]

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use byway::tunnel::Engine;

use crate::link::{FAIR, FOUL, Link, Way};
use crate::loss::SERVERS;
use crate::stream::{self, Course};
use crate::world::{self, Relay, eventually};

const SEED: u64 = 7;
/// The protocol's own rekeys, undisturbed: two of them and some time.
const CALM: Duration = Duration::from_secs(270);
const UNREST: Duration = Duration::from_secs(330);
const WEATHER_CHANGES: Duration = Duration::from_secs(15);
const KICK_EVERY: Duration = Duration::from_secs(7);
const SWAP_EVERY: Duration = Duration::from_secs(30);
/// Until every buffer was used.
const WARM: Duration = Duration::from_mins(1);
const STREAM: u64 = 32 << 20;
/// What the process may grow by; its own traffic is most of that.
const GROWTH_KB: u64 = 4_096;

#[test]
#[ignore = "ten minutes: `just soak`"]
fn holds_for_ten_minutes_of_everything_at_once() {
    world::enter_namespace();
    let relay = Relay::new(1);
    relay.namespace.run(stream::serve);
    let cable = Watch::over(&relay);
    let link = Link::to(relay.endpoint_v4(), SEED);
    let engine = world::start_engine();
    engine.set_peer(relay.peer(link.address()));
    eventually("an answer", || world::answer_v4() == Some(1));

    let load = Load::begin();
    let memory = calm(&engine, &link);
    unrest(&engine, &link, &relay);
    let carried = load.end();
    link.set(FAIR);
    println!("{} MB in exact streams; {}", carried >> 20, report(&engine, &link, &relay));
    assert_adds_up(&engine, &link, &relay);
    let grown = memory_kb().saturating_sub(memory);
    println!("memory: {memory} kB after a minute, {grown} kB more at the end");
    assert!(grown < GROWTH_KB, "memory grew by {grown} kB");
    cable.assert_nothing_but_the_tunnel();
    assert!(engine.healthy());
}

/// Rekeys by time alone. Gives the memory in use once everything is warm.
fn calm(engine: &Engine, link: &Link) -> u64 {
    let begun = Instant::now();
    let (mut memory, mut sessions) = (None, vec![engine.stats().handshake]);
    while begun.elapsed() < CALM {
        change_weather(link, begun);
        std::thread::sleep(Duration::from_millis(200));
        let handshake = engine.stats().handshake;
        if sessions.last() != Some(&handshake) {
            sessions.push(handshake);
        }
        if memory.is_none() && begun.elapsed() >= WARM {
            memory = Some(memory_kb());
        }
    }
    println!("sessions by time: {sessions:?}");
    assert!((3..=4).contains(&sessions.len()), "a session every 120 s: {sessions:?}");
    memory.expect("it takes longer than a minute")
}

fn unrest(engine: &Engine, link: &Link, relay: &Relay) {
    let begun = Instant::now();
    let (mut kicks, mut swaps) = (0, 0);
    while begun.elapsed() < UNREST {
        change_weather(link, begun);
        if begun.elapsed() >= KICK_EVERY * (kicks + 1) {
            kicks += 1;
            engine.kick();
        }
        if begun.elapsed() >= SWAP_EVERY * (swaps + 1) {
            swaps += 1;
            let number = if swaps % 2 == 1 { 2 } else { 1 };
            relay.becomes(number);
            engine.set_peer(relay.peer_of(number, link.address()));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("{kicks} kicks, {swaps} swaps");
}

fn change_weather(link: &Link, begun: Instant) {
    let foul = begun.elapsed().as_secs() / WEATHER_CHANGES.as_secs() % 2 == 1;
    link.set(if foul { FOUL } else { FAIR });
}

/// One stream after the other, each way by each family at once.
struct Load {
    end: Arc<AtomicBool>,
    carried: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn begin() -> Load {
        let mut load = Load { end: Arc::default(), carried: Arc::default(), threads: Vec::new() };
        for server in SERVERS {
            for course in [Course::ToRelay, Course::ToBox] {
                let (end, carried) = (Arc::clone(&load.end), Arc::clone(&load.carried));
                load.threads.push(std::thread::spawn(move || {
                    while !end.load(Ordering::Relaxed) {
                        stream::carry(server, course, STREAM);
                        carried.fetch_add(STREAM, Ordering::Relaxed);
                    }
                }));
            }
        }
        load
    }

    /// Once each stream is through; how many bytes it were.
    fn end(self) -> u64 {
        self.end.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("every byte came, once and in order");
        }
        self.carried.load(Ordering::Relaxed)
    }
}

/// What one side sent is what the other got, and what was lost.
fn assert_adds_up(engine: &Engine, link: &Link, relay: &Relay) {
    eventually("the box sent what the link got", || {
        engine.stats().tx_bytes == link.tally(Way::ToRelay).taken.packet_bytes
    });
    eventually("the relay sent what the link got", || {
        relay.traffic().1 == link.tally(Way::ToBox).taken.bytes
    });
    let to_relay = link.tally(Way::ToRelay);
    let whole = to_relay.taken.bytes - to_relay.lost.bytes;
    assert!(nearly(relay.traffic().0, whole), "the relay got {} of {whole}", relay.traffic().0);
    let to_box = link.tally(Way::ToBox);
    let whole = to_box.taken.packet_bytes - to_box.lost.packet_bytes;
    assert!(nearly(engine.stats().rx_bytes, whole), "the box got {} of {whole}", engine.stats().rx_bytes);
}

/// No more, and little less: padding, what a swap left behind, and doubles of handshakes.
fn nearly(got: u64, whole: u64) -> bool {
    got <= whole && got >= whole / 100 * 97
}

fn report(engine: &Engine, link: &Link, relay: &Relay) -> String {
    format!(
        "{:?}\nrelay (rx, tx): {:?}\nto relay: {:?}\nto box: {:?}",
        engine.stats(),
        relay.traffic(),
        link.tally(Way::ToRelay),
        link.tally(Way::ToBox),
    )
}

/// Of this process, in which the engine runs.
fn memory_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("every process has one");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Counts what comes to the relay's end of the cable.
struct Watch<'a>(&'a Relay);

impl Watch<'_> {
    /// It hears what should not be there, before anything else may be.
    fn over(relay: &Relay) -> Watch<'_> {
        let rules = "table netdev watch {
            counter tunnel { }
            counter stranger { }
            chain cable {
                type filter hook ingress device cable priority 0
                udp dport 51820 counter name tunnel accept
                ether type arp accept
                ip6 saddr { ::, fe80::/10 } meta l4proto icmpv6 accept
                counter name stranger
            }
        }";
        relay.namespace.run(move || run(&["nft", rules]));
        let watch = Watch(relay);
        world::speak_outside_the_tunnel(relay);
        eventually("a stranger is heard", || watch.packets("stranger") > 0);
        relay.namespace.run(|| run(&["nft", "reset counter netdev watch stranger"]));
        watch
    }

    fn packets(&self, counter: &'static str) -> u64 {
        let command = format!("list counter netdev watch {counter}");
        let listing = self.0.namespace.run(move || run(&["nft", &command]));
        let mut words = listing.split_whitespace().skip_while(|word| *word != "packets");
        words.nth(1).expect("nft counts").parse().expect("a number")
    }

    fn assert_nothing_but_the_tunnel(&self) {
        println!("cable: {} of the tunnel, {} others", self.packets("tunnel"), self.packets("stranger"));
        assert!(self.packets("tunnel") > 100_000 && self.packets("stranger") == 0);
    }
}

/// In the namespace of the calling thread.
fn run(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().expect("install nftables");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
