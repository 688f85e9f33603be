//! What happens in the house: the cable is pulled, the addresses go, the provider renumbers, the router is replaced.

use std::time::Duration;

use anyhow::{Result, ensure};
use byway_lab::judge::Door;
use byway_lab::stage::{Stage, is_as_wished};
use byway_lab::topology::Numbering;
use byway_lab::traffic::Rates;
use serde_json::Value;

use crate::ordeal::{Hurt, Ordeal, PATIENCE, says};

/// A change of the house that the kernel tells of.
const SEAL_BOUND: Duration = Duration::from_secs(2);
const OTHER_ROUTER: &str = "02:00:00:00:88:01";

pub(super) fn uplink_comes_and_goes(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, Rates::default())?;
    let faults: [(&str, Hurt); 2] = [
        ("uplink down and up", |stage| stage.world.topology().unplug_box()),
        ("eth0's addresses lost", |stage| stage.byway.namespace().ip("addr flush dev eth0 scope global")),
    ];
    for (fault, hurt) in faults {
        let (sealed, status) = ordeal.until_sealed(stage, hurt)?;
        ensure!(says(&status, "no address"), "it does not say why: {status}");
        ensure!(sealed <= SEAL_BOUND, "{fault}: sealed only after {sealed:?}");
        let carried = ordeal.until_carried(stage, |stage| stage.world.topology().plug_in_box())?;
        ordeal.note(fault, sealed, carried);
    }
    ordeal.end().map(drop)
}

pub(super) fn renumbered_and_rewired(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, Rates::default())?;
    let numberings = [
        (Numbering::Second, "192.168.88.1", "house address and prefix changed"),
        (Numbering::First, "192.168.77.1", "house address and prefix changed back"),
    ];
    for (numbering, gateway, fault) in numberings {
        let carried = ordeal.until_carried(stage, |stage| {
            stage.world.house.renumber(numbering)?;
            stage.world.topology().renumber_box(numbering)?;
            let lives_there = |status: &Value| status["uplink"]["gateway"] == gateway && is_as_wished(status);
            stage.byway.wait_status("the house's new numbers", PATIENCE, lives_there).map(drop)
        })?;
        ordeal.note(fault, None, carried);
        by_both_doors(stage, &mut ordeal)?;
    }
    let carried = ordeal.until_carried(stage, |stage| stage.world.house.replace_router(OTHER_ROUTER))?;
    ordeal.note("gateway's MAC changed, announced", None, carried);
    by_both_doors(stage, &mut ordeal)?;
    ordeal.end().map(drop)
}

/// In both families.
fn by_both_doors(stage: &Stage, ordeal: &mut Ordeal) -> Result<()> {
    [Door::Residential, Door::Privacy].into_iter().try_for_each(|door| {
        ordeal.watch.flip(&stage.byway, Some(door))?;
        stage.wait_seen_by(door)
    })
}
