//! More new connections in a second than people make: each is stamped at its first packet, so none may slip.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use byway_lab::judge::Door;
use byway_lab::stage::Stage;
use byway_lab::traffic::{Kind, Rates};

use crate::ordeal::{Ordeal, PATIENCE};

/// A second and family: 1,200 new ones in all, so that a busy machine comes to a thousand.
const RUSH: Rates = Rates { long_udp: 50, new_udp: 540, new_tcp: 60, long_tcp: 10, ..Rates::NONE };
const A_SECOND: f64 = 1000.0;
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
    let load = &outcome.load;
    let is_new = |kind: Kind| matches!(kind, Kind::NewUdp | Kind::NewTcp);
    let new = load.flows.values().filter(|flow| is_new(flow.line.kind));
    let answered = new.clone().filter(|flow| flow.answered > 0).count();
    let (opened, took) = (new.count(), load.during.end.duration_since(load.during.start)?);
    let rate = f64::from(u32::try_from(opened)?) / took.as_secs_f64();
    ensure!(rate >= A_SECOND, "only {rate:.0} new connections a second");
    ensure!(answered * 4 > opened * 3, "of {opened} new connections only {answered} were answered");
    Ok(())
}
