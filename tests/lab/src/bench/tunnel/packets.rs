//! Small packets as fast as they arrive: the sender keeps a fixed number of them on their way, so it goes as fast as
//! the tunnel carries without loss, and no faster. The load must not be what it measures: its kernel cuts and merges
//! them in batches, but the tunnel sees each by itself (`line.rs` sees to that).

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread::{self, Thread, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{RcvBufForce, UdpGroSegment, UdpGsoSegment};
use serde::Serialize;

use super::cable::End;
use super::line::Line;
use crate::bench::stats::float;

/// Of UDP payload; 28 more with its headers.
const SIZE: usize = 64;
/// On their way at once: each is tried, the best counts. More of them fill batches, too many fill buffers.
const WINDOWS: [u64; 3] = [64, 256, 1024];
/// More than this share lost, and the rate is not one that the tunnel carries.
const BEARABLE: f64 = 0.01;
/// Sent in one system call.
const BATCH: usize = 32;
/// No datagram is longer, merged or not.
const LONGEST: usize = 65_535;
const WARM_UP: Duration = Duration::from_millis(200);
/// Nothing came for so long: what is on its way is lost.
const GIVE_UP: Duration = Duration::from_millis(50);
/// No socket of the load may be what loses packets.
const BUFFER_BYTES: usize = 8 << 20;

#[derive(Debug, Clone, Serialize)]
pub(super) struct Packets {
    /// On their way at once at the best rate.
    pub(super) window: u64,
    pub(super) per_second: f64,
    /// User and system time of both of the tunnel's processes for one packet, in microseconds.
    pub(super) cpu_us: Option<f64>,
    /// Of all that were sent with this window, also before and after what was timed.
    pub(super) lost_share: f64,
}

/// The highest rate that is carried, left to right; each window has an equal part of the time.
pub(super) fn packets(line: &Line<'_>, during: Duration) -> Result<Packets> {
    let each = during / u32::try_from(WINDOWS.len())?;
    let tried = WINDOWS.map(|window| with_window(line, window, each));
    let tried = tried.into_iter().collect::<Result<Vec<_>>>()?;
    best(tried).with_context(|| format!("{} loses packets in every window", line.implementation.name()))
}

/// The fastest of those that lose almost nothing.
fn best(tried: Vec<Packets>) -> Option<Packets> {
    let carried = tried.into_iter().filter(|it| it.lost_share <= BEARABLE);
    carried.max_by(|one, other| one.per_second.total_cmp(&other.per_second))
}

/// What the sender and the receiver know of each other.
#[derive(Debug)]
struct Flight {
    sent: AtomicU64,
    received: AtomicU64,
    /// The sleeping sender wants to be woken once so many were received.
    wake_at: AtomicU64,
    over: AtomicBool,
}

fn with_window(line: &Line<'_>, window: u64, during: Duration) -> Result<Packets> {
    let (from, to) = sockets(line)?;
    let flight = Flight {
        sent: AtomicU64::new(0),
        received: AtomicU64::new(0),
        wake_at: AtomicU64::new(u64::MAX),
        over: AtomicBool::new(false),
    };
    let counted = thread::scope(|scope| {
        let sender = scope.spawn(|| send(&from, window, &flight));
        let sleeper = sender.thread().clone();
        let (to, flight) = (&to, &flight);
        let receiver = scope.spawn(move || receive(to, flight, &sleeper));
        let counted = count(line, during, flight);
        flight.over.store(true, SeqCst);
        for thread in [sender, receiver] {
            thread.join().expect("the load does not panic")?;
        }
        counted
    });
    let (received, per_second, cpu_us) = counted?;
    ensure!(received > 0.0, "{} carries no small packet", line.implementation.name());
    let (sent, arrived) = (float(flight.sent.into_inner()), float(flight.received.into_inner()));
    Ok(Packets { window, per_second, cpu_us, lost_share: 1.0 - arrived / sent })
}

/// How many arrive within the time, how many a second, and what each costs.
fn count(line: &Line<'_>, during: Duration, flight: &Flight) -> Result<(f64, f64, Option<f64>)> {
    sleep(WARM_UP);
    let look = || anyhow::Ok((flight.received.load(SeqCst), line.cpu_time()?, Instant::now()));
    let (before, cpu_before, began) = look()?;
    sleep(during);
    let (after, cpu_after, ended) = look()?;
    let (received, cpu) = (float(after - before), cpu_after.zip(cpu_before));
    let cpu_us = cpu.map(|(after, before)| (after - before) * 1e6 / received);
    Ok((received, received / (ended - began).as_secs_f64(), cpu_us))
}

fn sockets(line: &Line<'_>) -> Result<(UdpSocket, UdpSocket)> {
    let open = |address: Ipv4Addr| {
        let socket = UdpSocket::bind((address, 0)).with_context(|| format!("no socket at {address}"))?;
        setsockopt(&socket, RcvBufForce, &BUFFER_BYTES).context("cannot widen a socket's buffer")?;
        socket.set_read_timeout(Some(GIVE_UP))?;
        anyhow::Ok(socket)
    };
    let [from, to] = [End::Left, End::Right].map(|end| line.at(end, || open(line.address(end))));
    let (from, to) = (from?, to?);
    setsockopt(&from, UdpGsoSegment, &i32::try_from(SIZE)?).context("this kernel does not cut UDP")?;
    setsockopt(&to, UdpGroSegment, &true).context("this kernel does not merge UDP")?;
    let target: SocketAddr = to.local_addr()?;
    from.connect(target).with_context(|| format!("no way to {target}"))?;
    Ok((from, to))
}

fn send(socket: &UdpSocket, window: u64, flight: &Flight) -> Result<()> {
    let batch = [0; BATCH * SIZE];
    let (mut sent, mut lost) = (0, 0);
    while !flight.over.load(SeqCst) {
        let received = flight.received.load(SeqCst);
        if sent + BATCH as u64 > received + lost + window {
            // Half a window at a time, or the sender would be woken for every batch.
            if stalled(flight, received, (sent - lost).saturating_sub(window / 2)) {
                lost = sent - received;
            }
            continue;
        }
        sent += count_of(socket.send(&batch).context("cannot send small packets")?);
        flight.sent.store(sent, SeqCst);
    }
    Ok(())
}

/// Sleeps until enough were received; true when nothing was received for too long.
fn stalled(flight: &Flight, received: u64, enough: u64) -> bool {
    let asleep = Instant::now();
    flight.wake_at.store(enough, SeqCst);
    // Whoever received enough before that does not wake anybody.
    if flight.received.load(SeqCst) < enough {
        thread::park_timeout(GIVE_UP);
    }
    flight.wake_at.store(u64::MAX, SeqCst);
    asleep.elapsed() >= GIVE_UP && flight.received.load(SeqCst) == received
}

/// Until nothing comes any more.
fn receive(socket: &UdpSocket, flight: &Flight, sender: &Thread) -> Result<()> {
    let mut merged = vec![0; LONGEST];
    loop {
        match socket.recv(&mut merged) {
            Ok(length) => {
                let came = count_of(length);
                let received = flight.received.fetch_add(came, SeqCst) + came;
                if received >= flight.wake_at.load(SeqCst) {
                    sender.unpark();
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock && flight.over.load(SeqCst) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("small packets do not come in"),
        }
    }
}

/// How many packets these bytes are.
fn count_of(bytes: usize) -> u64 {
    (bytes / SIZE) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_at_which_packets_are_lost_is_not_the_best() {
        let tried = |window, per_second, lost_share| Packets { window, per_second, cpu_us: None, lost_share };
        let three = Vec::from([tried(64, 1e5, 0.0), tried(256, 2e5, 0.01), tried(1024, 3e5, 0.02)]);
        assert_eq!(best(three).map(|it| it.window), Some(256));
        assert!(best(Vec::from([tried(64, 1e5, 0.5)])).is_none());
    }
}
