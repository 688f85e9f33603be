//! Echo requests and what answers them (RFC 792, RFC 4443), as bytes: whoever sends them, by a socket or in memory.

use std::net::{IpAddr, Ipv4Addr};

use rustls::crypto::ring::default_provider;

/// In an IPv4 header.
const ICMP: u8 = 1;
/// Of an ICMP message of either family.
const HEADER: usize = 8;
/// Enough randomness that an answer can only be to this request.
const SHORT: usize = 16;

/// The types of a request and of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Types {
    request: u8,
    reply: u8,
}

const V4: Types = Types { request: 8, reply: 0 };
const V6: Types = Types { request: 128, reply: 129 };

/// One request; its sequence number and payload are random.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Echo {
    types: Types,
    message: Vec<u8>,
}

/// The system gives no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the random generator gives nothing")]
pub struct NoRandomness;

impl Echo {
    /// A short one with a random identifier: two pings under way never take each other's answer.
    pub fn short(to: IpAddr) -> Result<Self, NoRandomness> {
        Self::random(to, HEADER + SHORT)
    }

    /// Of `length` bytes, but never without room to tell its answer by; answers come to who listens for `identifier`.
    pub fn of_length(to: IpAddr, identifier: u16, length: usize) -> Result<Self, NoRandomness> {
        let mut echo = Self::random(to, length.max(HEADER + SHORT))?;
        echo.message[4..6].copy_from_slice(&identifier.to_be_bytes());
        Ok(echo.summed())
    }

    fn random(to: IpAddr, length: usize) -> Result<Self, NoRandomness> {
        let mut message = vec![0; length];
        default_provider().secure_random.fill(&mut message[4..]).map_err(|_| NoRandomness)?;
        let types = if to.is_ipv4() { V4 } else { V6 };
        message[0] = types.request;
        Ok(Self { types, message }.summed())
    }

    /// IPv6's checksum covers addresses too: whoever sends it there sums it again.
    fn summed(mut self) -> Self {
        self.message[2..4].fill(0);
        let sum = checksum(&self.message);
        self.message[2..4].copy_from_slice(&sum.to_be_bytes());
        self
    }

    /// As it is sent, behind an IP header.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Whether `icmp`, whose sum is right, is the answer to this very request.
    pub fn is_answered_by(&self, icmp: &[u8]) -> bool {
        is_answer(icmp, self.types.reply, &self.message)
    }
}

/// `request` has a header at least.
fn is_answer(icmp: &[u8], reply: u8, request: &[u8]) -> bool {
    icmp.len() == request.len() && icmp[..2] == [reply, 0] && icmp[4..] == request[4..]
}

/// As a raw socket of IPv4 delivers it, the IP header too (raw(7)); the kernel has not looked at the ICMP checksum. Public
/// for the fuzzer.
#[doc(hidden)]
pub fn is_packet_with_answer(packet: &[u8], from: Ipv4Addr, request: &[u8]) -> bool {
    let Some(first) = packet.first() else {
        return false;
    };
    let header = usize::from(first & 0x0f) * 4;
    let Some((ip, icmp)) = packet.split_at_checked(header).filter(|(ip, _)| ip.len() >= 20) else {
        return false;
    };
    ip[9] == ICMP && ip[12..16] == from.octets() && is_answer(icmp, V4.reply, request) && checksum(icmp) == 0
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
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn sums_an_odd_length_as_if_a_zero_followed() {
        assert_eq!(checksum(&[1, 2, 3]), checksum(&[1, 2, 3, 0]));
        assert_eq!(checksum(&[0xff, 0xff, 0, 1]), !1);
    }

    const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 1);

    fn reply_to(request: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 44, 0, 0, 0, 0, 64, ICMP, 0, 0, 10, 64, 0, 1, 10, 64, 0, 2];
        packet.extend(request);
        packet[20] = V4.reply;
        packet[22..24].fill(0);
        let sum = checksum(&packet[20..]);
        packet[22..24].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    #[test]
    fn knows_its_own_answer_in_a_packet() {
        let echo = Echo::short(GATEWAY.into()).unwrap();
        let request = echo.message();
        assert!(is_packet_with_answer(&reply_to(request), GATEWAY, request));
    }

    #[test]
    fn takes_no_other_packet_for_it() {
        let (echo, other) = (Echo::short(GATEWAY.into()).unwrap(), Echo::short(GATEWAY.into()).unwrap());
        let request = echo.message();
        let right = reply_to(request);
        let spoilt = |at: usize| {
            let mut packet = right.clone();
            packet[at] ^= 1;
            packet
        };
        for at in [9, 15, 20, 21, 22, 24, 26, 28, 43] {
            assert!(!is_packet_with_answer(&spoilt(at), GATEWAY, request), "byte {at}");
        }
        for length in 0..right.len() {
            assert!(!is_packet_with_answer(&right[..length], GATEWAY, request), "{length} bytes");
        }
        let headless = [vec![0x40], right[1..].to_vec()].concat();
        assert!(!is_packet_with_answer(&headless, GATEWAY, request), "no IP header");
        assert!(!is_packet_with_answer(&reply_to(other.message()), GATEWAY, request), "another's answer");
    }

    #[test]
    fn is_as_long_as_it_was_asked_to_be_and_summed() {
        for to in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let echo = Echo::of_length(to, 0x1234, 1360).unwrap();
            assert_eq!((echo.message().len(), &echo.message()[4..6]), (1360, &[0x12, 0x34][..]));
            assert_eq!(checksum(echo.message()), 0);
        }
    }

    #[test]
    fn is_answered_by_its_own_answer_alone() {
        for to in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let echo = Echo::short(to).unwrap();
            let mut answer = echo.message().to_vec();
            assert!(!echo.is_answered_by(&answer), "the request itself");
            answer[0] = echo.types.reply;
            assert!(echo.is_answered_by(&answer));
            assert!(!Echo::short(to).unwrap().is_answered_by(&answer), "another's answer");
            for at in [0, 1, 4, 6, 8, answer.len() - 1] {
                let mut spoilt = answer.clone();
                spoilt[at] ^= 1;
                assert!(!echo.is_answered_by(&spoilt), "byte {at}");
            }
            assert!(!echo.is_answered_by(&answer[..answer.len() - 1]) && !echo.is_answered_by(&[]));
        }
    }
}
