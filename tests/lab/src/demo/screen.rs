//! What the demo shows.
#![expect(clippy::print_stdout, reason = "the demo is for the terminal")]

use std::io::{Write as _, stdout};

use anyhow::Result;

use super::counters::Packets;

/// Home, then clear below: no flicker.
const HOME: &str = "\x1b[H\x1b[J";

/// One picture.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) panel: &'a str,
    pub(super) status: &'a str,
    pub(super) phone: &'a str,
    pub(super) packets: Packets,
    pub(super) note: &'a str,
}

impl Frame<'_> {
    pub(super) fn draw(&self) -> Result<()> {
        let Packets { privacy, residential } = self.packets;
        let mut out = stdout().lock();
        write!(out, "{HOME}byway: one box, two doors        [space] the button   [s] seal   [q] quit\n\n")?;
        write!(out, "{}\nthe box says\n", self.panel)?;
        for line in self.status.lines() {
            writeln!(out, "  {line}")?;
        }
        writeln!(out, "\nthe internet sees the phone as")?;
        writeln!(out, "  {}", self.phone)?;
        writeln!(out, "\npackets by door")?;
        writeln!(out, "  privacy {privacy:>10}   residential {residential:>10}\n\n{}", self.note)?;
        Ok(out.flush()?)
    }
}

pub(super) fn say(line: &str) {
    println!("{line}");
}
