//! When each part of the agent ticked last, and its longest pause: written by the parts, read by whoever judges them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use byway_core::Uptime;
use byway_core::watchdog::Part;

use crate::clock::uptime;

/// Of all parts. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Pulses(pub(super) Arc<[Beats; Part::ALL.len()]>);

/// One part's own.
#[derive(Clone, Debug)]
pub struct Pulse {
    pulses: Pulses,
    part: Part,
}

/// In milliseconds. Each number stands for itself, so nothing has to be ordered between them.
#[derive(Debug, Default)]
pub(super) struct Beats {
    /// Since the boot; 0: the part does nothing.
    last: AtomicU64,
    longest: AtomicU64,
}

impl Pulses {
    /// From now on the part is expected to tick.
    pub fn begin(&self, part: Part) -> Pulse {
        let pulse = self.of(part);
        pulse.tick();
        pulse
    }

    /// Of a part that begins to tick when it has something to do.
    pub fn of(&self, part: Part) -> Pulse {
        Pulse { pulses: self.clone(), part }
    }

    pub(super) fn last_tick(&self, part: Part) -> Option<Uptime> {
        let last = self.beats(part).last.load(Ordering::Relaxed);
        (last > 0).then(|| Uptime::since_boot(Duration::from_millis(last)))
    }

    /// The part with the longest pause between two ticks.
    pub(super) fn longest_pause(&self) -> Option<(Part, Duration)> {
        let pauses = Part::ALL.map(|part| (part, self.beats(part).longest.load(Ordering::Relaxed)));
        let (part, longest) = pauses.into_iter().max_by_key(|(_, longest)| *longest)?;
        (longest > 0).then_some((part, Duration::from_millis(longest)))
    }

    /// As if the part had ticked last so long ago.
    #[cfg(test)]
    pub(super) fn backdate(&self, part: Part, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap();
        self.beats(part).last.fetch_sub(by, Ordering::Relaxed);
    }

    fn beats(&self, part: Part) -> &Beats {
        &self.0[part as usize]
    }
}

impl Pulse {
    pub fn tick(&self) {
        let now = u64::try_from(uptime().elapsed_since_boot().as_millis()).unwrap_or(u64::MAX).max(1);
        let beats = self.beats();
        let last = beats.last.swap(now, Ordering::Relaxed);
        if last > 0 {
            beats.longest.fetch_max(now.saturating_sub(last), Ordering::Relaxed);
        }
    }

    /// Nothing is expected of it until it ticks again.
    pub fn rest(&self) {
        self.tick();
        self.beats().last.store(0, Ordering::Relaxed);
    }

    pub fn last(&self) -> Option<Uptime> {
        self.pulses.last_tick(self.part)
    }

    fn beats(&self) -> &Beats {
        self.pulses.beats(self.part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_rests_is_expected_to_do_nothing() {
        let pulses = Pulses::default();
        let pulse = pulses.of(Part::Prober);
        assert_eq!(pulses.last_tick(Part::Prober), None);
        pulse.tick();
        assert!(pulse.last().is_some_and(|last| uptime().since(last) < Duration::from_mins(1)));
        assert_eq!(pulses.last_tick(Part::Loop), None);
        pulse.rest();
        assert_eq!(pulse.last(), None);
    }

    #[test]
    fn the_longest_pause_is_kept_and_rest_is_none() {
        let pulses = Pulses::default();
        assert_eq!(pulses.longest_pause(), None);
        let pulse = pulses.begin(Part::Names);
        let began = uptime();
        while uptime().since(began) < Duration::from_millis(20) {
            std::thread::yield_now();
        }
        pulse.rest();
        let (part, pause) = pulses.longest_pause().unwrap();
        assert_eq!(part, Part::Names);
        assert!(pause >= Duration::from_millis(19), "{pause:?}");
        while uptime().since(began) < pause * 3 {
            std::thread::yield_now();
        }
        pulse.tick();
        assert_eq!(pulses.longest_pause(), Some((Part::Names, pause)));
    }
}
