//! What the owner has written on the card, or has not: the box says what it made of it, and goes on as well as it can.

use anyhow::{Result, ensure};
use byway_lab::judge::Door;
use serde_json::Value;

use crate::household::Household;

const ANSWER: &str = "BYWAY-STATUS.txt";

/// Nothing at all, then what is no configuration: told on the card and by `status`, and nothing goes out.
pub(crate) fn waits_sealed(house: &mut Household) -> Result<()> {
    house.flash_without_owner()?;
    for (text, wanted) in [(None, "There is no byway.toml"), (Some("\u{1}[box\u{0}"), "there is a mistake")] {
        if let Some(text) = text {
            house.card.write("byway.toml", text)?;
        }
        house.boot()?;
        let waits = |status: &Value| {
            let says_why = status["why"].as_str().is_some_and(|why| why.contains("no configuration"));
            status["state"] == "sealed" && status["door"].is_null() && says_why
        };
        house.wait_status("the reason", waits)?;
        let rules = house.pi()?.run("nft list ruleset")?;
        ensure!(rules.contains("table inet byway"), "it waits without a rule set: {rules}");
        house.cut_power()?;
        let answer = house.card.read(ANSWER)?;
        ensure!(answer.contains(wanted), "no {wanted:?} in {answer}");
    }
    house.flash_anew()
}

/// A typo, found at the next boot, and the wish of before.
pub(crate) fn keeps_what_was_good(house: &mut Household) -> Result<()> {
    house.carry()?;
    house.wish_for("residential")?;
    house.pi()?.start("reboot", "reboot")?;
    let told = house.wait_off()?;
    ensure!(told.iter().any(|event| event["data"]["reason"] == "guest-reset"), "no restart: {told:?}");
    house.card.require_whole()?;
    let good = house.card.read("byway.toml")?;
    house.card.write("byway.toml", &good.replace("[uplink]", "[uplnik]"))?;

    house.boot()?;
    let by_the_house = |status: &Value| status["wish"] == "residential" && status["door"] == "residential";
    house.wait_status("the residential door", by_the_house)?;
    house.world.phone.wait_seen_by(Door::Residential)?;
    let answer = house.card.read(ANSWER)?;
    for words in ["uplnik", "line 5", "goes on with the last good configuration"] {
        ensure!(answer.contains(words), "no {words:?} in {answer}");
    }
    house.card.write("byway.toml", &good)?;
    house.wish_for("privacy")?;
    house.world.phone.wait_seen_by(Door::Privacy)
}
