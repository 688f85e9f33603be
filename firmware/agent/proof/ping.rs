//! One echo request to the relay's gateway through the tunnel, and its answer (RFC 792). Tells how long it took;
//! how many may stay unanswered is decided in byway-core.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;
const ICMP: u8 = 1;
const HEADER: usize = 8;
/// Enough randomness that an answer can only be to this request.
const PAYLOAD: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum PingError {
    #[error("no ping can be sent through {device}: {cause}")]
    Socket { device: String, cause: io::Error },
    #[error("{gateway} does not answer pings through {device} within {} ms", patience.as_millis())]
    NoAnswer { gateway: Ipv4Addr, device: String, patience: Duration },
}

/// Pings once through `device` and no other interface; needs `CAP_NET_RAW`.
pub async fn ping(gateway: Ipv4Addr, device: &str, patience: Duration) -> Result<Duration, PingError> {
    let failed = |cause| PingError::Socket { device: device.to_owned(), cause };
    let socket = open(device).map_err(failed)?;
    let request = echo_request(random()?);
    let sent = Instant::now();
    socket.send_to(&request, SocketAddrV4::new(gateway, 0)).await.map_err(failed)?;
    match timeout(patience, answer(&socket, gateway, &request)).await {
        Ok(Ok(())) => Ok(sent.elapsed()),
        Ok(Err(cause)) => Err(failed(cause)),
        Err(_) => Err(PingError::NoAnswer { gateway, device: device.to_owned(), patience }),
    }
}

/// tokio waits for any datagram socket under the name of UDP; ports mean nothing here.
fn open(device: &str) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::RAW.nonblocking(), Some(Protocol::ICMPV4))?;
    socket.bind_device(Some(device.as_bytes()))?;
    UdpSocket::from_std(socket.into())
}

/// Reads past everybody else's ICMP until the answer is there.
async fn answer(socket: &UdpSocket, gateway: Ipv4Addr, request: &[u8]) -> io::Result<()> {
    let mut packet = [0; 1500];
    loop {
        let length = socket.recv(&mut packet).await?;
        if is_answer(&packet[..length], gateway, request) {
            return Ok(());
        }
    }
}

/// Identifier, sequence number and payload, all random: two pings under way never take each other's answer.
fn random() -> Result<[u8; 4 + PAYLOAD], PingError> {
    let mut bytes = [0; 4 + PAYLOAD];
    rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes).map_err(|_| {
        PingError::Socket { device: "the random generator".to_owned(), cause: io::ErrorKind::Other.into() }
    })?;
    Ok(bytes)
}

fn echo_request(random: [u8; 4 + PAYLOAD]) -> [u8; HEADER + PAYLOAD] {
    let mut message = [0; HEADER + PAYLOAD];
    message[0] = ECHO_REQUEST;
    message[4..].copy_from_slice(&random);
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// A raw socket delivers the IP header too (raw(7)); the kernel has not looked at the ICMP checksum. Public for the
/// fuzzer.
#[doc(hidden)]
pub fn is_answer(packet: &[u8], gateway: Ipv4Addr, request: &[u8]) -> bool {
    let Some(first) = packet.first() else {
        return false;
    };
    let header = usize::from(first & 0x0f) * 4;
    let Some((ip, icmp)) = packet.split_at_checked(header).filter(|(ip, _)| ip.len() >= 20) else {
        return false;
    };
    ip[9] == ICMP
        && ip[12..16] == gateway.octets()
        && icmp.len() == request.len()
        && icmp[..2] == [ECHO_REPLY, 0]
        && icmp[4..] == request[4..]
        && checksum(icmp) == 0
}

/// RFC 1071; over a message that holds its own, it is 0.
fn checksum(message: &[u8]) -> u16 {
    let word =
        |pair: &[u8]| pair.iter().chain([&0]).take(2).fold(0, |word, byte| word << 8 | u32::from(*byte));
    let mut sum: u32 = message.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("the loop ended at 16 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 1);

    fn reply_to(request: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 44, 0, 0, 0, 0, 64, ICMP, 0, 0, 10, 64, 0, 1, 10, 64, 0, 2];
        packet.extend(request);
        packet[20] = ECHO_REPLY;
        packet[22..24].fill(0);
        let sum = checksum(&packet[20..]);
        packet[22..24].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    #[test]
    fn knows_its_own_answer() {
        let request = echo_request([7; 20]);
        assert_eq!(checksum(&request), 0);
        assert!(is_answer(&reply_to(&request), GATEWAY, &request));
    }

    #[test]
    fn takes_no_other_packet_for_it() {
        let request = echo_request([7; 20]);
        let right = reply_to(&request);
        let spoilt = |at: usize| {
            let mut packet = right.clone();
            packet[at] ^= 1;
            packet
        };
        for at in [9, 15, 20, 21, 22, 24, 26, 28, 43] {
            assert!(!is_answer(&spoilt(at), GATEWAY, &request), "byte {at}");
        }
        for length in 0..right.len() {
            assert!(!is_answer(&right[..length], GATEWAY, &request), "{length} bytes");
        }
        assert!(!is_answer(&[vec![0x40], right[1..].to_vec()].concat(), GATEWAY, &request), "no IP header");
        assert!(!is_answer(&reply_to(&echo_request([8; 20])), GATEWAY, &request), "another's answer");
    }

    #[test]
    fn sums_an_odd_length_as_if_a_zero_followed() {
        assert_eq!(checksum(&[1, 2, 3]), checksum(&[1, 2, 3, 0]));
        assert_eq!(checksum(&[0xff, 0xff, 0, 1]), !1);
    }

    /// Needs root, as the agent does.
    #[tokio::test]
    async fn pings_through_the_device_it_is_told() {
        let loopback = ping(Ipv4Addr::LOCALHOST, "lo", Duration::from_secs(2)).await;
        assert!(loopback.is_ok(), "{loopback:?}");
    }

    /// Needs root, as the agent does.
    #[tokio::test]
    async fn says_through_which_device_nothing_goes() {
        let gone = ping(GATEWAY, "no-such-device", Duration::from_secs(2)).await.unwrap_err().to_string();
        assert!(gone.starts_with("no ping can be sent through no-such-device: "), "{gone}");
    }
}
