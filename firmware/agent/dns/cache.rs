//! Keeps answers for as long as they say themselves, and no longer: of one opening of a door, of so many bytes.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "DNS's registries are open, and only a few of their values are ours"
)]

use std::time::{Duration, Instant};

use hickory_proto::op::{DnsResponse, Message, ResponseCode};
use moka::sync::Cache as Store;

use super::question::Key;

/// Of all answers, as they travel, with what each costs beside.
const BYTES: u64 = 2 * 1024 * 1024;
const BESIDE: usize = 200;
/// Nothing is kept for longer, whatever it says.
const LONGEST: Duration = Duration::from_hours(24);
/// That there is no such name (RFC 2308 5 allows three hours): whoever has just made it shall not wait for long.
const LONGEST_NEGATIVE: Duration = Duration::from_mins(5);

#[derive(Debug)]
pub(super) struct Cache(Store<Key, Entry>);

#[derive(Clone, Debug)]
struct Entry {
    /// The message as it travels.
    wire: std::sync::Arc<[u8]>,
    kept: Instant,
    lasts: Duration,
}

impl Cache {
    pub(super) fn new() -> Self {
        let weigh = |key: &Key, entry: &Entry| {
            u32::try_from(key.name.len() + entry.wire.len() + BESIDE).unwrap_or(u32::MAX)
        };
        Self(Store::builder().max_capacity(BYTES).weigher(weigh).build())
    }

    /// With what is left of every record's time.
    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<Message> {
        let Entry { wire, kept, lasts } = self.0.get(key)?;
        let age = now.saturating_duration_since(kept);
        if age >= lasts {
            self.0.invalidate(key);
            return None;
        }
        let mut message = Message::from_vec(&wire).ok()?;
        let age = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
        for section in [&mut message.answers, &mut message.authorities, &mut message.additionals] {
            for record in section {
                record.ttl = record.ttl.saturating_sub(age);
            }
        }
        Some(message)
    }

    /// Keeps what may be kept, and returns it with times that are no longer than it is kept.
    pub(super) fn keep(&self, key: Key, mut message: Message, now: Instant) -> Message {
        let Some(lasts) = lasts(&message) else { return message };
        let seconds = u32::try_from(lasts.as_secs()).unwrap_or(u32::MAX);
        for section in [&mut message.answers, &mut message.authorities, &mut message.additionals] {
            for record in section {
                record.ttl = record.ttl.min(seconds);
            }
        }
        if let (Ok(wire), false) = (message.to_vec(), lasts.is_zero()) {
            self.0.insert(key, Entry { wire: wire.into(), kept: now, lasts });
        }
        message
    }
}

/// `None`: not to be kept.
fn lasts(message: &Message) -> Option<Duration> {
    let asked = message.queries.first()?.query_type();
    let has_data = message.answers.iter().any(|record| record.record_type() == asked);
    let all = message.answers.iter().chain(&message.authorities).chain(&message.additionals);
    let least = all.map(|record| record.ttl).min().map(seconds);
    match message.response_code {
        ResponseCode::NoError if has_data => Some(least?.min(LONGEST)),
        // RFC 2308 5, and 2.1 for one at the end of aliases: without a start of authority nobody knows for how long.
        ResponseCode::NoError | ResponseCode::NXDomain => {
            let response = DnsResponse::from_message(message.clone()).ok()?;
            let negative = seconds(response.negative_ttl()?).min(LONGEST_NEGATIVE);
            Some(least.map_or(negative, |least| least.min(negative)))
        }
        _ => None,
    }
}

fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(ttl.into())
}
