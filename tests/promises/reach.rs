//! How the box is reached from outside its house, and whether it says so.

use std::time::Duration;

use anyhow::{Result, ensure};
use byway_lab::house::{House, Offer};
use byway_lab::judge::Door;
use byway_lab::stage::Stage;
use byway_lab::wait_for;
use serde_json::{Value, json};

use crate::house::wait_leased;
use crate::ordeal::{GENTLE, Ordeal, PATIENCE};
use crate::outages::direct_way;

/// It looks every ten seconds, and its tailscaled misses a way that is gone after a while.
const NOTICED: Duration = Duration::from_mins(2);
const RELAYED: &str =
    "relayed by DERP region lab: the router offers PCP, UPnP and opens no port, as behind a second NAT";

/// A router that offers ports and can open none, since its own line ends at the carrier's NAT; and nothing of what peers say
/// to each other gets through. The tunnel does, so both doors carry.
pub(super) fn behind_two_nats(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let status = wait_reached(stage, "direct")?;
    ensure!(status["tailnet"]["reach"]["router"] == json!([]), "{status}");
    move_in(stage, &mut ordeal, "house behind two NATs, no direct UDP", |house| {
        house.offer(&Offer::v4_only())?;
        house.move_behind_carrier()?;
        house.block_direct()?;
        house.offer_ports()
    })?;
    // A router may take its time to say what it offers.
    let is_told = |status: &Value| status["tailnet"]["reach"]["says"] == RELAYED;
    stage.byway.wait_status("what the router offers", NOTICED, is_told)?;
    for command in ["status", "doctor"] {
        wait_for("its words", PATIENCE, || {
            let said = stage.byway.cli(&[command])?;
            ensure!(said.code == Some(0) && said.stdout.contains(RELAYED), "{said:?}");
            Ok(())
        })?;
    }
    for door in [Door::Residential, Door::Privacy] {
        ordeal.watch.flip(&stage.byway, Some(door))?;
        ordeal.watch.wait_answered(PATIENCE)?;
    }
    let way = direct_way(stage)?;
    ensure!(way.is_empty(), "the flips were not by the relay server, but by {way}");

    // The phone has an address of its own: once UDP gets out, the box finds it through both.
    stage.world.house.allow_direct()?;
    let status = wait_reached(stage, "direct")?;
    ensure!(status["tailnet"]["reach"]["mapped"].is_null(), "{status}");
    move_in(stage, &mut ordeal, "a usual house again", |house| {
        house.offer_ports_no_more()?;
        house.leave_carrier()?;
        house.offer(&Offer::both())
    })?;
    let in_a_usual_house = |status: &Value| {
        let reach = &status["tailnet"]["reach"];
        reach["says"] == "reached directly" && reach["router"] == json!([])
    };
    stage.byway.wait_status("the box to be reached directly again", NOTICED, in_a_usual_house)?;
    ordeal.end().map(drop)
}

/// By a cable that is pulled out of one house and pushed into the next.
fn move_in(
    stage: &mut Stage,
    ordeal: &mut Ordeal,
    house: &str,
    change: impl FnOnce(&mut House) -> Result<()>,
) -> Result<()> {
    let (sealed, _) = ordeal.until_sealed(stage, |stage| stage.world.topology().pull_cable())?;
    change(&mut stage.world.house)?;
    let carried = ordeal.until_carried_since(stage, |stage| {
        stage.world.topology().push_cable()?;
        wait_leased(stage)
    })?;
    ordeal.note(house, sealed, carried);
    Ok(())
}

fn wait_reached(stage: &Stage, by: &str) -> Result<Value> {
    let is_reached = |status: &Value| {
        status["tailnet"]["reach"]["by"] == by && !status["tailnet"]["reach"]["router"].is_null()
    };
    stage.byway.wait_status(&format!("the box to be reached: {by}"), NOTICED, is_reached)
}
