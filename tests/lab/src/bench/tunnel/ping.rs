//! Round trips of small packets at a steady pace, whatever the answers do: a stall delays no later question.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::poll::{PollFd, PollFlags, ppoll};
use serde::Serialize;

use super::cable::{Cable, End};
use crate::bench::stats::{float, percentile};
use crate::inside::{Inside, StopSign};

/// Of the echo on the right.
pub(super) const PORT: u16 = 7;
const PACE: Duration = Duration::from_millis(2);
/// An answer that takes longer is none; in the percentiles it has taken this long.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Serialize)]
pub(super) struct Pings {
    pub(super) sent: u64,
    pub(super) lost: u64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

impl Pings {
    pub(super) fn lost_percent(&self) -> f64 {
        100.0 * float(self.lost) / float(self.sent)
    }
}

/// Answers on the right end until it is dropped.
pub(super) fn start_echo(cable: &Cable) -> Result<Inside<()>> {
    let open = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT))?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        Ok(socket)
    };
    Inside::start(&cable.namespace(End::Right).path(), "echo", open, |socket, stop| echo(&socket, stop))
}

fn echo(socket: &UdpSocket, stop: &StopSign) -> Result<()> {
    let mut question = [0; 64];
    while !stop.is_up() {
        match socket.recv_from(&mut question) {
            Ok((length, asker)) => drop(socket.send_to(&question[..length], asker)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("the echo's socket broke"),
        }
    }
    Ok(())
}

/// One question, one answer.
pub(super) fn once(socket: &UdpSocket) -> Result<()> {
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    socket.send(&[0; 16])?;
    socket.recv(&mut [0; 16]).context("no answer").map(drop)
}

pub(super) fn pings(socket: &UdpSocket, during: Duration) -> Result<Pings> {
    let (began, mut next, mut sent, mut trips) = (Instant::now(), Duration::ZERO, 0, Vec::new());
    loop {
        let (now, asking) = (began.elapsed(), next < during);
        if asking && now >= next {
            socket.send(&now.as_nanos().to_be_bytes()).context("cannot send a ping")?;
            (sent, next) = (sent + 1, next + PACE);
        } else if asking {
            trips.extend(hear(socket, began, next.saturating_sub(now))?);
        } else if trips.len() < sent && now < during + PATIENCE {
            trips.extend(hear(socket, began, (during + PATIENCE).saturating_sub(now))?);
        } else {
            return told(sent, trips);
        }
    }
}

/// How long ago the answer's question was asked, in milliseconds; none within `patience`.
fn hear(socket: &UdpSocket, began: Instant, patience: Duration) -> Result<Option<f64>> {
    // A socket's own time-out is as coarse as the kernel's tick.
    if ppoll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], Some(patience.into()), None)? == 0 {
        return Ok(None);
    }
    let mut asked = [0; size_of::<u128>()];
    socket.recv(&mut asked).context("a ping's answer did not come in")?;
    let trip = began.elapsed().as_nanos().saturating_sub(u128::from_be_bytes(asked));
    Ok(Some(Duration::from_nanos(u64::try_from(trip)?).as_secs_f64() * 1e3))
}

fn told(sent: usize, mut trips: Vec<f64>) -> Result<Pings> {
    ensure!(!trips.is_empty(), "no ping was answered");
    let answered = trips.len();
    trips.resize(sent, PATIENCE.as_secs_f64() * 1e3);
    let of = |share| percentile(&trips, share).context("no ping was sent");
    let (sent, lost) = (u64::try_from(sent)?, u64::try_from(sent - answered)?);
    Ok(Pings { sent, lost, p50_ms: of(0.5)?, p99_ms: of(0.99)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_ping_counts_as_a_long_one() {
        let told = told(100, vec![1.0; 98]).unwrap();
        assert_eq!((told.lost, told.p50_ms, told.p99_ms), (2, 1.0, 1000.0));
    }

    #[test]
    fn silence_is_no_figure() {
        assert!(told(100, Vec::new()).is_err());
    }
}
