//! One fat TCP connection by each door, both ways, and what it cost the box.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::cost::{Books, softirq};
use super::plan::Plan;
use super::results::{Direction, Transfer};
use super::{progress, settle};
use crate::inside::{Inside, StopSign};
use crate::judge::Door;
use crate::namespace::Namespace;
use crate::stage::Stage;
use crate::topology::{Place, SERVER_V4};

/// Between two looks at the stop sign when nothing comes.
const LOOK_UP: Duration = Duration::from_millis(200);

/// Every door and direction once a round, in turn, so that the machine's moods meet them all. Ends by privacy.
pub(super) fn transfers(
    stage: &Stage,
    whose: &str,
    plan: &Plan,
    namespace: &Namespace,
    mut flip: impl FnMut(Door) -> Result<()>,
) -> Result<Vec<Transfer>> {
    let mut transfers = Vec::new();
    for round in 1..=plan.rounds {
        progress(&format!("{whose}: bulk transfers, round {round} of {}", plan.rounds));
        for door in [Door::Residential, Door::Privacy] {
            flip(door)?;
            settle(stage, door)?;
            for direction in [Direction::Download, Direction::Upload] {
                transfers.push(transfer(stage, namespace, door, direction, plan.transfer)?);
            }
        }
    }
    Ok(transfers)
}

fn transfer(
    stage: &Stage,
    namespace: &Namespace,
    door: Door,
    direction: Direction,
    during: Duration,
) -> Result<Transfer> {
    let (books, soft, began) = (Books::of(namespace)?, softirq()?, Instant::now());
    let port = match direction {
        Direction::Download => 19,
        Direction::Upload => 9,
    };
    let (target, netns) = (SocketAddr::from((SERVER_V4, port)), stage.world.namespace(Place::Phone));
    let open = move || {
        let stream = TcpStream::connect(target).with_context(|| format!("no connection to {target}"))?;
        stream.set_read_timeout(Some(LOOK_UP))?;
        stream.set_write_timeout(Some(LOOK_UP))?;
        Ok(stream)
    };
    let talker =
        Inside::start(&netns.path(), "bulk", open, move |stream, stop| talk(stream, direction, stop))?;
    sleep(during);
    let bytes = talker.finish()?;
    Ok(Transfer {
        door,
        direction,
        bytes,
        seconds: began.elapsed().as_secs_f64(),
        cpu_seconds: Books::of(namespace)?.since(&books),
        softirq_seconds: softirq()? - soft,
    })
}

/// How many bytes went; a time-out is a pause, not the end.
fn talk(mut stream: TcpStream, direction: Direction, stop: &StopSign) -> Result<u64> {
    let mut buffer = vec![0; 1 << 17];
    let mut bytes = 0;
    while !stop.is_up() {
        let went = match direction {
            Direction::Download => stream.read(&mut buffer),
            Direction::Upload => stream.write(&buffer),
        };
        match went {
            Ok(length) => bytes += u64::try_from(length)?,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => {}
            Err(error) => return Err(error).context("the bulk connection broke"),
        }
    }
    Ok(bytes)
}
