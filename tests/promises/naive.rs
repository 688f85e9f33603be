//! The box of the recipe: a route flip and a masquerade. The judge must catch it, else its silence means nothing.

use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use byway_lab::judge::{Door, Vantage};
use byway_lab::naive::{Egress, NaiveBox};
use byway_lab::stage::Stage;
use byway_lab::traffic::Rates;

use crate::clients::Way;
use crate::evidence::{flows_leaving, none_heard};

const FLIPS: usize = 6;
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) fn is_caught(stage: &mut Stage) -> Result<()> {
    // The tailnet must know a node of this name, which is forgotten next.
    if !stage.byway.is_running() {
        stage.carry()?;
    }
    stage.byway.power_cut()?;
    stage.world.control.forget("byway")?;
    stage.world.relay.forget()?;
    let naive = NaiveBox::start(&stage.world)?;
    naive.flip(Egress::Privacy)?;
    stage.world.phone.use_exit("byway")?;
    stage.wait_seen_by(Door::Privacy)?;

    let mut watch = stage.watch(Some(Door::Privacy), Rates::default())?;
    watch.wait_answered(PATIENCE)?;
    let way = Way::in_by(stage)?;
    let mut asked_for = Vec::new();
    for flip in 0..FLIPS {
        let (egress, door) = if flip % 2 == 0 {
            (Egress::Residential, Door::Residential)
        } else {
            (Egress::Privacy, Door::Privacy)
        };
        let requested = SystemTime::now();
        naive.flip(egress)?;
        watch.decide(requested, Some(door));
        asked_for.extend(way.forbidden(&way.inlet.wire)?);
        watch.wait_answered(PATIENCE)?;
    }
    let outcome = watch.end()?;
    outcome.verdict.heard_something()?;
    let (house, relay) = (flows_leaving(&outcome, Vantage::House), flows_leaving(&outcome, Vantage::Relay));
    ensure!(
        none_heard(&asked_for, &house, "the house").is_err(),
        "nothing that was forbidden came to the house"
    );
    ensure!(
        none_heard(&asked_for, &relay, "the relay").is_err(),
        "nothing that was forbidden came to the relay"
    );
    ensure!(outcome.verdict.linked.count > 0, "flows carried over were not caught: {}", outcome.verdict);
    Ok(())
}
