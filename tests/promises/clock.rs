//! A box without a clock, as every Pi is one: it wakes in 1970, time servers lie or say nothing, somebody steps its clock
//! by years. It carries all the same, and knows the time as soon as somebody can be believed.

use std::fs;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use byway_lab::box_clock::BoxClock;
use byway_lab::judge::Door;
use byway_lab::stage::{Stage, is_as_wished};
use byway_lab::time_server::TimeServer;
use byway_lab::topology::SeenAs;
use byway_lab::wait_for;
use serde_json::Value;

use crate::ordeal::{GENTLE, Ordeal, PATIENCE, says};

const THREE_YEARS: Duration = Duration::from_hours(3 * 365 * 24);
/// A step that is noticed, and makes the box ask again.
const NUDGE: Duration = Duration::from_secs(5);
/// Six servers are asked and have answered by then.
const A_WHILE: Duration = Duration::from_secs(15);
/// A certificate's host tells whole seconds.
const RIGHT: f64 = 3.0;

pub(super) fn wakes_in_1970(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    stage.byway.power_cut()?;
    stage.byway.give_clock()?;
    let before = stage.byway.log().len();
    stage.byway.boot()?;
    stage.byway.wait_status("the wished door", PATIENCE, is_as_wished)?;
    wait_right(stage, "ntp")?;
    cannot_set_the_machines_clock(stage)?;
    let log = stage.byway.log().split_off(before);
    ensure!(log.contains("the clock was behind and is raised") && log.contains("source=Saved"), "{log}");
    ensure!(stage.byway.state_dir().join("clock").is_file(), "the time is not saved");

    // An agent of the same boot knows what the last one knew, whoever answers.
    silence(stage);
    stage.byway.kill9()?;
    stage.byway.start()?;
    // It finds out in a few seconds that nobody answers.
    stage.byway.wait_status("what was known before", PATIENCE, |status| status["clock"] == "ntp")?;
    stage.byway.wait_status("the wished door", PATIENCE, is_as_wished)?;
    be_good(stage);
    stage.byway.power_cut()
}

/// UDP 123 is blocked: everything else comes up, and the certificates' hosts know the time.
pub(super) fn without_time_servers(stage: &mut Stage) -> Result<()> {
    silence(stage);
    stage.byway.power_cut()?;
    stage.byway.give_clock()?;
    stage.carry()?;
    wait_right(stage, "tls")?;
    wait_for("the doctor's word", PATIENCE, || {
        let said = stage.byway.cli(&["doctor"])?;
        ensure!(said.code == Some(0) && said.stdout.contains("no time server answers"), "{said:?}");
        Ok(())
    })?;
    for server in &stage.world.time {
        let asked = server.asked();
        let is_the_house = |from: &IpAddr| SeenAs::of(*from) == SeenAs::House;
        ensure!(!asked.is_empty() && asked.keys().all(is_the_house), "asked by {asked:?}");
    }
    // By that clock their certificates are not good yet.
    stage.byway.clock()?.step_back(THREE_YEARS)?;
    wait_right(stage, "tls")?;
    be_good(stage);
    stage.byway.clock()?.step_forward(NUDGE)?;
    wait_right(stage, "ntp")
}

pub(super) fn liars(stage: &mut Stage) -> Result<()> {
    carry_with_a_clock(stage)?;
    wait_right(stage, "ntp")?;
    stage.world.time[1].run_ahead(THREE_YEARS);
    // A question or an answer may be lost: then they are asked once more.
    wait_for("one liar to be outvoted", PATIENCE, || {
        stage.byway.clock()?.step_forward(NUDGE)?;
        wait_for("all of them to answer", A_WHILE, || {
            let said = stage.byway.cli(&["doctor"])?;
            ensure!(said.stdout.contains("4 of 6 time servers agree"), "{}", said.stdout);
            Ok(())
        })
    })?;
    wait_right(stage, "ntp")?;
    ensure!(!says(&stage.byway.status()?, "time servers"), "one liar is nobody's business");

    for server in &stage.world.time {
        server.run_ahead(THREE_YEARS);
    }
    stage.byway.clock()?.step_forward(NUDGE)?;
    let contradicted = |status: &Value| says(status, "the time servers say") && says(status, "contradicts");
    stage.byway.wait_status("the lie to be told", PATIENCE, contradicted)?;
    wait_right(stage, "tls")?;
    be_good(stage);
    stage.byway.clock()?.step_forward(NUDGE)?;
    wait_right(stage, "ntp")?;
    ensure!(!says(&stage.byway.status()?, "time servers"), "{}", stage.byway.status()?);
    Ok(())
}

/// Before it is noticed, with doors that open meanwhile, and when it is put right.
pub(super) fn steps_of_years(stage: &mut Stage) -> Result<()> {
    carry_with_a_clock(stage)?;
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    wait_right(stage, "ntp")?;
    let steps: [fn(&BoxClock, Duration) -> Result<()>; 2] = [BoxClock::step_back, BoxClock::step_forward];
    for step in steps {
        let events = stage.byway.events()?;
        step(stage.byway.clock()?, THREE_YEARS)?;
        ordeal.watch.wait_answered(PATIENCE)?;
        let wrong_or_shut = |status: &Value| status["door"].is_null() || status["clock"] != "ntp";
        let (_, status) = events.wait("the step to be noticed", PATIENCE, wrong_or_shut)?;
        ensure!(status["door"] == "privacy", "{status}");
        let right_or_shut = |status: &Value| status["door"].is_null() || status["clock"] == "ntp";
        let (_, status) = events.wait("the clock to be right", PATIENCE, right_or_shut)?;
        ensure!(status["door"] == "privacy", "{status}");
        wait_right(stage, "ntp")?;
        ordeal.watch.wait_answered(PATIENCE)?;

        step(stage.byway.clock()?, THREE_YEARS)?;
        for door in [Door::Residential, Door::Privacy] {
            ordeal.watch.flip(&stage.byway, Some(door))?;
            ordeal.watch.wait_answered(PATIENCE)?;
        }
        wait_right(stage, "ntp")?;
    }
    ordeal.note("the clock stepped by three years, there and back", None, None);
    ordeal.end()?;
    stage.byway.power_cut()?;
    stage.byway.take_clock();
    Ok(())
}

fn carry_with_a_clock(stage: &mut Stage) -> Result<()> {
    if stage.byway.clock().is_err() {
        stage.byway.power_cut()?;
        stage.byway.give_clock()?;
    }
    stage.carry()
}

/// The agent tells that source, and its clock shows the machine's time, which is the truth.
fn wait_right(stage: &Stage, source: &str) -> Result<()> {
    let what = format!("the right time, by {source}");
    wait_for(&what, PATIENCE, || {
        let (status, ahead) = (stage.byway.status()?, stage.byway.clock()?.ahead()?);
        ensure!(status["clock"] == source && ahead.abs() < RIGHT, "{ahead} s ahead, {status}");
        ensure!(status["clock_offset_ms"].is_i64() && status["clock_checked_s"].is_u64(), "{status}");
        Ok(())
    })
    .with_context(|| stage.byway.log_tail())
}

/// Whatever the agent believes: the machine that runs this test keeps its time (`CAP_SYS_TIME`).
fn cannot_set_the_machines_clock(stage: &mut Stage) -> Result<()> {
    const CAP_SYS_TIME: u32 = 25;
    let pid = stage.byway.agent().context("no agent runs")?.pid();
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    for set in ["CapEff:", "CapBnd:"] {
        let line = status.lines().find_map(|line| line.strip_prefix(set)).context("no such set")?;
        ensure!(u64::from_str_radix(line.trim(), 16)? >> CAP_SYS_TIME & 1 == 0, "{set}{line}");
    }
    Ok(())
}

fn silence(stage: &Stage) {
    stage.world.time.iter().for_each(TimeServer::silence);
}

fn be_good(stage: &Stage) {
    stage.world.time.iter().for_each(TimeServer::be_good);
}
