//! Figures for the box: how fast it flips, recovers and carries, what it costs, and how two other boxes do under the
//! same load before the same judge; and for its tunnel alone, beside other implementations. A missed bound is told;
//! only a wrong packet of byway's fails the run.

mod ask;
mod bounds;
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
mod svg;
mod table;
mod tunnel;

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
use tunnel::Tunnels;

/// What the command line asks for.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub part: Part,
    /// A smoke run: every part once, figures that mean little.
    pub quick: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum Part {
    Everything,
    /// The same, also into `docs`.
    EverythingIntoDocs,
    /// The tunnels beside each other, without a world.
    Tunnel,
}

/// The programs under test.
#[derive(Debug, Clone, Copy)]
pub struct Programs<'a> {
    pub byway: &'a Path,
    /// byway's engine alone, `tests/bench/engine.rs`.
    pub engine: &'a Path,
}

/// Measures what is asked for; true when not one packet of byway's was wrong.
pub fn run(programs: Programs<'_>, options: Options) -> Result<bool> {
    let plan = if options.quick { Plan::QUICK } else { Plan::FULL };
    if options.quick {
        say("A quick run: it shows that everything works; its figures mean little.\n");
    }
    let began = Instant::now();
    let boxes = match options.part {
        Part::Tunnel => None,
        Part::Everything | Part::EverythingIntoDocs => Some(measure_boxes(programs.byway, &plan)?),
    };
    let mut tunnels = tunnel::measure(programs.engine, &plan)?;
    tunnels.quick = options.quick;
    let took_s = began.elapsed().as_secs();
    let boxes = boxes.map(|boxes| Results { quick: options.quick, took_s, ..boxes });
    publish(boxes.as_ref(), &tunnels, options.part)?;
    Ok(boxes.is_none_or(|boxes| boxes.is_clean()))
}

fn measure_boxes(byway: &Path, plan: &Plan) -> Result<Results> {
    say("raising the world and the box");
    let mut stage = Stage::raise(byway)?;
    stage.boot_and_carry()?;
    let mut results = measure_byway(&mut stage, plan, byway)?;
    results.boxes.extend(rivals::measure(&mut stage, plan)?);
    Ok(results)
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
fn publish(boxes: Option<&Results>, tunnels: &Tunnels, part: Part) -> Result<()> {
    if let Some(boxes) = boxes {
        say(&table::render(boxes));
        write("target/bench/bench.json", &serde_json::to_string_pretty(boxes)?)?;
        write("target/bench/bench.svg", &chart::render(boxes))?;
    }
    say(&tunnel::render(tunnels));
    write("target/bench/tunnel.json", &serde_json::to_string_pretty(tunnels)?)?;
    write("target/bench/tunnel.svg", &tunnel::chart(tunnels))?;
    if let (Some(boxes), Part::EverythingIntoDocs) = (boxes, part) {
        write("docs/benchmarks.md", &docs::render(boxes, tunnels))?;
        write("docs/benchmarks.svg", &chart::render(boxes))?;
        write("docs/tunnel.svg", &tunnel::chart(tunnels))?;
    }
    Ok(())
}

/// Below the workspace, and says so.
fn write(name: &str, text: &str) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    let folder = path.parent().context("a file is in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    say(&format!("written: {name}"));
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
