//! Proof of silence without waiting: a frame that passes no rule leaves by the same interface, and what was sent
//! before it must come out before it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::net::if_::if_nametoindex;
use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};

use crate::wire::Wire;

/// Nothing that the box would send; long enough for a frame.
const FRAME: &[u8] = b"what was sent before this must have come out by now";
/// Something broken misses it.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Sentinel {
    socket: Socket,
    interface: SockAddr,
}

impl Sentinel {
    pub(crate) fn new(interface: &str) -> Result<Self> {
        let index = i32::try_from(if_nametoindex(interface)?)?;
        Ok(Self { socket: Socket::new(Domain::PACKET, Type::RAW, None)?, interface: address(index) })
    }

    pub(crate) fn everything_before(&self, wire: &Wire) -> Result<Vec<Vec<u8>>> {
        self.socket.send_to(FRAME, &self.interface).context("the sentinel is not sent")?;
        let deadline = Instant::now() + PATIENCE;
        let mut packets = wire.take()?;
        // What comes behind it is as good.
        while !packets.iter().any(|packet| packet == FRAME) {
            ensure!(Instant::now() < deadline, "the sentinel does not come out");
            packets.extend(wire.take()?);
        }
        packets.retain(|packet| packet != FRAME);
        Ok(packets)
    }
}

#[expect(unsafe_code, reason = "no safe constructor for the address of an interface exists")]
fn address(index: i32) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: a `sockaddr_ll` of zeros is valid, it is smaller than the storage, and its length and family are right.
    unsafe {
        let address = storage.view_as::<libc::sockaddr_ll>();
        address.sll_family = 17; // AF_PACKET
        address.sll_ifindex = index;
        let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).unwrap_or_default();
        SockAddr::new(storage, length)
    }
}
