//! A download by datagrams, as QUIC's, through the residential door: with the kernel handing on those of one flow together
//! (`rx-udp-gro-forwarding`), and one by one; in turn, so that the machine's moods meet both.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::RcvBufForce;
use serde::Serialize;

use super::cost::{Books, softirq};
use super::plan::Plan;
use super::stats::{float, spread};
use super::{ask, progress, settle};
use crate::inside::{Inside, StopSign};
use crate::judge::Door;
use crate::stage::Stage;
use crate::topology::{BOX_PORT, Place, SERVER_V4};

const PORT: u16 = 4433;
/// What QUIC sends, in packets that the tailnet holds.
const PAYLOAD: usize = 1200;
/// As a network card hands them over: what has come since it was looked at last. 100 Mbit/s, which a busy machine carries too.
const BURST: usize = 32;
const PAUSE: Duration = Duration::from_millis(3);
/// As cards' drivers do.
const COALESCED: Duration = Duration::from_micros(100);
const LOOK_UP: Duration = Duration::from_millis(200);
const BUFFER: usize = 8 << 20;

#[derive(Debug, Clone, Serialize)]
pub(super) struct Download {
    pub(super) together: bool,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) seconds: f64,
    /// User and system time by program of the box.
    pub(super) cpu_seconds: BTreeMap<String, f64>,
    /// Of the whole machine: phone and server are on it too.
    pub(super) softirq_seconds: f64,
}

/// In a world of its own, with a box that carries.
pub(super) fn measure(byway: &Path, plan: &Plan) -> Result<Vec<Download>> {
    let mut stage = Stage::raise(byway)?;
    stage.boot_and_carry()?;
    ask::egress(&stage.byway.run_dir(), Door::Residential)?;
    settle(&stage, Door::Residential)?;
    // A card merges what it receives until it interrupts; a veth only when it is told to, and told to wait as long.
    turn(&stage, "gro", true)?;
    let waits = format!("echo {} >/sys/class/net/eth0/gro_flush_timeout", COALESCED.as_nanos());
    stage.byway.namespace().run(&["sh", "-ec", &waits])?;
    // Where its other end could cut packets by itself, a veth hands them over one by one.
    stage.world.namespace(Place::House).run(&["ethtool", "-K", BOX_PORT, "tso", "off"])?;
    let mut measured = Vec::new();
    for round in 1..=plan.datagram_rounds {
        progress(&format!("datagrams, round {round} of {}", plan.datagram_rounds));
        for together in [true, false] {
            turn(&stage, "rx-udp-gro-forwarding", together)?;
            measured.push(download(&stage, together, plan.transfer)?);
        }
    }
    Ok(measured)
}

fn turn(stage: &Stage, switch: &str, on: bool) -> Result<()> {
    let wanted = if on { "on" } else { "off" };
    stage.byway.namespace().run(&["ethtool", "-K", "eth0", switch, wanted]).map(drop)
}

fn download(stage: &Stage, together: bool, during: Duration) -> Result<Download> {
    let server = SocketAddr::from((SERVER_V4, PORT));
    let place = |place| stage.world.namespace(place).path();
    let sent = Inside::start(
        &place(Place::Srv),
        "datagrams",
        move || listen(server),
        |socket, stop| send(&socket, stop),
    )?;
    let (books, soft, began) = (Books::of(stage.byway.namespace())?, softirq()?, Instant::now());
    let heard = Inside::start(
        &place(Place::Phone),
        "datagrams",
        move || call(server),
        |socket, stop| receive(&socket, stop),
    )?;
    sleep(during);
    let (sent, received) = (sent.finish()?, heard.finish()?);
    Ok(Download {
        together,
        sent,
        received,
        seconds: began.elapsed().as_secs_f64(),
        cpu_seconds: Books::of(stage.byway.namespace())?.since(&books),
        softirq_seconds: softirq()? - soft,
    })
}

fn listen(at: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(at).with_context(|| format!("cannot listen at {at}"))?;
    socket.set_read_timeout(Some(LOOK_UP))?;
    Ok(socket)
}

fn call(server: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    setsockopt(&socket, RcvBufForce, &BUFFER)?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(LOOK_UP))?;
    socket.send(b"go").context("the phone has no way to the server")?;
    Ok(socket)
}

/// To whoever calls first, in bursts, at a rate that does not depend on how they are received. Returns the bytes.
fn send(socket: &UdpSocket, stop: &StopSign) -> Result<u64> {
    let mut bytes = 0;
    let mut next = loop {
        match socket.recv_from(&mut [0; 16]) {
            Ok((_, caller)) => break socket.connect(caller).map(|()| Instant::now())?,
            Err(error) if error.kind() == ErrorKind::WouldBlock && !stop.is_up() => {}
            Err(error) => return Err(error).context("nobody has called"),
        }
    };
    while !stop.is_up() {
        for _ in 0..BURST {
            // A full queue drops it, as it would a card's.
            bytes += u64::try_from(socket.send(&[0; PAYLOAD]).unwrap_or(0))?;
        }
        next += PAUSE;
        sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(bytes)
}

fn receive(socket: &UdpSocket, stop: &StopSign) -> Result<u64> {
    let (mut bytes, mut buffer) = (0, [0; 2048]);
    while !stop.is_up() {
        match socket.recv(&mut buffer) {
            Ok(length) => bytes += u64::try_from(length)?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("the download broke"),
        }
    }
    Ok(bytes)
}

/// Medians over the rounds, with the least and the most.
pub(super) fn render(downloads: &[Download]) -> String {
    let mut text = String::from(
        "| rx-udp-gro-forwarding | Mbit/s received   | arrived %       | tailscaled, CPU s per GB | softirq of the machine |\n\
         |:----------------------|------------------:|----------------:|-------------------------:|-----------------------:|\n",
    );
    for together in [true, false] {
        let these: Vec<&Download> = downloads.iter().filter(|it| it.together == together).collect();
        let of = |figure: fn(&Download) -> f64, digits| {
            spread(&these.iter().map(|it| figure(it)).collect::<Vec<f64>>(), digits)
        };
        let speed = of(|it| float(it.received) * 8.0 / 1e6 / it.seconds, 0);
        let arrived = of(|it| 100.0 * float(it.received) / float(it.sent.max(1)), 0);
        let tailscaled = of(|it| it.cpu_of("tailscaled") / gigabytes(it), 1);
        let soft = of(|it| it.softirq_seconds / gigabytes(it), 1);
        let state = if together { "on" } else { "off" };
        writeln!(text, "| {state:21} | {speed:>17} | {arrived:>15} | {tailscaled:>24} | {soft:>22} |")
            .expect("a string takes every line");
    }
    text
}

impl Download {
    /// Of the program whose name begins so, its children included.
    fn cpu_of(&self, program: &str) -> f64 {
        self.cpu_seconds
            .iter()
            .filter(|(name, _)| name.starts_with(program))
            .map(|(_, seconds)| seconds)
            .sum()
    }
}

fn gigabytes(download: &Download) -> f64 {
    float(download.received.max(1)) / 1e9
}

#[cfg(test)]
pub(super) mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn both_ways_stand_beside_each_other_with_their_spread() {
        expect![[r"
            | rx-udp-gro-forwarding | Mbit/s received   | arrived %       | tailscaled, CPU s per GB | softirq of the machine |
            |:----------------------|------------------:|----------------:|-------------------------:|-----------------------:|
            | on                    |     240 (200-280) |      80 (67-93) |         10.0 (10.0-10.0) |          4.0 (3.4-4.8) |
            | off                   |     160 (160-160) |      53 (53-53) |         10.0 (10.0-10.0) |          6.0 (6.0-6.0) |
        "]]
        .assert_eq(&render(&example()));
    }

    pub(in crate::bench) fn example() -> Vec<Download> {
        let download = |together, received: u64| Download {
            together,
            sent: 37_500_000,
            received,
            seconds: 1.0,
            cpu_seconds: [("tailscaled-box".to_owned(), float(received) / 1e8)].into(),
            softirq_seconds: 0.12,
        };
        Vec::from(
            [(true, 30), (true, 25), (true, 35), (false, 20)].map(|(on, mb)| download(on, mb * 1_000_000)),
        )
    }
}
