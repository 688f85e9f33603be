//! When Mullvad is asked what, so that the box knows enough and Mullvad hears little of it.

use core::time::Duration;

use super::words::{Call, Refusal};
use crate::Uptime;
use crate::relays::Dice;

/// Mullvad's own app asks for the list every hour.
const RELAYS_EVERY: Duration = Duration::from_hours(4);
const DAILY: Duration = Duration::from_hours(24);
/// While no relay carries, something may have changed.
const HELPLESS_EVERY: Duration = Duration::from_mins(10);
/// After failures, of a call that is needed, and of one that is not.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
const CALM_PAUSE: Duration = Duration::from_mins(5);
const LONGEST_CALM_PAUSE: Duration = Duration::from_hours(4);
/// Whoever names no time means no more than that, whatever he says.
const LONGEST_WISH: Duration = Duration::from_hours(24);
/// Not even where the line comes and goes.
const LEAST: Duration = Duration::from_secs(1);

/// What is asked for, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Of the device: to register it, or its key.
    Change,
    Devices,
    Relays,
    Expiry,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Change, Self::Devices, Self::Relays, Self::Expiry];

    pub(super) const fn of(call: &Call) -> Self {
        match call {
            Call::Relays => Self::Relays,
            Call::Expiry => Self::Expiry,
            Call::Devices => Self::Devices,
            Call::Register(_) | Call::Replace { .. } => Self::Change,
        }
    }

    /// Between two answers.
    const fn every(self) -> Duration {
        match self {
            // It is wanted, or it is not.
            Self::Change => Duration::ZERO,
            Self::Relays => RELAYS_EVERY,
            Self::Devices | Self::Expiry => DAILY,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    due: Uptime,
    tried: Option<Uptime>,
    /// In a row.
    failures: u32,
}

#[derive(Debug)]
pub(super) struct Schedule {
    turns: [Turn; 4],
    /// Mullvad wants no call before.
    silence: Uptime,
    dice: Dice,
}

impl Schedule {
    /// Everything is due, now.
    pub(super) fn new(now: Uptime, seed: u64) -> Self {
        let turn = Turn { due: now, ..Turn::default() };
        Self { turns: [turn; 4], silence: now, dice: Dice(seed) }
    }

    pub(super) fn due(&self, kind: Kind) -> Uptime {
        let turn = &self.turns[kind as usize];
        let least = turn.tried.map_or(turn.due, |tried| tried + LEAST);
        turn.due.max(least).max(self.silence)
    }

    pub(super) fn begin(&mut self, kind: Kind, now: Uptime) {
        self.turns[kind as usize].tried = Some(now);
    }

    /// How a call went; `needed`: the box is no good without it.
    pub(super) fn learn(&mut self, kind: Kind, refusal: Option<&Refusal>, needed: bool, now: Uptime) {
        let jitter = 800 + (self.dice.roll() % 401) as u32;
        if let Some(Refusal::Later(wish)) = refusal {
            self.silence = now + (*wish).min(LONGEST_WISH);
        }
        let turn = &mut self.turns[kind as usize];
        let (pause, longest) = if needed { (PAUSE, LONGEST_PAUSE) } else { (CALM_PAUSE, LONGEST_CALM_PAUSE) };
        let pause = if refusal.is_some() {
            turn.failures = turn.failures.saturating_add(1);
            (pause * (1 << (turn.failures - 1).min(12))).min(longest)
        } else {
            turn.failures = 0;
            kind.every()
        };
        turn.due = now + pause * jitter / 1000;
    }

    /// No later than now.
    pub(super) fn hasten(&mut self, kind: Kind, now: Uptime) {
        let turn = &mut self.turns[kind as usize];
        turn.due = turn.due.min(now);
    }

    /// Not before.
    pub(super) fn delay(&mut self, kind: Kind, until: Uptime) {
        let turn = &mut self.turns[kind as usize];
        turn.due = turn.due.max(until);
    }

    /// What stood in the way of all of them may be gone.
    pub(super) fn try_again(&mut self, now: Uptime) {
        let failing = self.turns.iter_mut().filter(|turn| turn.failures > 0);
        failing.for_each(|turn| (turn.due, turn.failures) = (turn.due.min(now), 1));
    }

    /// No relay has carried for a while: whether the box is still known, and which relays there are.
    pub(super) fn look_for_help(&mut self, since: Uptime, now: Uptime) {
        for kind in [Kind::Relays, Kind::Devices, Kind::Expiry] {
            let turn = &mut self.turns[kind as usize];
            let again =
                turn.tried.filter(|tried| *tried >= since).map_or(now, |tried| tried + HELPLESS_EVERY);
            if turn.failures == 0 {
                turn.due = turn.due.min(again);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Uptime {
        Uptime::since_boot(Duration::from_secs(seconds))
    }

    #[test]
    fn failures_are_tried_again_ever_later_and_an_answer_ends_that() {
        let mut schedule = Schedule::new(at(0), 1);
        let gone = Refusal::Unreachable(alloc::string::String::new());
        let (mut now, mut pauses) = (at(0), alloc::vec::Vec::new());
        for _ in 0..20 {
            schedule.begin(Kind::Change, now);
            schedule.learn(Kind::Change, Some(&gone), true, now);
            pauses.push(schedule.due(Kind::Change).since(now));
            now = schedule.due(Kind::Change);
        }
        assert!(pauses[0] <= PAUSE * 6 / 5 && pauses[3] > pauses[0] * 4, "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE * 6 / 5), "{pauses:?}");
        schedule.learn(Kind::Relays, None, true, now);
        let next = schedule.due(Kind::Relays).since(now);
        assert!(next >= RELAYS_EVERY * 4 / 5 && next <= RELAYS_EVERY * 6 / 5, "{next:?}");
    }

    #[test]
    fn who_is_told_to_wait_asks_nothing_meanwhile() {
        let mut schedule = Schedule::new(at(0), 1);
        schedule.learn(Kind::Relays, Some(&Refusal::Later(Duration::from_mins(30))), true, at(10));
        schedule.try_again(at(20));
        for kind in Kind::ALL {
            assert_eq!(schedule.due(kind), at(10 + 1800), "{kind:?}");
        }
        schedule.learn(Kind::Relays, Some(&Refusal::Later(Duration::MAX)), true, at(10));
        assert_eq!(schedule.due(Kind::Expiry), at(10) + LONGEST_WISH, "nobody is silent for ever");
    }
}
