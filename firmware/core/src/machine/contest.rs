//! Tells a program that fights over the kernel from one that changed it once: every heal of a fight would be undone,
//! and every opening would let packets pass in between.

use core::time::Duration;

use crate::Uptime;

/// So many changes, each of which was put right, within [`QUIET`] are a fight.
const FIGHT: usize = 10;
/// A fight is over when nothing was changed for so long.
const QUIET: Duration = Duration::from_secs(30);

/// When the last changes were noticed, the newest first.
#[derive(Debug, Default)]
pub(super) struct Contest([Option<Uptime>; FIGHT], bool);

impl Contest {
    pub(super) fn learn(&mut self, now: Uptime) {
        let Self(noticed, fought) = self;
        let over = noticed[0].is_none_or(|newest| now.since(newest) >= QUIET);
        noticed.rotate_right(1);
        noticed[0] = Some(now);
        let many = noticed[FIGHT - 1].is_some_and(|oldest| now.since(oldest) < QUIET);
        *fought = many || *fought && !over;
    }

    pub(super) fn is_on(&self, now: Uptime) -> bool {
        let Self(noticed, fought) = self;
        *fought && noticed[0].is_some_and(|newest| now.since(newest) < QUIET)
    }

    /// When it will be over, if nothing more happens.
    pub(super) fn ends(&self) -> Option<Uptime> {
        let Self(noticed, fought) = self;
        noticed[0].filter(|_| *fought).map(|newest| newest + QUIET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Uptime {
        Uptime::since_boot(Duration::from_secs(seconds))
    }

    fn after(changes: impl Iterator<Item = u64>) -> Contest {
        let mut contest = Contest::default();
        changes.for_each(|second| contest.learn(at(second)));
        contest
    }

    #[test]
    fn a_few_changes_are_no_fight() {
        assert!(!after(0..9).is_on(at(9)));
    }

    #[test]
    fn changes_that_come_rarely_are_no_fight() {
        assert!(!after((0..20).map(|nth| nth * 4)).is_on(at(77)));
    }

    #[test]
    fn ten_in_half_a_minute_are_one_until_it_was_quiet_for_as_long() {
        let contest = after(100..110);
        assert!(contest.is_on(at(110)));
        assert!(contest.is_on(at(138)));
        assert!(!contest.is_on(at(139)));
        assert_eq!(contest.ends(), Some(at(139)));
    }

    #[test]
    fn a_fight_that_goes_on_slowly_is_still_one() {
        assert!(after((100..110).chain([130, 155])).is_on(at(180)));
        assert!(!after((100..110).chain([140])).is_on(at(141)));
    }
}
