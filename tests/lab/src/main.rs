//! `byway-lab`: builds the peers ahead of the tests, raises the world and says what works in it, shows it, or
//! measures in it.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use byway_lab::bench::{self, Options, Part, Programs};
use byway_lab::demo;
use byway_lab::naive::{Egress, NaiveBox};
use byway_lab::peers::Peers;
use byway_lab::phone::Family;
use byway_lab::topology::SeenAs;
use byway_lab::{World, wait_for};

const USAGE: &str =
    "usage: byway-lab peers | world | demo [--script] BYWAY | bench [--quick] [--datagrams | --tunnel | --names | --write-docs] BYWAY ENGINE STUB
  peers   builds the real peers into target/peers, if they are not there yet
  world   raises the world with a naive box, says what works, takes it down
  demo    puts the box that runs the agent BYWAY into the world and lets you press its button;
          --script plays a fixed scene instead and ends with a verdict
  bench   measures that box, and two others beside it, and its tunnel and its stub (ENGINE and STUB: the examples of
          those names) beside other implementations, into target/bench; fails only for a wrong packet; --quick is a
          smoke run, --datagrams, --tunnel and --names measure nothing else, --write-docs also writes docs/benchmarks.md";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["peers"] => Peers::build(|program| say(&format!("building {program}"))).map(drop),
        ["world"] => try_world(),
        ["demo", byway] => judged(demo::play(Path::new(byway))),
        ["demo", "--script", byway] | ["demo", byway, "--script"] => {
            judged(demo::play_script(Path::new(byway)))
        }
        ["bench", ref words @ .., byway, engine, stub]
            if ![byway, engine, stub].iter().any(|it| it.starts_with("--")) =>
        {
            let [byway, engine, stub] = [byway, engine, stub].map(Path::new);
            let programs = Programs { byway, engine, stub };
            match options(words) {
                Some(options) => judged(bench::run(programs, options)),
                None => return refuse(),
            }
        }
        ["--help"] => {
            say(USAGE);
            Ok(())
        }
        _ => return refuse(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn options(words: &[&str]) -> Option<Options> {
    let mut options = Options { part: Part::Everything, quick: false };
    for word in words {
        options = match (*word, options.part) {
            ("--quick", _) => Options { quick: true, ..options },
            ("--datagrams", Part::Everything) => Options { part: Part::Datagrams, ..options },
            ("--tunnel", Part::Everything) => Options { part: Part::Tunnel, ..options },
            ("--names", Part::Everything) => Options { part: Part::Names, ..options },
            ("--write-docs", Part::Everything) => Options { part: Part::EverythingIntoDocs, ..options },
            _ => return None,
        };
    }
    Some(options)
}

fn refuse() -> ExitCode {
    complain(USAGE);
    ExitCode::from(2)
}

fn judged(clean: Result<bool>) -> Result<()> {
    ensure!(clean?, "the judge found something: see the verdict above");
    Ok(())
}

fn try_world() -> Result<()> {
    let start = Instant::now();
    let world = World::raise()?;
    say(&format!("world raised, phone in the tailnet: {:.1?}", start.elapsed()));
    let naive = NaiveBox::start(&world)?;
    say(&format!("naive box in the tailnet: {:.1?}", start.elapsed()));
    world.phone.use_exit("byway")?;
    for (egress, wanted) in [(Egress::Privacy, SeenAs::Relay), (Egress::Residential, SeenAs::House)] {
        naive.flip(egress)?;
        for family in [Family::V4, Family::V6] {
            let seen = wait_for("the phone to be carried", Duration::from_secs(20), || {
                let seen = world.phone.who_am_i(family, Duration::from_secs(2))?;
                if SeenAs::of(seen.ip) == wanted { Ok(seen.ip) } else { bail!("seen as {}", seen.ip) }
            })?;
            say(&format!("{egress:?} {family:?}: the internet sees {seen}"));
        }
    }
    drop((naive, world));
    say(&format!("all gone: {:.1?}", start.elapsed()));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the command line")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "the command line")]
fn complain(line: &str) {
    eprintln!("byway-lab: {line}");
}
