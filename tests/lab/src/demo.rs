//! The lab in a terminal: a stranger sees the box's status, the phone's view of itself, and what a press changes.
//! `--script` plays a fixed scene and ends with the judge's verdict.

mod counters;
mod keys;
mod screen;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::card::Card;
use crate::judge::Door;
use crate::phone::Family;
use crate::stage::{Outcome, Stage, Watch, is_as_wished};
use crate::traffic::Rates;
use crate::wait::{PATIENCE, wait_for};
use counters::Counters;
use keys::{Key, Keys};
use screen::{Frame, say};

/// Between two drawings when nobody presses anything.
const DRAWING: Duration = Duration::from_millis(700);
const SCRIPTED_FLIPS: usize = 10;
/// Of the first of them.
const SCRIPTED_PICTURES: usize = 2;
/// A phone in somebody's hand, not a benchmark.
const GENTLE: Rates = Rates { long_udp: 20, new_udp: 4, new_tcp: 2, long_tcp: 10, ..Rates::NONE };

/// A fixed scene; true when the judge found nothing wrong.
pub fn play_script(byway: &Path) -> Result<bool> {
    let mut stage = raise(byway)?;
    for words in [&["relays", "list"][..], &["relays", "list", "se"]] {
        say(stage.byway.cli(words)?.stdout.trim_end());
    }
    let mut watch = stage.watch(Some(Door::Privacy), Rates::default())?;
    watch.wait_answered(PATIENCE)?;
    for flip in 0..SCRIPTED_FLIPS {
        let door = if flip % 2 == 0 { Door::Residential } else { Door::Privacy };
        watch.flip(&stage.byway, Some(door))?;
        watch.wait_answered(PATIENCE)?;
        say(&format!("button: {door}; the internet sees the phone as {}", phone_view(&stage)));
        if flip < SCRIPTED_PICTURES {
            say(&panel(&stage)?);
        }
    }
    kill_the_relay(&mut stage, &mut watch)?;
    silence_all_relays(&stage, &mut watch)?;
    let outcome = watch.end()?;
    say(&verdict(&outcome, SCRIPTED_FLIPS));
    Ok(outcome.verdict.is_clean() && outcome.verdict.heard_something().is_ok())
}

/// Another one has been proven before, and takes its place.
fn kill_the_relay(stage: &mut Stage, watch: &mut Watch) -> Result<()> {
    wait_for("a relay that stands by", PATIENCE, || {
        let relays = stage.byway.cli(&["relays", "--json"])?.stdout;
        ensure!(relays.contains("\"standby\""), "{relays}");
        Ok(())
    })?;
    say(stage.byway.cli(&["relays", "test"])?.stdout.trim_end());
    let active = text(&stage.byway.status()?, "tunnel", "relay");
    let died = SystemTime::now();
    stage.world.relay_called(&active)?.die();
    say(&format!("{active} dies"));
    let is_another = |status: &Value| is_as_wished(status) && status["tunnel"]["relay"] != active.as_str();
    let status = stage.byway.wait_status("another relay", PATIENCE, is_another)?;
    watch.decide(died, Some(Door::Privacy));
    let carried = watch.wait_answered(PATIENCE)?.duration_since(died)?;
    let (why, phone) = (&status["why"], phone_view(stage));
    say(&format!(
        "carried again after {:.1} s: {why}; the internet sees the phone as {phone}",
        carried.as_secs_f32()
    ));
    say(&panel(stage)?);
    stage.world.relay_called(&active)?.come_back()
}

/// Whoever is proven may be dead as well: then nobody carries, and the house least of all.
fn silence_all_relays(stage: &Stage, watch: &mut Watch) -> Result<()> {
    let silenced = SystemTime::now();
    for relay in stage.world.relays() {
        relay.silence()?;
    }
    say("all relays fall silent");
    let is_shut =
        |status: &Value| status["door"].is_null() && status["why"].to_string().contains("not answer");
    let status = stage.byway.wait_status("the door to be shut", PATIENCE, is_shut)?;
    watch.decide(silenced, None);
    say(&format!("sealed after {:.1} s: {}", silenced.elapsed()?.as_secs_f32(), status["why"]));
    let resumed = SystemTime::now();
    for relay in stage.world.relays() {
        relay.resume()?;
    }
    stage.byway.wait_status("the privacy door again", PATIENCE, is_as_wished)?;
    watch.decide(resumed, Some(Door::Privacy));
    watch.wait_answered(PATIENCE)?;
    say(&format!("they are back, carried again after {:.1} s", resumed.elapsed()?.as_secs_f32()));
    Ok(())
}

/// Until `q`; true when the judge found nothing wrong.
pub fn play(byway: &Path) -> Result<bool> {
    let stage = raise(byway)?;
    let counters = Counters::install(&stage.world)?;
    let mut watch = stage.watch(Some(Door::Privacy), GENTLE)?;
    let keys = Keys::listen().context("this needs a terminal: use --script without one")?;
    let mut note = String::from("press [space]");
    let mut drawn = None::<Instant>;
    loop {
        if drawn.is_none_or(|drawn| drawn.elapsed() >= DRAWING) {
            Frame {
                panel: &panel(&stage)?,
                status: &stage.byway.cli(&["status"])?.stdout,
                phone: &phone_view(&stage),
                packets: counters.read()?,
                note: &note,
            }
            .draw()?;
            drawn = Some(Instant::now());
        }
        match keys.next(DRAWING)? {
            None => continue,
            Some(Key::Space) => note = press(&stage, &mut watch, &["toggle"])?,
            Some(Key::Seal) => note = press(&stage, &mut watch, &["egress", "sealed"])?,
            Some(Key::Quit) => break,
        }
        drawn = None;
    }
    drop(keys);
    let outcome = watch.end()?;
    say(&verdict(&outcome, outcome.flips.len()));
    Ok(outcome.verdict.is_clean())
}

fn raise(byway: &Path) -> Result<Stage> {
    say(
        "raising a small internet: control server, three Mullvad relays, a fake of Mullvad's API, house, phone (about 10 s)",
    );
    let mut stage = Stage::raise_with(byway, |world| Card::of_account(world, "se-got"))?;
    say(
        "switching the box on: it joins the tailnet, registers with Mullvad, proves the tunnel, opens the privacy door",
    );
    stage.boot_and_carry()?;
    say(&format!("carried: the internet sees the phone as {}", phone_view(&stage)));
    Ok(stage)
}

/// Presses, and tells the judge what the box said afterwards.
fn press(stage: &Stage, watch: &mut Watch, words: &[&str]) -> Result<String> {
    let requested = SystemTime::now();
    let said = stage.byway.cli(words)?;
    let took = requested.elapsed()?;
    let door = match stage.byway.status()?["door"].as_str() {
        None => None,
        Some("privacy") => Some(Door::Privacy),
        Some("residential") => Some(Door::Residential),
        Some(other) => bail!("a door called {other}"),
    };
    watch.decide(requested, door);
    Ok(format!("{}{} ({} ms)", said.stdout.trim(), said.stderr.trim(), took.as_millis()))
}

/// As a host at the house sees it.
fn panel(stage: &Stage) -> Result<String> {
    let said = stage.byway.cli(&["panel", "show", "--small"])?;
    ensure!(said.code == Some(0), "the panel is not shown: {}", said.stderr.trim());
    Ok(said.stdout)
}

fn phone_view(stage: &Stage) -> String {
    let seen = |family| match stage.world.phone.who_am_i(family, Duration::from_secs(1)) {
        Ok(seen) => seen.ip.to_string(),
        Err(_) => "nobody".to_owned(),
    };
    format!("{} and {}", seen(Family::V4), seen(Family::V6))
}

fn verdict(outcome: &Outcome, presses: usize) -> String {
    let slowest = outcome.flips.iter().take(presses).max().map_or(0, Duration::as_millis);
    let verdict = &outcome.verdict;
    let line = format!(
        "verdict: {} packets by privacy, {} by residential, wrong door {}, linked {}, flips {}, slowest flip {slowest} ms",
        verdict.packets_by(Door::Privacy),
        verdict.packets_by(Door::Residential),
        verdict.wrong_door.count,
        verdict.linked.count,
        outcome.flips.len().min(presses),
    );
    if verdict.is_clean() { line } else { format!("{line}\n{verdict}") }
}

fn text(status: &Value, section: &str, key: &str) -> String {
    status[section][key].as_str().unwrap_or_default().to_owned()
}
