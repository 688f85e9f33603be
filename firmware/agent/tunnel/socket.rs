//! The two UDP sockets, one for each family, marked so that the firewall can tell the tunnel's own
//! datagrams, and many datagrams a call where the kernel can (`udp(7)`: `UDP_SEGMENT`, `UDP_GRO`). A refusal of the
//! kernel is counted and told once, and never ends anything: the relay's way may be back with the next datagram.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::Outside;
use super::train::Train;

/// Bytes asked for in each direction: 40 ms of a gigabit, with the kernel's own overhead a packet.
const BUFFER_BYTES: usize = 7 << 20;
/// How long a full buffer of the kernel may hold up what comes after it, in milliseconds.
const ROOM_WITHIN_MS: u8 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

#[derive(Debug)]
pub struct Sockets {
    v4: UdpSocket,
    /// None where the kernel has no IPv6.
    v6: Option<UdpSocket>,
    offloads: UdpOffloads,
    refusals: Mutex<BTreeMap<Option<i32>, u64>>,
}

/// What the kernel does for many datagrams at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpOffloads {
    pub segment: bool,
    pub gro: bool,
}

impl Sockets {
    pub fn open(outside: Outside) -> io::Result<Sockets> {
        let (v4, offloads) = bound((Ipv4Addr::UNSPECIFIED, outside.port).into(), outside.mark)?;
        let v6 = match bound((Ipv6Addr::UNSPECIFIED, outside.port).into(), outside.mark) {
            Ok((socket, _)) => Some(socket),
            Err(error) if no_such_family(&error) => None,
            Err(error) => return Err(error),
        };
        Ok(Sockets { v4, v6, offloads, refusals: Mutex::default() })
    }

    pub fn offloads(&self) -> UdpOffloads {
        self.offloads
    }

    pub fn of(&self, family: Family) -> Option<&UdpSocket> {
        match family {
            Family::V4 => Some(&self.v4),
            Family::V6 => self.v6.as_ref(),
        }
    }

    /// Whether the kernel took all of it.
    pub fn send(&self, train: Train<'_>, to: SocketAddr) -> bool {
        let family = if to.is_ipv4() { Family::V4 } else { Family::V6 };
        let Some(socket) = self.of(family) else {
            self.refused(&io::Error::from_raw_os_error(libc::EAFNOSUPPORT));
            return false;
        };
        if !train.is_single() && self.offloads.segment {
            match when_there_is_room(socket, || send_train(socket, train, to)) {
                Ok(()) => return true,
                // Too long for the device, or a device that cannot sum: the single ones may pass.
                Err(error)
                    if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EMSGSIZE | libc::EIO)) => {}
                Err(error) => {
                    self.refused(&error);
                    return false;
                }
            }
        }
        // After one that was refused, the others wait for nothing.
        train.datagrams().all(|datagram| self.send_single(socket, datagram, to))
    }

    pub fn refusals(&self) -> u64 {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    fn send_single(&self, socket: &UdpSocket, datagram: &[u8], to: SocketAddr) -> bool {
        match when_there_is_room(socket, || socket.send_to(datagram, to)) {
            Ok(_) => true,
            Err(error) => {
                self.refused(&error);
                false
            }
        }
    }

    pub(super) fn refused(&self, error: &io::Error) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let count = refusals.entry(error.raw_os_error()).or_default();
        if *count == 0 {
            tracing::debug!(%error, "the kernel refuses datagrams of the tunnel; told once, counted from now on");
        }
        *count += 1;
    }
}

fn send_train(socket: &UdpSocket, train: Train<'_>, to: SocketAddr) -> io::Result<()> {
    let each = u16::try_from(train.each).map_err(|_| Errno::EMSGSIZE)?;
    let to = SockaddrStorage::from(to);
    let cut = [ControlMessage::UdpGsoSegments(&each)];
    sendmsg(socket.as_raw_fd(), &[IoSlice::new(train.bytes)], &cut, MsgFlags::empty(), Some(&to))?;
    Ok(())
}

/// Waits once, a little, where the kernel's buffer is full: what is refused then is lost.
fn when_there_is_room<T>(socket: &UdpSocket, send: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match send() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let mut room = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
            // If it cannot wait, the second try tells.
            _ = poll(&mut room, PollTimeout::from(ROOM_WITHIN_MS));
            send()
        }
        result => result,
    }
}

fn bound(address: SocketAddr, mark: u32) -> io::Result<(UdpSocket, UdpOffloads)> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_mark(mark)?;
    socket.set_nonblocking(true)?;
    // A process that was killed may not have given the port back yet.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    enlarge_buffers(&socket);
    if address.is_ipv4() {
        let_routers_fragment(&socket);
    }
    let offloads = UdpOffloads {
        // Zero: each call says it for itself.
        segment: setsockopt(&socket, sockopt::UdpGsoSegment, &0).is_ok(),
        gro: setsockopt(&socket, sockopt::UdpGroSegment, &true).is_ok(),
    };
    socket.bind(&address.into())?;
    Ok((socket.into(), offloads))
}

/// Past the system's limit where the kernel lets us, else up to it; smaller ones only cost speed.
fn enlarge_buffers(socket: &Socket) {
    if setsockopt(socket, sockopt::RcvBufForce, &BUFFER_BYTES).is_err() {
        let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    }
    if setsockopt(socket, sockopt::SndBufForce, &BUFFER_BYTES).is_err() {
        let _ = socket.set_send_buffer_size(BUFFER_BYTES);
    }
}

/// As the kernel does for a tunnel of its own, and whatever errors say, which anybody may forge: where the path is
/// narrower than anybody knows and a router's errors are lost, big packets arrive in pieces instead of never. A refusal of the kernel costs only that.
pub(super) fn let_routers_fragment(socket: &Socket) {
    const LENGTH: libc::socklen_t = 4;
    let never_ask: libc::c_int = libc::IP_PMTUDISC_OMIT;
    #[expect(unsafe_code, reason = "neither nix nor socket2 knows IP_MTU_DISCOVER")]
    // SAFETY: the pointer is to an integer of `LENGTH` bytes, which the kernel only reads.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            (&raw const never_ask).cast(),
            LENGTH,
        )
    };
    if let Err(error) = Errno::result(result) {
        tracing::debug!(%error, "routers may not cut the tunnel's datagrams into pieces");
    }
}

/// No IPv6 in the kernel, or switched off for every device.
fn no_such_family(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}
