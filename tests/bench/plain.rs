//! The engine's two ways without the cipher: a datagram is its packet with as many bytes around it as sealing adds.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use anyhow::{Context as _, Result};
use byway::tunnel::inwards::Inwards;
use byway::tunnel::outwards::Outwards;
use byway::tunnel::packet::coalesce::Datagrams;
use byway::tunnel::socket::{Family, Sockets};
use byway::tunnel::tun::Tun;
use byway::tunnel::{Outside, TunnelError};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Before and behind the packet, as in a data message of the protocol.
const BEFORE: usize = 16;
const BEHIND: usize = 16;

/// Until it fails.
pub(super) fn carry(device: &str, outside: Outside, to: SocketAddr, ready: fn()) -> Result<()> {
    let tun = Tun::open(device)?;
    let sockets = Sockets::open(outside).map_err(TunnelError::Socket)?;
    ready();
    std::thread::scope(|scope| {
        let inwards = scope.spawn(|| carry_inwards(&tun, &sockets, to));
        carry_outwards(&tun, &sockets, to)?;
        inwards.join().ok().context("the inward thread panicked")?
    })
}

fn carry_outwards(tun: &Tun, sockets: &Sockets, to: SocketAddr) -> Result<()> {
    let mut outwards = Outwards::default();
    loop {
        wait(tun)?;
        while outwards.read(tun)? {
            outwards.seal(wrap, |train| _ = sockets.send(train, to));
            for train in outwards.trains().trains() {
                sockets.send(train, to);
            }
        }
    }
}

fn carry_inwards(tun: &Tun, sockets: &Sockets, from: SocketAddr) -> Result<()> {
    let family = if from.is_ipv4() { Family::V4 } else { Family::V6 };
    let socket = sockets.of(family).context("the kernel has no such addresses")?;
    let datagrams = if tun.offloads().uso { Datagrams::Together } else { Datagrams::Alone };
    let mut inwards = Inwards::new(datagrams);
    loop {
        wait(socket)?;
        let mut more = true;
        while more {
            // Nothing, and an error that the peer's start has caused: the next call tells.
            more = inwards.receive(socket).unwrap_or(false);
            for nth in 0..inwards.trains() {
                inwards.open(nth, |_, datagram, room| unwrap(datagram, room));
            }
            inwards.write(Some(tun));
        }
    }
}

fn wrap(packet: &[u8], room: &mut [u8]) -> usize {
    room[BEFORE..BEFORE + packet.len()].copy_from_slice(packet);
    BEFORE + packet.len() + BEHIND
}

/// 0 for what nobody has wrapped.
fn unwrap(datagram: &[u8], room: &mut [u8]) -> usize {
    let Some(length) = datagram.len().checked_sub(BEFORE + BEHIND) else { return 0 };
    room[..length].copy_from_slice(&datagram[BEFORE..BEFORE + length]);
    length
}

fn wait(end: impl AsFd) -> Result<()> {
    poll(&mut [PollFd::new(end.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)?;
    Ok(())
}
