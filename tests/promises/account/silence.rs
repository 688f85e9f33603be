//! Mullvad's API says nothing, or a stranger speaks in its name: what the box knows already carries on for as long as it
//! likes, and a new box finds the API by the address that it has built in.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use byway_lab::judge::Door;
use byway_lab::mullvad_api::{ACCOUNT, Mood};
use byway_lab::stage::Stage;
use byway_lab::topology::PINNED_API;
use byway_lab::wait_for;

use super::{
    BY_ITSELF, asked_by_the_houses_line, carries_by_itself, carry_by_account, is_proven, only_device,
    registrations, take_a_fresh_box, trouble,
};
use crate::ordeal::{GENTLE, Ordeal, PATIENCE};

const AWAY: Duration = Duration::from_secs(20);
/// What a busy API asks for.
const LEFT_ALONE: Duration = Duration::from_secs(15);
/// Longer than a name or a connection is waited for.
const THOUGHT: Duration = Duration::from_secs(4);

/// A boot, flips, and whatever time brings.
pub(crate) fn carries_without_the_api(stage: &mut Stage) -> Result<()> {
    carry_by_account(stage)?;
    let device = only_device(stage)?;
    stage.byway.power_cut()?;
    stage.world.mullvad.go_away()?;
    stage.boot_and_carry()?;
    stage.byway.wait_status("the privacy door", PATIENCE, is_proven)?;
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let began = Instant::now();
    for door in [Door::Residential, Door::Privacy].into_iter().cycle() {
        ordeal.watch.flip(&stage.byway, Some(door))?;
        ordeal.watch.wait_answered(PATIENCE)?;
        if door == Door::Privacy && began.elapsed() > AWAY {
            break;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    ordeal.note("Mullvad's API away, boot and flips", None, None);
    ordeal.end()?;
    stage.world.mullvad.come_back()?;
    ensure!(only_device(stage)? == device, "another device");
    Ok(())
}

/// Its name is nobody's, and the box has never heard it.
pub(crate) fn finds_the_api_without_its_name(stage: &mut Stage) -> Result<()> {
    take_a_fresh_box(stage)?;
    stage.world.house.forget_mullvad()?;
    stage.boot_and_carry()?;
    let asked = stage.world.mullvad.asked();
    ensure!(registrations(stage) == 1 && asked.iter().all(|asked| asked.to == PINNED_API), "{asked:?}");
    asked_by_the_houses_line(stage)?;
    stage.world.house.remember_mullvad()
}

/// It is left alone for as long as it wants, and waited for while it thinks; a device that was registered without a word is
/// not registered twice.
pub(crate) fn a_busy_and_slow_api_and_a_cut_answer_are_borne(stage: &mut Stage) -> Result<()> {
    take_a_fresh_box(stage)?;
    stage.world.mullvad.behave(Mood::Busy(LEFT_ALONE));
    stage.byway.boot()?;
    wait_for("the first request", PATIENCE, || {
        ensure!(!stage.world.mullvad.asked().is_empty(), "nothing was asked: {}", stage.byway.log_tail());
        Ok(())
    })?;
    stage.world.mullvad.behave(Mood::CutDevices);
    wait_for("a registration", BY_ITSELF, || {
        ensure!(registrations(stage) > 0, "none so far: {}", stage.byway.log_tail());
        Ok(())
    })?;
    stage.world.mullvad.behave(Mood::Slow(THOUGHT));
    carries_by_itself(stage)?;
    stage.world.mullvad.behave(Mood::Good);
    only_device(stage)?;
    let asked = stage.world.mullvad.asked();
    for (number, busy) in asked.iter().enumerate().filter(|(_, asked)| asked.status == 429) {
        let again = asked[number + 1..].iter().find(|later| later.path == busy.path);
        let pause = again.context("never asked again")?.at.duration_since(busy.at)?;
        ensure!(pause >= LEFT_ALONE, "{}: asked again after {pause:?}", busy.path);
    }
    Ok(())
}

/// By its name and by its address: nobody is told the number.
pub(crate) fn a_stranger_is_told_nothing(stage: &mut Stage) -> Result<()> {
    take_a_fresh_box(stage)?;
    stage.world.mullvad.behave(Mood::Stranger);
    stage.byway.boot()?;
    let status = stage.byway.wait_status("the trouble", PATIENCE, |status| trouble(status).is_some())?;
    ensure!(status["door"].is_null(), "a door: {status}");
    ensure!(stage.world.mullvad.asked().is_empty(), "{:?}", stage.world.mullvad.asked());
    ensure!(stage.world.mullvad.devices(ACCOUNT).is_empty(), "a stranger has registered it");
    stage.world.mullvad.behave(Mood::Good);
    carries_by_itself(stage)
}
