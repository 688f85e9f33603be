//! The first step of a proof: an initiation, again and again, until the relay answers; and where it does not, whether
//! its machine does, and anybody else by UDP.

use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use byway_core::relays::Obstacle;
use tokio::time::{Instant, sleep, timeout};

use super::super::boot_time;
use super::super::session::{CONTROL_ROOM, Opened, Session};
use super::uplink::Uplink;
use crate::clock::Servers;
use crate::proof::ping::ping;
use crate::way::Way;

/// How long each initiation is waited for before the next; the last one ends it.
const PATIENCE: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(1),
    Duration::from_secs(1),
];
/// A card takes a moment to reserve a stamp.
const STAMP_PATIENCE: Duration = Duration::from_millis(500);
const STAMP_LOOK: Duration = Duration::from_millis(20);

/// Silence for so long makes us ask whether the machine is there.
const QUIET: Duration = Duration::from_secs(1);
const PINGS: usize = 2;
const PING_PATIENCE: Duration = Duration::from_secs(1);

/// Longer than any message of a handshake.
const ROOM: usize = 2048;

/// How long the relay's answer took, from the first initiation. The time servers tell whether UDP passes at all.
pub(super) async fn shake_hands(
    uplink: &Uplink,
    session: &mut Session,
    servers: &Servers,
) -> Result<Duration, Obstacle> {
    let mut outside = None;
    let mut asked = pin!(who_is_there(uplink.endpoint().ip(), servers));
    let mut shaken = pin!(initiate_until_answered(uplink, session));
    let answered = loop {
        tokio::select! {
            answered = &mut shaken => break answered?,
            found = &mut asked, if outside.is_none() => outside = Some(found),
        }
    };
    match answered {
        Some(took) => Ok(took),
        None if uplink.was_refused() => Err(Obstacle::Refused),
        None => {
            let (machine, udp) = match outside {
                Some(found) => found,
                None => asked.await,
            };
            Err(Obstacle::Silence { machine, udp })
        }
    }
}

async fn initiate_until_answered(
    uplink: &Uplink,
    session: &mut Session,
) -> Result<Option<Duration>, Obstacle> {
    let mut room = [0; ROOM];
    let begun = Instant::now();
    // The clock's tick makes the machine as soon as there is a stamp, and its first initiation.
    let mut initiation = session.tick(boot_time(), &mut room).to_vec();
    while initiation.is_empty() {
        if begun.elapsed() > STAMP_PATIENCE {
            return Err(Obstacle::Clock);
        }
        sleep(STAMP_LOOK).await;
        initiation = session.tick(boot_time(), &mut room).to_vec();
    }
    let begun = Instant::now();
    for patience in PATIENCE {
        uplink.send(&initiation).await?;
        if let Ok(answered) = timeout(patience, until_answered(uplink, session)).await {
            answered?;
            return Ok(Some(begun.elapsed()));
        }
        initiation = session.initiate(boot_time(), &mut room).to_vec();
    }
    Ok(None)
}

/// Sends what confirms the session, too: before that the relay sends nothing.
async fn until_answered(uplink: &Uplink, session: &mut Session) -> Result<(), Obstacle> {
    let (mut datagram, mut room) = ([0; ROOM], [0; ROOM + CONTROL_ROOM]);
    while session.stats().handshake.is_none() {
        let length = uplink.receive(&mut datagram).await;
        let (now, from) = (boot_time(), uplink.endpoint());
        match session.open(now, from, &datagram[..length], &mut room) {
            Opened::Answer(answer) => uplink.send(answer).await?,
            Opened::Packet(_) | Opened::Nothing => {}
        }
    }
    Ok(())
}

/// By the house's line: the relay's machine, and anybody by UDP.
async fn who_is_there(machine: IpAddr, servers: &Servers) -> (bool, bool) {
    sleep(QUIET).await;
    tokio::join!(is_machine_there(machine), servers.is_anybody_there())
}

async fn is_machine_there(address: IpAddr) -> bool {
    for _ in 0..PINGS {
        match ping(address, &Way::by_isp(), PING_PATIENCE).await {
            Ok(_) => return true,
            Err(error) => tracing::debug!("a relay's machine: {error}"),
        }
    }
    false
}
