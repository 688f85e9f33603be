//! What somebody with root does to the kernel beside the agent: routes, rules, the rule set, the tunnel's interface.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use byway_lab::judge::Door;
use byway_lab::namespace::Namespace;
use byway_lab::stage::{Stage, is_as_wished};
use byway_lab::traffic::Rates;
use byway_lab::wait_for;
use serde_json::Value;

use crate::ordeal::{Ordeal, PATIENCE, says};

/// DESIGN 4, drift: sealed and put right within 1 s; the rest is for a busy machine.
const DRIFT_BOUND: Duration = Duration::from_secs(3);

/// What falls into an order that the agent is carrying out is put right by that, and not counted: then once more.
const NOTICED: Duration = Duration::from_secs(10);

/// `main` is the ISP's and table 52 tailscaled's: whatever stands there, no client packet asks them for the internet.
/// The second router is the house's own, at an address that the box was never told.
const ROUTES: &[(&str, &str)] = &[
    (
        "routes for /1 and /2 in main, both families",
        "0.0.0.0/1 via 192.168.77.66 dev eth0\n128.0.0.0/1 via 192.168.77.66 dev eth0\n\
         192.0.0.0/2 via 192.168.77.66 dev eth0\n::/1 via 2001:db8:77::66 dev eth0\n\
         8000::/1 via 2001:db8:77::66 dev eth0\n2000::/3 via 2001:db8:77::66 dev eth0",
    ),
    (
        "stray default in table 52, both families",
        "default via 192.168.77.66 dev eth0 table 52\n::/0 via 2001:db8:77::66 dev eth0 table 52 metric 1",
    ),
];

pub(super) fn strangers_routes(stage: &mut Stage) -> Result<()> {
    let house = stage.world.namespace(byway_lab::topology::Place::House);
    house.sysctl("net/ipv6/conf/lan/proxy_ndp", "1")?;
    // An address of the router's own would be advertised as the house's resolver.
    house.ip("addr replace 192.168.77.66/32 dev lan\nneigh replace proxy 2001:db8:77::66 dev lan")?;
    let mut ordeal = Ordeal::begin(stage, Rates::default())?;
    for (fault, routes) in ROUTES {
        let each = |verb: &str| {
            let lines: Vec<String> = routes.lines().map(|route| format!("route {verb} {route}")).collect();
            stage.byway.namespace().ip(&lines.join("\n"))
        };
        each("add")?;
        for door in [Door::Residential, Door::Privacy] {
            ordeal.watch.flip(&stage.byway, Some(door))?;
            ordeal.watch.wait_answered(PATIENCE)?;
        }
        ensure!(stage.byway.cli(&["status"])?.code == Some(0), "{fault}: the box is not as wished");
        each("del")?;
        ordeal.note(*fault, None, None);
    }
    house.ip("addr del 192.168.77.66/32 dev lan\nneigh del proxy 2001:db8:77::66 dev lan")?;
    ordeal.end().map(drop)
}

type Spoil = fn(&Namespace) -> Result<()>;

/// Each is a difference from the posture.
const DRIFTS: &[(&str, Spoil)] = &[
    ("nft flush ruleset", |kernel| kernel.nft("flush ruleset")),
    ("ip rules deleted", delete_rules),
    ("ip_forward toggled", |kernel| kernel.sysctl("net/ipv4/ip_forward", "0")),
    ("IPv6 forwarding toggled", |kernel| kernel.sysctl("net/ipv6/conf/all/forwarding", "0")),
    ("wg0 set down", |kernel| kernel.ip("link set wg0 down")),
    ("wg0's address removed", |kernel| kernel.ip("addr del 10.64.5.5/32 dev wg0")),
    ("wg0 deleted", |kernel| kernel.ip("link del wg0")),
];

pub(super) fn drift(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, Rates::default())?;
    for (fault, spoil) in DRIFTS {
        let (healed_before, _) = drift_in(&stage.byway.status()?)?;
        let events = stage.byway.events()?;
        let mut noticed_after = None;
        let carried = ordeal.until_carried(stage, |stage| {
            let counted = |status: &Value| drift_in(status).is_ok_and(|(healed, _)| healed > healed_before);
            let noticed = wait_for("the drift to be counted", PATIENCE, || {
                let spoiled_at = std::time::SystemTime::now();
                spoil(stage.byway.namespace())?;
                let (at, status) = events.wait("it to be counted", NOTICED, counted)?;
                Ok((at.duration_since(spoiled_at)?, status))
            });
            let (after, status) = noticed.with_context(|| unnoticed(fault, stage))?;
            noticed_after = Some(after);
            ensure!(status["drift"]["last"].is_string(), "{fault}: it does not say what drifted: {status}");
            events.wait("the door again", PATIENCE, is_as_wished).map(drop)
        })?;
        let noticed = noticed_after.context("the drift was never noticed")?;
        ensure!(noticed <= DRIFT_BOUND, "{fault}: sealed only after {noticed:?}");
        ordeal.note(*fault, noticed, carried);
    }
    ordeal.end().map(drop)
}

/// Whether it is still so, and what the box has seen instead.
fn unnoticed(fault: &str, stage: &Stage) -> String {
    let kernel = stage.byway.namespace();
    let forwards = kernel.enter(|| Ok(std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward")?));
    format!("{fault}, ip_forward is {forwards:?}; the box has logged:\n{}", stage.byway.log_tail())
}

fn drift_in(status: &Value) -> Result<(u64, Option<&str>)> {
    let healed = status["drift"]["healed"].as_u64().context("no count of drifts")?;
    Ok((healed, status["drift"]["last"].as_str()))
}

/// Slow enough that some heals are read back before the next blow: only those are counted.
const FIGHTER: &str = "while nft flush chain inet byway forward; do sleep 0.4; done";

/// A firewall of somebody else's that writes its own idea of the rule set over and over.
pub(super) fn fight(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, Rates::default())?;
    let mut fighter = None;
    let (sealed, _) = ordeal.until_sealed(stage, |stage| {
        fighter = Some(stage.byway.namespace().spawn("fighter", Path::new("sh"), &["-c", FIGHTER], &[])?);
        let fights = |status: &Value| says(status, "keeps changing the kernel") && says(status, "nft (pid ");
        stage.byway.wait_status("the fight to be told, with a name", PATIENCE, fights).map(drop)
    })?;
    let healed = || Ok::<_, anyhow::Error>(drift_in(&stage.byway.status()?)?.0);
    let (before, began) = (healed()?, Instant::now());
    while began.elapsed() < Duration::from_secs(5) {
        let status = stage.byway.status()?;
        ensure!(status["door"].is_null(), "a door is open in the middle of a fight: {status}");
    }
    let storm = healed()? - before;
    ensure!(storm <= 6, "{storm} heals in 5 s are a storm");
    let goes_on = |status: &Value| drift_in(status).is_ok_and(|(healed, _)| healed > before);
    stage.byway.wait_status("another heal", PATIENCE, goes_on)?;
    let carried = ordeal.until_carried(stage, |_| {
        drop(fighter.take());
        Ok(())
    })?;
    ordeal.note("somebody fights over the rule set", sealed, carried);
    ordeal.end().map(drop)
}

/// Ours, both families.
pub(super) fn delete_rules(kernel: &Namespace) -> Result<()> {
    for family in ["-4", "-6"] {
        let listing = kernel.run(&["ip", family, "rule"])?;
        let priorities = listing.lines().filter_map(|line| line.split(':').next()?.parse::<u32>().ok());
        let ours: Vec<u32> = priorities.filter(|priority| (4990..=5023).contains(priority)).collect();
        ensure!(!ours.is_empty(), "no rules to delete: {listing}");
        // In one go: what is put right in the middle of it would have to be put right again.
        let lines: Vec<String> = ours.iter().map(|priority| format!("rule del pref {priority}")).collect();
        let batch = format!("echo '{}' | ip {family} -batch -", lines.join("\n"));
        kernel.run(&["sh", "-c", &batch])?;
    }
    Ok(())
}
