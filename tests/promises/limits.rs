//! What each client may take of a slow line, in each direction, beside what it takes without a limit.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use byway_lab::stage::{Stage, is_as_wished};
use byway_lab::topology::{Place, SERVER_V4};
use socket2::SockRef;

use crate::ordeal::PATIENCE;

const LIMIT_MBIT: f64 = 8.0;
/// Buffers fill meanwhile, and what may come at once has come.
const WARM_UP: Duration = Duration::from_secs(2);
const MEASURE: Duration = Duration::from_secs(5);
/// Of which a second's worth may come at once, where the client was silent for the second before.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Of what the client's kernel takes and has not sent yet: one that grew would pass for what was carried.
const UNSENT: usize = 64 << 10;

/// Towards the client, and from it.
#[derive(Clone, Copy, Debug)]
enum Way {
    Inwards,
    Outwards,
}

pub(super) fn each_client_takes_no_more(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    let ways = [Way::Inwards, Way::Outwards];
    let free: Vec<f64> = ways.map(|way| mbit(stage, way)).into_iter().collect::<Result<_>>()?;
    let section = format!("\n[clients]\nlimit_mbit = {LIMIT_MBIT}\n");
    let limited = configured(stage, &section, |stage| {
        let said = stage.byway.cli(&["clients"])?;
        ensure!(said.stdout.ends_with("each may take 8 Mbit/s, either way\n"), "{said:?}");
        ways.map(|way| mbit(stage, way)).into_iter().collect::<Result<Vec<f64>>>()
    })?;
    let most = LIMIT_MBIT * (MEASURE + AT_ONCE).as_secs_f64() / MEASURE.as_secs_f64();
    for (way, (free, limited)) in ways.into_iter().zip(free.into_iter().zip(limited)) {
        let told = format!("{way:?}: {limited:.1} Mbit/s of {LIMIT_MBIT}, {free:.1} without a limit");
        ensure!(free > 3.0 * LIMIT_MBIT, "too slow to tell: {told}");
        ensure!((0.4 * LIMIT_MBIT..most).contains(&limited), "{told}");
    }
    Ok(())
}

/// With this section in the configuration, and without it afterwards.
pub(super) fn configured<T>(
    stage: &mut Stage,
    section: &str,
    work: impl FnOnce(&mut Stage) -> Result<T>,
) -> Result<T> {
    let path = stage.byway.config_path();
    let before = fs::read_to_string(&path).context("cannot read the card")?;
    fs::write(&path, format!("{before}{section}"))?;
    start_anew(stage)?;
    let outcome = work(stage);
    fs::write(&path, before)?;
    start_anew(stage)?;
    outcome
}

fn start_anew(stage: &mut Stage) -> Result<()> {
    stage.byway.sigterm()?;
    stage.byway.start()?;
    stage.byway.wait_status("the wished door", PATIENCE, is_as_wished)?;
    stage.wait_carried()
}

fn mbit(stage: &Stage, way: Way) -> Result<f64> {
    let port = match way {
        Way::Inwards => 19,
        Way::Outwards => 9,
    };
    let server = SocketAddr::new(SERVER_V4.into(), port);
    let call = || Ok(TcpStream::connect_timeout(&server, PATIENCE)?);
    let mut stream = stage.world.namespace(Place::Phone).enter(call)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    SockRef::from(&stream).set_send_buffer_size(UNSENT)?;
    let mut buffer = vec![0; 64 << 10];
    let (began, mut bytes) = (Instant::now(), 0);
    while began.elapsed() < WARM_UP + MEASURE {
        let moved = match way {
            Way::Inwards => stream.read(&mut buffer)?,
            Way::Outwards => stream.write(&buffer)?,
        };
        ensure!(moved > 0, "{server} has hung up");
        bytes += if began.elapsed() < WARM_UP { 0 } else { moved };
    }
    #[expect(clippy::cast_precision_loss, reason = "less than a terabyte")]
    let bits = (bytes * 8) as f64;
    Ok(bits / MEASURE.as_secs_f64() / 1e6)
}
