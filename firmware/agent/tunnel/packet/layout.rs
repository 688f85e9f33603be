//! Where the fields of a packet's headers are (RFC 791, 8200, 9293, 768), in both families.

use std::ops::Range;

use super::checksum;

// Counted from where the transport header begins.
pub(super) const TCP_SEQUENCE: Range<usize> = 4..8;
pub(super) const TCP_ACKNOWLEDGED: Range<usize> = 8..12;
/// Beside the header's length: bits that may mean something one day, as one does already (RFC 9768).
pub(super) const TCP_RESERVED: Range<usize> = 12..13;
pub(super) const TCP_FLAGS: usize = 13;
pub(super) const TCP_WINDOW: Range<usize> = 14..16;
pub(super) const TCP_URGENT: Range<usize> = 18..20;
pub(super) const TCP_OPTIONS: usize = 20;
pub(super) const UDP_LENGTH: Range<usize> = 4..6;

/// In the fourth word of an IPv4 header: more to come, or not the first.
pub(super) const FRAGMENT: u16 = 0x3fff;

pub(super) const FIN: u8 = 0x01;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;
pub(super) const CWR: u8 = 0x80;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    V6,
}

impl Version {
    /// By the first bits; the header, without options, is there.
    pub(super) fn of(packet: &[u8]) -> Option<Version> {
        let version = match packet.first()? >> 4 {
            4 => Version::V4,
            6 => Version::V6,
            _ => return None,
        };
        (packet.len() >= version.header()).then_some(version)
    }

    /// Bytes of the header without options.
    pub(super) const fn header(self) -> usize {
        match self {
            Version::V4 => 20,
            Version::V6 => 40,
        }
    }

    /// Source and destination.
    pub(super) const fn addresses(self) -> Range<usize> {
        match self {
            Version::V4 => 12..20,
            Version::V6 => 8..40,
        }
    }

    /// Writes the length of the whole packet into its IP header, which is all of `header`.
    pub(super) fn set_length(self, header: &mut [u8], length: usize) {
        match self {
            Version::V4 => {
                header[2..4].copy_from_slice(&low_16(length).to_be_bytes());
                header[10..12].fill(0);
                let checksum = checksum::finish(checksum::sum(header, 0));
                header[10..12].copy_from_slice(&checksum);
            }
            Version::V6 => {
                let payload = low_16(length - Version::V6.header());
                header[4..6].copy_from_slice(&payload.to_be_bytes());
            }
        }
    }
}

/// What the kernel can cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    pub(super) const fn of(number: u8) -> Option<Protocol> {
        match number {
            6 => Some(Protocol::Tcp),
            17 => Some(Protocol::Udp),
            _ => None,
        }
    }

    pub(super) const fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        }
    }

    /// Where the checksum is in the transport header.
    pub(super) const fn checksum(self) -> usize {
        match self {
            Protocol::Tcp => 16,
            Protocol::Udp => 6,
        }
    }

    /// Bytes of the transport header that begins at `at`, options included, if all of it is there.
    pub(super) fn header(self, packet: &[u8], at: usize) -> Option<usize> {
        let length = match self {
            Protocol::Tcp => usize::from(packet.get(at + 12)? >> 4) * 4,
            Protocol::Udp => 8,
        };
        let whole = match self {
            Protocol::Tcp => length >= TCP_OPTIONS,
            Protocol::Udp => true,
        };
        (whole && at + length <= packet.len()).then_some(length)
    }
}

/// Of a length that an IP header can tell: the caller has seen to it.
pub(super) fn low_16(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// The two bytes at `at`, which are there.
pub(super) fn word(packet: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([packet[at], packet[at + 1]])
}

/// The four bytes of `at`, which are there.
pub(super) fn double_word(packet: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]])
}
