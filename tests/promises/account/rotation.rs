//! The device's key becomes another one, which Mullvad takes in the old one's place at once: the box must have proven it
//! before it says that it carries by it, and must know what it has when it was told nothing.

use std::fs;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use byway_lab::judge::Door;
use byway_lab::mullvad_api::{ACCOUNT, Asked, Device, Mood, Replacing};
use byway_lab::stage::{Outcome, Stage};
use byway_lab::traffic::Rates;
use byway_lab::wait_for;
use serde_json::{Value, json};

use super::{BY_ITSELF, asked_by_the_houses_line, calls, carry_by_account, only_device, say};
use crate::ordeal::{Ordeal, PATIENCE, is_sealed};

/// How long clients may be without service.
const GAP_BOUND: Duration = Duration::from_secs(2);
/// What is missing so shortly before the API hears of it belongs to it.
const BEFORE: Duration = Duration::from_secs(3);
/// Long enough for a box to open its door.
const LEFT_ALONE: Duration = Duration::from_secs(15);
/// Older than any box lets a key become.
const AGE: Duration = Duration::from_hours(40 * 24);
/// Apps begin anew all the time: a gap shows.
const BUSY: Rates = Rates { long_udp: 300, new_udp: 50, new_tcp: 10, long_tcp: 50, for_life: 0, odd: 0 };

/// With the addresses that the device had, and with others. Clients notice little of it; where the new key's first handshake is
/// lost, in two tries of three.
pub(crate) fn under_traffic(stage: &mut Stage) -> Result<()> {
    carry_by_account(stage)?;
    for replacing in [Replacing::Good, Replacing::Elsewhere] {
        let first = replaced_under_traffic(stage, replacing)?;
        if first > GAP_BOUND {
            let others =
                [replaced_under_traffic(stage, replacing)?, replaced_under_traffic(stage, replacing)?];
            let all_short = others.iter().all(|gap| *gap <= GAP_BOUND);
            ensure!(all_short, "{replacing:?}: clients without service for {first:?}, {others:?}");
        }
    }
    asked_by_the_houses_line(stage)
}

/// How long clients are without service.
fn replaced_under_traffic(stage: &mut Stage, replacing: Replacing) -> Result<Duration> {
    let before = only_device(stage)?;
    let mut ordeal = Ordeal::begin(stage, BUSY)?;
    let healed = stage.byway.status()?["drift"]["healed"].clone();
    let carried = become_due(stage, &mut ordeal, replacing, Mood::Good)?;
    wait_for("another key", BY_ITSELF, || {
        ensure!(only_device(stage)?.pubkey != before.pubkey, "the same key: {}", stage.byway.log_tail());
        Ok(())
    })?;
    let after = only_device(stage)?;
    wait_proven_by(stage, &after)?;
    let to = ordeal.watch.wait_answered(PATIENCE)?;
    let replaced = replaced_since(stage, carried);
    let [asked] = replaced.as_slice() else { bail!("not one replaced key: {replaced:?}") };
    ensure!(after.id == before.id, "another device: {after:?}");
    has_the_addresses_of(stage, &after, &before)?;
    ensure!(stage.byway.status()?["drift"]["healed"] == healed, "what it did itself it put right");
    let outcome = ordeal.end()?;
    let gap = outcome.load.longest_silence(carried.max(asked.at - BEFORE), to);
    say(&format!("key replaced ({replacing:?}): clients without service for {gap:.2?}"));
    by_the_relays_alone(&outcome)?;
    stage.world.mullvad.replace_keys(Replacing::Good)?;
    Ok(gap)
}

/// Mullvad says that it has the new key, and no relay ever hears of it: the old one comes back, and the door was open all
/// the while.
pub(crate) fn unknown_to_the_relays(stage: &mut Stage) -> Result<()> {
    carry_by_account(stage)?;
    let before = only_device(stage)?;
    let mut ordeal = Ordeal::begin(stage, BUSY)?;
    let carried = become_due(stage, &mut ordeal, Replacing::Untold, Mood::Good)?;
    let events = stage.byway.events()?;
    wait_for("the old key again", BY_ITSELF, || {
        let replaced = replaced_since(stage, carried);
        ensure!(replaced.len() >= 2, "{replaced:?}: {}", stage.byway.log_tail());
        ensure!(only_device(stage)? == before, "{:?}", only_device(stage)?);
        Ok(())
    })?;
    wait_proven_by(stage, &before)?;
    let is_shut = |status: &Value| is_sealed(status) || status["door"] == "residential";
    let shut: Vec<Value> = events.so_far().into_iter().filter(is_shut).collect();
    ensure!(shut.is_empty(), "the door did not stay open: {shut:?}");
    ordeal.watch.wait_answered(PATIENCE)?;
    stage.world.mullvad.replace_keys(Replacing::Good)?;
    by_the_relays_alone(&ordeal.end()?)
}

/// The relays have the new key, and the box was never told: it asks.
pub(crate) fn without_an_answer(stage: &mut Stage) -> Result<()> {
    carry_by_account(stage)?;
    let before = only_device(stage)?;
    let mut ordeal = Ordeal::begin(stage, BUSY)?;
    become_due(stage, &mut ordeal, Replacing::Good, Mood::CutDevices)?;
    let after = wait_for("another key", BY_ITSELF, || {
        let device = only_device(stage)?;
        ensure!(device.pubkey != before.pubkey, "the same key: {}", stage.byway.log_tail());
        Ok(device)
    })?;
    stage.world.mullvad.behave(Mood::Good);
    // It may try the same once more, or ask; never a third key.
    wait_proven_by(stage, &after)?;
    ensure!(only_device(stage)? == after, "yet another key: {:?}", only_device(stage)?);
    ordeal.watch.wait_answered(PATIENCE)?;
    by_the_relays_alone(&ordeal.end()?)
}

/// The next agent finds a key that is too old, and an API that wants to be left alone until the phone is carried; when it
/// was. Then the API is as it should be.
fn become_due(
    stage: &mut Stage,
    ordeal: &mut Ordeal,
    replacing: Replacing,
    mood: Mood,
) -> Result<SystemTime> {
    ordeal.until_closed(stage)?;
    let path = stage.byway.state_dir().join("mullvad.json");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut kept: Value = serde_json::from_str(&text).context("what is kept of the account is no JSON")?;
    let made = kept["made"].as_u64().context("it does not say when the key was made")?;
    kept["made"] = json!(made - AGE.as_secs());
    fs::write(&path, kept.to_string())?;

    stage.world.mullvad.replace_keys(replacing)?;
    stage.world.mullvad.behave(Mood::Busy(LEFT_ALONE));
    let started = SystemTime::now();
    ordeal.until_open(stage)?;
    let carried = ordeal.watch.wait_answered(PATIENCE)?;
    stage.world.mullvad.behave(mood);
    let is_early = |asked: &Asked| asked.at >= started && asked.method == "PUT";
    let early = stage.world.mullvad.asked().into_iter().find(is_early);
    ensure!(early.is_none(), "a key was to be replaced before anybody was carried: {early:?}");
    Ok(carried)
}

fn replaced_since(stage: &Stage, moment: SystemTime) -> Vec<Asked> {
    calls(stage, "PUT", "/pubkey").into_iter().filter(|asked| asked.at >= moment).collect()
}

/// The agent says that it carries, and the relay that it names has shaken hands with this key.
fn wait_proven_by(stage: &Stage, device: &Device) -> Result<()> {
    wait_for("a handshake by the key", PATIENCE, || {
        let status = stage.byway.status()?;
        ensure!(status["door"] == "privacy", "{status}");
        let active = status["tunnel"]["relay"].as_str().unwrap_or_default().to_owned();
        let relays = stage.world.relays();
        let relay = relays.iter().find(|relay| relay.name() == active).context("no such relay")?;
        relay.latest_handshake_of(&device.pubkey)?.with_context(|| format!("{active}: none so far"))
    })
    .map(drop)
}

/// In the kernel: the interface's, and what the rules go by. Whatever the device had before is nowhere.
fn has_the_addresses_of(stage: &Stage, device: &Device, before: &Device) -> Result<()> {
    let inside = stage.byway.namespace();
    let shown = |words: &[&str]| inside.run(words);
    let listings = [
        shown(&["ip", "-4", "addr", "show", "dev", "wg0"])?
            + &shown(&["ip", "-6", "addr", "show", "dev", "wg0"])?,
        shown(&["nft", "list", "ruleset"])?,
    ];
    for listing in listings {
        let has = |address: &String| {
            let bare = address.split('/').next().unwrap_or_default();
            listing
                .split(|letter: char| !letter.is_ascii_alphanumeric() && !".:".contains(letter))
                .any(|word| word == bare)
        };
        for (new, old) in
            [(&device.ipv4_address, &before.ipv4_address), (&device.ipv6_address, &before.ipv6_address)]
        {
            ensure!(has(new) && (new == old || !has(old)), "{new}, and not {old}:\n{listing}");
        }
    }
    ensure!(stage.world.mullvad.devices(ACCOUNT).contains(device), "{device:?}");
    Ok(())
}

fn by_the_relays_alone(outcome: &Outcome) -> Result<()> {
    ensure!(outcome.verdict.packets_by(Door::Residential) == 0, "by the house: {}", outcome.verdict);
    Ok(())
}
