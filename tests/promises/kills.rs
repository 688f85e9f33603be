//! Deaths at random moments, and many hands at once.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use byway_lab::events::request;
use byway_lab::judge::Door;
use byway_lab::stage::{Stage, is_as_wished};
use byway_lab::traffic::Rates;
use serde_json::Value;

use crate::ordeal::{GENTLE, Ordeal, PATIENCE, door_in, spread};

/// DESIGN 9: agent killed, carrying again by the same egress; of a hundred deaths, 95.
const KILLED_BOUND: Duration = Duration::from_secs(3);
/// A handshake or a check that is lost costs a second each.
const SLOWEST: Duration = Duration::from_secs(6);
/// A flip takes some 40 ms; what comes before and after it shall be hit too.
const FLIP: Duration = Duration::from_millis(100);
/// From the first packet of the boot to the door.
const BOOT: Duration = Duration::from_secs(4);
/// Of a tailscaled that is started again at once.
const LONG_LIFE: Duration = Duration::from_secs(10);
const TOGGLES: u32 = 34;

pub(super) fn killed_8_times(stage: &mut Stage) -> Result<()> {
    killed_while_flipping(stage, 8).map(drop)
}

pub(super) fn killed_500_times(stage: &mut Stage) -> Result<()> {
    let p95 = killed_while_flipping(stage, 500)?;
    ensure!(p95 <= KILLED_BOUND, "carried again after {p95:?}");
    Ok(())
}

/// Each death at another moment of a flip; whichever wish was remembered is carried out. After how long, of 95 of a hundred.
fn killed_while_flipping(stage: &mut Stage, times: usize) -> Result<Duration> {
    let mut chance = Chance::seeded();
    let mut ordeal = Ordeal::begin(stage, Rates::default())?;
    let mut door = Door::Privacy;
    let mut carried = Vec::new();
    for death in 0..times {
        let wished = other(door);
        let requested = SystemTime::now();
        ask_for(stage, wished)?;
        thread::sleep(chance.below(FLIP));
        stage.byway.kill9()?;
        let killed = SystemTime::now();
        stage.byway.start()?;
        let status = stage.byway.wait_status("the remembered door", PATIENCE, is_as_wished)?;
        // The flip may have happened before the death, whatever the next agent remembers.
        ordeal.watch.decide(requested, Some(wished));
        let remembered = door_in(&status).context("no door")?;
        if remembered == door {
            ordeal.watch.decide(killed, Some(door));
        }
        door = remembered;
        ordeal.watch.wait_answered(PATIENCE)?;
        let after = killed.elapsed()?;
        ensure!(after <= SLOWEST, "death {death}, seed {}: carried again only after {after:?}", chance.seed);
        carried.push(after);
    }
    let (p95, spread) = spread(&mut carried);
    let seed = chance.seed;
    ordeal.note(format!("agent killed in a flip, {times} times (seed {seed}): {spread}"), None, p95);
    ordeal.end().map(|_| p95)
}

pub(super) fn a_hundred_toggles_at_once(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, Rates::default())?;
    let began = SystemTime::now();
    let socket = stage.byway.run_dir().join("byway.sock");
    let by_hand = || toggle(|| stage.byway.cli(&["toggle", "--no-wait"]).map(drop));
    let by_script = || toggle(|| request(&socket, "POST /v1/toggle", "{}").map(drop));
    thread::scope(|scope| {
        let hands = [scope.spawn(by_hand), scope.spawn(by_hand), scope.spawn(by_script)];
        hands.into_iter().try_for_each(|hand| hand.join().expect("a hand panicked"))
    })?;
    let over = SystemTime::now();
    let status = stage.byway.wait_status("the last wish", PATIENCE, is_as_wished)?;
    // Either door while the hands were at it; afterwards the one that the box says.
    let door = door_in(&status).context("no door")?;
    ordeal.watch.decide(began, Some(other(door)));
    ordeal.watch.decide(over, Some(door));
    ordeal.watch.wait_answered(PATIENCE)?;
    let wish = status["wish"].as_str().unwrap_or_default();
    ensure!(stage.byway.cli(&["egress"])?.stdout.contains(wish), "status and egress disagree: {status}");
    ordeal.note("100 toggles in two seconds from three sources", None, over.elapsed()?);
    ordeal.end().map(drop)
}

fn toggle(once: impl Fn() -> Result<()>) -> Result<()> {
    let began = std::time::Instant::now();
    for nth in 1..=TOGGLES {
        once()?;
        let due = Duration::from_secs(2) * nth / TOGGLES;
        thread::sleep(due.saturating_sub(began.elapsed()));
    }
    Ok(())
}

pub(super) fn tailscaled_killed_20_times(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let mut carried = Vec::new();
    for _ in 0..20 {
        let killed = SystemTime::now();
        crate::outages::kill_tailscaled(stage)?;
        ordeal.watch.wait_answered(PATIENCE)?;
        carried.push(killed.elapsed()?);
        // One that dies young is started again ever more slowly.
        thread::sleep(LONG_LIFE);
    }
    let (p95, spread) = spread(&mut carried);
    ordeal.note(format!("tailscaled killed 20 times: {spread}"), None, p95);
    ordeal.end()?;
    ensure!(p95 <= crate::outages::TAILSCALED_BOUND, "carried again: {spread}");
    Ok(())
}

/// Each at another moment of a flip, and every other one once more at a random moment of the boot.
pub(super) fn power_cut_20_times(stage: &mut Stage) -> Result<()> {
    let mut chance = Chance::seeded();
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let mut door = Door::Privacy;
    let mut carried = Vec::new();
    for cut in 0..20 {
        let wished = other(door);
        let requested = SystemTime::now();
        ask_for(stage, wished)?;
        thread::sleep(chance.below(FLIP));
        ordeal.watch.cut_power(&mut stage.byway)?;
        if cut % 2 == 1 {
            stage.byway.boot()?;
            thread::sleep(chance.below(BOOT));
            ordeal.watch.cut_power(&mut stage.byway)?;
        }
        let booted = SystemTime::now();
        stage.byway.boot()?;
        let a_wish = |status: &Value| status["wish"] != "sealed" && is_as_wished(status);
        let status = stage.byway.wait_status("the remembered door", PATIENCE, a_wish)?;
        ordeal.watch.decide(requested, Some(wished));
        let remembered = door_in(&status).context("no door")?;
        if remembered == door {
            ordeal.watch.decide(booted, Some(door));
        }
        door = remembered;
        ordeal.watch.wait_answered(PATIENCE)?;
        carried.push(booted.elapsed()?);
    }
    let (longest, spread) = spread(&mut carried);
    let seed = chance.seed;
    ordeal.note(format!("power cut in a flip or boot, 20 times (seed {seed}): {spread}"), None, longest);
    ordeal.end().map(drop)
}

/// Wished, and not waited for.
fn ask_for(stage: &Stage, door: Door) -> Result<()> {
    let socket = stage.byway.run_dir().join("byway.sock");
    request(&socket, "PUT /v1/egress", &format!("{{\"egress\":\"{door}\"}}")).map(drop)
}

fn other(door: Door) -> Door {
    match door {
        Door::Privacy => Door::Residential,
        Door::Residential => Door::Privacy,
    }
}

/// Moments by chance (`SplitMix64`); the seed is told.
struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    fn seeded() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seed = u64::from(now.subsec_nanos());
        Self { seed, state: seed }
    }

    fn below(&mut self, most: Duration) -> Duration {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Duration::from_micros((mixed ^ (mixed >> 31)) % u64::try_from(most.as_micros()).unwrap_or(1))
    }
}
