//! The owner's way in, while a client takes all that it can get.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use byway_lab::flow_table::{stuff, tracked, unstuff};
use byway_lab::phone::Family;
use byway_lab::stage::Stage;
use byway_lab::topology::{Place, SERVER_V4};
use byway_lab::traffic::EchoServer;
use byway_lab::wait_for;

use crate::evidence::Tailnet;
use crate::ordeal::{GENTLE, Ordeal, PATIENCE};

/// `posture::ruleset`: the most flows of one client and family.
const FLOWS_OF_ONE_CLIENT: u32 = 12_288;
/// Of the world itself and of the load beside it.
const OTHER_FLOWS: u32 = 3000;
/// Ports of the server that a greedy client calls.
const CALLED: u16 = 20_000;
/// Its own, so that what it leaves behind can be told from the rest.
const CALLER: u16 = 20_001;
const BREATH: Duration = Duration::from_millis(2);
/// Where somebody listens on the box for its owner.
const SERVICE: u16 = 2222;

pub(super) fn is_not_locked_out(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let (byway, phone) = (stage.byway.namespace().clone(), stage.world.namespace(Place::Phone));
    let service = SocketAddr::new(Tailnet::of(stage)?.byway[0], SERVICE);
    let server = EchoServer::start(&byway.path(), service)?;
    let mut session = phone.enter(|| call(service))?;

    let (before, _) = tracked(&byway)?;
    // A busy machine drops some of the calls.
    let flows = wait_for("the client to have all that it can get", PATIENCE, || {
        phone.enter(call_everybody)?;
        let (flows, _) = tracked(&byway)?;
        ensure!(flows >= FLOWS_OF_ONE_CLIENT, "{flows} flows");
        Ok(flows)
    })?;
    let most = FLOWS_OF_ONE_CLIENT + before + OTHER_FLOWS;
    ensure!(flows <= most, "{flows} flows though one client may have {FLOWS_OF_ONE_CLIENT}");
    say(&mut session).context("the owner's session, beside a greedy client")?;
    // Its other address is another client.
    stage.world.phone.who_am_i(Family::V6, PATIENCE)?;
    byway.run(&["conntrack", "-D", "-p", "udp", "--orig-port-src", &CALLER.to_string()])?;
    ordeal.watch.wait_answered(PATIENCE)?;
    ordeal.note(format!("a client asks for {CALLED} flows and gets {FLOWS_OF_ONE_CLIENT}"), None, None);

    // What ends meanwhile makes room again.
    wait_for("no room for a client's new flow", PATIENCE, || {
        stuff(&byway)?;
        let answer = stage.world.phone.who_am_i(Family::V4, Duration::from_secs(1));
        ensure!(answer.is_err(), "a client's new flow found room: {answer:?}");
        Ok(())
    })?;
    say(&mut session).context("the owner's session, with the table full")?;
    let mut another =
        phone.enter(|| call(service)).context("a new session of the owner, with the table full")?;
    say(&mut another)?;
    let unstuffed = SystemTime::now();
    unstuff(&byway)?;
    ordeal.watch.wait_answered(PATIENCE)?;
    ordeal.note("connection table full", None, unstuffed.elapsed()?);
    server.stop()?;
    ordeal.end().map(drop)
}

fn call(service: SocketAddr) -> Result<TcpStream> {
    let session = TcpStream::connect_timeout(&service, Duration::from_secs(5))?;
    session.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(session)
}

fn say(session: &mut TcpStream) -> Result<()> {
    session.write_all(b"ping")?;
    let mut answer = [0; 4];
    session.read_exact(&mut answer)?;
    if answer == *b"ping" { Ok(()) } else { bail!("the box answers {answer:?}") }
}

/// A datagram to each port, at a pace that no queue on the way drops.
fn call_everybody() -> Result<()> {
    let socket = UdpSocket::bind(("0.0.0.0", CALLER))?;
    for port in 0..CALLED {
        // A refusal of one says nothing about the next.
        _ = socket.send_to(b"hello", (SERVER_V4, 30_000 + port));
        if port % 64 == 0 {
            std::thread::sleep(BREATH);
        }
    }
    Ok(())
}
