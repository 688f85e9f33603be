//! The virtual Pi's device tree: QEMU's own, with the overlay of the card put onto it as a Pi's firmware would.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Where the overlay is, seen from the repository.
const OVERLAY: &str = "overlays/devicetree/byway-panel.dts";
/// Labels of nodes; QEMU's tree has none, and `gpio` is what the overlay asks for.
const SYMBOLS: &str = "/__symbols__";
const GPIO: &str = "/pl061@9030000";
const LAMPS: &str = "/byway-leds";

/// Written beside `folder`'s other files. `board`: the machine as it will be started, without what is plugged in.
pub(crate) fn write(board: &[&str], folder: &Path) -> Result<PathBuf> {
    let [bare, overlay, whole] = ["virt.dtb", "byway-panel.dtbo", "pi.dtb"].map(|name| folder.join(name));
    let machine = format!("virt,dumpdtb={}", bare.display());
    run("qemu-system-aarch64", |qemu| qemu.args(["-M", &machine, "-display", "none"]).args(board))?;
    run("fdtput", |fdtput| fdtput.arg("-c").arg(&bare).arg(SYMBOLS))?;
    run("fdtput", |fdtput| fdtput.args(["-t", "s"]).arg(&bare).args([SYMBOLS, "gpio", GPIO]))?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(OVERLAY);
    run("dtc", |dtc| dtc.args(["-@", "-I", "dts", "-O", "dtb", "-o"]).arg(&overlay).arg(source))?;
    run("fdtoverlay", |merge| merge.arg("-i").arg(&bare).arg("-o").arg(&whole).arg(&overlay))?;
    // What the firmware makes of dtoverlay=byway-panel,leds=2.
    run("fdtput", |fdtput| fdtput.args(["-t", "s"]).arg(&whole).args([LAMPS, "status", "okay"]))?;
    Ok(whole)
}

fn run(program: &str, words: impl FnOnce(&mut Command) -> &mut Command) -> Result<()> {
    let mut command = Command::new(program);
    words(&mut command);
    let output = command.output().with_context(|| format!("{command:?}: ./dev installs {program}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} fails: {complaint}");
    Ok(())
}
