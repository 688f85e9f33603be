//! By how much a clock is wrong.

use core::fmt;
use core::time::Duration;

/// What has to be added to the clock, in microseconds: more than nothing while it is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offset(i64);

impl Offset {
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub(super) fn between(clock: Duration, right: Duration) -> Self {
        let (from, to) = (i128::try_from(clock.as_micros()), i128::try_from(right.as_micros()));
        let micros = to.unwrap_or(i128::MAX).saturating_sub(from.unwrap_or(i128::MAX));
        Self(i64::try_from(micros).unwrap_or(if micros < 0 { i64::MIN } else { i64::MAX }))
    }

    pub const fn as_micros(self) -> i64 {
        self.0
    }

    pub const fn magnitude(self) -> Duration {
        Duration::from_micros(self.0.unsigned_abs())
    }

    pub(super) const fn is_forward(self) -> bool {
        self.0 >= 0
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.0 < 0 { "ahead" } else { "behind" };
        let seconds = self.magnitude().as_secs();
        let (number, unit) = match seconds {
            0..10 => (self.magnitude().as_millis(), "ms"),
            10..600 => (u128::from(seconds), "s"),
            600..36_000 => (u128::from(seconds / 60), "minutes"),
            36_000..864_000 => (u128::from(seconds / 3600), "hours"),
            _ => (u128::from(seconds / 86_400), "days"),
        };
        write!(f, "{number} {unit} {direction}")
    }
}
