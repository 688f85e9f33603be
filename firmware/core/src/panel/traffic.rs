//! How much went through in the last minutes, for the graph.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use crate::Uptime;

/// What one column of the graph stands for.
pub const COLUMN: Duration = Duration::from_secs(5);
/// Columns: four minutes.
pub const COLUMNS: usize = 48;

#[derive(Clone, Debug, Default)]
pub(super) struct Traffic {
    /// The newest last; never more than [`COLUMNS`].
    columns: VecDeque<u64>,
    /// When the newest began.
    began: Uptime,
    /// The counter, when it was read last.
    counted: Option<u64>,
}

impl Traffic {
    /// `counter`: bytes since whenever; `None` while there is nobody to count for.
    pub(super) fn count(&mut self, now: Uptime, counter: Option<u64>) {
        self.turn(now);
        // One that goes back began anew.
        let more = counter.zip(self.counted).map_or(0, |(counter, before)| counter.saturating_sub(before));
        if let Some(newest) = self.columns.back_mut() {
            *newest = newest.saturating_add(more);
        }
        self.counted = counter;
    }

    /// Bytes a column, the newest last, without the one that is still growing.
    pub(super) fn columns(&self) -> Vec<u64> {
        let whole = self.columns.len().saturating_sub(1);
        self.columns.iter().take(whole).copied().collect()
    }

    fn turn(&mut self, now: Uptime) {
        if self.columns.is_empty() || now.since(self.began) >= COLUMN * 64 {
            self.columns.clear();
            self.columns.push_back(0);
            self.began = now;
        }
        while now.since(self.began) >= COLUMN {
            self.columns.push_back(0);
            self.began = self.began + COLUMN;
        }
        while self.columns.len() > COLUMNS + 1 {
            self.columns.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Uptime {
        Uptime::since_boot(Duration::from_secs(seconds))
    }

    #[test]
    fn bytes_are_counted_where_they_belong() {
        let mut traffic = Traffic::default();
        for (seconds, counter) in [(0, 1_000), (1, 1_100), (4, 1_200), (5, 1_250), (16, 1_300), (20, 1_300)] {
            traffic.count(at(seconds), Some(counter));
        }
        assert_eq!(traffic.columns(), [200, 50, 0, 50]);
    }

    #[test]
    fn a_counter_that_begins_anew_counts_for_nothing() {
        let mut traffic = Traffic::default();
        for (seconds, counter) in [(0, Some(9_000)), (1, Some(10)), (2, None), (3, Some(500)), (5, Some(500))]
        {
            traffic.count(at(seconds), counter);
        }
        assert_eq!(traffic.columns(), [0]);
    }

    #[test]
    fn no_more_is_kept_than_is_shown_and_a_long_sleep_costs_nothing() {
        let mut traffic = Traffic::default();
        for step in 0..100 {
            traffic.count(at(step * 5), Some(step));
        }
        assert_eq!(traffic.columns(), [1; COLUMNS]);
        traffic.count(at(1_000_000), Some(100));
        assert_eq!(traffic.columns(), []);
    }
}
