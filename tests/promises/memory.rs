//! How much memory the agent has had resident at most: looked at after every promise, whatever it did to the box.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use byway_lab::stage::Stage;

/// DESIGN 9, for the release build at full load; `tests/vm` holds the card's own to it. The tests' own build has the same heap,
/// but its code is several times as large and counts too (measured: 33 MiB in a run of all promises).
const BOUND: u64 = (if cfg!(debug_assertions) { 40 } else { 25 }) << 20;

static PEAK: AtomicU64 = AtomicU64::new(0);

/// Of every agent since the last promise.
pub(super) fn check(stage: &mut Stage) -> Result<()> {
    let peak = stage.byway.take_peak_memory();
    PEAK.fetch_max(peak, Ordering::Relaxed);
    ensure!(peak <= BOUND, "the agent has had {} resident, more than {}", mib(peak), mib(BOUND));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a figure of the run, beside the table of faults")]
pub(super) fn print() {
    println!("agent's resident memory: {} at most, bound {}", mib(PEAK.load(Ordering::Relaxed)), mib(BOUND));
}

/// To a tenth.
fn mib(bytes: u64) -> String {
    let tenths = (bytes * 10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
