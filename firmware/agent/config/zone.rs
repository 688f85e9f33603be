//! The house's time zone, by its name: the box's clock and its logs are UTC, and it has no time zones of its own.

use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use super::keys;

/// A line a rule, with the names of its zones behind it (`build.rs`).
const ZONES: &str = include_str!(concat!(env!("OUT_DIR"), "/zones"));
const MINUTE: i64 = 60;
const MINUTES: i64 = 24 * 60;

/// As `Europe/Stockholm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeZone {
    name: &'static str,
    rule: tz::TimeZone,
}

impl TimeZone {
    /// The minute of the day by a clock on the house's wall.
    pub fn minute_of_day(&self, now: SystemTime) -> u16 {
        u16::try_from(self.seconds(now).div_euclid(MINUTE).rem_euclid(MINUTES)).unwrap_or_default()
    }

    /// The day by the same clock, counted from 1970.
    pub fn day(&self, now: SystemTime) -> u32 {
        u32::try_from(self.seconds(now).div_euclid(MINUTE * MINUTES)).unwrap_or_default()
    }

    /// What that clock shows, as seconds since it was 1970 there.
    fn seconds(&self, now: SystemTime) -> i64 {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let utc = i64::try_from(since).unwrap_or_default();
        let offset = self.rule.find_local_time_type(utc).map_or(0, |here| i64::from(here.ut_offset()));
        utc.saturating_add(offset)
    }

    pub const fn name(&self) -> &str {
        self.name
    }
}

impl FromStr for TimeZone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = zones().find(|(_, name)| name.eq_ignore_ascii_case(text));
        found.and_then(|(rule, name)| Some(Self { name, rule: follow(rule)? })).ok_or_else(|| {
            let near = nearest(text).unwrap_or("Europe/Stockholm");
            format!("{text:?} is no time zone: write its continent and city, as {near:?}")
        })
    }
}

/// Rule and name of each.
fn zones() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = ZONES.lines().filter_map(|line| line.split_once(' '));
    lines.flat_map(|(rule, names)| names.split(' ').map(move |name| (rule, name)))
}

/// The one whose name, or whose city, a person most likely meant.
fn nearest(text: &str) -> Option<&'static str> {
    let text = text.replace(' ', "_");
    let names: Vec<(String, &str)> = zones().map(|(_, name)| (name.to_lowercase(), name)).collect();
    let city = |name: &'static str| name.rsplit('/').next().unwrap_or(name);
    let cities = names.iter().map(|(_, name)| (city(name).to_lowercase(), *name));
    let known: Vec<(String, &str)> = names.iter().cloned().chain(cities).collect();
    let words: Vec<&str> = known.iter().map(|(word, _)| word.as_str()).collect();
    let word = keys::nearest(&text, &words)?;
    known.iter().find(|(known, _)| known == word).map(|(_, name)| *name)
}

/// By a file that has nothing but its footer, where a rule may say more than POSIX lets it (RFC 9636 3.3.1): a header
/// that counts one kind of time, and that one, twice.
fn follow(rule: &str) -> Option<tz::TimeZone> {
    const KIND: &[u8] = b"\0\0\0\0\0\0UTC\0";
    let header = [b"TZif3", &[0; 34][..], &[1, 0, 0, 0, 4]].concat();
    let file = [&header, KIND, &header, KIND, b"\n", rule.as_bytes(), b"\n"].concat();
    tz::TimeZone::from_tz_data(&file).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_day_begins_at_midnight_on_the_house_s_wall() {
        let day =
            |zone: &str, utc| zone.parse::<TimeZone>().unwrap().day(UNIX_EPOCH + Duration::from_secs(utc));
        let evening = 20_784 * 86_400 + 23 * 3_600;
        assert_eq!(day("Etc/UTC", evening), 20_784);
        assert_eq!(day("Europe/Stockholm", evening - 1), 20_784);
        assert_eq!(day("Europe/Stockholm", evening), 20_785, "winter: an hour ahead");
    }

    fn minute(zone: &str, utc: u64) -> u16 {
        zone.parse::<TimeZone>().unwrap().minute_of_day(UNIX_EPOCH + Duration::from_secs(utc))
    }

    #[test]
    fn knows_what_the_clock_on_the_wall_shows() {
        // 2026-03-29 00:59:59 and 01:00 UTC, when Europe's summer begins; 2026-10-25 01:00, when it ends.
        let [before, summer, winter] = [1_774_745_999, 1_774_746_000, 1_792_890_000];
        for (zone, utc, hour, minutes) in [
            ("Europe/Stockholm", before, 1, 59),
            ("Europe/Stockholm", summer, 3, 0),
            ("Europe/Stockholm", winter - 1, 2, 59),
            ("Europe/Stockholm", winter, 2, 0),
            ("Europe/London", before, 0, 59),
            ("Europe/London", summer, 2, 0),
            ("UTC", summer, 1, 0),
            ("Asia/Kolkata", summer, 6, 30),
            ("America/New_York", summer, 21, 0),
            ("Pacific/Kiritimati", summer, 15, 0),
            // Their rules begin on the eve of a Sunday, and in the third day of a week.
            ("America/Nuuk", before, 22, 59),
            ("America/Nuuk", summer, 0, 0),
            ("Asia/Gaza", summer, 4, 0),
        ] {
            assert_eq!(minute(zone, utc), hour * 60 + minutes, "{zone} at {utc}");
        }
    }

    #[test]
    fn a_clock_that_went_mad_has_some_minute() {
        let zone: TimeZone = "America/New_York".parse().unwrap();
        assert_eq!(zone.minute_of_day(UNIX_EPOCH - Duration::from_secs(99)), 19 * 60);
        let far = UNIX_EPOCH + Duration::from_secs(1 << 62);
        assert!(zone.minute_of_day(far) < 24 * 60);
    }

    #[test]
    fn every_name_can_be_followed() {
        let known = zones().inspect(|(rule, name)| assert!(follow(rule).is_some(), "{name}: {rule}")).count();
        assert!(known > 500, "{known}");
    }

    #[test]
    fn takes_a_name_in_any_case_and_offers_the_nearest_to_a_wrong_one() {
        assert_eq!("europe/stockholm".parse::<TimeZone>().unwrap().name(), "Europe/Stockholm");
        for (wrong, near) in [
            ("Stockholm", "Europe/Stockholm"),
            ("Europe/Stokholm", "Europe/Stockholm"),
            ("new york", "America/New_York"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", "Europe/Stockholm"),
            ("", "Europe/Stockholm"),
        ] {
            let message = wrong.parse::<TimeZone>().unwrap_err();
            assert_eq!(
                message,
                format!("{wrong:?} is no time zone: write its continent and city, as {near:?}")
            );
        }
    }
}
