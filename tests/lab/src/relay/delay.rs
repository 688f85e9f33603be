//! A program in front of a relay that hands on every datagram later, each by another time, and so in another order. The
//! kernel's own (netem) is not on every machine.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::net::UdpSocket;

use super::PORT;
use crate::namespace::Namespace;
use crate::serving::Serving;

/// Where the relay listens meanwhile, for its own machine only.
pub(super) const BEHIND: u16 = 51819;
/// Any datagram fits.
const LONGEST: usize = 65536;

/// The running program: it owns the relay's port, and is as many clients to the relay as there are.
#[derive(Debug)]
pub(super) struct Delay {
    _program: Serving,
}

impl Delay {
    /// Each datagram waits for less than `up_to`, each way.
    pub(super) fn start(namespace: &Namespace, up_to: Duration) -> Result<Self> {
        let program = Serving::start(namespace, "delay", move || async move {
            let front = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORT)).await;
            let front = front.with_context(|| format!("cannot bind UDP port {PORT}"))?;
            tokio::spawn(inward(Arc::new(front), up_to));
            Ok(())
        })?;
        Ok(Self { _program: program })
    }
}

/// From everybody to the relay.
async fn inward(front: Arc<UdpSocket>, up_to: Duration) {
    let mut clients = BTreeMap::new();
    let mut buffer = vec![0; LONGEST];
    loop {
        let Ok((length, from)) = front.recv_from(&mut buffer).await else { continue };
        let upstream = if let Some(known) = clients.get(&from) {
            Arc::clone(known)
        } else {
            let Ok(new) = to_relay().await else { continue };
            tokio::spawn(outward(Arc::clone(&new), Arc::clone(&front), from, up_to));
            clients.insert(from, Arc::clone(&new));
            new
        };
        let datagram = buffer[..length].to_vec();
        tokio::spawn(async move {
            tokio::time::sleep(some(up_to)).await;
            // A dead relay refuses; its clients find out by its silence.
            let _ = upstream.send(&datagram).await;
        });
    }
}

/// From the relay to one client.
async fn outward(upstream: Arc<UdpSocket>, front: Arc<UdpSocket>, to: SocketAddr, up_to: Duration) {
    let mut buffer = vec![0; LONGEST];
    loop {
        let Ok(length) = upstream.recv(&mut buffer).await else { continue };
        let (datagram, front) = (buffer[..length].to_vec(), Arc::clone(&front));
        tokio::spawn(async move {
            tokio::time::sleep(some(up_to)).await;
            let _ = front.send_to(&datagram, to).await;
        });
    }
}

async fn to_relay() -> Result<Arc<UdpSocket>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect((Ipv4Addr::LOCALHOST, BEHIND)).await?;
    Ok(Arc::new(socket))
}

/// A part of it, another one each time.
fn some(up_to: Duration) -> Duration {
    let millionths = RandomState::new().hash_one(Instant::now()) % 1_000_000;
    up_to * u32::try_from(millionths).unwrap_or_default() / 1_000_000
}
