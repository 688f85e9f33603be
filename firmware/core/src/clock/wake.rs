//! Decides what the clock is raised to before anything else happens: no machine wakes earlier than it fell asleep.

use core::time::Duration;

use super::{Keep, Now, Source, Stamp};
use crate::stamps::Boot;
use crate::time::PLAUSIBLE;

/// A clock that nobody has stepped goes like the time since the boot.
const SAME: Duration = Duration::from_secs(5);

/// What an agent finds when it starts.
#[derive(Clone, Debug)]
pub struct Found {
    pub boot: Boot,
    /// No clock is right that is earlier.
    pub built: Duration,
    pub keep: Keep,
    pub saved: Option<Stamp>,
    /// When a file of ours was last written.
    pub last_write: Option<Duration>,
    /// There is a clock with a battery, or at least its chip.
    pub has_rtc: bool,
}

/// What to make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Woken {
    pub source: Source,
    /// Set the clock to this first.
    pub raise: Option<Duration>,
    /// Somebody else keeps it in step.
    pub is_others: bool,
}

impl Found {
    pub fn wake(&self, now: Now) -> Woken {
        let own = self.saved.filter(|stamp| stamp.boot == self.boot);
        // What an agent of this boot has set, it has also told the kernel.
        let is_others = now.in_step && own.is_none_or(|stamp| stamp.source < Source::Tls);
        if is_others {
            return Woken { source: Source::Ntp, raise: None, is_others };
        }
        let (floor, origin) =
            own.map_or_else(|| self.floor(), |stamp| (shown_now(&stamp, now), stamp.source));
        let may_raise = self.keep == Keep::Ntp;
        let raise = (now.wall + SAME < floor && may_raise).then_some(floor);
        let is_possible = (floor..=self.built + PLAUSIBLE).contains(&raise.unwrap_or(now.wall + SAME));
        let is_as_kept = own.is_some() && now.wall.abs_diff(floor) <= SAME;
        let source = match (is_possible, raise) {
            (false, _) => Source::None,
            (true, Some(_)) => origin,
            (true, None) if self.has_rtc && !is_as_kept => Source::Rtc,
            (true, None) => origin.min(if is_as_kept { Source::Ntp } else { Source::Saved }),
        };
        Woken { source, raise, is_others }
    }

    /// What the clock showed at the boot, as far as an agent of the same boot knew it to be right.
    pub(super) fn right_at_boot(&self) -> Option<Duration> {
        let own = self.saved.filter(|stamp| stamp.boot == self.boot && stamp.source >= Source::Tls)?;
        Some(own.wall.saturating_sub(own.uptime.elapsed_since_boot()))
    }

    /// Of another boot. A stamp or a file from the far future is somebody's mistake, and no floor.
    fn floor(&self) -> (Duration, Source) {
        let known = self.saved.map(|stamp| stamp.wall).max(self.last_write);
        let known = known.filter(|at| (self.built..=self.built + PLAUSIBLE).contains(at));
        known.map_or((self.built, Source::Build), |at| (at, Source::Saved))
    }
}

/// What the clock of that stamp shows now, in the same boot.
fn shown_now(stamp: &Stamp, now: Now) -> Duration {
    stamp.wall + now.uptime.since(stamp.uptime)
}
