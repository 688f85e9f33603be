//! By which way a socket's packets leave. No socket here is opened without one.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use byway_core::posture::Mark;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

/// A way out for the agent's own packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Through this interface alone (`SO_BINDTODEVICE`, socket(7)); needs no root.
    Device(String),
    /// By main's routes, with this mark on every packet (`SO_MARK`, socket(7)); needs `CAP_NET_ADMIN`.
    Mark(u32),
}

impl Way {
    /// By the house's line.
    pub const fn by_isp() -> Self {
        Self::Mark(Mark::AGENT.0)
    }

    pub(super) async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let socket = self.socket(to, Type::STREAM, Protocol::TCP)?;
        let socket = TcpSocket::from_std_stream(socket.into());
        socket.set_nodelay(true)?;
        socket.connect(to).await
    }

    pub(super) fn udp(&self, local: SocketAddr) -> io::Result<UdpSocket> {
        let socket = self.socket(local, Type::DGRAM, Protocol::UDP)?;
        socket.bind(&SockAddr::from(local))?;
        UdpSocket::from_std(socket.into())
    }

    fn socket(&self, peer: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(peer), kind.nonblocking(), Some(protocol))?;
        match self {
            Self::Device(name) => socket.bind_device(Some(name.as_bytes()))?,
            Self::Mark(mark) => socket.set_mark(*mark)?,
        }
        Ok(socket)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(name) => write!(f, "through {name}"),
            Self::Mark(_) => f.write_str("by the house's line"),
        }
    }
}
