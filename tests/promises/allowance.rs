//! The day's allowance of the house's line: the residential door shuts when it is used, stays shut through deaths and a boot,
//! and privacy goes on.

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use byway::store::{Store, UsedFile};
use byway_core::Used;
use byway_core::stamps::Boot;
use byway_lab::judge::Door;
use byway_lab::phone::Family;
use byway_lab::stage::Stage;
use byway_lab::topology::{Place, SERVER_V4};
use serde_json::Value;

use crate::limits::configured;
use crate::ordeal::{PATIENCE, is_sealed, says};

const GB: u64 = 1_000_000_000;
/// Left of the day's, and what the phone downloads then.
const LEFT: u64 = 4_000_000;
const DOWNLOAD: usize = 12_000_000;
/// After which the download has ended.
const SILENCE: Duration = Duration::from_secs(5);

pub(super) fn a_used_up_day_shuts_the_house_s_door(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    let (mut file, _) = UsedFile::open(Store::new(stage.byway.state_dir()), Boot(1));
    file.write(Used { day: None, bytes: GB - LEFT, counted: 0 }).context("cannot write what was used")?;
    configured(stage, "\n[residential]\ndaily_gb = 1\n", |stage| {
        let said = stage.byway.cli(&["egress", "residential"])?;
        ensure!(said.code == Some(0), "{said:?}");
        stage.wait_seen_by(Door::Residential)?;
        let told = stage.byway.status()?["residential"].clone();
        ensure!(told["daily_gb"] == 1 && told["used_bytes"].as_u64() >= Some(GB - LEFT), "{told}");
        download(stage)?;
        shut(stage)?;
        stage.byway.kill9()?;
        stage.byway.start()?;
        shut(stage)?;
        stage.byway.reboot()?;
        shut(stage)?;
        let said = stage.byway.cli(&["egress", "privacy"])?;
        ensure!(said.code == Some(0), "{said:?}");
        stage.wait_seen_by(Door::Privacy)
    })
}

/// As far as it gets.
fn download(stage: &Stage) -> Result<()> {
    let server = SocketAddr::new(SERVER_V4.into(), 19);
    let call = || Ok(TcpStream::connect_timeout(&server, PATIENCE)?);
    let mut stream = stage.world.namespace(Place::Phone).enter(call)?;
    // Whoever only listens is not told that his door was shut.
    stream.set_read_timeout(Some(SILENCE))?;
    let (mut buffer, mut bytes) = ([0; 16 << 10], 0);
    while bytes < DOWNLOAD {
        match stream.read(&mut buffer) {
            Ok(read @ 1..) => bytes += read,
            Ok(0) | Err(_) => break,
        }
    }
    ensure!(bytes as u64 > LEFT / 2, "only {bytes} bytes came");
    Ok(())
}

fn shut(stage: &Stage) -> Result<()> {
    let is_shut = |status: &Value| {
        is_sealed(status) && status["state"] == "sealed" && says(status, "the house's 1 GB of ")
    };
    stage.byway.wait_status("the house's door to be shut for today", PATIENCE, is_shut)?;
    let who = stage.world.phone.who_am_i(Family::V4, Duration::from_secs(3));
    ensure!(who.is_err(), "the phone is carried: {who:?}");
    let said = stage.byway.cli(&["status"])?;
    ensure!(said.code == Some(3) && said.stdout.contains(" of 1 GB of this day are used"), "{said:?}");
    let doctor = stage.byway.cli(&["doctor"])?;
    let line = doctor.stdout.lines().find(|line| line.starts_with("FAIL residential ")).unwrap_or_default();
    ensure!(line.contains(" of 1 GB of this day are used"), "{}", doctor.stdout);
    Ok(())
}
