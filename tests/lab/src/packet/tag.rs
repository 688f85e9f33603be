//! The first 24 bytes of every payload of the load, by which its flows are known whatever a NAT does to their ports.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MAGIC: &[u8; 8] = b"BYWAYLAB";

static NEXT_FLOW: AtomicU32 = AtomicU32::new(1);

/// Which flow a payload belongs to and when it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// Given once in the life of the process.
    pub flow: u32,
    pub sequence: u32,
}

impl Tag {
    /// Magic, flow, sequence, nanoseconds since the epoch; numbers in network order.
    pub const LENGTH: usize = 24;

    /// A number for a flow: two loads under one capture never share one.
    pub fn new_flow() -> u32 {
        NEXT_FLOW.fetch_add(1, Ordering::Relaxed)
    }

    /// The payload for a packet that is sent at the given time. An echo brings the time back.
    pub fn payload(self, sent: SystemTime) -> [u8; Self::LENGTH] {
        let mut payload = [0; Self::LENGTH];
        payload[..8].copy_from_slice(MAGIC);
        payload[8..12].copy_from_slice(&self.flow.to_be_bytes());
        payload[12..16].copy_from_slice(&self.sequence.to_be_bytes());
        payload[16..].copy_from_slice(&nanoseconds(sent).to_be_bytes());
        payload
    }

    /// Reads a whole payload back.
    pub fn read(payload: &[u8; Self::LENGTH]) -> Option<(Self, SystemTime)> {
        let tag = Self::at_start(payload)?;
        let sent = u64::from_be_bytes(payload[16..].try_into().ok()?);
        Some((tag, UNIX_EPOCH + Duration::from_nanos(sent)))
    }

    /// Finds a whole payload behind the headers that a raw socket delivers with it.
    pub fn read_behind_headers(bytes: &[u8]) -> Option<(Self, SystemTime)> {
        let start = bytes.windows(MAGIC.len()).position(|window| window == MAGIC)?;
        Self::read(bytes[start..].first_chunk()?)
    }

    /// Finds a tag near the beginning of a payload: a TCP segment may begin in the middle of a record.
    pub(super) fn find(payload: &[u8]) -> Option<Self> {
        let beginning = &payload[..payload.len().min(2 * Self::LENGTH)];
        let start = beginning.windows(MAGIC.len()).position(|window| window == MAGIC)?;
        Self::at_start(&payload[start..])
    }

    fn at_start(bytes: &[u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (flow, rest) = rest.split_first_chunk::<4>()?;
        let sequence = rest.first_chunk::<4>()?;
        (magic == MAGIC)
            .then(|| Self { flow: u32::from_be_bytes(*flow), sequence: u32::from_be_bytes(*sequence) })
    }
}

fn nanoseconds(at: SystemTime) -> u64 {
    let since_epoch = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_tells_its_flow_its_number_and_when_it_was_sent() {
        let tag = Tag { flow: 7, sequence: 9 };
        let sent = UNIX_EPOCH + Duration::from_nanos(1_795_341_600_123_456_789);
        assert_eq!(Tag::read(&tag.payload(sent)), Some((tag, sent)));
    }

    #[test]
    fn a_tag_is_found_behind_the_rest_of_a_record() {
        let first = Tag { flow: 1, sequence: 1 }.payload(UNIX_EPOCH);
        let second = Tag { flow: 1, sequence: 2 }.payload(UNIX_EPOCH);
        let segment = [&first[1..], &second[..]].concat();
        assert_eq!(Tag::find(&segment), Some(Tag { flow: 1, sequence: 2 }));
    }

    #[test]
    fn other_bytes_and_a_cut_tag_are_no_tag() {
        assert_eq!(Tag::find(b"GET / HTTP/1.1"), None);
        assert_eq!(Tag::find(b"BYWAYLAB\0\0\0\x01\0\0"), None);
        assert_eq!(Tag::find(b""), None);
    }
}
