//! The kernel's connection table: made as large as the machine's memory allows, and looked at.

use std::fs;
use std::io;
use std::time::Duration;

use anyhow::{Context as _, Result};
use byway_core::resources::{Connections, Kept, Memory};

const FOLDER: &str = "/proc/sys/net/netfilter/nf_conntrack_";
const ROOM: &str = "max";
/// As many chains as connections, as Linux itself has it: each has two entries, one for each direction.
const CHAINS: &str = "buckets";

/// How many flows the kernel can track at once. There is room for more than before where the machine has the memory and this
/// is its own network; in a namespace the room is the machine's to give. What somebody has made larger stays so.
pub fn make_room(memory: Memory) -> Result<u32> {
    let wanted = memory.connections();
    for name in [CHAINS, ROOM] {
        if let Err(error) = grow(name, wanted) {
            tracing::debug!("the connection table stays as it is: {FOLDER}{name}: {error}");
        }
    }
    number(ROOM)
}

/// As it is at the moment, in the calling thread's network namespace.
pub fn connections() -> Result<Connections> {
    let seconds = |name| number(name).map(|seconds| Duration::from_secs(seconds.into()));
    let kept = Kept {
        tcp: seconds("tcp_timeout_established")?,
        udp: seconds("udp_timeout_stream")?,
        udp_unanswered: seconds("udp_timeout")?,
    };
    Ok(Connections { tracked: number("count")?, room: number(ROOM)?, kept })
}

fn grow(name: &str, wanted: u32) -> io::Result<()> {
    if number(name).is_ok_and(|found| found >= wanted) {
        return Ok(());
    }
    fs::write(format!("{FOLDER}{name}"), wanted.to_string())
}

fn number(name: &str) -> Result<u32> {
    let path = format!("{FOLDER}{name}");
    let text =
        fs::read_to_string(&path).with_context(|| format!("no {path}: load the module nf_conntrack"))?;
    text.trim().parse().with_context(|| format!("{path} holds no number: {text}"))
}
