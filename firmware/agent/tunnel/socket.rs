//! The two UDP sockets, one for each family, marked so that the firewall can tell the tunnel's own
//! datagrams. A refusal of the kernel is counted and told once, and never ends anything: the relay's
//! way may be back with the next datagram.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::Outside;

/// Bytes asked for in each direction: 40 ms of a gigabit, with the kernel's own overhead a packet.
const BUFFER_BYTES: usize = 7 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

#[derive(Debug)]
pub(super) struct Sockets {
    v4: UdpSocket,
    /// None where the kernel has no IPv6.
    v6: Option<UdpSocket>,
    refusals: BTreeMap<Option<i32>, u64>,
}

impl Sockets {
    pub(super) fn open(outside: Outside) -> io::Result<Sockets> {
        let v4 = bound((Ipv4Addr::UNSPECIFIED, outside.port).into(), outside.mark)?;
        let v6 = match bound((Ipv6Addr::UNSPECIFIED, outside.port).into(), outside.mark) {
            Ok(socket) => Some(socket),
            Err(error) if no_such_family(&error) => None,
            Err(error) => return Err(error),
        };
        Ok(Sockets { v4, v6, refusals: BTreeMap::new() })
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = (Family, BorrowedFd<'_>)> {
        let v6 = self.v6.iter().map(|socket| (Family::V6, socket.as_fd()));
        std::iter::once((Family::V4, self.v4.as_fd())).chain(v6)
    }

    /// Whether the kernel took the whole datagram.
    pub(super) fn send(&mut self, datagram: &[u8], to: SocketAddr) -> bool {
        let socket = match to {
            SocketAddr::V4(_) => Some(&self.v4),
            SocketAddr::V6(_) => self.v6.as_ref(),
        };
        let sent = match socket {
            Some(socket) => socket.send_to(datagram, to),
            None => Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT)),
        };
        match sent {
            Ok(_) => true,
            Err(error) => {
                self.refused(&error);
                false
            }
        }
    }

    /// The length of the next datagram and who sent it: only its seal tells the relay's. `None` when none is
    /// waiting or the socket reports an old error instead.
    pub(super) fn receive(&mut self, family: Family, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let socket = match family {
            Family::V4 => &self.v4,
            Family::V6 => self.v6.as_ref()?,
        };
        match socket.recv_from(buffer) {
            Ok(received) => Some(received),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => {
                self.refused(&error);
                None
            }
        }
    }

    pub(super) fn refusals(&self) -> u64 {
        self.refusals.values().sum()
    }

    fn refused(&mut self, error: &io::Error) {
        let count = self.refusals.entry(error.raw_os_error()).or_default();
        if *count == 0 {
            tracing::debug!(%error, "the kernel refuses datagrams of the tunnel; told once, counted from now on");
        }
        *count += 1;
    }
}

fn bound(address: SocketAddr, mark: u32) -> io::Result<UdpSocket> {
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
    socket.bind(&address.into())?;
    Ok(socket.into())
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

/// As the kernel does for a tunnel of its own, and whatever errors say, which anybody may forge: where the path is narrower than anybody knows and a router's errors are lost, big
/// packets arrive in pieces instead of never. A refusal of the kernel costs only that.
fn let_routers_fragment(socket: &Socket) {
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
