//! Time as the core knows it: since the machine's boot, handed in by the agent.

use core::ops::Add;
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// No machine stays off for longer, and no agent is used for longer than it took to be made anew. A later clock is wrong.
pub(crate) const PLAUSIBLE: Duration = Duration::from_hours(5 * 365 * 24);

/// A moment, as time since boot, suspended time included (`CLOCK_BOOTTIME`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Uptime(Duration);

impl Uptime {
    pub const fn since_boot(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    pub const fn elapsed_since_boot(self) -> Duration {
        self.0
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Uptime {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }
}
