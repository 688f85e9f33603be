//! Relays that die: the next one carries before anybody notices, and where no one is left the box is sealed and says why.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use byway_lab::judge::Door;
use byway_lab::relay::{Relay, Trouble};
use byway_lab::stage::Stage;
use serde_json::Value;

use super::{
    FIRST, NEARBY, REMOTE, TALKING_ON, active, know_all, obstacle, relays, seen_by, test_until_proven,
    use_relay, wait_relays,
};
use crate::ordeal::{GENTLE, Ordeal, PATIENCE, says, spread};

/// Generous, at each `just test`; the distribution is the soak's.
const REPLACED_BOUND: Duration = Duration::from_secs(8);
/// Of 30 deaths, 95 of a hundred.
const REPLACED_P95: Duration = Duration::from_secs(6);
/// DESIGN 9: relay silent under traffic, seen and sealed.
const SILENCE_BOUND: Duration = Duration::from_secs(10);

/// How a relay ends.
#[derive(Debug, Clone, Copy)]
enum Death {
    /// The program; its machine refuses what is for it.
    Ends,
    /// Its sessions stay, nothing passes.
    Silent,
    /// The whole machine.
    Gone,
}

impl Death {
    const ALL: [Self; 3] = [Self::Ends, Self::Silent, Self::Gone];

    fn strike(self, relay: &mut Relay) -> Result<()> {
        match self {
            Self::Ends => {
                relay.die();
                Ok(())
            }
            Self::Silent => relay.silence(),
            Self::Gone => relay.trouble(Trouble::Gone),
        }
    }

    fn undo(self, relay: &mut Relay) -> Result<()> {
        match self {
            Self::Ends => relay.come_back(),
            Self::Silent | Self::Gone => relay.resume(),
        }
    }
}

pub(crate) fn a_dead_one_is_replaced(stage: &mut Stage) -> Result<()> {
    let (_, carried) = deaths(stage, &Death::ALL)?;
    // One that falls together with a lost packet of a handshake takes another try of it.
    let late = carried.iter().filter(|took| **took > REPLACED_BOUND).count();
    let is_lost = |took: &Duration| *took > REPLACED_BOUND * 2;
    ensure!(late <= 1 && !carried.iter().any(is_lost), "carried by the next one only after {carried:?}");
    Ok(())
}

pub(crate) fn thirty_deaths(stage: &mut Stage) -> Result<()> {
    let (p95, _) = deaths(stage, &Death::ALL.repeat(10))?;
    ensure!(p95 <= REPLACED_P95, "p95 {p95:?}");
    Ok(())
}

/// One after the other, each of whoever carries then; how long until the phone was answered by the next one.
fn deaths(stage: &mut Stage, deaths: &[Death]) -> Result<(Duration, Vec<Duration>)> {
    know_all(stage)?;
    let mut ordeal = Ordeal::begin(stage, TALKING_ON)?;
    let mut carried = Vec::new();
    for death in deaths {
        let dying = active(stage)?;
        wait_relays(stage, "a standby", |relays| relays.iter().any(|relay| relay["role"] == "standby"))?;
        carried.push(until_replaced(&mut ordeal, stage, &dying, *death)?);
        let status = stage.byway.status()?;
        ensure!(says(&status, &format!("{dying} fell silent")), "{death:?}: {status}");
        ensure!(status["tunnel"]["relay"] == active(stage)?, "{status}");
        death.undo(stage.world.relay_called(&dying)?)?;
        test_until_proven(stage, &dying)?;
    }
    let (p95, spread) = spread(&mut carried);
    let longest = carried.iter().max().copied();
    ordeal.note(format!("{} deaths of a relay, next one carries: {spread}", deaths.len()), None, longest);
    let outcome = ordeal.end()?;
    ensure!(outcome.verdict.packets_by(Door::Residential) == 0, "by the house: {}", outcome.verdict);
    Ok((p95, carried))
}

/// How long until the phone is answered by another one.
fn until_replaced(ordeal: &mut Ordeal, stage: &mut Stage, dying: &str, death: Death) -> Result<Duration> {
    let began = SystemTime::now();
    death.strike(stage.world.relay_called(dying)?)?;
    let died = SystemTime::now();
    let answered = ordeal.watch.wait_answered(PATIENCE).with_context(|| format!("{dying} {death:?}"))?;
    ordeal.watch.decide(began, Some(Door::Privacy));
    let next = active(stage)?;
    ensure!(next != dying, "{death:?}: answered, and {dying} is still the active one");
    ensure!(seen_by(stage)? == next, "{death:?}: the internet sees another than {next}");
    Ok(answered.duration_since(died)?)
}

/// Both of the first city, then the last one: no door is the answer to that, each is told in its own words, and whoever comes
/// back first carries.
pub(crate) fn whole_cities_die(stage: &mut Stage) -> Result<()> {
    know_all(stage)?;
    use_relay(stage, FIRST)?;
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    wait_relays(stage, "all of them proven", |relays| {
        relays.iter().all(|relay| !relay["proven_s_ago"].is_null())
    })?;
    Death::Gone.strike(stage.world.relay_called(NEARBY)?)?;
    let carried = until_replaced(&mut ordeal, stage, FIRST, Death::Ends)?;
    ensure!(active(stage)? == REMOTE, "a dead one carries: {:?}", relays(stage)?);
    ordeal.note("both relays of a city die", None, carried);

    let (sealed, _) =
        ordeal.until_sealed(stage, |stage| Death::Silent.strike(stage.world.relay_called(REMOTE)?))?;
    ensure!(sealed <= SILENCE_BOUND, "sealed only after {sealed:?}");
    for (relay, sentence) in [(FIRST, "no relay runs on it"), (NEARBY, "neither does its machine")] {
        let is_told = |relays: &[Value]| obstacle(relays, relay).is_ok_and(|told| told.contains(sentence));
        wait_relays(stage, sentence, is_told)?;
    }
    let status = stage.byway.status()?;
    ensure!(status["door"].is_null() && says(&status, &format!("{REMOTE} fell silent")), "{status}");

    let carried = ordeal.until_carried(stage, |stage| Death::Gone.undo(stage.world.relay_called(NEARBY)?))?;
    ensure!(active(stage)? == NEARBY && seen_by(stage)? == NEARBY, "{:?}", relays(stage)?);
    ordeal.note("all relays die, one comes back", sealed, carried);
    Death::Ends.undo(stage.world.relay_called(FIRST)?)?;
    Death::Silent.undo(stage.world.relay_called(REMOTE)?)?;
    let outcome = ordeal.end()?;
    ensure!(outcome.verdict.packets_by(Door::Residential) == 0, "by the house: {}", outcome.verdict);
    Ok(())
}
