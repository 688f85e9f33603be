//! A way to the relay that is narrower than anybody was told, where the errors that would tell it are dropped: what some
//! providers call a network.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use byway_lab::judge::Door;
use byway_lab::namespace::Namespace;
use byway_lab::stage::{Stage, is_as_wished};
use byway_lab::topology::{Place, SERVER_V4, SERVER_V6};
use byway_lab::traffic::Kind;

use crate::ordeal::{GENTLE, Ordeal, PATIENCE};

/// No router tells a sender that its packets are too big.
const ERRORS_ARE_LOST: &str = "table inet blackhole {
  chain out {
    type filter hook output priority filter;
    icmp type destination-unreachable icmp code frag-needed drop;
    icmpv6 type packet-too-big drop;
  }
}";
/// Enough to fill every buffer on the way.
const UPLOAD: usize = 300_000;
const UPLOAD_PATIENCE: Duration = Duration::from_secs(10);

/// What fits into the phone's tailnet does not fit through here in one piece: whole in pieces, or not at all.
pub(super) fn narrow_and_silent(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let core = stage.world.namespace(Place::Core);
    core.ip("link set c-relay mtu 1280")?;
    core.nft(ERRORS_ARE_LOST)?;
    let (pieces_before, dropped_before) = fragments(&core)?;
    let uploads =
        [SERVER_V4.into(), SERVER_V6.into()].map(|server| upload(stage, SocketAddr::new(server, 9)));
    let (pieces, dropped) = fragments(&core)?;
    // What is small goes on, and the tunnel is proven by what is small.
    for kind in [Kind::NewTcp, Kind::LongTcp, Kind::LongUdp] {
        ordeal.watch.wait_answered_to(PATIENCE, |line| line.kind == kind)?;
    }
    let status = stage.byway.status()?;
    ensure!(is_as_wished(&status) && status["door"] == "privacy", "{status}");
    ordeal.watch.flip(&stage.byway, Some(Door::Residential))?;
    ordeal.watch.wait_answered(PATIENCE)?;
    ordeal.watch.flip(&stage.byway, Some(Door::Privacy))?;
    ordeal.watch.wait_answered(PATIENCE)?;
    core.nft("delete table inet blackhole")?;
    core.ip("link set c-relay mtu 1500")?;
    ordeal.end()?;
    for upload in uploads {
        upload?;
    }
    ensure!(pieces > pieces_before, "nothing was too big for the narrow way");
    ensure!(dropped == dropped_before, "{} packets were dropped as too big", dropped - dropped_before);
    Ok(())
}

/// And the phone gets as much through it as before.
pub(super) fn another_mtu(stage: &mut Stage) -> Result<()> {
    const LINES: [&str; 2] = ["[mullvad]\n", "[mullvad]\nmtu = 1300\n"];
    stage.carry()?;
    for ([before, after], mtu) in [(LINES, 1300), ([LINES[1], LINES[0]], 1380)] {
        let card = stage.byway.config_path();
        fs::write(&card, fs::read_to_string(&card)?.replacen(before, after, 1))?;
        stage.byway.sigterm()?;
        stage.byway.start()?;
        let status = stage.byway.wait_status("the privacy door again", PATIENCE, is_as_wished)?;
        let link = stage.byway.namespace().run(&["ip", "link", "show", "wg0"])?;
        ensure!(status["tunnel"]["mtu"] == mtu, "{status}");
        ensure!(link.contains(&format!(" mtu {mtu} ")), "{link}");
        stage.wait_seen_by(Door::Privacy)?;
        for server in [SERVER_V4.into(), SERVER_V6.into()] {
            upload(stage, SocketAddr::new(server, 9))?;
        }
    }
    Ok(())
}

/// From the phone to a server that swallows everything; how long until it has.
pub(super) fn upload(stage: &Stage, server: SocketAddr) -> Result<Duration> {
    stage.world.namespace(Place::Phone).enter(|| {
        let began = Instant::now();
        let mut connection = TcpStream::connect_timeout(&server, UPLOAD_PATIENCE)?;
        connection.set_write_timeout(Some(UPLOAD_PATIENCE))?;
        connection.set_read_timeout(Some(UPLOAD_PATIENCE))?;
        connection.write_all(&vec![0; UPLOAD]).context("the upload stalled")?;
        connection.shutdown(Shutdown::Write)?;
        connection.read(&mut [0]).context("the end of the upload never arrived")?;
        Ok(began.elapsed())
    })
}

/// To the phone from a server that sends without end.
pub(super) fn download(stage: &Stage, server: SocketAddr) -> Result<()> {
    stage.world.namespace(Place::Phone).enter(|| {
        let mut connection = TcpStream::connect_timeout(&server, UPLOAD_PATIENCE)?;
        connection.set_read_timeout(Some(UPLOAD_PATIENCE))?;
        connection.read_exact(&mut vec![0; UPLOAD]).context("the download stalled")
    })
}

/// Packets that a router has cut into pieces, and those that it has dropped because it must not.
fn fragments(router: &Namespace) -> Result<(u64, u64)> {
    let counters = router.enter(|| Ok(fs::read_to_string("/proc/thread-self/net/snmp")?))?;
    let mut lines = counters.lines().filter(|line| line.starts_with("Ip:")).map(str::split_whitespace);
    let (names, values) = (lines.next().context("no names")?, lines.next().context("no values")?);
    let counter = |wanted: &str| {
        let (_, value) = names.clone().zip(values.clone()).find(|(name, _)| *name == wanted)?;
        value.parse().ok()
    };
    Ok((counter("FragOKs").context("no FragOKs")?, counter("FragFails").context("no FragFails")?))
}
