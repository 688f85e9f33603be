//! Keeps whole frames that one machine puts onto a link, for questions about more of them than a judge must know.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::libc;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::sockopt::RcvBufForce;
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, setsockopt, socket,
};

use crate::inside::{Inside, StopSign};
use crate::wire::link_address;

/// `ETH_P_ALL` of packet(7).
const EVERYTHING: u16 = 3;
const KERNEL_BUFFER: usize = 64 << 20;
/// Longer than any that a test reads to its end.
const SNAP_LENGTH: usize = 2048;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Listens until it is stopped or dropped.
#[derive(Debug)]
pub struct Frames(Inside<Vec<Vec<u8>>>);

impl Frames {
    /// Whatever comes in by this interface from now on.
    pub fn coming_in(netns: &Path, interface: &str) -> Result<Self> {
        let name = interface.to_owned();
        Inside::start(netns, &format!("frames of {interface}"), move || open(&name), keep).map(Self)
    }

    /// From the Ethernet header on, in their order.
    pub fn stop(self) -> Result<Vec<Vec<u8>>> {
        self.0.finish()
    }
}

fn open(interface: &str) -> Result<OwnedFd> {
    let index = if_nametoindex(interface).with_context(|| format!("find interface {interface}"))?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Packet, SockType::Raw, flags, None::<SockProtocol>)
        .context("open a packet socket")?;
    setsockopt(&socket, RcvBufForce, &KERNEL_BUFFER).context("enlarge the receive buffer")?;
    bind(socket.as_raw_fd(), &link_address(index, EVERYTHING, [0; 6])?)
        .with_context(|| format!("bind to {interface}"))?;
    Ok(socket)
}

#[expect(clippy::needless_pass_by_value, reason = "the socket ends with its thread")]
fn keep(socket: OwnedFd, stop: &StopSign) -> Result<Vec<Vec<u8>>> {
    let mut frames = Vec::new();
    let mut buffer = vec![0; SNAP_LENGTH];
    loop {
        // Asked before the last look: whatever passed before the stop is kept.
        let stopped = stop.is_up();
        loop {
            match recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut buffer) {
                Ok((length, Some(from))) if from.pkttype() != libc::PACKET_OUTGOING => {
                    frames.push(buffer[..length].to_vec());
                }
                // The link is down for a while: nothing passes.
                Ok(_) | Err(Errno::EINTR | Errno::ENETDOWN) => {}
                Err(Errno::EAGAIN) => break,
                Err(error) => return Err(error).context("receive a frame"),
            }
        }
        if stopped {
            return Ok(frames);
        }
        sleep(BETWEEN_LOOKS);
    }
}
