//! A service on the box that is open to everybody whom the box lets in: TCP and UDP at one port of every address.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use anyhow::{Context, Result};

use crate::namespace::Namespace;

/// Open until dropped. What came in waits to be asked for.
#[derive(Debug)]
pub struct Ears {
    listener: TcpListener,
    datagrams: UdpSocket,
}

impl Ears {
    pub fn open(namespace: &Namespace, port: u16) -> Result<Self> {
        namespace.enter(|| {
            let everywhere = (Ipv6Addr::UNSPECIFIED, port);
            let listener = TcpListener::bind(everywhere).with_context(|| format!("listen at {port}"))?;
            let datagrams = UdpSocket::bind(everywhere).with_context(|| format!("bind udp {port}"))?;
            listener.set_nonblocking(true)?;
            datagrams.set_nonblocking(true)?;
            Ok(Self { listener, datagrams })
        })
    }

    /// The next connection that was made, if any.
    pub fn connection(&self) -> Result<Option<(TcpStream, SocketAddr)>> {
        match self.listener.accept() {
            Ok(connection) => Ok(Some(connection)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error).context("accept a connection"),
        }
    }

    /// Who has sent the next datagram, if any.
    pub fn datagram(&self) -> Result<Option<SocketAddr>> {
        match self.datagrams.recv_from(&mut [0; 64]) {
            Ok((_, from)) => Ok(Some(from)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error).context("receive a datagram"),
        }
    }
}
