//! The tailnet's side fails: tailscaled dies, hangs, is robbed; the control server forgets, expires, goes away.

use std::fs;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use byway_lab::control::Approval;
use byway_lab::judge::Door;
use byway_lab::stage::{Stage, is_approved};
use byway_lab::wait_for;
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::babble;
use crate::kernel_faults::delete_rules;
use crate::ordeal::{GENTLE, Hurt, Ordeal, PATIENCE, says};

/// DESIGN 9: tailscaled killed, phone carried again.
pub(super) const TAILSCALED_BOUND: Duration = Duration::from_secs(15);
/// Of a single try.
const KILLED_BOUND: Duration = Duration::from_secs(20);
/// Nothing tells that it hangs: calls must stay unanswered first.
const HANG_BOUND: Duration = Duration::from_secs(50);
const AWAY: Duration = Duration::from_secs(20);
/// Headscale tells a node neither that it was deleted nor that its approval was withdrawn: it asks now and then.
const UNTOLD: Duration = Duration::from_mins(7);

/// The door stays as it was, and the status says that nobody can come in by it.
pub(super) fn tailscaled_fails(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let faults: [(&str, Hurt, Duration); 4] = [
        ("tailscaled killed", kill_tailscaled, KILLED_BOUND),
        ("tailscaled's socket answers garbage", babble::instead_of_tailscaled, HANG_BOUND),
        ("tailscaled frozen", freeze_tailscaled, HANG_BOUND),
        ("table 52 flushed", flush_tailnet_routes, HANG_BOUND),
    ];
    for (fault, hurt, bound) in faults {
        let before = stage.byway.tailscaled()?;
        let events = stage.byway.events()?;
        let carried = ordeal.until_carried(stage, |stage| {
            hurt(stage)?;
            let is_told = |status: &Value| {
                status["tailnet"]["state"].is_null() && says(status, "tailscaled does not serve")
            };
            let (_, status) = events.wait("the failure to be told", PATIENCE, is_told)?;
            ensure!(status["door"] == "privacy", "{fault}: the door is another matter: {status}");
            stage.byway.wait_status("the exit node again", PATIENCE, is_approved).map(drop)
        })?;
        ensure!(carried <= bound, "{fault}: carried again only after {carried:?}");
        ensure!(stage.byway.tailscaled()? != before, "{fault}: the same tailscaled as before");
        ordeal.note(fault, None, carried);
    }
    ordeal.end().map(drop)
}

pub(super) fn kill_tailscaled(stage: &mut Stage) -> Result<()> {
    Ok(kill(stage.byway.tailscaled()?, Signal::SIGKILL)?)
}

fn freeze_tailscaled(stage: &mut Stage) -> Result<()> {
    Ok(kill(stage.byway.tailscaled()?, Signal::SIGSTOP)?)
}

/// What tailscaled would put right only when its peers change.
pub(super) fn flush_tailnet_routes(stage: &mut Stage) -> Result<()> {
    for family in ["-4", "-6"] {
        stage.byway.namespace().run(&["ip", family, "route", "flush", "table", "52"])?;
    }
    Ok(())
}

/// The disk forgets who the box is, and its key has long been wiped: it says what the owner has to do, twice, and then
/// carries under another address.
pub(super) fn state_deleted(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let address = |status: &Value| status["tailnet"]["addresses"][0].clone();
    let before = address(&stage.byway.status()?);
    fs::remove_dir_all(stage.byway.state_dir().join("tailscale"))?;
    kill_tailscaled(stage)?;
    let without_key = |status: &Value| {
        status["tailnet"]["state"] == "NeedsLogin"
            && status["tailnet"]["exit_node"].is_null()
            && says(status, "write a new auth_key")
    };
    stage.byway.wait_status("the plea for a new key", PATIENCE, without_key)?;

    let key = stage.world.control.expired_box_key()?;
    restart_with_key(stage, &mut ordeal, &key)?;
    let refused = |status: &Value| says(status, "refused the login") && says(status, "expired");
    stage.byway.wait_status("the refusal to be told", PATIENCE, refused)?;
    ensure!(!stage.byway.log().contains(&key), "the log shows the key");
    ordeal.note("auth key expired", None, None);

    stage.world.control.rename_node("byway", "byway-before")?;
    let key = stage.world.control.box_key()?;
    let restarted = SystemTime::now();
    restart_with_key(stage, &mut ordeal, &key)?;
    let status = stage.byway.wait_status("the exit node again", PATIENCE, is_approved)?;
    let after = address(&status);
    ensure!(after != before, "the same address: {status}");
    stage.world.phone.use_exit(after.as_str().context("no address")?)?;
    ordeal.watch.wait_answered(PATIENCE)?;
    ordeal.note("tailscaled's state deleted, tailnet address changed", None, restarted.elapsed()?);
    stage.world.control.forget("byway-before")?;
    ordeal.end().map(drop)
}

fn restart_with_key(stage: &mut Stage, ordeal: &mut Ordeal, key: &str) -> Result<()> {
    stage.byway.write_auth_key(key)?;
    ordeal.until_closed(stage)?;
    ordeal.until_open(stage)
}

/// The owner takes back what the box needs, and gives it again.
pub(super) fn control_turns_on_the_box(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let expired = |status: &Value| {
        status["tailnet"]["state"] == "NeedsLogin"
            && status["tailnet"]["exit_node"].is_null()
            && says(status, "headscale nodes expire -i")
    };
    stage.world.control.expire_node("byway")?;
    stage.byway.wait_status("the expiry to be told", PATIENCE, expired)?;
    let carried = ordeal.until_carried(stage, |stage| {
        stage.world.control.extend_node("byway")?;
        stage.byway.wait_status("the node's return", PATIENCE, is_approved).map(drop)
    })?;
    ordeal.note("node expired and extended", None, carried);

    // Else whatever the node tells of itself may be answered with another approval.
    stage.world.control.set_approval(Approval::ByHand)?;
    stage.world.control.withdraw_routes("byway")?;
    wait_for("the phone to be carried no more", PATIENCE, || {
        let answered = ordeal.watch.wait_answered(Duration::from_secs(1));
        ensure!(answered.is_err(), "carried without approval");
        Ok(())
    })?;
    let carried = ordeal.until_carried(stage, |stage| stage.world.control.approve_routes("byway"))?;
    ordeal.note("approval withdrawn and given again", None, carried);
    // It may have heard of the withdrawal late, and asks every half minute from then on.
    stage.byway.wait_status("the approval to be known", PATIENCE, is_approved)?;
    stage.world.control.set_approval(Approval::Automatic)?;
    ordeal.end().map(drop)
}

/// Sessions go on and flips work, though nobody can be asked; somebody deletes the ip rules meanwhile.
pub(super) fn control_away(stage: &mut Stage) -> Result<()> {
    away(stage, AWAY)
}

pub(super) fn control_away_for_minutes(stage: &mut Stage) -> Result<()> {
    away(stage, Duration::from_mins(5))
}

fn away(stage: &mut Stage, long: Duration) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let went = SystemTime::now();
    stage.world.control.go_away();
    stage.byway.wait_status("the absence to be told", PATIENCE, |status| says(status, "out of reach"))?;
    delete_rules(stage.byway.namespace())?;
    let mut door = Door::Residential;
    while went.elapsed()? < long {
        ordeal.watch.flip(&stage.byway, Some(door))?;
        ordeal.watch.wait_answered(PATIENCE)?;
        door = if door == Door::Privacy { Door::Residential } else { Door::Privacy };
        std::thread::sleep(Duration::from_secs(1));
    }
    stage.world.control.come_back()?;
    let heard = |status: &Value| is_approved(status) && !says(status, "out of reach");
    stage.byway.wait_status("the control server again", Duration::from_mins(3), heard)?;
    ordeal.watch.flip(&stage.byway, Some(Door::Privacy))?;
    ordeal.watch.wait_answered(PATIENCE)?;
    ordeal.note(
        format!("control server away for {} s, ip rules deleted meanwhile", long.as_secs()),
        None,
        None,
    );
    ordeal.end().map(drop)
}

/// By the relay server alone, as from a hotel that lets nothing but HTTPS through.
pub(super) fn derp_only(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    stage.world.house.block_direct()?;
    let carried = ordeal.until_carried(stage, |stage| {
        wait_for("the phone to give up the direct way", PATIENCE, || {
            let way = direct_way(stage)?;
            ensure!(way.is_empty(), "still by {way}");
            Ok(())
        })
    })?;
    ordeal.note("direct UDP blocked (DERP only)", None, carried);
    for door in [Door::Residential, Door::Privacy, Door::Residential, Door::Privacy] {
        ordeal.watch.flip(&stage.byway, Some(door))?;
        ordeal.watch.wait_answered(PATIENCE)?;
    }
    let way = direct_way(stage)?;
    ensure!(way.is_empty(), "the flips were not by the relay server, but by {way}");
    stage.world.house.allow_direct()?;
    ordeal.end().map(drop)
}

/// Where the phone sends what is for the box; empty: to the relay server.
pub(super) fn direct_way(stage: &Stage) -> Result<String> {
    let status = stage.world.phone.status()?;
    let peers = status["Peer"].as_object().context("the phone knows no peers")?;
    let byway =
        peers.values().find(|peer| peer["ExitNode"] == true).context("the phone uses no exit node")?;
    Ok(byway["CurAddr"].as_str().unwrap_or_default().to_owned())
}

/// Nobody tells the box: it finds out by itself. A policy that approves by itself would do so again when it asks.
pub(super) fn no_longer_approved(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    stage.world.control.set_approval(Approval::ByHand)?;
    stage.world.control.withdraw_routes("byway")?;
    let offered = |status: &Value| {
        status["tailnet"]["exit_node"] == "offered" && says(status, "headscale nodes approve-routes")
    };
    stage.byway.wait_status("the withdrawal to be told", UNTOLD, offered)?;
    let carried = ordeal.until_carried(stage, |stage| {
        stage.world.control.approve_routes("byway")?;
        stage.byway.wait_status("the approval", PATIENCE, is_approved).map(drop)
    })?;
    ordeal.note("approval withdrawn until the box knew, given again", None, carried);
    stage.world.control.set_approval(Approval::Automatic)?;
    ordeal.end().map(drop)
}

/// The same; and then a new key is all that it needs.
pub(super) fn deleted_at_control(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    stage.world.control.forget("byway")?;
    let disowned = |status: &Value| {
        status["tailnet"]["exit_node"].is_null() && says(status, "does not know this node any more")
    };
    stage.byway.wait_status("the deletion to be told", UNTOLD, disowned)?;
    let key = stage.world.control.box_key()?;
    let restarted = SystemTime::now();
    restart_with_key(stage, &mut ordeal, &key)?;
    stage.byway.wait_status("the exit node again", PATIENCE, is_approved)?;
    stage.world.phone.use_exit("byway")?;
    ordeal.watch.wait_answered(PATIENCE)?;
    ordeal.note("node deleted, new auth key", None, restarted.elapsed()?);
    ordeal.end().map(drop)
}
