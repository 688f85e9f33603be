//! One echo request and its answer: to the relay's gateway through the tunnel, or to any machine by another way. Tells
//! how long it took; how many may stay unanswered is decided in byway-core.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{Protocol, Type};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

use super::echo::{Echo, is_packet_with_answer};
use crate::way::Way;

#[derive(Debug, thiserror::Error)]
pub enum PingError {
    #[error("no ping can be sent {way}: {cause}")]
    Socket { way: Way, cause: io::Error },
    #[error("{to} does not answer pings {way} within {} ms", patience.as_millis())]
    NoAnswer { to: IpAddr, way: Way, patience: Duration },
}

/// Pings once by `way` and no other; needs `CAP_NET_RAW`.
pub async fn ping(to: IpAddr, way: &Way, patience: Duration) -> Result<Duration, PingError> {
    let failed = |cause| PingError::Socket { way: way.clone(), cause };
    let socket = open(to, way).map_err(failed)?;
    let echo = Echo::short(to).map_err(|error| failed(io::Error::other(error)))?;
    let sent = Instant::now();
    socket.send_to(echo.message(), SocketAddr::new(to, 0)).await.map_err(failed)?;
    match timeout(patience, answer(&socket, to, &echo)).await {
        Ok(Ok(())) => Ok(sent.elapsed()),
        Ok(Err(cause)) => Err(failed(cause)),
        Err(_) => Err(PingError::NoAnswer { to, way: way.clone(), patience }),
    }
}

/// tokio waits for any datagram socket under the name of UDP; ports mean nothing here.
fn open(to: IpAddr, way: &Way) -> io::Result<UdpSocket> {
    let protocol = if to.is_ipv4() { Protocol::ICMPV4 } else { Protocol::ICMPV6 };
    UdpSocket::from_std(way.socket(SocketAddr::new(to, 0), Type::RAW, protocol)?.into())
}

/// Reads past everybody else's ICMP until the answer is there.
async fn answer(socket: &UdpSocket, to: IpAddr, echo: &Echo) -> io::Result<()> {
    let mut packet = [0; 1500];
    loop {
        let (length, from) = socket.recv_from(&mut packet).await?;
        let packet = &packet[..length];
        let is_answer = match to {
            IpAddr::V4(to) => is_packet_with_answer(packet, to, echo.message()),
            // Without the IP header, and with a sum that the kernel has looked at (RFC 3542 3.1).
            IpAddr::V6(_) => from.ip() == to && echo.is_answered_by(packet),
        };
        if is_answer {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    /// Needs root, as the agent does.
    #[tokio::test]
    async fn pings_both_families_by_the_way_it_is_told() {
        for way in [Way::Device("lo".to_owned()), Way::by_isp()] {
            for to in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
                let loopback = ping(to, &way, PATIENCE).await;
                assert!(loopback.is_ok(), "{loopback:?}");
            }
        }
    }

    /// Needs root, as the agent does.
    #[tokio::test]
    async fn says_by_which_way_nothing_goes() {
        let way = Way::Device("no-such-device".to_owned());
        let gone = ping(Ipv4Addr::LOCALHOST.into(), &way, PATIENCE).await.unwrap_err().to_string();
        assert!(gone.starts_with("no ping can be sent through no-such-device: "), "{gone}");
    }
}
