//! What others do to the box: the relay falls silent, the exit is somebody else's, the key is wrong.

use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use byway_lab::internet::CheckAnswer;
use byway_lab::judge::Door;
use byway_lab::stage::{Stage, is_as_wished};
use byway_lab::traffic::Rates;
use serde_json::Value;

use crate::ordeal::{Ordeal, says};

const PATIENCE: Duration = Duration::from_mins(1);
/// DESIGN 9: relay silent under traffic, seen and sealed.
const SILENCE_BOUND: Duration = Duration::from_secs(10);

pub(super) fn a_silent_relay_seals(stage: &mut Stage) -> Result<()> {
    let mut watch = stage.watch(Some(Door::Privacy), Rates::default())?;
    watch.wait_answered(PATIENCE)?;

    let silenced = SystemTime::now();
    stage.world.relay.silence()?;
    let status =
        stage.byway.wait_status("the door to be shut", PATIENCE, |status| status["door"].is_null())?;
    let sealed_after = silenced.elapsed()?;
    watch.decide(silenced, None);
    ensure!(sealed_after <= SILENCE_BOUND, "sealed only after {sealed_after:?}");
    let says_so = |status: &Value| {
        status["wish"] == "privacy" && status["why"].as_str().is_some_and(|why| why.contains("relay"))
    };
    ensure!(says_so(&status), "it does not say why: {status}");
    ensure!(stage.byway.cli(&["status"])?.code == Some(3), "status must end with 3");

    let resumed = SystemTime::now();
    stage.world.relay.resume()?;
    stage.byway.wait_status("the privacy door again", PATIENCE, is_as_wished)?;
    watch.decide(resumed, Some(Door::Privacy));
    watch.wait_answered(PATIENCE)?;
    let outcome = watch.end()?;
    ensure!(outcome.verdict.packets_by(Door::Residential) == 0, "by the house: {}", outcome.verdict);
    outcome.assert_clean()
}

/// Its sessions die with it: the same keys need a new handshake.
pub(super) fn a_dead_relay_seals(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, Rates::default())?;
    let (sealed, status) = ordeal.until_sealed(stage, |stage| {
        stage.world.relay.die();
        Ok(())
    })?;
    ensure!(sealed <= SILENCE_BOUND, "sealed only after {sealed:?}");
    ensure!(says(&status, "relay"), "it does not say why: {status}");
    let carried = ordeal.until_carried(stage, |stage| stage.world.relay.come_back())?;
    ordeal.note("relay dies and restarts with the same key", sealed, carried);
    ordeal.end().map(drop)
}

pub(super) fn not_mullvad_is_sealed(stage: &mut Stage) -> Result<()> {
    stage.world.check.set(CheckAnswer::NotMullvad);
    // A flip makes the box look at its exit again.
    for wish in ["residential", "privacy"] {
        stage.byway.cli(&["egress", wish])?;
    }
    let sealed = |status: &Value| status["state"] == "sealed" && status["door"].is_null();
    let status = stage.byway.wait_status("the seal", PATIENCE, sealed)?;
    ensure!(status["why"].as_str().is_some_and(|why| why.contains("not mullvad")), "{status}");
    ensure!(stage.byway.cli(&["status"])?.code == Some(3), "status must end with 3");

    stage.world.check.set(CheckAnswer::Truth);
    stage.byway.wait_status("the privacy door again", PATIENCE, is_as_wished)?;
    Ok(())
}

/// The agent keeps its disk; only the owner's file is of another device.
pub(super) fn wrong_key_never_opens(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    let conf = stage.byway.config_path().with_file_name("se-got-wg-001.conf");
    let good = std::fs::read_to_string(&conf)?;
    std::fs::write(&conf, stage.world.relay.conf_with_wrong_key()?)?;
    stage.byway.sigterm()?;
    stage.byway.start()?;
    stage.byway.wait_status("the new agent", PATIENCE, |_| true)?;
    let mut watch = stage.watch(None, Rates::default())?;
    let is_told = |status: &Value| says(status, "does not answer this box's key");
    stage.byway.wait_status("the wrong key", PATIENCE, is_told)?;
    let said = stage.byway.cli(&["egress", "privacy"])?;
    ensure!(said.code == Some(1) && said.stderr.contains("does not answer this box's key"), "{said:?}");
    let status = stage.byway.status()?;
    ensure!(status["door"].is_null() && status["tunnel"]["handshake_age_s"].is_null(), "{status}");

    std::fs::write(&conf, good)?;
    let restarted = SystemTime::now();
    stage.byway.sigterm()?;
    stage.byway.start()?;
    stage.byway.wait_status("the privacy door", PATIENCE, is_as_wished)?;
    watch.decide(restarted, Some(Door::Privacy));
    watch.wait_answered(PATIENCE)?;
    watch.end()?.assert_clean()
}
