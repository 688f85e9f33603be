//! How much of the house's line clients may use in a day: by the clock on its wall, or by the time since the boot while
//! nobody knows what time it is.

use core::fmt;
use core::time::Duration;

use crate::Uptime;

const DAY: Duration = Duration::from_hours(24);
const GB: u64 = 1_000_000_000;
/// Of a day's allowance at most so much is forgotten by a power cut: writes to the card are few.
const STEPS: u64 = 10;

/// What is kept across power cuts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Days since 1970 on the house's wall; `None`: nobody knew.
    pub day: Option<u32>,
    pub bytes: u64,
    /// What was counted in the boot by then.
    pub counted: u64,
}

/// Why the residential door is shut until the day is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    pub gb: u16,
    pub day: DayBy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayBy {
    Clock,
    Uptime,
}

#[derive(Debug)]
pub(crate) struct Allowance {
    gb: Option<u16>,
    used: Used,
    /// Of `used`, what was counted in this boot while nobody knew the day: it is the day's that is known next.
    unsure: u64,
    by: DayBy,
    /// Whole days since the boot.
    uptime_days: u64,
    /// What was kept last.
    kept: Used,
}

impl Allowance {
    /// `used`: as it was kept, with what was counted by then in this very boot.
    pub(crate) fn new(gb: Option<u16>, used: Used, now: Uptime) -> Self {
        Self { gb, used, unsure: 0, by: DayBy::Uptime, uptime_days: days(now), kept: used }
    }

    /// `counted`: in this boot. `today`: `None` while nobody knows. Returns what is to be kept, when it is time.
    pub(crate) fn count(&mut self, now: Uptime, counted: u64, today: Option<u32>) -> Option<Used> {
        let more = counted.checked_sub(self.used.counted).unwrap_or(counted);
        let is_over = match today {
            Some(today) => self.used.day.is_some_and(|day| day != today),
            None => days(now) != self.uptime_days,
        };
        let before = match (is_over, today) {
            (false, _) => self.used.bytes,
            (true, Some(_)) => self.unsure,
            (true, None) => 0,
        };
        let day = if is_over { today } else { today.or(self.used.day) };
        self.used = Used { day, bytes: before.saturating_add(more), counted };
        self.unsure = if today.is_some() { 0 } else { self.unsure.saturating_add(more) };
        self.by = if today.is_some() { DayBy::Clock } else { DayBy::Uptime };
        self.uptime_days = days(now);
        // Else the next agent would take what was counted on the days before for this one's.
        (is_over || self.is_much()).then(|| {
            self.kept = self.used;
            self.used
        })
    }

    pub(crate) fn spent(&self) -> Option<Spent> {
        let gb = self.gb.filter(|gb| self.used.bytes >= u64::from(*gb) * GB)?;
        Some(Spent { gb, day: self.by })
    }

    /// Bytes of this day, and the most in GB; `None`: there is no such bound.
    pub(crate) fn told(&self) -> Option<(u64, u16)> {
        self.gb.map(|gb| (self.used.bytes, gb))
    }

    /// What there is to keep at the agent's end.
    pub(crate) fn unkept(&self) -> Option<Used> {
        (self.gb.is_some() && self.kept != self.used).then_some(self.used)
    }

    fn is_much(&self) -> bool {
        let Some(most) = self.gb.map(|gb| u64::from(gb) * GB) else { return false };
        let (bytes, kept) = (self.used.bytes, self.kept.bytes);
        bytes >= kept.saturating_add(most / STEPS) || (bytes >= most && kept < most)
    }
}

fn days(now: Uptime) -> u64 {
    now.elapsed_since_boot().as_secs() / DAY.as_secs()
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gb, day } = self;
        match day {
            // Whose day it is depends on what the configuration says of the time.
            DayBy::Clock => {
                write!(f, "the house's {gb} GB of today are used: opens when the day is over, or by privacy")
            }
            DayBy::Uptime => write!(
                f,
                "the house's {gb} GB of a day are used, and the box does not know what time it is: opens within a day, \
                 or by privacy"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: u64) -> Uptime {
        Uptime::since_boot(Duration::from_hours(hours))
    }

    fn with(gb: u16, used: Used) -> Allowance {
        Allowance::new(Some(gb), used, at(0))
    }

    #[test]
    fn is_spent_when_the_days_bytes_are_used_and_no_more_at_midnight() {
        let mut allowance = with(2, Used::default());
        allowance.count(at(1), GB, Some(7));
        assert_eq!(allowance.spent(), None);
        allowance.count(at(2), 2 * GB, Some(7));
        assert_eq!(allowance.spent(), Some(Spent { gb: 2, day: DayBy::Clock }));
        allowance.count(at(3), 2 * GB + 5, Some(8));
        assert_eq!((allowance.spent(), allowance.told()), (None, Some((5, 2))));
    }

    #[test]
    fn what_was_kept_counts_on_the_same_day_alone() {
        let kept = Used { day: Some(7), bytes: GB, counted: 0 };
        for (today, bytes) in [(7, GB + 3), (8, 3)] {
            let mut allowance = with(1, kept);
            allowance.count(at(0), 1, None);
            assert!(allowance.spent().is_some(), "while nobody knows what day it is");
            allowance.count(at(0), 3, Some(today));
            assert_eq!(allowance.told(), Some((bytes, 1)), "on day {today}");
        }
    }

    #[test]
    fn another_agent_of_the_same_boot_counts_nothing_twice() {
        let mut allowance = with(1, Used { day: Some(7), bytes: 500, counted: 400 });
        allowance.count(at(0), 450, Some(7));
        assert_eq!(allowance.told(), Some((550, 1)));
    }

    #[test]
    fn another_agent_counts_no_day_before_for_this_one() {
        for gb in [Some(50), None] {
            let mut allowance = Allowance::new(gb, Used::default(), at(0));
            let mut kept = Used::default();
            for day in 1..=20 {
                let counted = u64::from(day) * 4 * GB;
                kept = allowance.count(at(u64::from(day) * 24), counted, Some(day)).unwrap_or(kept);
            }
            let mut next = with(50, kept);
            next.count(at(480), 81 * GB, Some(20));
            assert_eq!(next.told(), Some((5 * GB, 50)), "{gb:?}");
            next.count(at(504), 81 * GB, Some(21));
            let mut another = with(50, next.unkept().unwrap_or(next.kept));
            another.count(at(504), 81 * GB, Some(21));
            assert_eq!(another.told(), Some((0, 50)), "just after midnight");
        }
        with(1, Used { bytes: u64::MAX, ..Used::default() }).count(at(1), GB, Some(7));
    }

    #[test]
    fn while_nobody_knows_the_time_a_day_is_one_of_the_boot() {
        let mut allowance = with(1, Used::default());
        allowance.count(at(23), GB, None);
        assert_eq!(allowance.spent(), Some(Spent { gb: 1, day: DayBy::Uptime }));
        allowance.count(at(24), GB + 1, None);
        assert_eq!((allowance.spent(), allowance.told()), (None, Some((1, 1))));
    }

    #[test]
    fn is_kept_a_few_times_a_day_and_when_it_closes_or_opens() {
        let mut allowance = with(1, Used::default());
        let writes = (1..=2_000).filter(|step| allowance.count(at(1), step * GB / 1_000, Some(7)).is_some());
        assert!(writes.count() <= 20, "a tenth each");
        assert_eq!(allowance.count(at(1), 2 * GB, Some(7)), None);
        let anew = allowance.count(at(2), 2 * GB, Some(8));
        assert_eq!(anew, Some(Used { day: Some(8), bytes: 0, counted: 2 * GB }));
        let mut unbound = Allowance::new(None, Used::default(), at(0));
        assert_eq!(
            (unbound.count(at(1), 9 * GB, Some(7)), unbound.spent(), unbound.unkept()),
            (None, None, None)
        );
    }
}
