//! The watchdog's food, as whoever has opened it sees it: there while every part of the agent ticks, and only then.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use byway_core::watchdog::{FEED_EVERY, Part};
use byway_lab::stage::Stage;
use byway_lab::wait_for;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::ordeal::PATIENCE;

/// The next two meals are missing.
const HUNGER: Duration = FEED_EVERY.saturating_mul(2);
/// Enough of a delay for a busy machine.
const DELAY: Duration = Duration::from_secs(20);

/// A card that takes a file and never says so keeps the main loop.
pub(super) fn starves_while_the_loop_hangs(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    let byway = &stage.byway;
    wait_for("a meal", PATIENCE, || (byway.meals()? > 0).then_some(()).context("none"))?;
    let wish = byway.state_dir().join("wish.new");
    mkfifo(&wish, Mode::S_IRUSR | Mode::S_IWUSR)?;
    let hung = Instant::now();
    let run_dir = byway.run_dir();
    let asks = ["egress", "residential", "--no-wait", "--run-dir", run_dir.to_str().context("no text")?];
    let _unanswered = byway.namespace().spawn("wish", Path::new(env!("CARGO_BIN_EXE_byway")), &asks, &[])?;

    let patience = Part::Loop.patience();
    wait_for("the food to stay away", patience + DELAY, || {
        let began = Instant::now();
        while began.elapsed() < HUNGER {
            ensure!(byway.meals()? == 0, "it is fed");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    })?;
    ensure!(hung.elapsed() > patience, "hungry after {:?} of {patience:?}", hung.elapsed());
    let log = byway.log();
    let told = "the main loop has not ticked for 5";
    ensure!(log.contains(told) && log.contains("the watchdog is not fed any more"), "{}", byway.log_tail());

    // It is read, so that the loop goes on; what it says of the disk is another promise's business.
    drop(File::open(&wish)?);
    fs::remove_file(&wish).or_else(|error| if wish.exists() { Err(error) } else { Ok(()) })?;
    wait_for("a meal after the hunger", PATIENCE, || (byway.meals()? > 0).then_some(()).context("none"))?;
    stage.carry()
}
