//! More new connections in a second than people make: each is stamped at its first packet, so none may slip.

use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use byway_lab::judge::Door;
use byway_lab::stage::Stage;
use byway_lab::traffic::{FlowReport, Kind, LoadReport, Rates};

use crate::ordeal::{Ordeal, PATIENCE};

/// A second and family: 1,200 new ones in all, so that a busy machine comes to a thousand.
const RUSH: Rates = Rates { long_udp: 50, new_udp: 540, new_tcp: 60, long_tcp: 10, ..Rates::NONE };
pub(super) const A_SECOND: usize = 1000;
/// All of them together stay below what one client may have open.
pub(super) const A_WHILE: Duration = Duration::from_secs(2);

pub(super) fn keeps_to_its_door(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, RUSH)?;
    for door in [Door::Residential, Door::Privacy, Door::Residential, Door::Privacy] {
        ordeal.watch.flip(&stage.byway, Some(door))?;
        ordeal.watch.wait_answered(PATIENCE)?;
        thread::sleep(A_WHILE); // The load's duration.
    }
    let outcome = ordeal.end()?;
    ensure!(
        busiest_second(&[&outcome.load]) >= A_SECOND,
        "{} in the busiest second",
        busiest_second(&[&outcome.load])
    );
    let answered = answered(&outcome.load, SystemTime::now())?;
    ensure!(answered > 0.5, "only {answered:.2} were answered");
    Ok(())
}

/// How many new connections there were in the second that had most of them: a busy machine has others too.
pub(super) fn busiest_second(loads: &[&LoadReport]) -> usize {
    let mut opened: Vec<SystemTime> =
        loads.iter().flat_map(|load| new_connections(load)).map(|flow| flow.opened).collect();
    opened.sort();
    let until = |first: &SystemTime| opened.partition_point(|other| *other < *first + Duration::from_secs(1));
    opened.iter().enumerate().map(|(nth, first)| until(first) - nth).max().unwrap_or(0)
}

/// Which part of the new connections that were opened before `end` was answered.
pub(super) fn answered(load: &LoadReport, end: SystemTime) -> Result<f64> {
    let counted = |flows: usize| Ok::<_, anyhow::Error>(f64::from(u32::try_from(flows)?));
    let opened: Vec<&FlowReport> = new_connections(load).filter(|flow| flow.opened < end).collect();
    let answered = opened.iter().filter(|flow| flow.answered > 0).count();
    Ok(counted(answered)? / counted(opened.len())?)
}

fn new_connections(load: &LoadReport) -> impl Iterator<Item = &FlowReport> {
    load.flows.values().filter(|flow| matches!(flow.line.kind, Kind::NewUdp | Kind::NewTcp))
}
