//! Cuts what one read of the TUN device brought into the packets that it stands for, as the kernel would have done
//! without offloads: TCP segments, UDP datagrams, or one packet whose checksum is still to be computed.
//!
//! In place: a segment's headers are written before its payload, over the end of the segment before. So each
//! segment has to be used before the next one is asked for, and nothing is copied but headers.

use super::checksum;
use super::layout::{self, CWR, FIN, PSH, Protocol, TCP_FLAGS, TCP_SEQUENCE, UDP_LENGTH, Version, low_16};
use super::virtio::{self, Field, Transport, Work};

/// Two full headers with all options that they can hold, or an IPv6 packet with some extension headers.
const LONGEST_HEADERS: usize = 256;
/// What an IP header can tell.
const LONGEST_SEGMENT: usize = 65_535;

/// The packets of one read, one after the other.
#[derive(Debug)]
pub struct Segments<'a> {
    /// Without the virtio header.
    packet: &'a mut [u8],
    /// None for a single packet.
    cut: Option<Cut>,
    /// Where the next payload begins; at the packet's end when all is told.
    next: usize,
}

/// What the kernel never sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the TUN device gave a packet whose virtio header does not fit it")]
pub struct Malformed;

/// How a super-packet is cut.
#[derive(Debug)]
struct Cut {
    version: Version,
    protocol: Protocol,
    /// As they came: of the whole, and of the first segment.
    headers: [u8; LONGEST_HEADERS],
    headers_length: usize,
    /// Where the transport header begins.
    transport: usize,
    /// Bytes of payload in each but the last.
    size: usize,
    /// Without the length, which differs.
    pseudo_header: u64,
}

impl<'a> Segments<'a> {
    /// `read` is what the device gave, virtio header included.
    pub fn of(read: &'a mut [u8]) -> Result<Segments<'a>, Malformed> {
        let (header, packet) = read.split_first_chunk_mut::<{ virtio::LENGTH }>().ok_or(Malformed)?;
        let cut = match Work::read(*header).map_err(|virtio::Unknown| Malformed)? {
            Work::Nothing => None,
            Work::Checksum(field) => {
                complete(packet, field)?;
                None
            }
            Work::Segments { transport, size, headers: _, checksum } => {
                Some(Cut::of(packet, transport, size, checksum)?)
            }
        };
        let next = cut.as_ref().map_or(0, |cut| cut.headers_length);
        Ok(Segments { packet, cut, next })
    }

    /// The next packet, whole. Not an iterator: it may lie over the one before.
    #[expect(clippy::should_implement_trait, reason = "an iterator's items outlive each other")]
    pub fn next(&mut self) -> Option<&mut [u8]> {
        if self.next >= self.packet.len() {
            return None;
        }
        let Some(cut) = &self.cut else {
            self.next = self.packet.len();
            return Some(self.packet);
        };
        let begin = self.next - cut.headers_length;
        let end = self.packet.len().min(self.next + cut.size);
        let is_last = end == self.packet.len();
        self.next = end;
        let segment = &mut self.packet[begin..end];
        cut.write_headers(segment, begin, is_last);
        Some(segment)
    }
}

impl Cut {
    fn of(packet: &[u8], transport: Transport, size: u16, field: Field) -> Result<Cut, Malformed> {
        let version = Version::of(packet).ok_or(Malformed)?;
        let at = usize::from(field.start);
        let protocol = match (transport, version) {
            (Transport::TcpV4, Version::V4) | (Transport::TcpV6, Version::V6) => Protocol::Tcp,
            (Transport::Udp, Version::V4 | Version::V6) => Protocol::Udp,
            (Transport::TcpV4, Version::V6) | (Transport::TcpV6, Version::V4) => return Err(Malformed),
        };
        let transport_header = protocol.header(packet, at).ok_or(Malformed)?;
        let ip_header_fits = match version {
            Version::V4 => at == usize::from(packet[0] & 0xf) * 4 && at >= version.header(),
            Version::V6 => at >= version.header(),
        };
        let headers_length = at + transport_header;
        let size = usize::from(size);
        let fits = ip_header_fits
            && usize::from(field.offset) == protocol.checksum()
            && headers_length <= LONGEST_HEADERS
            && headers_length < packet.len()
            && size > 0
            && headers_length + size.min(packet.len() - headers_length) <= LONGEST_SEGMENT;
        if !fits {
            return Err(Malformed);
        }
        let mut headers = [0; LONGEST_HEADERS];
        headers[..headers_length].copy_from_slice(&packet[..headers_length]);
        let pseudo_header = without_length(packet, at, protocol);
        Ok(Cut { version, protocol, headers, headers_length, transport: at, size, pseudo_header })
    }

    /// Over what lies before the payload; `sent` bytes of payload went before.
    fn write_headers(&self, segment: &mut [u8], sent: usize, is_last: bool) {
        segment[..self.headers_length].copy_from_slice(&self.headers[..self.headers_length]);
        if self.version == Version::V4 {
            let nth = u16::try_from(sent / self.size).unwrap_or(u16::MAX);
            let identification = layout::word(&self.headers, 4).wrapping_add(nth);
            segment[4..6].copy_from_slice(&identification.to_be_bytes());
        }
        let length = segment.len();
        let (ip_header, transport) = segment.split_at_mut(self.transport);
        self.version.set_length(ip_header, length);
        match self.protocol {
            Protocol::Tcp => self.write_tcp(transport, sent, is_last),
            Protocol::Udp => {
                let length = low_16(transport.len()).to_be_bytes();
                transport[UDP_LENGTH].copy_from_slice(&length);
            }
        }
        let at = self.protocol.checksum();
        transport[at..at + 2].fill(0);
        let pseudo_header = checksum::sum(&low_16(transport.len()).to_be_bytes(), self.pseudo_header);
        let mut checksum = checksum::finish(checksum::sum(transport, pseudo_header));
        if self.protocol == Protocol::Udp && checksum == [0; 2] {
            checksum = [0xff; 2]; // zero says that there is none
        }
        transport[at..at + 2].copy_from_slice(&checksum);
    }

    fn write_tcp(&self, tcp: &mut [u8], sent: usize, is_last: bool) {
        let sequence = layout::double_word(&self.headers, self.transport + TCP_SEQUENCE.start);
        let sent_before = u32::try_from(sent).unwrap_or(u32::MAX);
        tcp[TCP_SEQUENCE].copy_from_slice(&sequence.wrapping_add(sent_before).to_be_bytes());
        if !is_last {
            tcp[TCP_FLAGS] &= !(FIN | PSH);
        }
        if sent > 0 {
            tcp[TCP_FLAGS] &= !CWR;
        }
    }
}

/// The sum of the pseudo header that stands in the checksum's place, as the kernel takes it: behind a routing header
/// it is not over the addresses of the IP header (RFC 8200, 8.1). To take a number away is to add its complement.
fn without_length(packet: &[u8], transport: usize, protocol: Protocol) -> u64 {
    let at = transport + protocol.checksum();
    let length = low_16(packet.len() - transport);
    checksum::sum(&packet[at..at + 2], checksum::sum(&(!length).to_be_bytes(), 0))
}

/// Computes the one checksum that the kernel left open; the pseudo header's sum stands in its place.
fn complete(packet: &mut [u8], field: Field) -> Result<(), Malformed> {
    let (start, at) = (usize::from(field.start), usize::from(field.start) + usize::from(field.offset));
    if at + 2 > packet.len() {
        return Err(Malformed);
    }
    let checksum = match checksum::finish(checksum::sum(&packet[start..], 0)) {
        [0, 0] => [0xff; 2], // as the kernel has it: zero would say that there is none
        checksum => checksum,
    };
    packet[at..at + 2].copy_from_slice(&checksum);
    Ok(())
}

#[cfg(test)]
mod tests;
