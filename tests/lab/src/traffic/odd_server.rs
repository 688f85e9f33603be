//! The server of the odd kinds: answers that are too big for the tailnet, answers that die on their way, raw packets sent
//! back, and a port that says nothing. One thread.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, AsRawFd as _};

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Socket, Type};

use super::{Kind, shape};
use crate::inside::{Inside, StopSign};
use crate::namespace::Namespace;

/// With either family's headers more than the tailnet's 1280 bytes and less than the tunnel's 1380.
const BIG: usize = 1300;
/// The internet's router, then the relay or the house, then the box: there it is over.
const HOPS_TO_THE_BOX: u32 = 3;

/// A running server; it ends when dropped.
#[derive(Debug)]
pub struct OddServer {
    _thread: Inside<()>,
}

impl OddServer {
    /// Returns when everything is open at these addresses of the namespace.
    pub fn start(namespace: &Namespace, addresses: &[IpAddr]) -> Result<Self> {
        let port = Kind::NO_ANSWER;
        namespace.nft(&format!(
            "add table inet mute\ndelete table inet mute\ntable inet mute {{ \
             chain in {{ type filter hook input priority 0; tcp dport {port} drop; }}\n}}"
        ))?;
        let addresses = addresses.to_vec();
        let open = move || {
            let desks: Result<Vec<_>> = addresses.into_iter().map(desks_at).collect();
            Ok(desks?.into_iter().flatten().collect::<Vec<_>>())
        };
        let netns = namespace.path();
        let thread = Inside::start(&netns, "odd server", open, |desks, stop| serve(&desks, stop))?;
        Ok(Self { _thread: thread })
    }
}

/// A socket, and what is done with what comes by it.
struct Desk {
    socket: Socket,
    service: Service,
}

#[derive(Clone, Copy)]
enum Service {
    /// Sent back with more behind it.
    Big,
    /// Sent back as it is.
    Back,
    /// The same without the IP header that IPv4 delivers.
    BackRaw,
    /// Only taken: the kernel would object.
    Nothing,
}

fn desks_at(address: IpAddr) -> Result<[Desk; 5]> {
    let big = udp(address, Kind::BIG_ANSWERS)?;
    never_fragment(&big, address).context("forbid fragments")?;
    let dying = udp(address, Kind::DYING_ANSWERS)?;
    match address {
        IpAddr::V4(_) => dying.set_ttl_v4(HOPS_TO_THE_BOX)?,
        IpAddr::V6(_) => dying.set_unicast_hops_v6(HOPS_TO_THE_BOX)?,
    }
    Ok([
        Desk { socket: big, service: Service::Big },
        Desk { socket: dying, service: Service::Back },
        Desk { socket: raw(address, shape::ESP)?, service: Service::BackRaw },
        Desk { socket: raw(address, shape::GRE)?, service: Service::BackRaw },
        Desk { socket: raw(address, shape::SCTP)?, service: Service::Nothing },
    ])
}

fn udp(address: IpAddr, port: u16) -> Result<Socket> {
    let here = SocketAddr::new(address, port);
    let socket = Socket::new(Domain::for_address(here), Type::DGRAM, None)?;
    bound(socket, here)
}

fn raw(address: IpAddr, protocol: u8) -> Result<Socket> {
    let here = SocketAddr::new(address, 0);
    let socket = Socket::new(Domain::for_address(here), Type::RAW, Some(i32::from(protocol).into()))?;
    bound(socket, here)
}

fn bound(socket: Socket, here: SocketAddr) -> Result<Socket> {
    socket.set_nonblocking(true)?;
    socket.bind(&here.into()).with_context(|| format!("bind {here}"))?;
    Ok(socket)
}

fn serve(desks: &[Desk], stop: &StopSign) -> Result<()> {
    let mut buffer = [0; 2048];
    while !stop.is_up() {
        wait_for_any(desks)?;
        for desk in desks {
            while let Ok((length, client)) = nix::sys::socket::recvfrom::<nix::sys::socket::SockaddrStorage>(
                desk.socket.as_raw_fd(),
                &mut buffer,
            ) {
                let client = client.and_then(address_of).context("a request from nowhere")?;
                // A refusal concerns only this client, who notices it by the missing answer.
                let _ = desk.answer(&buffer[..length], client);
            }
        }
    }
    Ok(())
}

impl Desk {
    fn answer(&self, request: &[u8], client: SocketAddr) -> io::Result<()> {
        let answer = match self.service {
            Service::Big => [request, &[0; BIG]].concat()[..BIG].to_vec(),
            Service::Back => request.to_vec(),
            Service::BackRaw => shape::without_ip_header(client.is_ipv4(), request).to_vec(),
            Service::Nothing => return Ok(()),
        };
        self.socket.send_to(&answer, &client.into()).map(drop)
    }
}

fn address_of(peer: nix::sys::socket::SockaddrStorage) -> Option<SocketAddr> {
    let four = peer.as_sockaddr_in().map(|peer| SocketAddr::new(peer.ip().into(), peer.port()));
    four.or_else(|| peer.as_sockaddr_in6().map(|peer| SocketAddr::new(peer.ip().into(), peer.port())))
}

fn wait_for_any(desks: &[Desk]) -> Result<()> {
    let mut sockets: Vec<_> =
        desks.iter().map(|desk| PollFd::new(desk.socket.as_fd(), PollFlags::POLLIN)).collect();
    match poll(&mut sockets, PollTimeout::from(50_u8)) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error).context("wait for requests"),
    }
}

/// With "don't fragment" whatever a router has said about the path before: `PROBE` of ip(7) and ipv6(7).
fn never_fragment(socket: &Socket, address: IpAddr) -> io::Result<()> {
    let (level, option, probe) = match address {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE),
    };
    let length = libc::socklen_t::try_from(size_of_val(&probe)).map_err(io::Error::other)?;
    #[expect(unsafe_code, reason = "neither nix nor socket2 knows the option")]
    // SAFETY: the kernel reads `length` bytes, the size of the integer that the pointer is to.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const probe).cast(), length) };
    Errno::result(result)?;
    Ok(())
}
