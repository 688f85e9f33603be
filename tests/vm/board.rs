//! The same card in the one Pi that QEMU models: its own device tree from the slot, its SD card, no network that is worth
//! the name. QEMU resets it as soon as its watchdog is opened.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use byway_lab::firmware::{Loaded, Start};
use byway_lab::wait_for;

use crate::added;
use crate::card::CardImage;
use crate::pi::{Bench, QEMU};

const PATIENCE: Duration = Duration::from_mins(3);

/// Ends with its owner.
struct Pi3(Child);

impl Drop for Pi3 {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

pub(crate) fn a_pi_3_comes_up(bench: &Bench) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let card = CardImage::flash(folder.path())?;
    let console = folder.path().join("console");
    let mut pi = start(bench, &card, folder.path(), &console)?;
    wait_for("a running, sealed agent", PATIENCE, || {
        let told = String::from_utf8_lossy(&fs::read(&console)?).into_owned();
        ensure!(pi.0.try_wait()?.is_none(), "QEMU has ended: {told}");
        ensure!(told.contains("byway: sealed"), "{told}");
        ensure!(told.contains(r#""state":"sealed""#) && told.contains("no configuration"), "{told}");
        Ok(())
    })
}

fn start(bench: &Bench, card: &CardImage, folder: &Path, console: &Path) -> Result<Pi3> {
    let loaded = Loaded::read(card.path(), Start::Plain, folder)?;
    let mut qemu = Command::new(QEMU);
    // All its threads in one: this model burns a processor for each core that waits.
    qemu.args([
        "-M",
        "raspi3b",
        "-accel",
        "tcg,thread=single",
        "-display",
        "none",
        "-monitor",
        "none",
        "-no-reboot",
    ]);
    qemu.args(["-serial", "null", "-serial"]).arg(format!("file:{}", console.display()));
    qemu.arg("-kernel").arg(&loaded.kernel).arg("-dtb").arg(loaded.file("bcm2837-rpi-3-b.dtb")?);
    qemu.arg("-initrd").arg(added::behind(&loaded.initramfs, bench.busybox(), added::Line::Status, None)?);
    let words = "console=ttyS1,115200 loglevel=6 byway.watchdog=off";
    qemu.arg("-append").arg(format!("{} {words}", loaded.command_line));
    qemu.arg("-drive").arg(format!("file={},if=sd,format=raw", card.path().display()));
    qemu.args(["-device", "usb-net,netdev=house", "-netdev", "user,id=house,restrict=on"]);
    let qemu = qemu.stdin(Stdio::null()).stderr(Stdio::null()).spawn().context("cannot start QEMU")?;
    Ok(Pi3(qemu))
}
