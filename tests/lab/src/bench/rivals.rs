//! Two boxes that people build, under the same load and before the same judge.

use anyhow::Result;

use super::bulk::transfers;
use super::flips::flips;
use super::plan::Plan;
use super::results::BoxFigures;
use super::{progress, settle};
use crate::filter_box::FilterBox;
use crate::judge::Door;
use crate::naive::{Egress, NaiveBox};
use crate::stage::Stage;
use crate::traffic::Rates;

pub(super) fn measure(stage: &mut Stage, plan: &Plan) -> Result<[BoxFigures; 2]> {
    stage.byway.power_cut()?;
    stage.world.control.forget("byway")?;
    stage.world.relay.forget()?;
    let by_route = by_route(stage, plan)?;
    stage.world.control.forget("byway")?;
    let by_filter = by_filter(stage, plan)?;
    Ok([by_route, by_filter])
}

/// Static routes, a tunnel, a masquerade; it flips by a route.
fn by_route(stage: &Stage, plan: &Plan) -> Result<BoxFigures> {
    progress("raising the box that flips by route");
    let naive = NaiveBox::start(&stage.world)?;
    stage.world.phone.use_exit("byway")?;
    settle(stage, Door::Privacy)?;
    let flip = |door| {
        naive.flip(match door {
            Door::Privacy => Egress::Privacy,
            Door::Residential => Egress::Residential,
        })
    };
    let name = "flip by route".to_owned();
    let flips = flips(stage, &name, plan.rival_flips, Rates::default(), flip)?;
    let transfers = transfers(stage, &name, plan, naive.namespace(), flip)?;
    Ok(BoxFigures { name, flips, transfers })
}

/// A kill switch around the tunnel; it flips by stopping and starting both.
fn by_filter(stage: &Stage, plan: &Plan) -> Result<BoxFigures> {
    progress("raising the box with a kill switch");
    let mut filtered = FilterBox::start(&stage.world)?;
    stage.world.phone.use_exit("byway")?;
    settle(stage, Door::Privacy)?;
    let namespace = filtered.namespace().clone();
    let mut flip = |door| match door {
        Door::Privacy => filtered.start_tunnel(),
        Door::Residential => filtered.stop_tunnel(),
    };
    let name = "kill switch".to_owned();
    let flips = flips(stage, &name, plan.rival_flips, Rates::default(), &mut flip)?;
    let transfers = transfers(stage, &name, plan, &namespace, &mut flip)?;
    Ok(BoxFigures { name, flips, transfers })
}
