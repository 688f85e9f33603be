//! Long presses, and many of them: what a person at the box can do beside choosing the other door.

use anyhow::{Context as _, Result, ensure};

use crate::agent::CARD;
use crate::pi::{Bench, Pi};

/// An odd number: the other door is wished afterwards.
const MANY: u64 = 11;

pub(crate) fn pause_go_on_and_restart(bench: &Bench) -> Result<()> {
    let mut pi = bench.boot(&CARD, "")?;
    pi.wait_light("residential")?;

    hold_until(&mut pi, "let go to pause")?;
    ensure!(wish(&mut pi)? == "residential", "a press means something before it is let go");
    pi.lines.release()?;
    pi.wait_light("paused")?;
    pi.wait_frame()?;
    ensure!(wish(&mut pi)? == "sealed", "paused, and something else is wished");
    hold_until(&mut pi, "let go to go on")?;
    pi.lines.release()?;
    pi.wait_light("residential")?;

    many_count_each_and_the_last_one_wins(&mut pi)?;

    hold_until(&mut pi, "let go to restart")?;
    ensure!(wish(&mut pi)? == "privacy", "it is gone while the button is held");
    pi.lines.release()?;
    let told = pi.machine.wait_ended()?;
    ensure!(told.iter().any(|event| event["data"]["reason"] == "guest-reset"), "no restart: {told:?}");
    Ok(())
}

fn many_count_each_and_the_last_one_wins(pi: &mut Pi) -> Result<()> {
    let before = presses(pi)?;
    for _ in 0..MANY {
        pi.lines.press()?;
        pass_a_moment(pi)?;
        pi.lines.release()?;
        pass_a_moment(pi)?;
    }
    pi.wait_light("working")?;
    let counted = presses(pi)? - before;
    ensure!(counted == MANY, "{counted} of {MANY} presses were counted");
    ensure!(wish(pi)? == "privacy", "after {MANY} presses the same door is wished as before");
    Ok(())
}

/// More than the kernel takes for the bouncing of a contact.
fn pass_a_moment(pi: &mut Pi) -> Result<()> {
    pi.machine.run("sleep 0.06").map(drop)
}

fn hold_until(pi: &mut Pi, says: &str) -> Result<()> {
    pi.lines.press()?;
    pi.wait_light(says)
}

fn presses(pi: &mut Pi) -> Result<u64> {
    pi.panel()?["button"]["presses"].as_u64().context("no number of presses")
}

fn wish(pi: &mut Pi) -> Result<String> {
    let status = pi.machine.try_run("byway status --json --run-dir /run/byway")?.1;
    let status: serde_json::Value = serde_json::from_str(&status).with_context(|| status.clone())?;
    Ok(status["wish"].as_str().context("no wish")?.to_owned())
}
