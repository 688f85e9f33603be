//! The stamp that tells the flows of one opening of a door from those of every other.

use core::fmt;
use core::num::NonZeroU32;

use crate::Uptime;

/// A conntrack mark, never used before in this boot.
///
/// It is drawn from the uptime in milliseconds, so that a restarted agent needs no memory to stay ahead of its
/// predecessor: between two openings lies a run of `nft`, which takes longer than a millisecond. It wraps after
/// 49 days, long after the flows that carried the same number were forgotten (90 s, see [`Epoch::older`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(NonZeroU32);

impl Epoch {
    /// The first epoch that is both later than `previous` and not earlier than `now`.
    pub fn fresh(previous: Option<Self>, now: Uptime) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "wraps after 49 days, see above")]
        let clock = now.elapsed_since_boot().as_millis() as u32;
        let after = previous.map_or(0, |epoch| epoch.0.get().wrapping_add(1));
        let ahead = after.wrapping_sub(clock) < u32::MAX / 2;
        let number = if previous.is_some() && ahead { after } else { clock };
        Self(NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN))
    }

    pub const fn number(self) -> u32 {
        self.0.get()
    }

    /// All smaller numbers but 0 (unstamped: the box's own flows), as (mark, mask) pairs: at most 32 filters of
    /// the kernel's flush say "every older epoch" without knowing which ones there were.
    pub fn older(self) -> impl Iterator<Item = (u32, u32)> {
        let number = self.number();
        // [0, number) is one aligned block for each bit that is set in `number`; within the block that starts at
        // 0, the 0 itself must stay, so that one is split into the blocks [1,2), [2,4), [4,8)...
        let lowest_block = number.ilog2();
        let split = (0..lowest_block).map(|bit| (1 << bit, !((1 << bit) - 1)));
        let rest = (0..lowest_block).filter(move |bit| number & (1 << bit) != 0);
        let blocks = rest.map(move |bit| {
            let above = !((1u32 << bit) | ((1 << bit) - 1));
            (number & above, !((1 << bit) - 1))
        });
        split.chain(blocks)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn at(ms: u64) -> Uptime {
        Uptime::since_boot(Duration::from_millis(ms))
    }

    #[test]
    fn is_never_the_same_twice_even_within_a_millisecond() {
        let first = Epoch::fresh(None, at(5000));
        let second = Epoch::fresh(Some(first), at(5000));
        assert_eq!((first.number(), second.number()), (5000, 5001));
        assert_eq!(Epoch::fresh(Some(second), at(9000)).number(), 9000);
    }

    #[test]
    fn is_never_zero_which_means_unstamped() {
        assert_eq!(Epoch::fresh(None, at(0)).number(), 1);
        assert_eq!(Epoch::fresh(None, at(1 << 32)).number(), 1);
    }

    #[test]
    fn older_filters_match_every_smaller_mark_and_nothing_else() {
        for number in 1..300u32 {
            let epoch = Epoch(NonZeroU32::new(number).expect("not zero"));
            for mark in 0..600u32 {
                let matched = epoch.older().any(|(value, mask)| mark & mask == value);
                assert_eq!(matched, mark != 0 && mark < number, "mark {mark}, epoch {number}");
            }
        }
        assert!(Epoch(NonZeroU32::MAX).older().count() <= 62);
    }
}
