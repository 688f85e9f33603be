//! The virtual Pi's device tree: QEMU's own, with the overlay of the card put onto it as a Pi's firmware would.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use byway_lab::process::succeed;

/// Labels of nodes; QEMU's tree has none, and `gpio` is what the overlay asks for.
const SYMBOLS: &str = "/__symbols__";
const GPIO: &str = "/pl061@9030000";
const LAMPS: &str = "/byway-leds";
/// A clock that knows the time at power-on, which no Pi without a battery has.
const CLOCK: &str = "/pl031@9010000";

/// Before any overlay. `board`: the machine as it will be started, without what is plugged in.
pub(crate) fn write_bare(board: &[&str], folder: &Path) -> Result<PathBuf> {
    let bare = folder.join("virt.dtb");
    let machine = format!("virt,dumpdtb={}", bare.display());
    succeed(Command::new("qemu-system-aarch64").args(["-M", &machine, "-display", "none"]).args(board))?;
    succeed(Command::new("fdtput").arg("-c").arg(&bare).arg(SYMBOLS))?;
    put(&bare, [SYMBOLS, "gpio", GPIO])?;
    put(&bare, [CLOCK, "status", "disabled"])?;
    Ok(bare)
}

/// With the panel's overlay, and what the firmware makes of its parameter leds=2.
pub(crate) fn write(bare: &Path, overlay: &Path, folder: &Path) -> Result<PathBuf> {
    let whole = folder.join("pi.dtb");
    succeed(Command::new("fdtoverlay").arg("-i").arg(bare).arg("-o").arg(&whole).arg(overlay))?;
    put(&whole, [LAMPS, "status", "okay"])?;
    Ok(whole)
}

fn put(tree: &Path, words: [&str; 3]) -> Result<()> {
    succeed(Command::new("fdtput").args(["-t", "s"]).arg(tree).args(words)).map(drop)
}
