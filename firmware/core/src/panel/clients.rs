//! How many devices have gone out by the box lately, by what each has sent.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::time::Duration;

use crate::Uptime;

/// Longer than an idle app is silent.
const LATELY: Duration = Duration::from_mins(1);

#[derive(Clone, Debug, Default)]
pub(super) struct Clients {
    known: BTreeMap<String, Sent>,
    counted: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    bytes: u64,
    /// When it was seen to send; `None`: it had sent before anybody looked.
    last: Option<Uptime>,
}

impl Clients {
    /// What each has sent since whenever, a device once. After the first look nothing is known yet.
    pub(super) fn look(&mut self, now: Uptime, sent: BTreeMap<String, u64>) {
        let is_first = self.counted.is_none() && self.known.is_empty();
        let before = core::mem::take(&mut self.known);
        for (name, bytes) in sent {
            let last = match before.get(&name) {
                Some(known) if known.bytes == bytes => known.last,
                Some(_) => Some(now),
                None => (!is_first).then_some(now),
            };
            self.known.insert(name, Sent { bytes, last });
        }
        let lately =
            self.known.values().filter(|sent| sent.last.is_some_and(|last| now.since(last) < LATELY));
        self.counted = (!is_first || self.known.is_empty()).then_some(lately.count());
    }

    /// Nobody can tell.
    pub(super) fn lose_sight(&mut self) {
        *self = Self::default();
    }

    pub(super) const fn count(&self) -> Option<usize> {
        self.counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(looks: &[(u64, &[(&str, u64)])]) -> Option<usize> {
        let mut clients = Clients::default();
        for (seconds, sent) in looks {
            let sent = sent.iter().map(|(name, bytes)| (String::from(*name), *bytes)).collect();
            clients.look(Uptime::since_boot(Duration::from_secs(*seconds)), sent);
        }
        clients.count()
    }

    #[test]
    fn who_has_sent_within_a_minute_is_counted_and_what_was_before_is_not_guessed() {
        assert_eq!(counted(&[]), None);
        assert_eq!(counted(&[(0, &[])]), Some(0));
        assert_eq!(counted(&[(0, &[("phone", 9)])]), None);
        assert_eq!(counted(&[(0, &[("phone", 9)]), (15, &[("phone", 9)])]), Some(0));
        let both: &[(&str, u64)] = &[("phone", 10), ("laptop", 1)];
        assert_eq!(counted(&[(0, &[("phone", 9)]), (15, both)]), Some(2));
        assert_eq!(counted(&[(0, &[("phone", 9)]), (15, both), (74, both)]), Some(2));
        assert_eq!(counted(&[(0, &[("phone", 9)]), (15, both), (75, both)]), Some(0));
        let anew: &[(&str, u64)] = &[("phone", 2)];
        assert_eq!(
            counted(&[(0, &[("phone", 9)]), (15, both), (75, anew)]),
            Some(1),
            "the counters began anew"
        );
    }
}
