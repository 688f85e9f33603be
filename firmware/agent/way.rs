//! By which way a socket's packets leave. No socket of the agent's that speaks to the world is opened without one.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use byway_core::posture::Mark;
use hickory_net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_net::runtime::{RuntimeProvider, TokioHandle, TokioTime};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::timeout;

/// For a connection whose caller names no patience.
const PATIENCE: Duration = Duration::from_secs(2);

/// A way out for the agent's own packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Through this interface alone (`SO_BINDTODEVICE`, socket(7)); needs no root.
    Device(String),
    /// By main's routes, with this mark on every packet (`SO_MARK`, socket(7)); needs `CAP_NET_ADMIN`.
    Mark(u32),
    /// Through this interface alone, with this mark: where both are right the firewall lets it pass.
    Door { device: String, mark: u32 },
}

impl Way {
    /// By the house's line.
    pub const fn by_isp() -> Self {
        Self::Mark(Mark::AGENT.0)
    }

    pub(crate) async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let socket = self.socket(to, Type::STREAM, Protocol::TCP)?;
        let socket = TcpSocket::from_std_stream(socket.into());
        socket.set_nodelay(true)?;
        socket.connect(to).await
    }

    pub(crate) fn udp(&self, local: SocketAddr) -> io::Result<UdpSocket> {
        let socket = self.socket(local, Type::DGRAM, Protocol::UDP)?;
        socket.bind(&SockAddr::from(local))?;
        UdpSocket::from_std(socket.into())
    }

    /// Not blocking, and not bound to an address.
    pub(crate) fn socket(&self, peer: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(peer), kind.nonblocking(), Some(protocol))?;
        match self {
            Self::Device(name) => socket.bind_device(Some(name.as_bytes()))?,
            Self::Mark(mark) => socket.set_mark(*mark)?,
            Self::Door { device, mark } => {
                socket.bind_device(Some(device.as_bytes()))?;
                socket.set_mark(*mark)?;
            }
        }
        Ok(socket)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(name) | Self::Door { device: name, .. } => write!(f, "through {name}"),
            Self::Mark(_) => f.write_str("by the house's line"),
        }
    }
}

/// Gives hickory sockets that know their way.
#[derive(Clone)]
pub(crate) struct ByWay {
    way: Way,
    handle: TokioHandle,
}

impl ByWay {
    pub(crate) fn new(way: Way) -> Self {
        Self { way, handle: TokioHandle::default() }
    }
}

type Opened<S> = Pin<Box<dyn Send + Future<Output = io::Result<S>>>>;

impl RuntimeProvider for ByWay {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = UdpSocket;
    type Tcp = AsyncIoTokioAsStd<TcpStream>;

    fn create_handle(&self) -> Self::Handle {
        self.handle.clone()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        _local: Option<SocketAddr>,
        patience: Option<Duration>,
    ) -> Opened<Self::Tcp> {
        let way = self.way.clone();
        Box::pin(async move {
            match timeout(patience.unwrap_or(PATIENCE), way.connect(server)).await {
                Ok(stream) => stream.map(AsyncIoTokioAsStd),
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            }
        })
    }

    fn bind_udp(&self, local: SocketAddr, _server: SocketAddr) -> Opened<Self::Udp> {
        let socket = self.way.udp(local);
        Box::pin(async move { socket })
    }
}
