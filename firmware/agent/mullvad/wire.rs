//! What Mullvad's JSON is made of: keys, names, texts, dates.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use byway_core::account::PublicKey;

/// As long as a label of a host's name may be (RFC 1035 2.3.4).
const LONGEST_NAME: usize = 63;
/// Cities and providers have up to 18 letters.
const LONGEST_TEXT: usize = 32;

pub(super) fn public_key(text: &str) -> Option<PublicKey> {
    STANDARD.decode(text).ok()?.try_into().ok().map(PublicKey)
}

pub(super) fn in_base64(PublicKey(key): &PublicKey) -> String {
    STANDARD.encode(key)
}

/// Host names, places and devices' ids are. It may stand in a path.
pub(super) fn is_name(text: &str) -> bool {
    let fits = (1..=LONGEST_NAME).contains(&text.len());
    fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A stranger's words end on the owner's terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect()
}

/// In UTC, as time since 1970.
pub(super) fn date(text: &str) -> Option<Duration> {
    humantime::parse_rfc3339(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_keys_as_they_are_written() {
        let key = PublicKey([7; 32]);
        assert_eq!(public_key(&in_base64(&key)), Some(key));
        for wrong in ["", "BwcH", "key", &in_base64(&key)[1..], &(in_base64(&key) + "A")] {
            assert_eq!(public_key(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn takes_names_that_may_stand_in_a_path() {
        for right in ["se-got-wg-001", "12345678-90ab-cdef-1234-567890abcdef", &"a".repeat(LONGEST_NAME)] {
            assert!(is_name(right), "{right}");
        }
        for wrong in ["", "..", "a/b", "a b", "a\n", "a%2f", "b\u{e4}r", &"a".repeat(LONGEST_NAME + 1)] {
            assert!(!is_name(wrong), "{wrong}");
        }
    }

    #[test]
    fn keeps_a_strangers_words_printable_and_short() {
        assert_eq!(printable("Malm\u{f6}"), "Malm\u{f6}");
        let moving = format!("\u{1b}[2J\n{}", "x".repeat(100));
        assert_eq!(printable(&moving), format!("[2J{}", "x".repeat(29)));
    }

    /// Clients have met both endings, by their own tests.
    #[test]
    fn reads_dates_in_utc() {
        let day = Duration::from_hours(525_960);
        for text in ["2030-01-01T00:00:00Z", "2030-01-01T00:00:00+00:00"] {
            assert_eq!(date(text), Some(day), "{text}");
        }
        let later = day + Duration::from_micros(123_456);
        assert_eq!(date("2030-01-01T00:00:00.123456+00:00"), Some(later));
        for odd in ["", "2030-01-01", "2030-01-01T00:00:00", "2030-01-01T00:00:00+01:00", "soon"] {
            assert_eq!(date(odd), None, "{odd}");
        }
    }
}
