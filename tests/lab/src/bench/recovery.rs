//! How long the box takes to come back, or to shut, after what can befall it.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};
use nix::sys::signal::{self, Signal};
use serde_json::Value;

use super::cost::pid_of;
use super::flips::{PATIENCE, millis};
use super::plan::Plan;
use super::results::{Faults, Judged};
use super::{ask, progress};
use crate::judge::Door;
use crate::stage::{Stage, Watch, is_as_wished};
use crate::traffic::Rates;
use crate::wait_for;

/// DESIGN's longest bound is 30 s.
const SEAL_PATIENCE: Duration = Duration::from_mins(1);

/// From the agent's start to the open door; tailscaled is up and adopted.
pub(super) fn start_to_proven(stage: &mut Stage, times: usize) -> Result<Vec<f64>> {
    progress(&format!("{times} starts"));
    let mut took = Vec::new();
    for _ in 0..times {
        stage.byway.sigterm()?;
        let started = Instant::now();
        stage.byway.start()?;
        wait_open(stage)?;
        took.push(started.elapsed().as_secs_f64() * 1e3);
    }
    stage.wait_carried()?;
    Ok(took)
}

pub(super) fn faults(stage: &mut Stage, plan: &Plan) -> Result<Faults> {
    let mut faults = Faults::default();
    progress(&format!("{} kills of the agent", plan.kills));
    faults.killed_to_carried_ms = watched(stage, &mut faults.judged, plan.kills, killed)?;
    progress(&format!("{} silences of the relay under traffic", plan.silences));
    faults.silent_to_sealed_ms = watched(stage, &mut faults.judged, plan.silences, silenced)?;
    progress(&format!("{} kills of tailscaled", plan.tailscaled_kills));
    faults.tailscaled_killed_to_carried_ms =
        watched(stage, &mut faults.judged, plan.tailscaled_kills, tailscaled_killed)?;
    progress(&format!("{} silences of the relay without traffic", plan.idle_silences));
    for _ in 0..plan.idle_silences {
        let silenced = fall_silent(stage)?;
        faults.idle_silent_to_sealed_ms.push(millis(silenced, SystemTime::now()));
        stage.world.relay.resume()?;
        wait_open(stage)?;
        stage.wait_carried()?;
    }
    Ok(faults)
}

/// Lets it happen again and again under load, and hands the whole to the judge.
fn watched(
    stage: &mut Stage,
    judged: &mut Judged,
    times: usize,
    happen: impl Fn(&mut Stage, &mut Watch) -> Result<f64>,
) -> Result<Vec<f64>> {
    let mut watch = stage.watch(Some(Door::Privacy), Rates::default())?;
    watch.wait_answered(PATIENCE)?;
    let took = (0..times).map(|_| happen(stage, &mut watch)).collect::<Result<Vec<_>>>()?;
    judged.add(Judged::by(&watch.end()?.verdict));
    Ok(took)
}

/// A supervisor starts it again at once.
fn killed(stage: &mut Stage, watch: &mut Watch) -> Result<f64> {
    let at = SystemTime::now();
    stage.byway.kill9()?;
    stage.byway.start()?;
    wait_open(stage)?;
    Ok(millis(at, watch.wait_answered(PATIENCE)?))
}

fn silenced(stage: &mut Stage, watch: &mut Watch) -> Result<f64> {
    let at = fall_silent(stage)?;
    let took = millis(at, SystemTime::now());
    watch.decide(at, None);
    let resumed = SystemTime::now();
    stage.world.relay.resume()?;
    wait_open(stage)?;
    watch.decide(resumed, Some(Door::Privacy));
    watch.wait_answered(PATIENCE)?;
    Ok(took)
}

/// Until an answer to something that the phone sent after the daemon was gone.
fn tailscaled_killed(stage: &mut Stage, watch: &mut Watch) -> Result<f64> {
    let pid = pid_of(stage.byway.namespace(), "tailscaled")?;
    signal::kill(pid, Signal::SIGKILL)?;
    let at = SystemTime::now();
    wait_for("tailscaled's end", PATIENCE, || {
        ensure!(!stage.byway.namespace().pids()?.contains(&pid), "it still runs");
        Ok(())
    })?;
    let carried = watch.wait_answered(SEAL_PATIENCE)?;
    Ok(millis(at, carried))
}

/// Returns when the silence began, after the door was shut.
fn fall_silent(stage: &Stage) -> Result<SystemTime> {
    let at = SystemTime::now();
    stage.world.relay.silence()?;
    let shut = |status: &Value| status["door"].is_null();
    ask::wait_status(&stage.byway.run_dir(), "the door to be shut", SEAL_PATIENCE, shut)?;
    Ok(at)
}

fn wait_open(stage: &Stage) -> Result<()> {
    ask::wait_status(&stage.byway.run_dir(), "the wished door", SEAL_PATIENCE, is_as_wished)
}
