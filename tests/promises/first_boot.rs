//! What happens from the first power on.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use byway_lab::card::Card;
use byway_lab::control::Approval;
use byway_lab::judge::Door;
use byway_lab::stage::{Stage, is_approved, is_as_wished};
use byway_lab::traffic::Rates;
use byway_lab::wait_for;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_mins(1);

/// The relay is mute at first: the box joins, is approved, the phone talks to it, and not one packet leaves. When
/// the relay answers, they do.
pub(super) fn nothing_leaves_before_the_first_proof(stage: &mut Stage) -> Result<()> {
    stage.world.relay.silence()?;
    stage.byway.boot()?;
    let status = stage.byway.wait_status("the exit node's approval", PATIENCE, is_approved)?;
    ensure!(status["door"].is_null(), "a door before any proof: {status}");
    stage.world.phone.use_exit("byway")?;
    let mut watch = stage.watch(None, Rates::default())?;
    wait_for("the phone's load to arrive at the box", PATIENCE, || arrived_at_box(stage))?;
    let status = stage.byway.status()?;
    ensure!(status["door"].is_null() && status["state"] == "proving", "{status}");
    ensure!(status["why"].as_str().is_some_and(|why| why.contains("relay")), "it does not say why: {status}");

    let resumed = SystemTime::now();
    stage.world.relay.resume()?;
    stage.byway.wait_status("the privacy door", PATIENCE, is_as_wished)?;
    watch.decide(resumed, Some(Door::Privacy));
    watch.wait_answered(PATIENCE)?;
    watch.end()?.assert_clean()
}

/// By tailscaled's own count on the phone.
fn arrived_at_box(stage: &Stage) -> Result<()> {
    let status = stage.world.phone.status()?;
    let peers = status["Peer"].as_object().context("the phone knows no peers")?;
    let sent = peers.values().filter_map(|peer| peer["TxBytes"].as_u64()).max();
    ensure!(sent > Some(100_000), "the phone has sent {sent:?} bytes");
    Ok(())
}

pub(super) fn joins_and_is_approved(stage: &mut Stage) -> Result<()> {
    let status = stage.byway.wait_status("the exit node's approval", PATIENCE, is_approved)?;
    ensure!(status["tailnet"]["state"] == "Running" && status["tailnet"]["name"] == "byway", "{status}");
    let nodes = stage.world.control.nodes()?;
    let node =
        nodes.iter().find(|node| node["given_name"] == "byway").context("headscale does not know it")?;
    let approved = node["approved_routes"].as_array().context("no routes")?;
    let has = |wanted: &str| approved.iter().any(|route| route == wanted);
    ensure!(has("0.0.0.0/0") && has("::/0"), "{node}");
    Ok(())
}

pub(super) fn the_auth_key_is_wiped(stage: &mut Stage) -> Result<()> {
    let card = stage.byway.config_path();
    wait_for("the auth key to be wiped", PATIENCE, || {
        let text = fs::read_to_string(&card)?;
        ensure!(!text.contains("auth_key") && text.contains("[tailnet]"), "{text}");
        Ok(())
    })?;
    let said = stage.byway.binary(&["check", card.to_str().context("no UTF-8")?])?;
    ensure!(said.code == Some(0), "the wiped card is not good: {said:?}");
    Ok(())
}

/// What the owner hands over is wiped once the box has it; the next boot changes nothing there; and what is edited there
/// later counts, with the secrets that the box has.
pub(super) fn a_card_is_rid_of_its_secrets(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    stage.replace_box(&Card::for_world(&stage.world)?)?;
    let card = stage.byway.hand_over()?;
    stage.boot_and_carry()?;
    wait_for("the card without secrets", PATIENCE, || {
        let texts = texts(&card)?;
        let all: String = texts.values().map(String::as_str).collect();
        ensure!(all.contains("PrivateKey = kept") && !all.contains("auth_key"), "{all}");
        let answer = texts.get("BYWAY-STATUS.txt").context("no answer")?;
        ensure!(
            answer.contains("has joined its tailnet") && answer.contains("There it is byway: 100."),
            "{answer}"
        );
        Ok(())
    })?;
    let said = stage.byway.binary(&["check", card.join("byway.toml").to_str().context("no UTF-8")?])?;
    ensure!(said.code == Some(0) && said.stdout.contains("PrivateKey is kept"), "{said:?}");

    let before = texts(&card)?;
    stage.byway.power_cut()?;
    stage.boot_and_carry()?;
    ensure!(texts(&card)? == before, "a boot at which nothing is new writes on the card");

    stage.byway.power_cut()?;
    let toml = &before["byway.toml"];
    fs::write(card.join("byway.toml"), toml.replace("[mullvad]", "[mullvad]\nmtu = 1340"))?;
    stage.boot_and_carry()?;
    let status = stage.byway.status()?;
    ensure!(status["tunnel"]["mtu"] == 1340, "the edited card does not count: {status}");
    // Whoever comes next has a box as all others have it.
    stage.replace_box(&Card::for_world(&stage.world)?)?;
    stage.boot_and_carry()
}

/// Of the files in this folder, by their names.
fn texts(folder: &Path) -> Result<BTreeMap<String, String>> {
    let text = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path())?))
    };
    fs::read_dir(folder)?.map(text).collect()
}

pub(super) fn not_approved_says_so(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    stage.world.control.set_approval(Approval::ByHand)?;
    stage.replace_box(&Card::for_world(&stage.world)?)?;
    stage.byway.boot()?;
    let offered = |status: &Value| {
        let says_how =
            status["why"].as_str().is_some_and(|why| why.contains("headscale nodes approve-routes"));
        status["tailnet"]["exit_node"] == "offered" && is_as_wished(status) && says_how
    };
    stage.byway.wait_status("the offer, with the command that approves it", PATIENCE, offered)?;
    stage.world.control.approve_routes("byway")?;
    stage.byway.wait_status("the approval", PATIENCE, is_approved)?;
    stage.world.control.set_approval(Approval::Automatic)
}
