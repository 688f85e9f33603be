//! The machine of these tests: this one's processor, if it lends itself, and a socket for sticks.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use byway_lab::machine::{Kernel, Machine};

/// Until an emulated machine lets go of a stick.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Booted, with a shell that answers.
pub(crate) fn boot(kernel: &Kernel, root: &Path) -> Result<Machine> {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(accelerator()).args(["-m", "768", "-nic", "none"]);
    qemu.arg("-kernel").arg(&kernel.image).arg("-initrd").arg(root);
    qemu.args(["-append", "console=ttyS0 quiet panic=-1", "-device", "qemu-xhci,id=usb"]);
    let mut machine = Machine::switch_on(qemu, tempfile::tempdir()?)?;
    machine.wait_booted()?;
    Ok(machine)
}

/// A stick with this image is put in.
pub(crate) fn plug_in(machine: &mut Machine, name: &str, image: &Path, read_only: bool) -> Result<()> {
    let image = image.display();
    machine.order(&format!(
        r#"{{"execute": "blockdev-add", "arguments": {{"driver": "raw", "node-name": "{name}", "read-only": {read_only}, "file": {{"driver": "file", "filename": "{image}"}}}}}}"#
    ))?;
    machine.order(&format!(
        r#"{{"execute": "device_add", "arguments": {{"driver": "usb-storage", "id": "{name}-usb", "drive": "{name}", "removable": true, "bus": "usb.0"}}}}"#
    ))?;
    Ok(())
}

/// As a person does who has waited for the stick's light to go out: its image is whole afterwards.
pub(crate) fn pull_out(machine: &mut Machine, name: &str) -> Result<()> {
    machine.wait_for("the sticks to be let go", "grep stick /proc/mounts || true", str::is_empty)?;
    machine.order(&format!(r#"{{"execute": "device_del", "arguments": {{"id": "{name}-usb"}}}}"#))?;
    let deadline = Instant::now() + PATIENCE;
    let remove = format!(r#"{{"execute": "blockdev-del", "arguments": {{"node-name": "{name}"}}}}"#);
    // Until the machine has let go of it.
    while let Err(error) = machine.order(&remove) {
        ensure!(Instant::now() < deadline, "the stick stays in: {error}");
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// The processor's own where it has that, else emulated: `/dev/kvm` alone does not say so.
fn accelerator() -> [&'static str; 4] {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let can = processor.split_whitespace().any(|flag| flag == "vmx" || flag == "svm");
    let may = File::options().read(true).write(true).open("/dev/kvm").is_ok();
    if can && may { ["-accel", "kvm", "-cpu", "host"] } else { ["-accel", "tcg,thread=multi", "-cpu", "max"] }
}
