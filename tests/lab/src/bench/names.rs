//! The stub alone, beside other forwarders, in one run: how long a name takes that it knows and one that it has to ask
//! for, how many it answers and what that costs. Rounds are interleaved load by load, as the tunnels' are.

mod figures;
mod one_core;
mod place;
mod questions;
mod server;
mod table;

use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use nix::unistd::Pid;

pub(super) use self::figures::Names;
use self::figures::{Measured, Rate, Round};
use self::one_core::on_one_core;
use self::place::{Place, Programs};
pub(super) use self::questions::AT_ONCE;
use self::questions::{Latency, Trips};
use self::server::Server;
pub(super) use self::table::{bounds, latencies, rates, render};
use super::cost::memory_of;
use super::machine::Machine;
use super::plan::Plan;
use super::{progress, today};
use crate::run::Run;
use crate::tools;

/// The names that are asked for again and again: fewer than anybody forgets.
const KNOWN: Range<u32> = 0..100;
/// Names that nobody has asked for before; every load begins elsewhere.
const NEW: u32 = 1_000_000;
const MORE_NEW: u32 = 2_000_000;

/// `stub` is `tests/bench/stub.rs`.
pub(super) fn measure(stub: &Path, plan: &Plan) -> Result<Names> {
    tools::require_for_world()?;
    let began = Instant::now();
    let run = Run::begin()?;
    let programs = Programs::prepare(stub, &run)?;
    let rounds =
        (1..=plan.names_rounds).map(|number| round(&run, &programs, number, plan)).collect::<Result<_>>()?;
    let (took_s, machine) = (began.elapsed().as_secs(), Machine::here()?);
    Ok(Names { quick: plan.quick, date: today(), took_s, machine, rounds })
}

/// Everybody once by every load, with fresh processes, in an order that is another one each round.
fn round(run: &Run, programs: &Programs, number: usize, plan: &Plan) -> Result<Round> {
    let told = |what: &str| progress(&format!("names, round {number} of {}: {what}", plan.names_rounds));
    let mut there = Server::ALL;
    there.rotate_left(number % Server::ALL.len());
    told("raising the servers");
    let places = there.into_iter().map(|server| Place::raise(run, programs, server));
    let places = places.collect::<Result<Vec<_>>>()?;
    told("known names, one at a time");
    each(&places, |place| place.client().one_at_a_time(KNOWN, &mut Trips::default()))?;
    let known = in_turns(&places, plan, |_| again(plan.known_names))?;
    told("known names, many at once");
    let known_at_once = each(&places, |place| many_at_once(place, again(plan.known_names_at_once)))?;
    told("new names, one at a time");
    let new_names = |turn| (NEW + turn * plan.new_names..).take(plan.new_names as usize);
    let new = in_turns(&places, plan, new_names)?;
    told("new names, many at once");
    let more_new = MORE_NEW..MORE_NEW + plan.new_names_at_once;
    let new_at_once = each(&places, |place| many_at_once(place, more_new.clone()))?;
    let memory = each(&places, |place| memory_of(place.measured()?.pid()))?;
    let figures = known.into_iter().zip(known_at_once).zip(new.into_iter().zip(new_at_once)).zip(memory);
    let measured = figures.map(|(((known, known_at_once), (new, new_at_once)), memory)| Measured {
        known,
        known_at_once,
        new,
        new_at_once,
        memory,
    });
    Ok(there.into_iter().zip(measured).collect())
}

fn each<T>(places: &[Place], load: impl Fn(&Place) -> Result<T>) -> Result<Vec<T>> {
    places.iter().map(|place| load(place).with_context(|| place.server.name())).collect()
}

/// One question at a time, a few to one server after the other: the machine's moods last longer than a turn.
fn in_turns<Asked: Iterator<Item = u32>>(
    places: &[Place],
    plan: &Plan,
    names: impl Fn(u32) -> Asked,
) -> Result<Vec<Latency>> {
    let mut trips = vec![Trips::default(); places.len()];
    let processes: Vec<Pid> = places.iter().flat_map(Place::pids).collect();
    on_one_core(&processes, || {
        for turn in 0..plan.names_turns {
            for (place, trips) in places.iter().zip(&mut trips) {
                place.client().one_at_a_time(names(turn), trips).with_context(|| place.server.name())?;
            }
        }
        Ok(())
    })?;
    places.iter().zip(trips).map(|(place, trips)| trips.told().with_context(|| place.server.name())).collect()
}

fn again(count: usize) -> impl Iterator<Item = u32> {
    KNOWN.cycle().take(count)
}

fn many_at_once(place: &Place, names: impl Iterator<Item = u32>) -> Result<Rate> {
    let before = place.measured()?.cpu_time()?;
    let answered = place.client().many_at_once(names)?;
    let cpu_seconds = place.measured()?.cpu_time()?.saturating_sub(before).as_secs_f64();
    Ok(Rate { answered, cpu_seconds })
}

#[cfg(test)]
pub(super) mod tests {
    use super::questions::Answered;
    use super::*;
    use crate::bench::results::Memory;

    /// Two rounds; byway is as quick as everybody else, and adds half a millisecond to the upstream.
    pub(in crate::bench) fn example() -> Names {
        let machine = crate::bench::table::tests::example().machine;
        let rounds = [1.0, 2.0].map(round).into();
        Names { quick: false, date: "2026-11-26".to_owned(), took_s: 60, machine, rounds }
    }

    fn round(pace: f64) -> Round {
        Server::ALL.into_iter().map(|it| (it, measured(it, pace))).collect()
    }

    fn measured(whose: Server, pace: f64) -> Measured {
        let added_us = if whose == Server::Upstream { 0.0 } else { 500.0 };
        let latency = |us| Latency { asked: 1000, lost: 0, p50_us: us / pace, p99_us: 3.0 * us / pace };
        let rate = |asked, seconds| Rate {
            answered: Answered { asked, lost: 1, seconds: seconds / pace },
            cpu_seconds: seconds / pace / 2.0,
        };
        Measured {
            known: latency(50.0),
            known_at_once: rate(100_001, 4.0),
            new: latency(100.0 + added_us),
            new_at_once: rate(50_001, 10.0),
            memory: Memory { resident_kib: 9 << 10, most_resident_kib: 10 << 10 },
        }
    }
}
