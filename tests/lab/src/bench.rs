//! Figures for the box: how fast it flips, recovers and carries, what it costs, and how two other boxes do under the
//! same load before the same judge; for its tunnel alone, beside other implementations; and for its stub alone, beside
//! other forwarders. A missed bound is told; only a wrong packet of byway's fails the run.

mod ask;
mod bounds;
mod bulk;
mod chart;
mod cost;
mod datagrams;
mod docs;
mod flips;
mod machine;
mod names;
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
use datagrams::Download;
use machine::Machine;
use names::Names;
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
    /// A download by datagrams, handed on together and one by one.
    Datagrams,
    /// The tunnels beside each other, without a world.
    Tunnel,
    /// The forwarders beside each other, without a world.
    Names,
}

/// The programs under test.
#[derive(Debug, Clone, Copy)]
pub struct Programs<'a> {
    pub byway: &'a Path,
    /// byway's engine alone, `tests/bench/engine.rs`.
    pub engine: &'a Path,
    /// byway's stub alone, `tests/bench/stub.rs`.
    pub stub: &'a Path,
}

/// What has been measured, and of it what was asked for.
#[derive(Debug, Default)]
struct Measured {
    boxes: Option<Results>,
    datagrams: Option<Vec<Download>>,
    tunnels: Option<Tunnels>,
    names: Option<Names>,
}

/// Measures what is asked for; true when not one packet of byway's was wrong.
pub fn run(programs: Programs<'_>, options: Options) -> Result<bool> {
    let plan = if options.quick { Plan::QUICK } else { Plan::FULL };
    if options.quick {
        say("A quick run: it shows that everything works; its figures mean little.\n");
    }
    let began = Instant::now();
    let measured = measure(programs, options.part, &plan)?;
    let took_s = began.elapsed().as_secs();
    let boxes = measured.boxes.map(|boxes| Results { took_s, ..boxes });
    let measured = Measured { boxes, ..measured };
    publish(&measured, options.part)?;
    Ok(measured.boxes.is_none_or(|boxes| boxes.is_clean()))
}

fn measure(programs: Programs<'_>, part: Part, plan: &Plan) -> Result<Measured> {
    Ok(match part {
        Part::Datagrams => {
            Measured { datagrams: Some(datagrams::measure(programs.byway, plan)?), ..Measured::default() }
        }
        Part::Tunnel => {
            Measured { tunnels: Some(tunnel::measure(programs.engine, plan)?), ..Measured::default() }
        }
        Part::Names => Measured { names: Some(names::measure(programs.stub, plan)?), ..Measured::default() },
        Part::Everything | Part::EverythingIntoDocs => Measured {
            boxes: Some(measure_boxes(programs.byway, plan)?),
            datagrams: Some(datagrams::measure(programs.byway, plan)?),
            tunnels: Some(tunnel::measure(programs.engine, plan)?),
            names: Some(names::measure(programs.stub, plan)?),
        },
    })
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
        quick: plan.quick,
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
fn publish(Measured { boxes, datagrams, tunnels, names }: &Measured, part: Part) -> Result<()> {
    if let Some(boxes) = boxes {
        say(&table::render(boxes));
        write("target/bench/bench.json", &serde_json::to_string_pretty(boxes)?)?;
        write("target/bench/bench.svg", &chart::render(boxes))?;
    }
    if let Some(downloads) = datagrams {
        say(&datagrams::render(downloads));
        write("target/bench/datagrams.json", &serde_json::to_string_pretty(downloads)?)?;
    }
    if let Some(tunnels) = tunnels {
        say(&tunnel::render(tunnels));
        write("target/bench/tunnel.json", &serde_json::to_string_pretty(tunnels)?)?;
        write("target/bench/tunnel.svg", &tunnel::chart(tunnels))?;
    }
    if let Some(names) = names {
        say(&names::render(names));
        write("target/bench/names.json", &serde_json::to_string_pretty(names)?)?;
    }
    let all = (boxes, datagrams, tunnels, names, part);
    if let (Some(boxes), Some(downloads), Some(tunnels), Some(names), Part::EverythingIntoDocs) = all {
        write("docs/benchmarks.md", &docs::render(boxes, downloads, tunnels, names))?;
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
