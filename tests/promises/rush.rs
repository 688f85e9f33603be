//! More new connections in a second than people make: each is stamped at its first packet, so none may slip.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use byway_lab::judge::Door;
use byway_lab::stage::Stage;
use byway_lab::traffic::{Kind, LoadReport, Rates};

use crate::ordeal::{Ordeal, PATIENCE};

/// A second and family: 1,500 new ones in all, so that a busy machine comes to a thousand.
const RUSH: Rates = Rates { long_udp: 50, new_udp: 680, new_tcp: 70, long_tcp: 10, ..Rates::NONE };
pub(super) const A_SECOND: f64 = 1000.0;
/// All of them together stay below what one client may have open.
const A_WHILE: Duration = Duration::from_secs(2);

pub(super) fn keeps_to_its_door(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, RUSH)?;
    for door in [Door::Residential, Door::Privacy, Door::Residential, Door::Privacy] {
        ordeal.watch.flip(&stage.byway, Some(door))?;
        ordeal.watch.wait_answered(PATIENCE)?;
        thread::sleep(A_WHILE); // The load's duration.
    }
    let outcome = ordeal.end()?;
    let (rate, answered) = new_connections(&outcome.load)?;
    ensure!(rate >= A_SECOND, "only {rate:.0} new connections a second");
    ensure!(answered > 0.75, "only {answered:.2} of the new connections were answered");
    Ok(())
}

/// How many there were in a second, and which part of them was answered.
pub(super) fn new_connections(load: &LoadReport) -> Result<(f64, f64)> {
    let is_new = |kind: Kind| matches!(kind, Kind::NewUdp | Kind::NewTcp);
    let new = load.flows.values().filter(|flow| is_new(flow.line.kind));
    let answered = new.clone().filter(|flow| flow.answered > 0).count();
    let (opened, took) = (new.count(), load.during.end.duration_since(load.during.start)?);
    let [answered, opened] = [answered, opened].map(|flows| u32::try_from(flows).map(f64::from));
    let (answered, opened) = (answered?, opened?);
    Ok((opened / took.as_secs_f64(), answered / opened))
}
