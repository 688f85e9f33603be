//! The owner's shell on the box: from the tailnet in every state and whatever becomes of the agent, from the house when he
//! wants it, with a key of `byway.toml`, and by nothing else.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use byway_lab::flow_table::{stuff, unstuff};
use byway_lab::namespace::Namespace;
use byway_lab::neighbour::Neighbour;
use byway_lab::stage::{Stage, is_as_wished};
use byway_lab::topology::Place;
use byway_lab::wait_for;
use byway_lab::way_in::{Visitor, WayIn};

use crate::evidence::{Tailnet, house_addresses};
use crate::ordeal::PATIENCE;

/// The neighbour's other address.
pub(super) const NEIGHBOUR_V6: &str = "2001:db8:77::66";
/// What a login is made for.
const WHERE_AM_I: &str = "echo in by $SSH_CONNECTION";

pub(super) fn by_the_tailnet_whatever_happens(stage: &mut Stage) -> Result<()> {
    let (owner, _way_in) = invite(stage, "")?;
    let tailnet = Tailnet::of(stage)?.byway;
    for address in tailnet {
        wait_for_login(stage, &owner, address)?;
    }
    let byway = path(&stage.byway.binary_path()).to_owned();
    let asked = format!("id -u && echo $PATH && {byway} status --run-dir {}", path(&stage.byway.run_dir()));
    let told = owner.run(&phone(stage), tailnet[0], &asked)?;
    ensure!(told.starts_with("0\n") && told.contains("/usr/sbin") && told.contains("byway"), "{told}");

    for wish in ["sealed", "residential", "privacy"] {
        let said = stage.byway.cli(&["egress", wish])?;
        ensure!(said.code == Some(0), "byway egress {wish}: {said:?}");
        log_in(stage, &owner, tailnet[0]).with_context(|| format!("while {wish}"))?;
    }
    stage.byway.kill9()?;
    log_in(stage, &owner, tailnet[0]).context("without an agent")?;
    let card = stage.byway.config_path();
    let good = fs::read(&card)?;
    fs::write(&card, &good[..good.len() / 2])?;
    for _ in 0..2 {
        stage.byway.start()?;
        let ended = stage.byway.agent().context("no agent was started")?.wait(PATIENCE)?;
        ensure!(ended.code() == Some(2), "it ended with {ended}");
        log_in(stage, &owner, tailnet[0]).context("with a torn configuration")?;
    }
    fs::write(&card, good)?;
    start(stage)?;

    wait_for("a full connection table", PATIENCE, || stuff(stage.byway.namespace()))?;
    log_in(stage, &owner, tailnet[0]).context("with the connection table full")?;
    unstuff(stage.byway.namespace())?;
    stage.wait_carried()
}

pub(super) fn by_a_key_of_the_card_alone(stage: &mut Stage) -> Result<()> {
    let (owner, way_in) = invite(stage, "")?;
    let (phone, to) = (phone(stage), Tailnet::of(stage)?.byway[0]);
    wait_for_login(stage, &owner, to)?;
    let stranger = Visitor::with_new_key(&stage.world.folder().join("stranger"))?;
    let refused = stranger.run(&phone, to, WHERE_AM_I).expect_err("a stranger is in").to_string();
    // No password is asked for, whatever it were.
    ensure!(refused.contains("Permission denied (publickey)"), "{refused}");
    ensure!(way_in.log().contains("Pubkey auth succeeded"), "{}", way_in.log());
    // Nor is it a way to the house's router, which the box itself may speak to.
    let through = owner.ssh(&phone, &["-W", "192.168.77.1:53", &format!("root@{to}")]);
    let refused = through.expect_err("the house is open").to_string();
    ensure!(refused.contains("prohibited"), "{refused}");

    let report = stage.byway.cli(&["report", "--config", path(&stage.byway.config_path())])?;
    ensure!(report.code == Some(0) && !report.stdout.contains("owner@laptop"), "{report:?}");

    // Taken out of the card, he is out of the box, and nobody is asked in.
    let mut inside = owner.stay(&phone, to)?;
    forget(stage)?;
    inside.wait(PATIENCE).context("the session")?;
    wait_for("nobody to listen", PATIENCE, || {
        let refused = owner.run(&phone, to, WHERE_AM_I).err().context("he is in again")?.to_string();
        ensure!(refused.contains("Connection refused"), "{refused}");
        Ok(())
    })
}

pub(super) fn from_the_house_when_the_owner_wants_it(stage: &mut Stage) -> Result<()> {
    let (owner, _way_in) = invite(stage, "")?;
    wait_for_login_by_the_tailnet(stage, &owner)?;
    let _neighbour = neighbour(stage)?;
    let house = stage.world.namespace(Place::Neighbour);
    for to in house_addresses(stage)? {
        let refused = owner.run(&house, to, WHERE_AM_I).expect_err("in from the house").to_string();
        ensure!(refused.contains("timed out"), "{refused}");
    }
    stage.byway.write_ssh(&format!("keys = [{:?}]\nlan = true", owner.public_key()?))?;
    restart(stage)?;
    for to in house_addresses(stage)? {
        owner.run(&house, to, WHERE_AM_I).with_context(|| format!("from the house to {to}"))?;
    }
    forget(stage)
}

/// Another machine in the house, with an address of each family.
pub(super) fn neighbour(stage: &Stage) -> Result<Neighbour> {
    let neighbour = Neighbour::move_in(&stage.world)?;
    let house = stage.world.namespace(Place::Neighbour);
    // It goes by its own address alone: what routers of the world before have said leads past the box.
    house.sysctl("net/ipv6/conf/eth0/accept_ra", "0")?;
    house.ip(&format!("addr replace {NEIGHBOUR_V6}/64 dev eth0 nodad"))?;
    house.run(&["ip", "-6", "route", "flush", "proto", "ra"])?;
    house.run(&["ip", "-6", "route", "replace", "2001:db8:77::/64", "dev", "eth0"])?;
    Ok(neighbour)
}

/// Nobody may log in any more.
pub(super) fn forget(stage: &mut Stage) -> Result<()> {
    stage.byway.write_ssh("keys = []")?;
    restart(stage)
}

/// A box whose card has a new owner's key, with dropbear as the card keeps it. `more`: lines below `[ssh]`.
pub(super) fn invite(stage: &mut Stage, more: &str) -> Result<(Visitor, WayIn)> {
    stage.carry()?;
    let folder = stage.world.folder().join("owner");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let owner = Visitor::with_new_key(&folder)?;
    stage.byway.write_ssh(&format!("keys = [{:?}]\n{more}", owner.public_key()?))?;
    restart(stage)?;
    let way_in = WayIn::keep(&stage.byway)?;
    Ok((owner, way_in))
}

/// Its agent reads the card anew.
pub(super) fn restart(stage: &mut Stage) -> Result<()> {
    stage.byway.sigterm()?;
    start(stage)
}

fn start(stage: &mut Stage) -> Result<()> {
    stage.byway.start()?;
    stage.byway.wait_status("the wished door again", PATIENCE, is_as_wished)?;
    stage.wait_carried()
}

pub(super) fn wait_for_login_by_the_tailnet(stage: &Stage, owner: &Visitor) -> Result<()> {
    wait_for_login(stage, owner, Tailnet::of(stage)?.byway[0])
}

/// dropbear looks for new keys every two seconds.
fn wait_for_login(stage: &Stage, owner: &Visitor, to: IpAddr) -> Result<()> {
    wait_for(&format!("a login at {to}"), PATIENCE, || log_in(stage, owner, to))
}

fn log_in(stage: &Stage, owner: &Visitor, to: IpAddr) -> Result<()> {
    let told = owner.run(&phone(stage), to, WHERE_AM_I)?;
    ensure!(told.starts_with("in by "), "{told}");
    Ok(())
}

fn phone(stage: &Stage) -> Namespace {
    stage.world.namespace(Place::Phone)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}
