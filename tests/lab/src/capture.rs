//! Listens on one link in a namespace and keeps every packet with the kernel's time. What was lost is counted, what
//! it means is for the judge.

use std::io::IoSliceMut;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::libc;
use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimestampns};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, RecvMsg, SockFlag, SockType, bind, recvmsg,
    setsockopt, socket,
};
use nix::sys::time::TimeSpec;

use crate::inside::{Inside, StopSign};
use crate::packet::Packet;
use crate::wire::link_address;

/// `ETH_P_ALL` of packet(7).
const EVERYTHING: u16 = 3;
/// Room for some 50,000 packets while the thread is not scheduled.
const KERNEL_BUFFER: usize = 64 << 20;
/// Beyond it a test has run away; what comes then counts as dropped.
const MOST_KEPT: usize = 4_000_000;
/// Headers, a quoted packet and its tag fit; the rest of a large segment is of no interest.
const SNAP_LENGTH: usize = 2048;

/// One packet on a link.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The kernel's `CLOCK_REALTIME` when it passed.
    pub at: SystemTime,
    pub heading: Heading,
    pub packet: Packet,
}

/// As the namespace sees it in which the capture runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heading {
    /// It came by this interface, also if it was for somebody else.
    In,
    /// It was sent by this interface.
    Out,
}

/// What a capture brought home.
#[derive(Debug, Clone)]
pub struct Recording {
    pub link: String,
    /// In the order in which the kernel saw them.
    pub seen: Vec<Seen>,
    /// Packets that passed without being kept.
    pub dropped: u64,
}

/// A capture that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Capture(Inside<Recording>);

impl Capture {
    /// Returns when the socket is open: every packet from now on is kept. `link` is the name in verdicts.
    pub fn start(netns: &Path, interface: &str, link: &str) -> Result<Self> {
        Self::start_with_buffer(netns, interface, link, KERNEL_BUFFER)
    }

    /// The same with another size of the kernel's buffer, in bytes.
    pub fn start_with_buffer(netns: &Path, interface: &str, link: &str, buffer: usize) -> Result<Self> {
        let (interface, link) = (interface.to_owned(), link.to_owned());
        let name = format!("capture {link}");
        let open = move || Listener::open(&interface, buffer);
        Inside::start(netns, &name, open, |listener, stop| listener.record(link, stop)).map(Self)
    }

    /// Keeps what has passed until now and ends. An error if the interface has gone away meanwhile: stop the
    /// capture before the link is taken down for good.
    pub fn stop(self) -> Result<Recording> {
        self.0.finish()
    }
}

struct Listener {
    socket: OwnedFd,
    interface: String,
    index: u32,
}

impl Listener {
    /// The kernel takes the link layer off (`SOCK_DGRAM`, packet(7)), so that Ethernet and TUN links look alike.
    fn open(interface: &str, buffer: usize) -> Result<Self> {
        let index = if_nametoindex(interface).with_context(|| format!("find interface {interface}"))?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        // Without a protocol it hears nothing until it is bound to the one interface.
        let socket =
            socket(AddressFamily::Packet, SockType::Datagram, flags, None).context("open a packet socket")?;
        setsockopt(&socket, RcvBufForce, &buffer).context("enlarge the receive buffer")?;
        setsockopt(&socket, ReceiveTimestampns, &true).context("ask for the kernel's timestamps")?;
        bind(socket.as_raw_fd(), &link_address(index, EVERYTHING, [0; 6])?)
            .with_context(|| format!("bind to {interface}"))?;
        Ok(Self { socket, interface: interface.to_owned(), index })
    }

    fn record(self, link: String, stop: &StopSign) -> Result<Recording> {
        let mut recording = Recording { link, seen: Vec::new(), dropped: 0 };
        let mut buffer = vec![0; SNAP_LENGTH];
        loop {
            // Asked before the last drain: whatever passed before the stop is kept.
            let stopped = stop.is_up();
            self.drain(&mut buffer, &mut recording)?;
            if stopped {
                break;
            }
            self.wait()?;
        }
        recording.dropped += self.dropped_by_kernel()?;
        ensure!(
            if_nametoindex(self.interface.as_str()) == Ok(self.index),
            "interface {} went away during the capture: stop the capture first",
            self.interface
        );
        Ok(recording)
    }

    fn wait(&self) -> Result<()> {
        let mut sockets = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut sockets, PollTimeout::from(20_u8)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error).context("wait for packets"),
        }
    }

    fn drain(&self, buffer: &mut [u8], recording: &mut Recording) -> Result<()> {
        loop {
            match self.receive(buffer) {
                Ok(_) if recording.seen.len() == MOST_KEPT => recording.dropped += 1,
                Ok(seen) => recording.seen.push(seen),
                Err(Errno::EAGAIN) => return Ok(()),
                // The link is down for a while: nothing passes.
                Err(Errno::EINTR | Errno::ENETDOWN) => {}
                Err(error) => return Err(error).context("receive a packet"),
            }
        }
    }

    fn receive(&self, buffer: &mut [u8]) -> Result<Seen, Errno> {
        let mut control = nix::cmsg_space!(TimeSpec);
        let mut parts = [IoSliceMut::new(buffer)];
        let message =
            recvmsg::<LinkAddr>(self.socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())?;
        let (Some(from), Some(at)) = (message.address, timestamp(&message)?) else {
            return Err(Errno::EPROTO);
        };
        let length = message.bytes;
        Ok(Seen {
            at,
            heading: if from.pkttype() == libc::PACKET_OUTGOING { Heading::Out } else { Heading::In },
            packet: Packet::parse(u16::from_be(from.protocol()), &buffer[..length]),
        })
    }

    /// `PACKET_STATISTICS` of packet(7): what did not fit into the buffer since the socket was opened.
    fn dropped_by_kernel(&self) -> Result<u64> {
        let mut statistics = MaybeUninit::<libc::tpacket_stats>::zeroed();
        let mut length = libc::socklen_t::try_from(size_of::<libc::tpacket_stats>())?;
        #[expect(unsafe_code, reason = "nix has no PACKET_STATISTICS")]
        // SAFETY: the kernel writes at most `length` bytes, the size of the struct, whose every bit pattern is valid.
        let statistics = unsafe {
            let result = libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                statistics.as_mut_ptr().cast(),
                &raw mut length,
            );
            Errno::result(result).context("ask how many packets were lost")?;
            statistics.assume_init()
        };
        Ok(u64::from(statistics.tp_drops))
    }
}

fn timestamp(message: &RecvMsg<'_, '_, LinkAddr>) -> Result<Option<SystemTime>, Errno> {
    let time = message.cmsgs()?.find_map(|control| {
        if let ControlMessageOwned::ScmTimestampns(time) = control { Some(time) } else { None }
    });
    Ok(time.map(|time| UNIX_EPOCH + Duration::from(time)))
}
