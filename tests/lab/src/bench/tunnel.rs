//! The tunnel alone, beside other implementations, in one run: what it carries, what that costs, and how long a small
//! packet waits meanwhile. Rounds are interleaved load by load, so that the machine's moods meet everybody.

mod bulk;
mod cable;
mod chart;
mod figures;
mod implementation;
mod line;
mod packets;
mod ping;
mod table;

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::sleep;
use std::time::Instant;

use anyhow::{Context as _, Result};

use self::bulk::{Bulk, Load, bulk};
use self::cable::{Cable, Link};
pub(super) use self::chart::render as chart;
pub(super) use self::figures::Tunnels;
use self::figures::{Measured, Round};
use self::implementation::{Implementation, Programs};
use self::line::Line;
use self::packets::packets;
use self::ping::Pings;
pub(super) use self::table::{bounds, costs, latencies, render, speeds};
use super::machine::Machine;
use super::plan::Plan;
use super::results::Direction;
use super::{progress, today};
use crate::peers::Peers;
use crate::tools;

/// Beside which the pings are asked.
const PING_LOAD: Load = Load { link: Link::Nic, streams: 1, direction: Direction::Upload };

/// `engine` is `tests/bench/engine.rs`.
pub(super) fn measure(engine: &Path, plan: &Plan) -> Result<Tunnels> {
    tools::require_for_world()?;
    let peers = Peers::build_for_bench(|program| progress(&format!("building {program}")))?;
    let programs = Programs { engine: engine.to_owned(), peers };
    let began = Instant::now();
    let cable = Cable::lay()?;
    let _echo = ping::start_echo(&cable)?;
    let rounds = (1..=plan.tunnel_rounds)
        .map(|number| round(&cable, &programs, number, plan))
        .collect::<Result<_>>()?;
    let (took_s, machine) = (began.elapsed().as_secs(), Machine::here()?);
    Ok(Tunnels { quick: plan.quick, date: today(), took_s, machine, rounds })
}

/// Everybody once by every load, with fresh processes, in an order that is another one each round.
fn round(cable: &Cable, programs: &Programs, number: usize, plan: &Plan) -> Result<Round> {
    let told = |what: &str| progress(&format!("tunnels, round {number} of {}: {what}", plan.tunnel_rounds));
    let mut there = Implementation::ALL;
    there.rotate_left(number % Implementation::ALL.len());
    told("raising them");
    let lines: Vec<Line<'_>> =
        there.into_iter().map(|it| Line::raise(cable, programs, it, number)).collect::<Result<_>>()?;
    let mut bulks = BTreeMap::new();
    for link in Link::ALL {
        told(&format!("bulk, {link}"));
        cable.become_a(link)?;
        for load in Load::measured(link) {
            for line in &lines {
                bulks.entry(line.implementation).or_insert_with(Vec::new).push(transfer(line, load, plan)?);
            }
        }
    }
    cable.become_a(Link::Nic)?;
    told("small packets");
    let packets = lines.iter().map(|line| packets(line, plan.small_packets)).collect::<Result<Vec<_>>>()?;
    told("pings beside bulk");
    let pings = lines.iter().map(|line| pings(line, plan)).collect::<Result<Vec<_>>>()?;
    let rest = lines.iter().zip(packets).zip(pings);
    let measured = rest.map(|((line, packets), pings)| {
        let (whose, peak_memory) = (line.implementation, line.peak_memory());
        let bulks = bulks.remove(&whose).unwrap_or_default();
        (whose, Measured { bulks, packets, pings, peak_memory })
    });
    Ok(measured.collect())
}

fn transfer(line: &Line<'_>, load: Load, plan: &Plan) -> Result<Bulk> {
    let during = || {
        sleep(plan.stream);
        Ok(())
    };
    bulk(line, load, during).map(|(bulk, ())| bulk).with_context(|| line.implementation.name())
}

fn pings(line: &Line<'_>, plan: &Plan) -> Result<Pings> {
    let socket = line.ping_socket()?;
    let pinged = bulk(line, PING_LOAD, || ping::pings(&socket, plan.pings));
    pinged.map(|(_, pings)| pings).with_context(|| line.implementation.name())
}

#[cfg(test)]
pub(super) mod tests {
    use super::packets::Packets;
    use super::*;

    /// Two rounds; byway is twice as fast as everybody else for half the price, and the second round is slower.
    pub(in crate::bench) fn example() -> Tunnels {
        let machine = crate::bench::table::tests::example().machine;
        let rounds = [1.5, 1.0].map(round).into();
        Tunnels { quick: false, date: "2026-11-24".to_owned(), took_s: 60, machine, rounds }
    }

    fn round(pace: f64) -> Round {
        Implementation::ALL.into_iter().map(|it| (it, measured(it, pace))).collect()
    }

    fn measured(whose: Implementation, pace: f64) -> Measured {
        let seconds = if whose == Implementation::Byway { 1.0 } else { 2.0 } / pace;
        let loads = Link::ALL.into_iter().flat_map(Load::measured);
        let bulk = |load| Bulk {
            load,
            bytes: 250_000_000,
            seconds,
            cpu_seconds: Some(seconds),
            softirq_seconds: 0.1,
        };
        Measured {
            bulks: loads.map(bulk).collect(),
            packets: Packets {
                window: 64,
                per_second: 1e5 / seconds,
                cpu_us: Some(seconds),
                lost_share: 0.0,
            },
            pings: Pings { sent: 100, lost: 0, p50_ms: seconds, p99_ms: 2.0 * seconds },
            peak_memory: Some(4 << 20),
        }
    }
}
