//! What the programs of the box say: packets that are built here and go out as those of any program, through its rules
//! and its routes.

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use socket2::{Domain, Protocol, SockAddr};

use crate::world::raw;
use crate::{names, write};

/// How a program of the box speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Way<'a> {
    pub(crate) mark: Option<u32>,
    pub(crate) device: Option<&'a str>,
    /// To the source address of what it sends, so that the way is chosen by it.
    pub(crate) bound: bool,
}

/// A program of the box sends a packet; an error is the kernel's refusal.
pub(crate) fn say(way: &Way<'_>, words: &[&str]) -> Result<Option<Errno>> {
    let destination = names::destination(words)?;
    let socket = raw(Domain::for_address(destination), Protocol::from(libc::IPPROTO_RAW))?;
    if let Some(mark) = way.mark {
        socket.set_mark(mark)?;
    }
    socket.bind_device(way.device.map(str::as_bytes))?;
    socket.set_broadcast(true)?;
    if way.bound {
        socket.bind(&SockAddr::from(names::source(words)?))?;
    }
    for packet in write::packets(words)? {
        if let Err(error) = socket.send_to(&packet, &SockAddr::from(destination)) {
            return Ok(Some(Errno::from_raw(error.raw_os_error().context("an error of the kernel")?)));
        }
    }
    Ok(None)
}
