//! The hours in which the panel keeps quiet: its screen is dark, its light flashes where it would wink.

use core::fmt;
use core::str::FromStr;

const HOUR: u16 = 60;
const DAY: u16 = 24 * HOUR;

/// From one minute of the day to another, which may lie after midnight. Written `23:00-07:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffHours {
    from: u16,
    until: u16,
}

impl OffHours {
    /// `minute`: of the day, by the clock on the house's wall.
    pub fn contains(self, minute: u16) -> bool {
        if self.from <= self.until {
            (self.from..self.until).contains(&minute)
        } else {
            minute >= self.from || minute < self.until
        }
    }
}

impl FromStr for OffHours {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = "write two different times of the day as 23:00-07:00";
        let (from, until) = text.split_once('-').ok_or(wanted)?;
        let hours = minute(from).zip(minute(until)).map(|(from, until)| Self { from, until });
        hours.filter(|hours| hours.from != hours.until).ok_or(wanted)
    }
}

impl fmt::Display for OffHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [from, until] = [self.from, self.until].map(|minute| (minute / HOUR, minute % HOUR));
        write!(f, "{:02}:{:02}-{:02}:{:02}", from.0, from.1, until.0, until.1)
    }
}

/// Of `HH:MM`.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let of_day = hour * HOUR + minute;
    (minute < HOUR && of_day < DAY).then_some(of_day)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn hours_may_go_past_midnight() {
        let night: OffHours = "22:30-07:00".parse().unwrap();
        for (minute, quiet) in
            [(0, true), (419, true), (420, false), (1_349, false), (1_350, true), (1_439, true)]
        {
            assert_eq!(night.contains(minute), quiet, "{minute}");
        }
        let noon: OffHours = "12:00-14:00".parse().unwrap();
        assert_eq!([719, 720, 839, 840].map(|minute| noon.contains(minute)), [false, true, true, false]);
    }

    #[test]
    fn only_times_of_the_day_are_read() {
        assert_eq!("23:00 - 07:05".parse::<OffHours>().unwrap().to_string(), "23:00-07:05");
        for wrong in
            ["", "23:00", "23-7", "24:00-07:00", "23:60-07:00", "07:00-07:00", "+1:00-07:00", "1:00-7:00"]
        {
            assert!(wrong.parse::<OffHours>().is_err(), "{wrong:?}");
        }
    }
}
