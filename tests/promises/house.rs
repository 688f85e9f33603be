//! What happens in the house: the cable is pulled, the lease is renewed, changed or refused, the provider renumbers, the
//! router is replaced.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use byway_lab::house::Offer;
use byway_lab::judge::Door;
use byway_lab::stage::{Stage, is_as_wished};
use byway_lab::topology::Numbering;
use byway_lab::traffic::Rates;
use byway_lab::wait_for;
use serde_json::Value;

use crate::ordeal::{Ordeal, PATIENCE, says};

/// A change of the house that the kernel tells of.
const SEAL_BOUND: Duration = Duration::from_secs(2);
/// From the address until the phone is carried: half of the times.
const CARRY_BOUND: Duration = Duration::from_secs(3);
/// The same from another address, whose flows nobody on the way knows.
const RENUMBERED_BOUND: Duration = Duration::from_secs(5);
/// Always: now and then the phone's tailscaled looks for the box in its old place for some seconds.
pub(super) const PATH_BOUND: Duration = Duration::from_secs(10);
const PULLS: usize = 3;
const OTHER_ROUTER: &str = "02:00:00:00:88:01";
const OTHER_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 12);

/// Of a box that has what the house lends.
pub(super) fn cable_comes_and_goes(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, Rates::default())?;
    let mut times = Vec::new();
    for pull in 1..=PULLS {
        let (sealed, _) = ordeal.until_sealed(stage, |stage| stage.world.topology().pull_cable())?;
        wait_told(stage, "no cable in eth0")?;
        ensure!(sealed <= SEAL_BOUND, "sealed only after {sealed:?}");
        let carried = ordeal.until_carried_since(stage, |stage| {
            stage.world.topology().push_cable()?;
            wait_leased(stage)
        })?;
        ordeal.note(format!("cable pulled and pushed, {pull}, from the lease"), sealed, carried);
        times.push(carried);
    }
    ordeal.end()?;
    ensure_quick(times, CARRY_BOUND)
}

fn ensure_quick(mut times: Vec<Duration>, bound: Duration) -> Result<()> {
    times.sort();
    ensure!(times[times.len() / 2] <= bound, "half of the times carried only after {times:?}");
    ensure!(times.iter().all(|time| *time <= PATH_BOUND), "once carried only after {times:?}");
    Ok(())
}

pub(super) fn configured_by_somebody_else(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    stage.byway.power_cut()?;
    stage.byway.write_uplink("interface = \"eth0\"\nmethod = \"none\"\ndns = [\"192.168.77.1\"]\n")?;
    stage.byway.boot()?;
    wait_told(stage, "no address")?;
    stage.world.topology().plug_in_box()?;
    let mut ordeal = Ordeal::begin(stage, Rates::default())?;
    let (sealed, status) = ordeal.until_sealed(stage, |stage| stage.world.topology().unplug_box())?;
    // Whichever goes first.
    let is_told = says(&status, "no address") || says(&status, "no cable");
    ensure!(is_told, "it does not say why: {status}");
    ensure!(sealed <= SEAL_BOUND, "sealed only after {sealed:?}");
    let carried = ordeal.until_carried(stage, |stage| stage.world.topology().plug_in_box())?;
    ordeal.note("method none: link down, up by hand", sealed, carried);
    ordeal.end()?;
    stage.byway.power_cut()?;
    stage.byway.write_uplink("interface = \"eth0\"\nmethod = \"dhcp\"\n")
}

pub(super) fn a_lease_is_renewed(stage: &mut Stage) -> Result<()> {
    let ordeal = Ordeal::begin(stage, Rates::default())?;
    let granted = |stage: &Stage| {
        let log = stage.world.house.dhcp().context("no DHCP server")?.log();
        Ok::<_, anyhow::Error>(log.matches("DHCPACK(").count())
    };
    let (before, leases) = (stage.byway.status()?, granted(stage)?);
    stage.byway.renew_lease()?;
    wait_for("the renewal", PATIENCE, || {
        ensure!(granted(stage)? > leases, "it is not granted yet");
        Ok(())
    })?;
    // Whatever came of it is there before the answer to something that is asked afterwards.
    ordeal.watch.wait_answered(PATIENCE)?;
    let after = stage.byway.status()?;
    for what in ["since", "drift", "uplink", "door"] {
        ensure!(before[what] == after[what], "a renewal has changed {what}: {before} {after}");
    }
    ordeal.end().map(drop)
}

/// At a renewal that the house refuses, one that nobody answers, and one with another router.
pub(super) fn renumbered_and_rewired(stage: &mut Stage) -> Result<()> {
    type Change = fn(&mut Stage) -> Result<()>;
    let mut ordeal = Ordeal::begin(stage, Rates::default())?;
    let changes: [(&str, Change, [Ipv4Addr; 2]); 6] = [
        (
            "lease refused, another address",
            |stage| stage.world.house.offer(&Offer::both().of(OTHER_ADDRESS)),
            [OTHER_ADDRESS, Numbering::First.router()],
        ),
        (
            "lease refused, the first address",
            |stage| stage.world.house.offer(&Offer::both()),
            of(Numbering::First),
        ),
        (
            "house address and prefix changed",
            |stage| stage.world.house.renumber(Numbering::Second),
            of(Numbering::Second),
        ),
        (
            "house address and prefix changed back",
            |stage| stage.world.house.renumber(Numbering::First),
            of(Numbering::First),
        ),
        (
            "another router at another address",
            |stage| stage.world.house.renumber(Numbering::AnotherRouter),
            of(Numbering::AnotherRouter),
        ),
        (
            "the first router again",
            |stage| stage.world.house.renumber(Numbering::First),
            of(Numbering::First),
        ),
    ];
    let mut times = Vec::new();
    for (fault, change, [address, router]) in changes {
        let carried = ordeal.until_carried_since(stage, |stage| {
            change(stage)?;
            stage.byway.renew_lease()?;
            let at = wait_address(stage, address)?;
            let lives_there =
                |status: &Value| status["uplink"]["gateway"] == router.to_string() && is_as_wished(status);
            stage.byway.wait_status("the house's new numbers", PATIENCE, lives_there)?;
            Ok(at)
        })?;
        ordeal.note(format!("{fault}, from there on"), None, carried);
        by_both_doors(stage, &mut ordeal)?;
        times.push(carried);
    }
    let carried = ordeal.until_carried(stage, |stage| stage.world.house.replace_router(OTHER_ROUTER))?;
    ordeal.note("gateway's MAC changed, announced", None, carried);
    by_both_doors(stage, &mut ordeal)?;
    ordeal.end()?;
    ensure_quick(times, RENUMBERED_BOUND)
}

fn of(numbering: Numbering) -> [Ipv4Addr; 2] {
    [numbering.of_the_box(), numbering.router()]
}

/// In both families.
fn by_both_doors(stage: &Stage, ordeal: &mut Ordeal) -> Result<()> {
    [Door::Residential, Door::Privacy].into_iter().try_for_each(|door| {
        ordeal.watch.flip(&stage.byway, Some(door))?;
        stage.wait_seen_by(door)
    })
}

pub(super) fn wait_told(stage: &Stage, words: &str) -> Result<()> {
    stage.byway.wait_status(&format!("the words {words:?}"), PATIENCE, |status| says(status, words)).map(drop)
}

/// What the present house lends.
pub(super) fn wait_leased(stage: &Stage) -> Result<SystemTime> {
    wait_address(stage, stage.world.house.numbering().of_the_box())
}

/// When the box's kernel has it.
pub(super) fn wait_address(stage: &Stage, address: impl Into<IpAddr>) -> Result<SystemTime> {
    let address = address.into();
    wait_for(&format!("the box to have {address}"), PATIENCE, || {
        let words = ["ip", "-o", "addr", "show", "dev", "eth0", "scope", "global"];
        let listing = stage.byway.namespace().run(&words)?;
        ensure!(listing.contains(&format!(" {address}/")), "it has {listing}; {}", stage.byway.log_tail());
        Ok(SystemTime::now())
    })
}
