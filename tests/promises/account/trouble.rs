//! What the owner does with the account, and with its devices on Mullvad's website, reaches the box without a word to it: it
//! says what it lacks, opens nothing else, and goes on by itself once it can.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use byway_lab::judge::Door;
use byway_lab::mullvad_api::{ACCOUNT, MOST_DEVICES, PAID};
use byway_lab::stage::{Outcome, Stage, is_as_wished};
use byway_lab::traffic::{FlowReport, Kind, Line};
use serde_json::Value;

use super::{
    BY_ITSELF, asked_by_the_houses_line, card_of, carries_by_itself, carry_by_account, is_proven,
    only_device, restart, take_a_box, take_a_fresh_box, trouble,
};
use crate::ordeal::{GENTLE, Ordeal, PATIENCE, is_sealed, says};

const DAY: Duration = Duration::from_hours(24);
/// From so many days left on it is told.
const WARNED: u64 = 14;
/// Nobody has opened an account of this number yet.
const NOBODYS: &str = "9999888877776666";

/// The box is not at fault, and can do something about it. Whoever goes by the house does not notice.
pub(crate) fn a_removed_device_registers_anew(stage: &mut Stage) -> Result<()> {
    carry_by_account(stage)?;
    let (_, outcome) = removed_and_back(stage, Door::Privacy)?;
    ensure!(outcome.verdict.packets_by(Door::Residential) == 0, "by the house: {}", outcome.verdict);
    // A load gives up by itself what is late for half a second: not all of its connections, every time.
    let unbroken = unbroken_while_removed(stage)?;
    ensure!(unbroken > 0 || unbroken_while_removed(stage)? > 0, "its connections ended, twice");
    let said = stage.byway.cli(&["egress", "privacy"])?;
    ensure!(said.code == Some(0), "{said:?}");
    Ok(())
}

/// How many of the connections by the house outlive it.
fn unbroken_while_removed(stage: &mut Stage) -> Result<usize> {
    let (during, outcome) = removed_and_back(stage, Door::Residential)?;
    let is_unbroken = |flow: &&FlowReport| {
        let lasts = flow.opened < during.start && flow.last_answered > Some(during.end);
        flow.line.kind == Kind::LongTcp && lasts
    };
    Ok(outcome.load.flows.values().filter(is_unbroken).count())
}

/// From when to when it was away, and what came of that.
fn removed_and_back(stage: &mut Stage, door: Door) -> Result<(Range<SystemTime>, Outcome)> {
    // An agent that has registered the box within the hour takes its time: somebody may mean it.
    restart(stage)?;
    let before = only_device(stage)?;
    let mut ordeal = Ordeal::begin_by(stage, door, GENTLE)?;
    for v4 in [true, false] {
        let is_long = |line: Line| line.kind == Kind::LongTcp && line.target.is_ipv4() == v4;
        ordeal.watch.wait_answered_to(PATIENCE, is_long)?;
    }
    let removed = SystemTime::now();
    stage.world.mullvad.remove_devices(ACCOUNT)?;
    let is_told = |status: &Value| {
        is_as_wished(status) && status["door"] == door.to_string() && says(status, "is there anew")
    };
    stage.byway.wait_status("the door by another device", BY_ITSELF, is_told)?;
    let back = SystemTime::now();
    let after = only_device(stage)?;
    ensure!(after.id != before.id && after.pubkey != before.pubkey, "{after:?}");
    let status = stage.byway.status()?;
    ensure!(status["account"]["device"] == after.name.as_str(), "{after:?}: {status}");
    ordeal.watch.wait_answered(PATIENCE)?;
    ordeal.note(format!("device removed at Mullvad, registered anew, {door} door"), None, None);
    Ok((removed..back, ordeal.end()?))
}

pub(crate) fn a_full_account_is_told(stage: &mut Stage) -> Result<()> {
    take_a_fresh_box(stage)?;
    stage.world.mullvad.fill(ACCOUNT)?;
    stage.byway.boot()?;
    let status = stage.byway.wait_status("the limit", PATIENCE, |status| tells(status, "device"))?;
    ensure!(status["door"].is_null() && status["account"]["device"].is_null(), "{status}");
    ensure!(stage.world.mullvad.devices(ACCOUNT).len() == MOST_DEVICES, "it made room for itself");
    stage.world.mullvad.remove_devices(ACCOUNT)?;
    carries_by_itself(stage)
}

pub(crate) fn an_unknown_account_is_told(stage: &mut Stage) -> Result<()> {
    let card = card_of(&stage.world, NOBODYS)?;
    take_a_box(stage, &card)?;
    stage.byway.boot()?;
    let status =
        stage.byway.wait_status("the unknown number", PATIENCE, |status| tells(status, "account"))?;
    ensure!(status["door"].is_null() && !status.to_string().contains(NOBODYS), "{status}");
    stage.world.mullvad.grant(NOBODYS, PAID)?;
    carries_by_itself(stage)?;
    ensure!(stage.world.mullvad.devices(NOBODYS).len() == 1, "registered elsewhere");
    Ok(())
}

/// Before it runs out, and afterwards.
pub(crate) fn an_expiry_is_told(stage: &mut Stage) -> Result<()> {
    carry_by_account(stage)?;
    for (left, is_told) in [(WARNED + 6, false), (WARNED - 4, true)] {
        // An hour of the last day is still to come.
        stage.world.mullvad.grant(ACCOUNT, DAY * u32::try_from(left)? + DAY / 24)?;
        restart(stage)?;
        // The last day may count, though it is not whole.
        let days = |status: &Value| status["account"]["days_left"].as_u64().unwrap_or_default();
        let has_days = |status: &Value| (left..=left + 1).contains(&days(status));
        let status = stage.byway.wait_status("the days left", PATIENCE, has_days)?;
        ensure!(trouble(&status).is_some() == is_told, "{left} days: {status}");
        ensure!(!is_told || tells(&status, &days(&status).to_string()), "{status}");
    }

    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let (sealed, _) =
        ordeal.until_sealed(stage, |stage| stage.world.mullvad.grant(ACCOUNT, Duration::ZERO))?;
    let has_run_out = |status: &Value| status["account"]["days_left"] == 0 && trouble(status).is_some();
    let status = stage.byway.wait_status("the end of the account", BY_ITSELF, has_run_out)?;
    ensure!(is_sealed(&status), "{status}");
    let paid = SystemTime::now();
    stage.world.mullvad.grant(ACCOUNT, PAID)?;
    stage.byway.wait_status("the privacy door", BY_ITSELF, is_proven)?;
    ordeal.watch.decide(paid, Some(Door::Privacy));
    ordeal.watch.wait_answered(PATIENCE)?;
    ordeal.note("account run out, paid", sealed, None);
    ordeal.end()?;
    asked_by_the_houses_line(stage)
}

fn tells(status: &Value, words: &str) -> bool {
    trouble(status).is_some_and(|trouble| trouble.contains(words))
}
