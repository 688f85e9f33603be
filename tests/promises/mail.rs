//! Mail to other people's servers: by the relay, and never by the house's line, which is a person's name.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use byway_lab::judge::Door;
use byway_lab::stage::Stage;
use byway_lab::topology::{Place, SERVER_V4, SERVER_V6};
use serde_json::Value;

use crate::ordeal::PATIENCE;

const LIMIT: Duration = Duration::from_secs(5);
/// A mail program that is refused knows it by then.
const AT_ONCE: Duration = Duration::from_secs(3);

pub(super) fn goes_by_the_relay_alone(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    let server = stage.world.namespace(Place::Srv);
    let _mail = server.enter(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, 25)).context("no mail server"))?;
    let servers = [IpAddr::from(SERVER_V4), IpAddr::from(SERVER_V6)];
    for server in servers {
        send(stage, server)?.with_context(|| format!("no mail by privacy to {server}"))?;
    }
    let told = stage.byway.cli(&["egress", "residential"])?;
    ensure!(told.code == Some(0), "{told:?}");
    stage.wait_seen_by(Door::Residential)?;
    for server in servers {
        let asked = Instant::now();
        match send(stage, server)? {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            other => bail!("mail by the house to {server}: {other:?}"),
        }
        ensure!(asked.elapsed() < AT_ONCE, "refused only after {:?}", asked.elapsed());
    }
    let counted = |status: &Value| {
        let residential = &status["residential"];
        residential["smtp"] == false && residential["smtp_tries"].as_u64() >= Some(2)
    };
    stage.byway.wait_status("two tries to be told", PATIENCE, counted)?;
    let doctor = stage.byway.cli(&["doctor"])?;
    // Whoever is not told at once tries once more.
    let line = "residential  port 25 is refused by the residential door, ";
    ensure!(doctor.stdout.contains(line), "{}", doctor.stdout);
    stage.carry()
}

/// Whether somebody takes the phone's call.
fn send(stage: &Stage, server: IpAddr) -> Result<std::io::Result<()>> {
    let call = || Ok(TcpStream::connect_timeout(&SocketAddr::new(server, 25), LIMIT).map(drop));
    stage.world.namespace(Place::Phone).enter(call)
}
