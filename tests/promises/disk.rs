//! What happens to the box's folders: full to the last byte, read-only, torn, gone. It carries all the same, or says
//! what it lacks and stays sealed.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use byway_lab::disk::SmallDisk;
use byway_lab::judge::Door;
use byway_lab::stage::{Stage, is_approved, is_as_wished};
use byway_lab::wait_for;
use serde_json::Value;

use crate::ordeal::{GENTLE, Ordeal, PATIENCE, door_in, says};

type Spoil = fn(&SmallDisk) -> Result<()>;

pub(super) fn full(stage: &mut Stage) -> Result<()> {
    takes_nothing(stage, "state folder full", SmallDisk::fill, SmallDisk::make_room, "make room on its disk")
}

pub(super) fn read_only(stage: &mut Stage) -> Result<()> {
    let (spoil, mend): (Spoil, Spoil) = (SmallDisk::make_read_only, SmallDisk::make_writable);
    takes_nothing(stage, "state folder read-only", spoil, mend, "make its disk writable")
}

/// Flips, restarts and reboots with a disk that keeps the last wish it took; then with one that takes it again.
fn takes_nothing(stage: &mut Stage, fault: &str, spoil: Spoil, mend: Spoil, next_step: &str) -> Result<()> {
    // It has joined before: whatever becomes of the small disk, that is kept below.
    stage.carry()?;
    stage.byway.power_cut()?;
    let disk = SmallDisk::over(&stage.byway.state_dir())?;
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    spoil(&disk)?;
    flip_unremembered(stage, &mut ordeal, next_step)?;
    let said = stage.byway.cli(&["doctor"])?;
    ensure!(said.code == Some(3) && said.stdout.contains(next_step), "{said:?}");

    ordeal.until_closed(stage)?;
    ordeal.until_open(stage)?;
    ordeal.watch.wait_answered(PATIENCE)?;
    flip_unremembered(stage, &mut ordeal, next_step)?;
    let carried = reboot(stage, &mut ordeal, Door::Privacy)?;
    ordeal.note(format!("{fault}: flips, agent restart; reboot"), None, carried);

    flip_unremembered(stage, &mut ordeal, next_step)?;
    mend(&disk)?;
    wait_for("the last wish to be remembered after all", PATIENCE, || {
        let wish = wish_on_disk(stage)?;
        ensure!(wish == "residential", "{wish}");
        Ok(())
    })?;
    let carried = reboot(stage, &mut ordeal, Door::Residential)?;
    ordeal.note(format!("{fault}, mended; reboot"), None, carried);
    wait_for("a doctor with no complaint", PATIENCE, || {
        let said = stage.byway.cli(&["doctor"])?;
        ensure!(said.code == Some(0), "{}", said.stdout);
        Ok(())
    })?;
    ordeal.end()?;
    stage.byway.power_cut()
}

/// The same node with the same wish: nobody has to bring a new key.
pub(super) fn lost(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    let address = |status: &Value| status["tailnet"]["addresses"][0].clone();
    let before = address(&stage.byway.status()?);
    let said = stage.byway.cli(&["egress", "residential"])?;
    ensure!(said.code == Some(0), "{said:?}");
    stage.byway.sigterm()?;
    stage.byway.start()?;
    let copied = wait_for("the second copy", PATIENCE, || {
        let said = stage.byway.cli(&["doctor"])?;
        copied(&said.stdout).with_context(|| said.stdout.clone())
    })?;
    // And what promises before this one have made it remember.
    ensure!(copied >= 3, "{copied} files");

    stage.byway.power_cut()?;
    let said = stage.byway.lose_disk()?;
    let put_back = format!("{copied} files put back");
    ensure!(said.code == Some(0) && said.stdout.starts_with(&put_back), "{copied} before: {said:?}");
    stage.byway.boot()?;
    let status = stage.byway.wait_status("the house's door again", PATIENCE, |status| {
        is_as_wished(status) && is_approved(status) && status["wish"] == "residential"
    })?;
    ensure!(address(&status) == before, "another node: {status}");
    stage.carry()
}

/// How many files the doctor says have a second copy.
fn copied(doctor: &str) -> Option<usize> {
    let (before, _) = doctor.split_once(" files have a second copy")?;
    before.rsplit(' ').next()?.parse().ok()
}

/// From the remembered privacy to residential, which is not remembered, and says so.
fn flip_unremembered(stage: &mut Stage, ordeal: &mut Ordeal, next_step: &str) -> Result<()> {
    let before = stage.byway.log().len();
    ordeal.watch.flip(&stage.byway, Some(Door::Residential))?;
    ordeal.watch.wait_answered(PATIENCE)?;
    let log = stage.byway.log().split_off(before);
    ensure!(log.contains("the wish is forgotten at the next boot") && log.contains(next_step), "{log}");
    let status = stage.byway.status()?;
    ensure!(says(&status, "the wish is forgotten at the next boot") && says(&status, next_step), "{status}");
    let wish = wish_on_disk(stage)?;
    ensure!(wish == "privacy", "the disk took it: {wish}");
    Ok(())
}

fn reboot(stage: &mut Stage, ordeal: &mut Ordeal, remembered: Door) -> Result<Duration> {
    let cut = SystemTime::now();
    ordeal.watch.cut_power(&mut stage.byway)?;
    stage.byway.boot()?;
    let booted = SystemTime::now();
    let status = stage.byway.wait_status("the remembered door", PATIENCE, is_as_wished)?;
    ensure!(door_in(&status) == Some(remembered), "{status}");
    ordeal.watch.decide(cut, Some(remembered));
    stage.byway.wait_status("the exit node", PATIENCE, is_approved)?;
    ordeal.watch.wait_answered(PATIENCE)?;
    Ok(booted.elapsed()?)
}

fn wish_on_disk(stage: &Stage) -> Result<String> {
    let text = fs::read_to_string(stage.byway.state_dir().join("wish.json"))?;
    let saved: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
    Ok(saved["wish"].as_str().unwrap_or_default().to_owned())
}

type Tear = fn(&Path) -> Result<()>;

/// What was remembered is residential, what the configuration says is privacy.
pub(super) fn torn(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let tears: [(&str, Tear); 5] = [
        ("cut to half", cut_to_half),
        ("empty", |file| Ok(fs::write(file, "")?)),
        ("garbage", |file| Ok(fs::write(file, vec![0xff; 100_000])?)),
        ("another version", |file| Ok(fs::write(file, r#"{"version":7,"wish":"sealed"}"#)?)),
        ("a folder", |file| fs::remove_file(file).and_then(|()| fs::create_dir(file)).map_err(Into::into)),
    ];
    for (how, tear) in tears {
        let log = restart_over(stage, &mut ordeal, tear, Door::Privacy)?;
        for file in ["wish.json", "names.json"] {
            let told = format!("{file} is not what was saved");
            ensure!(log.contains(&told) && log.contains("kept as"), "{how}: {told}: {log}");
        }
    }
    // A power cut in the middle of a write leaves the old file whole, and the new one beside it.
    let beside: Tear = |file| Ok(fs::write(file.with_extension("new"), "{\"version\":1,\"wi")?);
    let log = restart_over(stage, &mut ordeal, beside, Door::Residential)?;
    ensure!(!log.contains("is not what was saved"), "{log}");
    ordeal.note("wish and names torn in five ways, half-written beside", None, None);
    ordeal.end().map(drop)
}

/// What the next agent says; which door it opens is checked.
fn restart_over(stage: &mut Stage, ordeal: &mut Ordeal, tear: Tear, then: Door) -> Result<String> {
    ordeal.watch.flip(&stage.byway, Some(Door::Residential))?;
    ordeal.until_closed(stage)?;
    let before = stage.byway.log().len();
    for file in ["wish.json", "names.json"] {
        tear(&stage.byway.state_dir().join(file)).with_context(|| file.to_owned())?;
    }
    ordeal.until_open(stage)?;
    let status = stage.byway.status()?;
    ensure!(door_in(&status) == Some(then), "{status}");
    ordeal.watch.wait_answered(PATIENCE)?;
    Ok(stage.byway.log().split_off(before))
}

fn cut_to_half(file: &Path) -> Result<()> {
    let whole = fs::read(file)?;
    Ok(fs::write(file, &whole[..whole.len() / 2])?)
}

/// The agent is killed with the residential door open, which needs no agent: only the next one can have shut it.
pub(super) fn torn_configuration(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let card = stage.byway.config_path();
    let good = fs::read(&card)?;
    ordeal.watch.flip(&stage.byway, Some(Door::Residential))?;
    ordeal.watch.wait_answered(PATIENCE)?;
    let killed = SystemTime::now();
    stage.byway.kill9()?;
    fs::write(&card, &good[..good.len() - 20])?;
    let log = refuses_to_start(stage, 2)?;
    ordeal.watch.decide(killed, None);
    let place = log.lines().find(|line| line.starts_with(&format!("{}:", card.display())));
    let line = place.with_context(|| format!("no place in the file: {log}"))?;
    ensure!(line.split(':').nth(1).is_some_and(|line| line.parse::<u32>().is_ok()), "{line}");
    assert_silent(&ordeal)?;

    fs::write(&card, good)?;
    let carried = ordeal.until_carried(stage, |stage| stage.byway.start())?;
    ordeal.note("byway.toml torn, mended", None, carried);
    ordeal.end().map(drop)
}

pub(super) fn no_run_folder(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let faults: [(&str, Spoil, Spoil); 2] = [
        ("run folder read-only", SmallDisk::make_read_only, SmallDisk::make_writable),
        ("run folder without room for a file", SmallDisk::fill_with_files, SmallDisk::make_room),
    ];
    for (fault, spoil, mend) in faults {
        let cut = SystemTime::now();
        ordeal.watch.cut_power(&mut stage.byway)?;
        let disk = SmallDisk::over(&stage.byway.run_dir())?;
        spoil(&disk)?;
        stage.byway.seal()?;
        let log = refuses_to_start(stage, 1)?;
        ensure!(log.contains("/run/lock: ") && log.contains("--run-dir"), "{fault}: {log}");
        ordeal.watch.decide(cut, None);
        assert_silent(&ordeal)?;

        mend(&disk)?;
        // Without room for one more byte it goes on.
        disk.fill()?;
        let carried = ordeal.until_carried(stage, |stage| stage.byway.start())?;
        ordeal.note(format!("{fault}; full, agent started"), None, carried);
        ordeal.until_closed(stage)?;
    }
    ordeal.end()?;
    stage.byway.power_cut()
}

/// What it says before it ends.
fn refuses_to_start(stage: &mut Stage, code: i32) -> Result<String> {
    let before = stage.byway.log().len();
    stage.byway.start()?;
    let ended = stage.byway.agent().context("no agent was started")?.wait(PATIENCE)?;
    let log = stage.byway.log().split_off(before);
    ensure!(ended.code() == Some(code), "it ended with {ended}: {log}");
    Ok(log)
}

/// The same wait is answered as soon as a door is open.
fn assert_silent(ordeal: &Ordeal) -> Result<()> {
    let answered = ordeal.watch.wait_answered(Duration::from_secs(3));
    ensure!(answered.is_err(), "carried though sealed");
    Ok(())
}
