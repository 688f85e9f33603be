//! Figures for the box: how fast it flips, recovers and carries, what it costs, and how two other boxes do under the
//! same load before the same judge. A missed bound is told; only a wrong packet of byway's fails the run.

mod ask;
mod bulk;
mod chart;
mod cost;
mod docs;
mod flips;
mod machine;
mod plan;
mod recovery;
mod results;
mod rivals;
mod stats;
mod table;

use std::fs;
use std::path::Path;
use std::time::{Instant, SystemTime};

use anyhow::{Context as _, Result};

use crate::crowd::Crowd;
use crate::judge::Door;
use crate::phone::Family;
use crate::stage::Stage;
use crate::traffic::Rates;
use machine::Machine;
use plan::Plan;
use results::{BoxFigures, Results};

/// What the command line asks for.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// A smoke run: every part once, figures that mean little.
    pub quick: bool,
    /// Also writes `docs/benchmarks.md` and its picture.
    pub write_docs: bool,
}

/// Measures everything; true when not one packet of byway's was wrong.
pub fn run(byway: &Path, options: Options) -> Result<bool> {
    let plan = if options.quick { Plan::QUICK } else { Plan::FULL };
    let began = Instant::now();
    say("raising the world and the box");
    let mut stage = Stage::raise(byway)?;
    stage.boot_and_carry()?;
    let mut results = measure_byway(&mut stage, &plan, byway)?;
    results.quick = options.quick;
    results.boxes.extend(rivals::measure(&mut stage, &plan)?);
    drop(stage);
    results.took_s = began.elapsed().as_secs();
    publish(&results, options)?;
    Ok(results.is_clean())
}

fn measure_byway(stage: &mut Stage, plan: &Plan, byway: &Path) -> Result<Results> {
    let idle = cost::idle(stage.byway.namespace(), plan.idle)?;
    let starts = recovery::start_to_proven(stage, plan.starts)?;
    let run_dir = stage.byway.run_dir();
    let flip = |door: Door| ask::egress(&run_dir, door);
    let flips = flips::flips(stage, "byway", plan.flips, Rates::default(), flip)?;
    progress(&format!("opening {} flows", plan.crowd));
    let crowd = Crowd::open(stage, plan.crowd)?;
    let crowded = flips::flips(stage, "byway with a crowd", plan.crowded_flips, Rates::default(), flip)?;
    let crowd_flows = crowd.close()?;
    let faults = recovery::faults(stage, plan)?;
    let transfers = bulk::transfers(stage, "byway", plan, stage.byway.namespace(), flip)?;
    let memory_after_load = cost::memory(stage.byway.namespace(), "byway")?;
    let boxes = Vec::from([BoxFigures { name: "byway".to_owned(), flips, transfers }]);
    Ok(Results {
        quick: false,
        date: today(),
        took_s: 0,
        machine: Machine::here()?,
        binary_bytes: fs::metadata(byway).context("the agent's binary")?.len(),
        idle,
        memory_after_load,
        starts_ms: starts,
        crowd_flows,
        crowded,
        faults,
        boxes,
    })
}

/// Into the terminal, `target/bench` and, if asked for, `docs`.
fn publish(results: &Results, options: Options) -> Result<()> {
    say(&table::render(results));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = root.join("target/bench");
    let write = |path: &Path, text: &str| {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let picture = chart::render(results);
    write(&folder.join("bench.json"), &serde_json::to_string_pretty(results)?)?;
    write(&folder.join("bench.svg"), &picture)?;
    say("written: target/bench/bench.json, target/bench/bench.svg");
    if options.write_docs {
        write(&root.join("docs/benchmarks.md"), &docs::render(results))?;
        write(&root.join("docs/benchmarks.svg"), &picture)?;
        say("written: docs/benchmarks.md, docs/benchmarks.svg");
    }
    Ok(())
}

/// In UTC.
fn today() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string().chars().take(10).collect()
}

/// Both families carried by this door.
fn settle(stage: &Stage, door: Door) -> Result<()> {
    stage.wait_seen_by(door)?;
    stage.world.phone.who_am_i(Family::V6, flips::PATIENCE).map(drop)
}

#[expect(clippy::print_stdout, reason = "the command line")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "minutes of silence look like a hang to the person at the terminal")]
fn progress(line: &str) {
    eprintln!("bench: {line}");
}
