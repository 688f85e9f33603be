//! Power cuts at moments that nobody chooses: whatever was being written, the box carries again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use byway_lab::wait::wait_for;

use crate::household::{Household, PATIENCE};

/// From the power on, in milliseconds: an emulated first boot with its join, and a while.
const FIRST_BOOT: u64 = 45_000;
const NORMAL_LIFE: u64 = 15_000;

/// As good as dice, and repeatable: `BYWAY_SEED`.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    #[expect(clippy::print_stdout, reason = "to throw the same once more")]
    pub(crate) fn new() -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let seed = match std::env::var("BYWAY_SEED") {
            Ok(seed) => seed.parse().context("BYWAY_SEED is no number")?,
            Err(_) => u64::from(now.subsec_nanos()) | 1,
        };
        println!("BYWAY_SEED={seed}");
        Ok(Self(seed))
    }

    /// Below `limit` (xorshift64*).
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }
}

/// The box knows by which keys it has asked, before the control server knows them: it asks once more, as the same node.
pub(crate) fn at_the_join(house: &mut Household) -> Result<()> {
    house.flash_anew()?;
    house.switch_on()?;
    wait_for("the control server to know the box", PATIENCE, || {
        ensure!(boxes(house)? == 1, "not yet");
        Ok(())
    })?;
    house.cut_power()?;
    house.carry()?;
    let boxes = boxes(house)?;
    ensure!(boxes == 1, "there are {boxes} of it in the tailnet");
    house.cut_power()
}

/// In the tailnet, by the name that they ask for; a second one gets another.
fn boxes(house: &Household) -> Result<usize> {
    Ok(house.world.control.nodes()?.iter().filter(|node| node["name"] == "byway").count())
}

pub(crate) fn twice_in_first_boot(house: &mut Household) -> Result<()> {
    in_first_boot(house, 2)
}

pub(crate) fn fifty_in_first_boot(house: &mut Household) -> Result<()> {
    in_first_boot(house, 50)
}

pub(crate) fn fifty_in_normal_life(house: &mut Household) -> Result<()> {
    let mut dice = Dice::new()?;
    (1..=50).try_for_each(|time| {
        in_normal_life(house, &mut dice)?;
        house.carry()?;
        say(time, "carries again");
        Ok(())
    })
}

fn in_first_boot(house: &mut Household, times: usize) -> Result<()> {
    let mut dice = Dice::new()?;
    for time in 1..=times {
        house.flash_anew()?;
        house.switch_on()?;
        let moment = Duration::from_millis(dice.below(FIRST_BOOT));
        std::thread::sleep(moment);
        house.cut_power()?;
        let cut = || format!("the power was cut {moment:?} after it was switched on");
        house.card.require_owners_whole().with_context(cut)?;
        house.carry().with_context(cut)?;
        house.cut_power()?;
        house.card.require_whole().with_context(cut)?;
        say(time, &format!("{}, and it has carried", cut()));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "an hour of silence looks like a hang")]
fn say(time: usize, what: &str) {
    println!("power cut {time}: {what}");
}

/// While the wish changes as fast as it can.
pub(crate) fn in_normal_life(house: &mut Household, dice: &mut Dice) -> Result<()> {
    house.carry()?;
    house.pi()?.start("toggles", "while byway toggle --run-dir /run/byway; do :; done")?;
    let moment = Duration::from_millis(dice.below(NORMAL_LIFE));
    std::thread::sleep(moment);
    house.cut_power()?;
    house.card.require_whole().with_context(|| format!("the power was cut {moment:?} after the first toggle"))
}
