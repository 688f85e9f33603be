//! The UDP socket of one attempt, which speaks with one endpoint by one interface. Tells what the kernel refuses to send
//! from refusals that came back, which anybody may forge.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use byway_core::posture::Mark;
use byway_core::relays::Obstacle;
use socket2::{Protocol, Type};
use tokio::net::UdpSocket;

use super::super::socket::let_routers_fragment;
use crate::way::Way;

pub(super) struct Uplink {
    socket: UdpSocket,
    endpoint: SocketAddr,
    refused: AtomicBool,
}

impl Uplink {
    pub(super) fn open(device: &str, endpoint: SocketAddr) -> Result<Self, Obstacle> {
        if device.is_empty() {
            return Err(Obstacle::Unsent("no interface leads to the house".to_owned()));
        }
        let way = Way::Door { device: device.to_owned(), mark: Mark::PROBER.0 };
        let socket = connected(&way, endpoint).map_err(|error| Obstacle::Unsent(error.to_string()))?;
        Ok(Self { socket, endpoint, refused: AtomicBool::new(false) })
    }

    pub(super) fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// Whether an ICMP error has come back.
    pub(super) fn was_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// What the kernel has no room for is lost, as on the way.
    pub(super) async fn send(&self, datagram: &[u8]) -> Result<(), Obstacle> {
        if self.socket.send(datagram).await.is_ok() {
            return Ok(());
        }
        // It may have told a refusal that had come back; then it has not tried (udp(7)).
        match self.socket.send(datagram).await {
            Ok(_) => {
                self.refused.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::ENOMEM)) => Ok(()),
            Err(error) => Err(Obstacle::Unsent(error.to_string())),
        }
    }

    /// The length of the next datagram.
    pub(super) async fn receive(&self, datagram: &mut [u8]) -> usize {
        loop {
            match self.socket.recv(datagram).await {
                Ok(length) => return length,
                Err(error) => {
                    tracing::debug!(%error, endpoint = %self.endpoint, "refused on the way to a relay");
                    self.refused.store(true, Ordering::Relaxed);
                }
            }
        }
    }
}

/// Connected, so that refusals come back to this socket.
fn connected(way: &Way, endpoint: SocketAddr) -> io::Result<UdpSocket> {
    let socket = way.socket(endpoint, Type::DGRAM, Protocol::UDP)?;
    if endpoint.is_ipv4() {
        let_routers_fragment(&socket);
    }
    socket.connect(&endpoint.into())?;
    UdpSocket::from_std(socket.into())
}
