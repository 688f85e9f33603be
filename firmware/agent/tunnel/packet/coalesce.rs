//! Puts decrypted packets of one flow together, so that one write gives the kernel many: TCP segments that follow
//! each other, UDP datagrams of one length. Whatever does not fit exactly goes alone and untouched: what the kernel
//! cuts again is byte for byte what came in, but for the identification of IPv4 packets that may not be
//! fragmented, which means nothing (RFC 6864, 4.1).
//!
//! Nothing is copied: a write is a list of places in the arena that the packets were decrypted into. The order of a
//! flow's packets stays; so does the order around packets that are of no flow known here.

use std::ops::Range;

use super::checksum;
use super::layout::{
    self, ACK, FRAGMENT, PSH, Protocol, TCP_ACKNOWLEDGED, TCP_FLAGS, TCP_OPTIONS, TCP_RESERVED, TCP_SEQUENCE,
    TCP_URGENT, TCP_WINDOW, UDP_LENGTH, Version, low_16,
};
use super::virtio::{self, Field, Transport, Work};

/// The most packets in one write.
pub const MOST_PARTS: usize = 64;
/// What an IPv4 header can tell.
const LONGEST: usize = 65_535;
/// So many flows may have their packets between each other's.
const OPEN_FLOWS: usize = 16;

/// As a checksum it is as right as 0, which Linux writes where it cuts.
const MINUS_ZERO: [u8; 2] = [0xff; 2];

/// One batch of packets on its way to the TUN device.
#[derive(Debug)]
pub struct Coalescer {
    /// In the order of writing; those from `used` on are old and wait to be used again.
    groups: Vec<Group>,
    used: usize,
    /// No packet may go before this group.
    barrier: usize,
    datagrams: Datagrams,
}

/// Whether the kernel can cut UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datagrams {
    Together,
    Alone,
}

/// One write to the device.
#[derive(Debug)]
pub struct Write<'a> {
    pub header: [u8; virtio::LENGTH],
    /// Of the arena, one behind the other.
    pub parts: &'a [Range<usize>],
    /// Bytes of the packets that it stands for.
    pub bytes: usize,
}

#[derive(Debug, Default)]
struct Group {
    /// The first packet, and payloads behind it.
    parts: Vec<Range<usize>>,
    /// Of all parts.
    length: usize,
    flow: Option<Flow>,
    /// Bytes of headers and of payload of the first packet.
    headers: usize,
    size: usize,
    /// Another packet may join.
    open: bool,
}

/// Addresses and ports as they stand in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Flow {
    version: Version,
    protocol: Protocol,
    ends: [u8; 36],
}

/// A packet that could belong to a group.
#[derive(Debug)]
struct Candidate {
    flow: Flow,
    headers: usize,
    payload: usize,
    /// Its checksum is right, and nothing about it forbids company.
    joins: bool,
    /// It has to be the last one.
    pushes: bool,
}

impl Coalescer {
    pub fn new(datagrams: Datagrams) -> Coalescer {
        Coalescer { groups: Vec::new(), used: 0, barrier: 0, datagrams }
    }

    /// The next packet, at `at` in the arena, which may not move until the writes are done.
    pub fn push(&mut self, arena: &mut [u8], at: Range<usize>) {
        let Some(candidate) = Candidate::read(&arena[at.clone()], self.datagrams) else {
            self.open(at, None);
            self.barrier = self.used;
            return;
        };
        let first = self.barrier.max(self.used.saturating_sub(OPEN_FLOWS));
        let group =
            self.groups[first..self.used].iter_mut().rfind(|group| group.flow == Some(candidate.flow));
        if let Some(group) = group {
            if group.takes(arena, &at, &candidate) {
                return group.add(arena, &at, &candidate);
            }
            group.open = false;
        }
        self.open(at, Some(&candidate));
    }

    /// Writes the headers of what became more than one packet; [`Coalescer::writes`] are to be done then.
    pub fn finish(&mut self, arena: &mut [u8]) {
        for group in &mut self.groups[..self.used] {
            group.finish(arena);
        }
    }

    pub fn writes(&self) -> impl Iterator<Item = Write<'_>> {
        self.groups[..self.used].iter().map(Group::write)
    }

    /// Makes room for the next batch.
    pub fn clear(&mut self) {
        self.used = 0;
        self.barrier = 0;
    }

    fn open(&mut self, at: Range<usize>, candidate: Option<&Candidate>) {
        if self.used == self.groups.len() {
            self.groups.push(Group::default());
        }
        self.groups[self.used].begin(at, candidate);
        self.used += 1;
    }
}

impl Group {
    fn begin(&mut self, at: Range<usize>, candidate: Option<&Candidate>) {
        let mut parts = std::mem::take(&mut self.parts);
        parts.clear();
        let length = at.len();
        parts.push(at);
        *self = match candidate {
            None => Group { parts, length, ..Group::default() },
            Some(first) => Group {
                parts,
                length,
                flow: Some(first.flow),
                headers: first.headers,
                size: first.payload,
                open: first.joins && !first.pushes,
            },
        };
    }

    /// Whether the packet is what the kernel would cut off next.
    fn takes(&self, arena: &[u8], at: &Range<usize>, next: &Candidate) -> bool {
        self.open
            && next.joins
            && next.headers == self.headers
            && next.payload <= self.size
            && self.length + next.payload <= LONGEST
            && self.parts.len() < MOST_PARTS
            && self.continues(&arena[self.parts[0].clone()], &arena[at.clone()], next.flow)
    }

    /// Whether the headers of the flow's packet `next` follow from those of the `first`.
    fn continues(&self, first: &[u8], next: &[u8], flow: Flow) -> bool {
        let same = |range: Range<usize>| first[range.clone()] == next[range];
        let ip = match flow.version {
            Version::V4 => {
                let unfragmentable = first[6] & 0x40 != 0;
                let expected = layout::word(first, 4).wrapping_add(low_16(self.parts.len()));
                same(1..2) && same(6..9) && (unfragmentable || layout::word(next, 4) == expected)
            }
            Version::V6 => same(0..4) && same(7..8),
        };
        ip && match flow.protocol {
            Protocol::Udp => true,
            Protocol::Tcp => {
                let at = flow.version.header();
                let same = |range: Range<usize>| same(at + range.start..at + range.end);
                let sent = u32::try_from(self.parts.len() * self.size).unwrap_or(u32::MAX);
                let sequence = at + TCP_SEQUENCE.start;
                let expected = layout::double_word(first, sequence).wrapping_add(sent);
                layout::double_word(next, sequence) == expected
                    && same(TCP_RESERVED)
                    && same(TCP_ACKNOWLEDGED)
                    && same(TCP_WINDOW)
                    && same(TCP_URGENT)
                    && same(TCP_OPTIONS..self.headers - at)
            }
        }
    }

    fn add(&mut self, arena: &mut [u8], at: &Range<usize>, next: &Candidate) {
        self.parts.push(at.start + next.headers..at.end);
        self.length += next.payload;
        self.open = next.payload == self.size && !next.pushes;
        if next.pushes {
            // The kernel gives it to the last segment alone.
            arena[self.parts[0].start + next.flow.version.header() + TCP_FLAGS] |= PSH;
        }
    }

    fn finish(&self, arena: &mut [u8]) {
        let Some(flow) = self.flow.filter(|_| self.parts.len() > 1) else { return };
        let (ip_header, transport) = arena[self.parts[0].clone()].split_at_mut(flow.version.header());
        flow.version.set_length(ip_header, self.length);
        let length = self.length - ip_header.len();
        match flow.protocol {
            Protocol::Udp => transport[UDP_LENGTH].copy_from_slice(&low_16(length).to_be_bytes()),
            Protocol::Tcp => {}
        }
        let addresses = &ip_header[flow.version.addresses()];
        let pseudo_header = checksum::pseudo_header(addresses, flow.protocol.number(), length);
        let at = flow.protocol.checksum();
        transport[at..at + 2].copy_from_slice(&checksum::fold(pseudo_header));
    }

    fn write(&self) -> Write<'_> {
        let work = match self.flow {
            Some(flow) if self.parts.len() > 1 => self.segments(flow),
            Some(_) | None => Work::Nothing,
        };
        let others = self.parts.len() - 1;
        Write { header: work.write(), parts: &self.parts, bytes: self.length + others * self.headers }
    }

    fn segments(&self, flow: Flow) -> Work {
        let transport = match (flow.protocol, flow.version) {
            (Protocol::Tcp, Version::V4) => Transport::TcpV4,
            (Protocol::Tcp, Version::V6) => Transport::TcpV6,
            (Protocol::Udp, Version::V4 | Version::V6) => Transport::Udp,
        };
        let checksum =
            Field { start: low_16(flow.version.header()), offset: low_16(flow.protocol.checksum()) };
        Work::Segments { transport, size: low_16(self.size), headers: low_16(self.headers), checksum }
    }
}

impl Candidate {
    /// None for whatever is not plainly TCP or UDP: fragments, options, extension headers, lengths that do not fit.
    fn read(packet: &[u8], datagrams: Datagrams) -> Option<Candidate> {
        let version = Version::of(packet)?;
        let at = version.header();
        let (number, length) = match version {
            Version::V4 => (plain_v4(packet)?, usize::from(layout::word(packet, 2))),
            Version::V6 => (packet[6], usize::from(layout::word(packet, 4)) + at),
        };
        let protocol = Protocol::of(number)?;
        let headers = at + protocol.header(packet, at)?;
        if length != packet.len() {
            return None;
        }
        let transport = &packet[at..];
        let mut ends = [0; 36];
        let from = version.addresses().start;
        ends[..at + 4 - from].copy_from_slice(&packet[from..at + 4]);
        let allowed = match protocol {
            Protocol::Tcp => transport[TCP_FLAGS] & !PSH == ACK && transport[16..18] != MINUS_ZERO,
            Protocol::Udp => {
                datagrams == Datagrams::Together
                    && usize::from(layout::word(transport, UDP_LENGTH.start)) == transport.len()
                    && layout::word(transport, protocol.checksum()) != 0
            }
        };
        let pseudo_header = checksum::pseudo_header(&packet[version.addresses()], number, transport.len());
        let is_right = || checksum::fold(checksum::sum(transport, pseudo_header)) == [0xff; 2];
        Some(Candidate {
            flow: Flow { version, protocol, ends },
            headers,
            payload: packet.len() - headers,
            joins: allowed && packet.len() > headers && is_right(),
            pushes: protocol == Protocol::Tcp && transport[TCP_FLAGS] & PSH != 0,
        })
    }
}

/// The protocol of an IPv4 packet without options that is no fragment and whose header's checksum is right: it will
/// be computed anew.
fn plain_v4(packet: &[u8]) -> Option<u8> {
    let whole = packet[0] == 0x45 && layout::word(packet, 6) & FRAGMENT == 0;
    let right = checksum::fold(checksum::sum(&packet[..20], 0)) == [0xff; 2] && packet[10..12] != MINUS_ZERO;
    (whole && right).then_some(packet[9])
}

#[cfg(test)]
mod tests;
