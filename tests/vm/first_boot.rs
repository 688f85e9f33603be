//! From a fresh card and the power to a phone that is carried, by the clock; and what that must not cost.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use byway_lab::capture::{Capture, Heading, Recording};
use byway_lab::judge::Door;
use byway_lab::stage::{is_approved, is_as_wished};
use byway_lab::topology::{BOX_PORT, Place};
use byway_lab::wait_for;

use crate::household::{Household, PATIENCE};

/// DESIGN 9: from init's first line, in seconds.
const BOUNDS: [(&str, f64); 3] = [("sealed", 2.0), ("proven", 15.0), ("carried", 45.0)];
/// From the kernel's beginning to that line: a host that needs longer emulates the rest more slowly too, up to a point.
const KERNEL: f64 = 3.0;
const SLOWEST: f64 = 2.0;

/// A host that is busy delays a boot, and quickens none: of three one must be in time.
pub(crate) fn from_power_to_carrying(house: &mut Household) -> Result<()> {
    let is_once =
        is_first_boot_in_time(house)? || is_first_boot_in_time(house)? || is_first_boot_in_time(house)?;
    ensure!(is_once, "three first boots were late");
    nothing_secret_is_left(house)?;

    let mut watch = house.watch()?;
    for door in [Door::Residential, Door::Privacy, Door::Residential, Door::Privacy] {
        house.flip(&mut watch, door)?;
    }
    watch.end()?.assert_clean()
}

fn is_first_boot_in_time(house: &mut Household) -> Result<bool> {
    house.flash_anew()?;
    let port = house.world.namespace(Place::House).path();
    let capture = Capture::start(&port, BOX_PORT, "house")?;
    house.boot()?;
    house.wait_status("the privacy door", is_as_wished)?;
    house.wait_status("the exit node's approval", is_approved)?;
    house.world.phone.use_exit("byway")?;
    house.world.phone.wait_seen_by(Door::Privacy)?;
    let (carried, kernel_began) = house.uptime()?;
    let proven = house.logged("is proven")?;

    let [began, sealed] = [house.said_by_init("init begins")?, house.said_by_init("sealed")?];
    silent_until(kernel_began + Duration::from_secs_f64(sealed), &capture.stop()?)?;
    let stolen = house.pi()?.waited_for_processor()?.as_secs_f64();
    Ok(is_in_time([sealed, proven, carried].map(|at| at - began), began, stolen))
}

/// Of the box's own frames the first one is later.
fn silent_until(sealed: SystemTime, recording: &Recording) -> Result<()> {
    let own = recording.seen.iter().filter(|seen| seen.heading == Heading::In);
    let first = own.map(|seen| seen.at).min().context("the box has never said a word")?;
    ensure!(first > sealed, "its first word came {:?} before it was sealed", sealed.duration_since(first)?);
    Ok(())
}

/// In seconds from init's first line, which came after `began`. `stolen`: for how long somebody else had the processor in which
/// it could have run.
#[expect(clippy::print_stdout, reason = "the figures are what the run is for")]
fn is_in_time(figures: [f64; 3], began: f64, stolen: f64) -> bool {
    let slowness = (began / KERNEL).clamp(1.0, SLOWEST);
    for ((what, bound), took) in BOUNDS.iter().zip(figures) {
        println!(
            "{what} {took:.1} s after init's first line, {bound} s are allowed where the kernel takes {KERNEL} s; \
             it took {began:.1} s, and {stolen:.1} s of waiting for a processor"
        );
    }
    BOUNDS.iter().zip(figures).all(|((_, bound), took)| took - stolen <= *bound || took <= bound * slowness)
}

fn nothing_secret_is_left(house: &Household) -> Result<()> {
    wait_for("the join to be told on the card", PATIENCE, || {
        let answer = house.card.read("BYWAY-STATUS.txt")?;
        ensure!(answer.contains("has joined its tailnet"), "{answer}");
        Ok(())
    })?;
    let (toml, conf) = (house.card.read("byway.toml")?, house.card.read("se-got-wg-001.conf")?);
    ensure!(!toml.contains("auth_key") && toml.contains("[tailnet]"), "{toml}");
    ensure!(conf.contains("PrivateKey = kept"), "a key is left on the card");
    Ok(())
}
