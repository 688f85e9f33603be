//! Both doors, and what changing them does to what is under way.

use std::time::Duration;

use anyhow::{Result, ensure};
use byway_lab::judge::Door;
use byway_lab::stage::Stage;
use byway_lab::traffic::Rates;

use crate::ordeal::Ordeal;

const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn the_phone_browses_by_both_doors(stage: &mut Stage) -> Result<()> {
    for door in [Door::Privacy, Door::Residential, Door::Privacy] {
        let said = stage.byway.cli(&["egress", &door.to_string()])?;
        ensure!(said.code == Some(0), "{said:?}");
        stage.wait_seen_by(door)?;
        let status = stage.byway.status()?;
        ensure!(status["door"] == door.to_string() && status["state"] == "open", "{status}");
    }
    Ok(())
}

/// Long and new flows, those that make others speak, both families.
pub(super) fn fifty_flips_under_load(stage: &mut Stage) -> Result<()> {
    flip_under_load(stage, 50)
}

pub(super) fn a_thousand_flips(stage: &mut Stage) -> Result<()> {
    flip_under_load(stage, 1000)
}

fn flip_under_load(stage: &mut Stage, flips: usize) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, Rates { odd: 2, ..Rates::default() })?;
    for flip in 0..flips {
        let door = if flip % 2 == 0 { Door::Residential } else { Door::Privacy };
        ordeal.watch.flip(&stage.byway, Some(door))?;
        ordeal.watch.wait_answered(PATIENCE)?;
    }
    let outcome = ordeal.end()?;
    // And the one that has opened the first door.
    let (passed, wanted) = (outcome.flips.len(), flips + 1);
    ensure!(passed == wanted, "{passed} of {wanted} flips let a packet pass");
    let enough = 10 * u64::try_from(flips)?;
    for door in Door::ALL {
        ensure!(outcome.verdict.packets_by(door) > enough, "too little to judge by: {}", outcome.verdict);
    }
    Ok(())
}

pub(super) fn toggle_does_what_the_button_does(stage: &mut Stage) -> Result<()> {
    let sequence = [
        (vec!["egress", "privacy"], "privacy"),
        (vec!["toggle"], "residential"),
        (vec!["egress", "sealed"], "sealed"),
        (vec!["toggle"], "residential"),
        (vec!["toggle"], "privacy"),
    ];
    for (words, wish) in sequence {
        let said = stage.byway.cli(&words)?;
        ensure!(said.code == Some(0) && said.stdout.starts_with(wish), "byway {words:?}: {said:?}");
        let status = stage.byway.status()?;
        ensure!(status["wish"] == wish, "{status}");
    }
    Ok(())
}
