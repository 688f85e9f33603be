//! The agent's own deaths, and the power's.

use std::fs;
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use byway_lab::judge::Door;
use byway_lab::stage::{Stage, is_as_wished};
use byway_lab::traffic::Rates;
use byway_lab::wait_for;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_mins(1);
/// DESIGN 9: agent killed, carrying again by the same egress.
const KILLED_BOUND: Duration = Duration::from_secs(3);

/// Nothing but the privacy door from before the kill to after the new agent's proof.
pub(super) fn killed_and_carried_again(stage: &mut Stage) -> Result<()> {
    let watch = stage.watch(Some(Door::Privacy), Rates::default())?;
    watch.wait_answered(PATIENCE)?;
    let mut carried_after = Vec::new();
    for _ in 0..3 {
        stage.byway.kill9()?;
        let restarted = SystemTime::now();
        stage.byway.start()?;
        stage.byway.wait_status("the privacy door again", PATIENCE, is_as_wished)?;
        watch.wait_answered(PATIENCE)?;
        carried_after.push(restarted.elapsed()?);
    }
    let outcome = watch.end()?;
    carried_after.sort();
    ensure!(carried_after[1] <= KILLED_BOUND, "carried again only after {carried_after:?}");
    ensure!(outcome.verdict.packets_by(Door::Residential) == 0, "by the house: {}", outcome.verdict);
    outcome.assert_clean()
}

pub(super) fn sigterm_seals(stage: &mut Stage) -> Result<()> {
    let mut watch = stage.watch(Some(Door::Privacy), Rates::default())?;
    watch.wait_answered(PATIENCE)?;
    let tailscaled = stage.byway.tailscaled()?;
    let asked = SystemTime::now();
    let ended = stage.byway.sigterm()?;
    watch.decide(asked, None);
    ensure!(ended.success(), "it ended with {ended}");
    ensure!(stage.byway.cli(&["status"])?.code == Some(1), "without an agent, status must end with 1");
    let silence = wait_for("an answer that must not come", Duration::from_secs(3), || {
        watch.wait_answered(Duration::from_millis(500))
    });
    ensure!(silence.is_err(), "carried though sealed");
    ensure!(stage.byway.tailscaled()? == tailscaled, "tailscaled was restarted");
    let left = fs::read_dir(stage.byway.wireguard_dir())?.count();
    ensure!(left == 0, "it left its socket for wg");

    let restarted = SystemTime::now();
    stage.byway.start()?;
    stage.byway.wait_status("the privacy door again", PATIENCE, is_as_wished)?;
    watch.decide(restarted, Some(Door::Privacy));
    watch.wait_answered(PATIENCE)?;
    ensure!(stage.byway.tailscaled()? == tailscaled, "tailscaled was not adopted");
    watch.end()?.assert_clean()
}

pub(super) fn reboot_keeps_the_wish(stage: &mut Stage) -> Result<()> {
    let said = stage.byway.cli(&["egress", "residential"])?;
    ensure!(said.code == Some(0), "{said:?}");
    stage.byway.reboot()?;
    let by_the_house = |status: &Value| status["wish"] == "residential" && is_as_wished(status);
    stage.byway.wait_status("the residential door", PATIENCE, by_the_house)?;
    stage.wait_seen_by(Door::Residential)?;
    let said = stage.byway.cli(&["egress", "privacy"])?;
    ensure!(said.code == Some(0), "{said:?}");
    stage.wait_seen_by(Door::Privacy)
}
