//! The world itself, tried before anything is tried in it: it carries, it falls silent, it leaves nothing behind.
//! Needs root and the tools that `byway-lab` names when they are missing.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use byway_lab::card::Card;
use byway_lab::control::Approval;
use byway_lab::internet::CheckAnswer;
use byway_lab::naive::{Egress, NaiveBox};
use byway_lab::phone::Family;
use byway_lab::topology::{Place, SERVER_V4, SeenAs};
use byway_lab::{BywayBox, World, wait_for};

/// A fresh pair of nodes needs up to 5 s for its first packet; the machine may be slow.
const FIRST_PACKET: Duration = Duration::from_secs(20);

/// One world for two sentences.
#[test]
fn names_lead_to_a_check_that_can_lie_and_a_naive_box_carries_until_its_relay_is_silent() -> Result<()> {
    let world = World::raise()?;
    the_check_answers_as_it_is_told_and_the_names_lead_to_it(&world)?;
    a_naive_box_carries_the_phone_by_both_doors_and_a_silent_relay_carries_nothing(&world)
}

fn a_naive_box_carries_the_phone_by_both_doors_and_a_silent_relay_carries_nothing(
    world: &World,
) -> Result<()> {
    let naive = NaiveBox::start(world)?;
    world.phone.use_exit("byway")?;
    for (egress, door) in [(Egress::Privacy, SeenAs::Relay), (Egress::Residential, SeenAs::House)] {
        naive.flip(egress)?;
        wait_until_seen_as(world, Family::V4, door)?;
        wait_until_seen_as(world, Family::V6, door)?;
    }
    naive.flip(Egress::Privacy)?;
    wait_until_seen_as(world, Family::V4, SeenAs::Relay)?;
    ensure!(world.relay.latest_handshake()?.is_some(), "the relay carried without a handshake");
    world.relay.silence()?;
    let seen = world.phone.who_am_i(Family::V4, Duration::from_secs(1));
    ensure!(seen.is_err(), "a silent relay carried: {seen:?}");
    world.relay.resume()?;
    wait_until_seen_as(world, Family::V4, SeenAs::Relay)
}

#[test]
fn an_exit_node_waits_for_the_owner_where_the_policy_does_not_approve() -> Result<()> {
    let world = World::raise()?;
    world.control.set_approval(Approval::ByHand)?;
    let _naive = NaiveBox::start(&world)?;
    ensure!(approved_routes(&world)?.is_empty(), "routes are approved that nobody approved");
    world.control.approve_routes("byway")?;
    world.phone.use_exit("byway")?;
    wait_until_seen_as(&world, Family::V4, SeenAs::Relay)?;
    world.control.reset()?;
    ensure!(world.control.nodes()?.is_empty(), "a reset tailnet still has nodes");
    world.phone.up(&world.control.phone_key()?)
}

/// A stand-in for the agent: a shell script that notes what it is told and what it finds.
#[test]
fn a_reboot_seals_before_any_link_is_up_and_keeps_only_the_disk() -> Result<()> {
    let world = World::raise()?;
    let script = world.folder().join("byway");
    fs::write(&script, STAND_IN)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let mut byway = BywayBox::new(&world, &script, &Card::for_world(&world)?)?;
    byway.boot()?;
    byway.wait_status("the stand-in to be sealed", FIRST_PACKET, |status| status["state"] == "sealed")?;
    fs::write(byway.state_dir().join("wish"), "residential")?;
    fs::write(byway.run_dir().join("byway.sock"), "")?;
    byway.namespace().nft("table inet remembered {}")?;
    byway.namespace().run(&["sh", "-c", "echo 203.0.113.130 hs.example.net >>/etc/hosts"])?;
    byway.reboot()?;
    ensure!(fs::read_to_string(byway.state_dir().join("wish"))? == "residential", "the disk forgot");
    ensure!(!byway.run_dir().join("byway.sock").exists(), "the run folder remembers");
    ensure!(byway.namespace().run(&["nft", "list", "ruleset"])?.is_empty(), "the kernel remembers");
    ensure!(byway.namespace().run(&["cat", "/etc/hosts"])? == "127.0.0.1 localhost", "/etc/hosts remembers");
    let notes = fs::read_to_string(script.with_file_name("links-at-seal"))?;
    ensure!(!notes.contains(",UP"), "a link was up before the seal: {notes}");
    ensure!(byway.sigterm()?.code().is_none(), "the stand-in handles no signal");
    Ok(())
}

fn the_check_answers_as_it_is_told_and_the_names_lead_to_it(world: &World) -> Result<()> {
    let house = world.namespace(Place::House);
    ensure!(
        house.run(&["getent", "ahosts", "check.example.net"])?.contains(&SERVER_V4.to_string()),
        "no name"
    );
    ensure!(
        house.run(&["getent", "ahosts", "hs.example.net"])?.contains("203.0.113.130"),
        "no control server"
    );
    ensure!(check(world, Place::Relay)?.contains(r#""ip":"192.0.2.130","mullvad_exit_ip":true"#));
    ensure!(check(world, Place::House)?.contains(r#""mullvad_exit_ip":false"#), "the house is no relay");
    world.check.set(CheckAnswer::NotMullvad);
    ensure!(check(world, Place::Relay)?.contains(r#""mullvad_exit_ip":false"#), "the check did not lie");
    world.check.set(CheckAnswer::Silence);
    ensure!(check(world, Place::Relay).is_err(), "the silent check answered");
    world.check.set(CheckAnswer::Truth);
    check(world, Place::Relay)?;
    let echo = world.namespace(Place::Phone).enter(|| Ok(TcpStream::connect((SERVER_V4, 7))?))?;
    echoes(echo)
}

#[test]
fn a_world_leaves_nothing_behind_and_clears_what_a_killed_one_left() -> Result<()> {
    let mut killed = world_of_its_own().spawn()?;
    let prefix = format!("bw{}r", killed.id());
    let inside = wait_for("a world with processes inside", Duration::from_mins(5), || {
        let all = output("ip", &["netns", "list"])?;
        let mut names = all.lines().filter_map(|line| line.split(' ').next());
        let phone = names.find(|name| name.starts_with(&prefix) && name.ends_with("-phone"));
        let pids = output("ip", &["netns", "pids", phone.context("no phone yet")?])?;
        pids.lines().next().map(str::to_owned).context("no process yet")
    })?;
    killed.kill()?;
    killed.wait()?;
    let mut next = world_of_its_own().spawn()?;
    ensure!(next.wait()?.success(), "the world after a killed one fails");
    nothing_left(&prefix)?;
    nothing_left(&format!("bw{}r", next.id()))?;
    ensure!(!Path::new("/proc").join(&inside).exists(), "process {inside} of the killed world still runs");
    Ok(())
}

const STAND_IN: &str = r#"#!/bin/sh
case $1 in
  seal) ip -o link show > "${0%/*}/links-at-seal" ;;
  run) exec sleep 1000 ;;
  status) echo '{"state":"sealed"}'; exit 3 ;;
esac
"#;

fn wait_until_seen_as(world: &World, family: Family, door: SeenAs) -> Result<()> {
    wait_for(&format!("the phone to be seen as {door:?} by {family:?}"), FIRST_PACKET, || {
        let seen = world.phone.who_am_i(family, Duration::from_secs(2))?;
        ensure!(SeenAs::of(seen.ip) == door, "seen as {}", seen.ip);
        Ok(())
    })
}

fn approved_routes(world: &World) -> Result<Vec<serde_json::Value>> {
    let nodes = world.control.nodes()?;
    let byway = nodes.iter().find(|node| node["given_name"] == "byway").context("no box in the tailnet")?;
    Ok(byway["approved_routes"].as_array().cloned().unwrap_or_default())
}

fn check(world: &World, from: Place) -> Result<String> {
    let authority = world.authority().to_str().context("a path in UTF-8")?;
    let resolve = format!("check.example.net:443:{SERVER_V4}");
    let words = ["curl", "-sSf", "-m", "2", "--cacert", authority, "--resolve", &resolve];
    world.namespace(from).run(&[&words[..], &["https://check.example.net/json"]].concat())
}

fn echoes(mut stream: TcpStream) -> Result<()> {
    use std::io::{Read, Write};
    stream.write_all(b"hello")?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    ensure!(&answer == b"hello", "the echo said {answer:?}");
    Ok(())
}

fn world_of_its_own() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_byway-lab"));
    command.arg("world").stdout(Stdio::null());
    command
}

/// Its processes live in its namespaces, which cannot be deleted before they have ended.
fn nothing_left(prefix: &str) -> Result<()> {
    ensure!(!output("ip", &["netns", "list"])?.contains(prefix), "namespaces {prefix}* are left over");
    for folder in ["/etc/netns", "/var/run/wireguard"] {
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            ensure!(!name.to_string_lossy().starts_with(prefix), "{folder}/{} is left over", name.display());
        }
    }
    Ok(())
}

fn output(program: &str, words: &[&str]) -> Result<String> {
    Ok(String::from_utf8(Command::new(program).args(words).output()?.stdout)?)
}
