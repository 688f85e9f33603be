//! A box that was given the number of an account with Mullvad, and a city, in place of Mullvad's files: it registers itself
//! with a fake of Mullvad's API, and is known there by a key of its own from then on. Nobody but Mullvad hears the number,
//! and Mullvad hears it by the house's line.

pub(super) mod places;
pub(super) mod rotation;
pub(super) mod silence;
pub(super) mod trouble;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use byway_lab::card::{Account, Card};
use byway_lab::mullvad_api::{ACCOUNT, Asked, Device, Mood, PAID, Replacing};
use byway_lab::stage::{Stage, is_approved, is_as_wished};
use byway_lab::topology::SeenAs;
use byway_lab::wait_for;
use serde_json::Value;

use crate::ordeal::PATIENCE;

/// Where two of the world's relays are.
const LOCATION: &str = "se-got";
/// From a tailnet that is up to a door that is open and proven.
const OPEN_BOUND: Duration = Duration::from_secs(10);
/// What nobody tells the box, it asks about now and then.
const BY_ITSELF: Duration = Duration::from_mins(5);

/// With an empty disk.
pub(super) fn a_fresh_box_opens(stage: &mut Stage) -> Result<()> {
    take_a_fresh_box(stage)?;
    stage.byway.boot()?;
    let events = wait_for("the agent's socket", PATIENCE, || stage.byway.events())?;
    let is_up = |status: &Value| status["tailnet"]["state"] == "Running";
    let (up, status) = events.wait("the tailnet", PATIENCE, is_up)?;
    let opened =
        if is_proven(&status) { up } else { events.wait("the privacy door", PATIENCE, is_proven)?.0 };
    let took = opened.duration_since(up)?;
    say(&format!("account mode: open and proven {:.1} s after the tailnet was up", took.as_secs_f32()));
    ensure!(took <= OPEN_BOUND, "open only {took:?} after the tailnet was up");
    stage.byway.wait_status("the exit node's approval", PATIENCE, is_approved)?;
    stage.world.phone.use_exit("byway")?;
    stage.wait_carried()?;

    let device = only_device(stage)?;
    let status = stage.byway.status()?;
    let account = &status["account"];
    ensure!(account["device"] == device.name.as_str() && account["location"] == LOCATION, "{status}");
    ensure!(account["days_left"].as_u64().is_some_and(|days| days >= 199), "{status}");
    ensure!(account["key_made"].is_string() && account["trouble"].is_null(), "{status}");
    ensure!(!device.hijack_dns, "Mullvad takes every question for a name away: {device:?}");
    ensure!(registrations(stage) == 1, "{:?}", stage.world.mullvad.asked());
    asked_by_the_houses_line(stage)
}

/// Wherever somebody else might look. It is found on the card: who looks would find it.
pub(super) fn tells_nobody_the_number(stage: &mut Stage) -> Result<()> {
    carry_by_account(stage)?;
    let grouped: Vec<&str> = [0, 4, 8, 12].map(|from| &ACCOUNT[from..from + 4]).into();
    let spellings = [ACCOUNT.to_owned(), grouped.join(" "), grouped.join("-")];
    let holds = |text: &str| spellings.iter().any(|spelling| text.contains(spelling));

    let (config, kept_in) = (text_of(&stage.byway.config_path())?, text_of(&stage.byway.state_dir())?);
    let mut said =
        Vec::from([stage.byway.binary(&["report", "--config", &config, "--state-dir", &kept_in])?]);
    for words in [&["status"][..], &["status", "--json"], &["doctor"], &["logs", "-n", "100000"], &["relays"]]
    {
        said.push(stage.byway.cli(words)?);
    }
    for said in &said {
        ensure!(!said.stdout.is_empty() && !holds(&said.stdout) && !holds(&said.stderr), "{said:?}");
    }
    ensure!(!holds(&stage.byway.log()), "the agent's log has it");
    for pid in stage.byway.namespace().pids()? {
        // Who has ended since tells nobody any more.
        let told = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        ensure!(!holds(&String::from_utf8_lossy(&told)), "the command line of {pid} has it");
    }
    let folder = stage.byway.config_path().parent().context("no card")?.to_owned();
    let mut found = Vec::new();
    for file in [folder, stage.byway.state_dir(), stage.byway.run_dir()].iter().map(|folder| files(folder)) {
        for file in file? {
            if holds(&String::from_utf8_lossy(&fs::read(&file).unwrap_or_default())) {
                let mode = fs::metadata(&file)?.permissions().mode() & 0o777;
                ensure!(mode == 0o600, "{} has it, and is {mode:o}", file.display());
                found.push(file);
            }
        }
    }
    ensure!(found.contains(&stage.byway.config_path()), "not even the card has it: {found:?}");
    let asked = stage.world.mullvad.asked();
    ensure!(!asked.is_empty() && !asked.iter().any(|asked| holds(&asked.path)), "{asked:?}");
    Ok(())
}

/// Also by the spare copy of a lost disk. A box that has forgotten everything is another one to Mullvad, and its owner sees
/// both on the website.
pub(super) fn is_the_same_device_after_a_boot(stage: &mut Stage) -> Result<()> {
    carry_by_account(stage)?;
    let device = only_device(stage)?;
    let before = registrations(stage);
    stage.byway.reboot()?;
    stage.byway.wait_status("the privacy door", PATIENCE, is_proven)?;
    stage.wait_carried()?;
    ensure!(only_device(stage)? == device && registrations(stage) == before, "registered again");

    wait_for("the second copy", PATIENCE, || {
        let said = stage.byway.cli(&["doctor"])?;
        ensure!(said.stdout.contains("have a second copy"), "{}", said.stdout);
        Ok(())
    })?;
    stage.byway.power_cut()?;
    let said = stage.byway.lose_disk()?;
    ensure!(said.code == Some(0), "{said:?}");
    stage.byway.boot()?;
    stage.byway.wait_status("the privacy door", PATIENCE, is_proven)?;
    ensure!(only_device(stage)? == device && registrations(stage) == before, "registered again");

    stage.byway.power_cut()?;
    fs::remove_file(stage.byway.state_dir().join("mullvad.json"))?;
    stage.byway.boot()?;
    stage.byway.wait_status("the privacy door", PATIENCE, is_proven)?;
    stage.wait_carried()?;
    let devices = stage.world.mullvad.devices(ACCOUNT);
    let status = stage.byway.status()?;
    ensure!(devices.len() == 2 && devices[0] == device, "{devices:?}");
    ensure!(status["account"]["device"] == devices[1].name.as_str(), "{devices:?}: {status}");
    ensure!(registrations(stage) == before + 1, "{:?}", stage.world.mullvad.asked());
    asked_by_the_houses_line(stage)
}

/// Switched off, with an empty disk, in account mode; the account has paid and knows no device.
fn take_a_fresh_box(stage: &mut Stage) -> Result<()> {
    let card = card_of(&stage.world, ACCOUNT)?;
    take_a_box(stage, &card)
}

/// The same with another card.
fn take_a_box(stage: &mut Stage, card: &Card) -> Result<()> {
    if !stage.byway.is_running() {
        stage.byway.boot()?;
    }
    stage.byway.wait_status("the exit node's approval", PATIENCE, is_approved)?;
    stage.replace_box(card)?;
    let mullvad = &stage.world.mullvad;
    mullvad.forget_asked();
    mullvad.behave(Mood::Good);
    mullvad.replace_keys(Replacing::Good)?;
    mullvad.restore_list();
    mullvad.remove_devices(ACCOUNT)?;
    mullvad.grant(ACCOUNT, PAID)
}

/// Of the account with this number. A key that is a day old is old.
fn card_of(world: &byway_lab::World, number: &str) -> Result<Card> {
    let account = Account { number: number.to_owned(), location: LOCATION, rotate_days: Some(1) };
    Ok(Card { account: Some(account), ..Card::of_account(world, LOCATION)? })
}

/// A box in account mode that carries, as the promise before leaves it.
fn carry_by_account(stage: &mut Stage) -> Result<()> {
    if !(stage.byway.is_running() && is_usual(stage)?) {
        take_a_fresh_box(stage)?;
        stage.boot_and_carry()?;
    }
    stage.carry()
}

/// Of the usual card, and the account's only device.
fn is_usual(stage: &Stage) -> Result<bool> {
    let account = stage.byway.status()?["account"].clone();
    let is_its = |device: Device| account["device"] == device.name.as_str();
    Ok(account["location"] == LOCATION && only_device(stage).is_ok_and(is_its))
}

/// Waits until it has what it lacked, and lets the phone use it.
fn carries_by_itself(stage: &Stage) -> Result<()> {
    stage.byway.wait_status("the privacy door", BY_ITSELF, is_proven)?;
    stage.byway.wait_status("the exit node's approval", PATIENCE, is_approved)?;
    stage.world.phone.use_exit("byway")?;
    stage.wait_carried()?;
    asked_by_the_houses_line(stage)
}

/// The agent ends in good order, and another one asks Mullvad what it wants to know.
fn restart(stage: &mut Stage) -> Result<()> {
    stage.byway.sigterm()?;
    stage.byway.start()?;
    stage.byway.wait_status("the privacy door", PATIENCE, is_proven).map(drop)
}

fn is_proven(status: &Value) -> bool {
    is_as_wished(status) && status["seen_as"]["mullvad"] == true
}

fn only_device(stage: &Stage) -> Result<Device> {
    let devices = stage.world.mullvad.devices(ACCOUNT);
    let [device] = devices.as_slice() else { anyhow::bail!("not one device: {devices:?}") };
    Ok(device.clone())
}

/// What this box has asked of the API by this method, at a path that ends so.
fn calls(stage: &Stage, method: &str, path: &str) -> Vec<Asked> {
    let asked = stage.world.mullvad.asked().into_iter();
    asked.filter(|asked| asked.method == method && asked.path.ends_with(path)).collect()
}

fn registrations(stage: &Stage) -> usize {
    calls(stage, "POST", "/devices").len()
}

fn asked_by_the_houses_line(stage: &Stage) -> Result<()> {
    let asked = stage.world.mullvad.asked();
    ensure!(!asked.is_empty(), "nothing was asked");
    let astray = asked.iter().find(|asked| SeenAs::of(asked.from) != SeenAs::House);
    ensure!(astray.is_none(), "not by the house's line: {astray:?}");
    Ok(())
}

/// The sentence of what the owner has to know; it is in `why` too.
fn trouble(status: &Value) -> Option<&str> {
    let trouble = status["account"]["trouble"].as_str()?;
    status["why"].as_str()?.contains(trouble).then_some(trouble)
}

/// All files below the folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            files.extend(self::files(&entry.path())?);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(files)
}

fn text_of(path: &Path) -> Result<String> {
    Ok(path.to_str().context("a path in UTF-8")?.to_owned())
}

#[expect(clippy::print_stdout, reason = "a figure of the run, beside the table of faults")]
fn say(figure: &str) {
    println!("{figure}");
}
