//! How much memory the agent has had resident at most: looked at after every promise, whatever it did to the box. And what ten
//! thousand connections cost the kernel.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use byway_lab::stage::Stage;

/// DESIGN 9, for the release build at full load; `tests/vm` holds the card's own to it. The tests' own build has the same heap,
/// but its code is several times as large and counts too (measured: 39 MiB in a run of all promises).
const BOUND: u64 = (if cfg!(debug_assertions) { 44 } else { 25 }) << 20;

static PEAK: AtomicU64 = AtomicU64::new(0);
/// Of ten thousand connections, above idle.
const CONNECTIONS_BOUND: u64 = 20 << 20;
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// Of every agent since the last promise.
pub(super) fn check(stage: &mut Stage) -> Result<()> {
    let peak = stage.byway.take_peak_memory();
    PEAK.fetch_max(peak, Ordering::Relaxed);
    ensure!(peak <= BOUND, "the agent has had {} resident, more than {}", mib(peak), mib(BOUND));
    Ok(())
}

/// Of as many connections, from what the kernel had set aside before them.
pub(super) fn check_connections(before: u64, now: u64) -> Result<()> {
    let cost = now.saturating_sub(before);
    CONNECTIONS.fetch_max(cost, Ordering::Relaxed);
    let (cost, bound) = (mib(cost), mib(CONNECTIONS_BOUND));
    ensure!(
        now.saturating_sub(before) <= CONNECTIONS_BOUND,
        "ten thousand connections cost {cost}, more than {bound}"
    );
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a figure of the run, beside the table of faults")]
pub(super) fn print() {
    println!("agent's resident memory: {} at most, bound {}", mib(PEAK.load(Ordering::Relaxed)), mib(BOUND));
    let connections = CONNECTIONS.load(Ordering::Relaxed);
    if connections > 0 {
        println!(
            "ten thousand connections: {} of kernel memory, bound {}",
            mib(connections),
            mib(CONNECTIONS_BOUND)
        );
    }
}

/// To a tenth.
fn mib(bytes: u64) -> String {
    let tenths = (bytes * 10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
