//! Of two clients one is paused: it is refused at once, and the other notices nothing.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use byway_lab::judge::Door;
use byway_lab::phone::{Family, Phone};
use byway_lab::question::{RecordType, ResponseCode, Transport};
use byway_lab::stage::{Stage, is_as_wished};
use byway_lab::topology::{Place, SERVER_V4};
use byway_lab::wait_for;
use serde_json::Value;

use crate::names::{LIMIT, fresh};
use crate::ordeal::PATIENCE;

/// An app that is refused knows it by then.
const AT_ONCE: Duration = Duration::from_secs(1);

pub(super) fn one_client_is_refused_and_another_carried(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    let laptop = stage.world.laptop()?;
    laptop.use_exit("byway")?;
    laptop.wait_carried()?;
    stage.world.phone.accept_dns(true)?;
    are_told_names(&stage.world.phone)?;

    let phone = stage.world.namespace(Place::Phone);
    // Whoever only listens is told when he next says something.
    let endless = format!("exec curl -sS -m 600 --limit-rate 1M -T - http://{SERVER_V4}:9/ </dev/zero");
    let mut upload = phone.spawn("upload", Path::new("sh"), &["-c", &endless], &[])?;
    wait_for("an endless upload", PATIENCE, || {
        let sent = phone.run(&["ss", "-Htni", "state", "established", "dport", "=", ":9"])?;
        ensure!(sent.contains("bytes_acked:"), "not begun: {sent} {}", upload.log_tail());
        Ok(())
    })?;
    let said = stage.byway.cli(&["clients", "pause", "pho"])?;
    ensure!(said.code == Some(0) && said.stdout == "paused: phone\n", "{said:?}");
    let ended = upload.wait(PATIENCE).context("the upload goes on")?;
    ensure!(!ended.success(), "{}", upload.log_tail());
    is_refused(stage, &laptop)?;
    ensure!(stage.byway.cli(&["status"])?.stdout.contains("  paused   phone\n"), "status does not tell");

    // By the other door too, and after a boot.
    let said = stage.byway.cli(&["egress", "residential"])?;
    ensure!(said.code == Some(0), "{said:?}");
    laptop.wait_seen_by(Door::Residential)?;
    is_refused(stage, &laptop)?;
    stage.byway.reboot()?;
    stage.byway.wait_status("the residential door", PATIENCE, is_as_wished)?;
    laptop.wait_carried()?;
    is_refused(stage, &laptop)?;

    let said = stage.byway.cli(&["clients", "pause", "tv"])?;
    let known = "byway: there is no client \"tv\": there are laptop, phone\n";
    ensure!(said.code == Some(1) && said.stderr == known, "{said:?}");
    let address = stage.world.phone.status()?["Self"]["TailscaleIPs"][0].as_str().map(str::to_owned);
    let said = stage.byway.cli(&["clients", "resume", &address.context("the phone has no address")?])?;
    ensure!(said.code == Some(0) && said.stdout == "paused: nobody\n", "{said:?}");
    stage.wait_carried()?;
    are_told_names(&stage.world.phone)?;
    stage.world.phone.accept_dns(false)?;
    drop(laptop);
    stage.world.control.forget("laptop")?;
    stage.carry()
}

/// In both families, of names too; and the laptop, meanwhile, is not.
fn is_refused(stage: &Stage, laptop: &Phone) -> Result<()> {
    let phone = &stage.world.phone;
    let is_paused = |status: &Value| {
        let clients = status["clients"].as_array().into_iter().flatten();
        clients.filter(|client| client["paused"] == true).map(|client| &client["name"]).eq(["phone"])
    };
    stage.byway.wait_status("the phone, and nobody else, to be paused", PATIENCE, is_paused)?;
    for family in [Family::V4, Family::V6] {
        laptop.who_am_i(family, LIMIT)?;
        // A tailscaled of which the box has been away finds its way back first.
        wait_for("the refusal", PATIENCE, || {
            let asked = Instant::now();
            let refused = phone.who_am_i(family, LIMIT);
            ensure!(refused.is_err(), "the phone is carried: {refused:?}");
            ensure!(asked.elapsed() < AT_ONCE, "not told within {:?}: {refused:?}", asked.elapsed());
            Ok(())
        })?;
    }
    let name = fresh("paused");
    let server = SocketAddr::new(IpAddr::V4(SERVER_V4), 53);
    let by_itself = phone.dig(server, Transport::Udp, (&name, RecordType::A), LIMIT);
    ensure!(by_itself.is_err(), "the phone is told a name by the stub: {by_itself:?}");
    wait_for("tailscaled to tell the phone no names", PATIENCE, || {
        let by_tailscaled = phone.resolve((&name, RecordType::A), LIMIT);
        let told = by_tailscaled.as_ref().is_ok_and(|reply| reply.code == ResponseCode::NoError);
        ensure!(!told, "the phone is told a name by tailscaled: {by_tailscaled:?}");
        Ok(())
    })
}

/// By the stub, and by the box's tailscaled.
fn are_told_names(phone: &Phone) -> Result<()> {
    let server = SocketAddr::new(IpAddr::V4(SERVER_V4), 53);
    wait_for("names to be told", PATIENCE, || {
        let name = fresh("told");
        let question = (name.as_str(), RecordType::A);
        for reply in [phone.dig(server, Transport::Udp, question, LIMIT)?, phone.resolve(question, LIMIT)?] {
            ensure!(reply.code == ResponseCode::NoError, "{reply:?}");
        }
        Ok(())
    })
}
