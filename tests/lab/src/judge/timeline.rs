//! Which doors were allowed at which moment, from the decisions that a test made and saw confirmed.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, SystemTime};

/// DESIGN 4: so long after the last change of door a box may forget the flows of other doors.
pub const FORGET: Duration = Duration::from_secs(90);

/// A way out for clients. `Option<Door>`: none is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    Privacy,
    Residential,
}

impl Door {
    pub const ALL: [Self; 2] = [Self::Privacy, Self::Residential];
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Privacy => "privacy",
            Self::Residential => "residential",
        })
    }
}

/// From `requested` on the new door is allowed, from `decided` on the old one is not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Before the command was given, or before the fault was caused that must seal.
    pub requested: SystemTime,
    /// After the box had confirmed it.
    pub decided: SystemTime,
    pub door: Option<Door>,
}

/// All decisions of a test in their order. Before the first one no door is allowed.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    decisions: Vec<Decision>,
    power_cuts: Vec<SystemTime>,
}

impl Timeline {
    pub fn add(&mut self, decision: Decision) {
        let place = self.decisions.partition_point(|earlier| earlier.requested <= decision.requested);
        self.decisions.insert(place, decision);
    }

    /// A box without power forgets whose flows were whose.
    pub fn add_power_cut(&mut self, at: SystemTime) {
        self.power_cuts.push(at);
    }

    /// Whether the door was allowed at any moment of the given window, its ends included.
    pub fn allows(&self, door: Door, from: SystemTime, to: SystemTime) -> bool {
        self.reigns().any(|(decision, until)| {
            decision.door == Some(door) && decision.requested <= to && until.is_none_or(|until| from < until)
        })
    }

    /// For how long within the window the door was decided and no other was asked for.
    pub fn open_for(&self, door: Door, window: &Range<SystemTime>) -> Duration {
        let nexts = self.decisions.iter().skip(1).map(|next| next.requested).chain([window.end]);
        self.decisions
            .iter()
            .zip(nexts)
            .filter(|(decision, _)| decision.door == Some(door))
            .map(|(decision, next)| overlap(decision.decided..next, window))
            .sum()
    }

    /// How often the box may have forgotten older flows: once for each decision that has stood long enough, and at each
    /// power cut.
    pub fn forgettings_until(&self, at: SystemTime) -> usize {
        let forgets = |(decision, until): &(&Decision, Option<SystemTime>)| {
            let forgets = decision.requested + FORGET;
            forgets <= at && until.is_none_or(|until| forgets < until)
        };
        self.reigns().filter(forgets).count() + self.power_cuts.iter().filter(|cut| **cut <= at).count()
    }

    /// Every decision for a door, with the moment from which it was asked for; the first one was there before.
    pub fn changes(&self) -> impl Iterator<Item = (SystemTime, Door)> {
        self.decisions.iter().skip(1).filter_map(|decision| Some((decision.requested, decision.door?)))
    }

    /// The decision in force at a moment, for people. Times count from `zero`.
    pub fn describe(&self, at: SystemTime, zero: SystemTime) -> String {
        let Some(decision) = self.decisions.iter().rfind(|decision| decision.requested <= at) else {
            return "nothing decided yet".to_owned();
        };
        let door = decision.door.map_or("sealed".to_owned(), |door| door.to_string());
        if at < decision.decided {
            format!("{door} requested at {}, not yet decided", offset(decision.requested, zero))
        } else {
            format!("{door} decided at {}", offset(decision.decided, zero))
        }
    }

    /// Each decision with the moment at which the next one has replaced it.
    fn reigns(&self) -> impl Iterator<Item = (&Decision, Option<SystemTime>)> {
        let ends = self.decisions.iter().skip(1).map(|next| Some(next.decided)).chain([None]);
        self.decisions.iter().zip(ends)
    }
}

/// `+12.345678s`, so that a verdict can be compared with the lines of a test.
pub(super) fn offset(at: SystemTime, zero: SystemTime) -> String {
    match at.duration_since(zero) {
        Ok(after) => format!("+{:.6}s", after.as_secs_f64()),
        Err(before) => format!("-{:.6}s", before.duration().as_secs_f64()),
    }
}

fn overlap(a: Range<SystemTime>, b: &Range<SystemTime>) -> Duration {
    a.end.min(b.end).duration_since(a.start.max(b.start)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn nothing_is_allowed_before_the_first_decision() {
        let timeline = flip();
        assert!(!allowed(&timeline, Door::Privacy, 999));
        assert!(!allowed(&timeline, Door::Residential, 999));
        assert!(!allowed(&Timeline::default(), Door::Privacy, 1000));
    }

    #[test]
    fn both_doors_are_allowed_between_request_and_decision() {
        let timeline = flip();
        assert_eq!(doors_at(&timeline, 1999), [Door::Privacy]);
        assert_eq!(doors_at(&timeline, 2000), Door::ALL);
        assert_eq!(doors_at(&timeline, 2049), Door::ALL);
        assert_eq!(doors_at(&timeline, 2050), [Door::Residential]);
    }

    #[test]
    fn a_sealed_box_allows_nothing_once_decided() {
        let mut timeline = flip();
        timeline.add(decision(3000, 3100, None));
        assert_eq!(doors_at(&timeline, 3099), [Door::Residential]);
        assert_eq!(doors_at(&timeline, 3100), []);
    }

    #[test]
    fn a_window_is_allowed_when_a_moment_of_it_is() {
        let timeline = flip();
        assert!(timeline.allows(Door::Privacy, at(2049), at(2300)));
        assert!(!timeline.allows(Door::Privacy, at(2050), at(2300)));
    }

    #[test]
    fn open_time_counts_only_inside_the_window_and_without_the_change() {
        let timeline = flip();
        let window = at(1500)..at(5000);
        assert_eq!(timeline.open_for(Door::Privacy, &window), Duration::from_millis(500));
        assert_eq!(timeline.open_for(Door::Residential, &window), Duration::from_millis(2950));
    }

    #[test]
    fn only_a_decision_that_has_stood_for_long_lets_the_box_forget() {
        let mut timeline = flip();
        let forgotten = |timeline: &Timeline, milliseconds| timeline.forgettings_until(at(milliseconds));
        assert_eq!((forgotten(&timeline, 91_999), forgotten(&timeline, 92_000)), (0, 1));
        timeline.add(decision(91_000, 91_050, None));
        assert_eq!((forgotten(&timeline, 180_999), forgotten(&timeline, 181_000)), (0, 1));
    }

    #[test]
    fn a_power_cut_lets_the_box_forget_at_once() {
        let mut timeline = flip();
        timeline.add_power_cut(at(3000));
        assert_eq!((timeline.forgettings_until(at(2999)), timeline.forgettings_until(at(3000))), (0, 1));
    }

    fn flip() -> Timeline {
        let mut timeline = Timeline::default();
        timeline.add(decision(2000, 2050, Some(Door::Residential)));
        timeline.add(decision(1000, 1100, Some(Door::Privacy)));
        timeline
    }

    fn decision(requested: u64, decided: u64, door: Option<Door>) -> Decision {
        Decision { requested: at(requested), decided: at(decided), door }
    }

    fn doors_at(timeline: &Timeline, milliseconds: u64) -> Vec<Door> {
        Door::ALL.into_iter().filter(|door| allowed(timeline, *door, milliseconds)).collect()
    }

    fn allowed(timeline: &Timeline, door: Door, milliseconds: u64) -> bool {
        timeline.allows(door, at(milliseconds), at(milliseconds))
    }

    fn at(milliseconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(milliseconds)
    }
}
