//! DATA full, or broken beyond repair: the box carries all the same.

use anyhow::{Context as _, Result, ensure};
use byway_lab::stage::is_as_wished;

use crate::cuts::{Dice, in_normal_life};
use crate::household::Household;

/// Of the fourth partition, beside its superblock.
const BLOCKS: usize = 400;

/// After a power cut, as a card that wears out may be. The node is the one of before: it asks for no new key.
pub(crate) fn broken_data(house: &mut Household) -> Result<()> {
    let mut dice = Dice::new()?;
    in_normal_life(house, &mut dice)?;
    house.carry()?;
    let before = node(house)?;
    house.cut_power()?;
    house.card.break_data(&mut dice, BLOCKS)?;
    house.carry()?;
    let after = node(house)?;
    ensure!(before == after, "it has joined anew: {before} and {after}");
    Ok(())
}

fn node(house: &Household) -> Result<String> {
    let nodes = house.world.control.nodes()?;
    let is_it = |node: &&serde_json::Value| node["given_name"] == "byway";
    let node = nodes.iter().find(is_it).context("headscale does not know it")?;
    Ok(node["node_key"].to_string())
}

pub(crate) fn full_data(house: &mut Household) -> Result<()> {
    house.carry()?;
    house.pi()?.try_run("cat /dev/zero >/data/filled")?;
    let room = house.pi()?.run("df /data | tail -n 1")?;
    ensure!(room.contains("100%"), "DATA is not full: {room}");
    let mut dice = Dice::new()?;
    in_normal_life(house, &mut dice)?;
    house.carry()?;
    house.pi()?.run("rm /data/filled")?;
    house.wait_status("the wished door", is_as_wished).map(drop)
}
