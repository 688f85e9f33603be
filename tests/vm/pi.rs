//! The virtual Pi: QEMU's `virt` with the card's device tree, a bus with a screen on it, and a cable into a house.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use byway_lab::machine::{Kernel, Machine};

use crate::bus::Bus;
use crate::lines::Lines;
use crate::{root, tree};

/// Time in it is what it has executed, four nanoseconds an instruction (as slow as a Pi's core without its caches), so that
/// a busy machine under it makes it late, never slow by its own clock.
const BOARD: [&str; 8] = ["-cpu", "cortex-a53", "-smp", "1", "-m", "512", "-nic", "none"];
const PACE: [&str; 4] = ["-accel", "tcg,thread=single", "-icount", "shift=2,sleep=on"];

/// A gateway of QEMU's own, which lends addresses and leads nowhere.
const HOUSE: [&str; 4] =
    ["-netdev", "user,id=house,restrict=on,ipv6=off", "-device", "virtio-net-pci,netdev=house"];

/// What every one of them boots from.
#[derive(Debug)]
pub(crate) struct Bench {
    kernel: Kernel,
    root: PathBuf,
    tree: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Pi {
    pub(crate) machine: Machine,
    pub(crate) lines: Lines,
    pub(crate) bus: Bus,
}

impl Bench {
    pub(crate) fn prepare() -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/vm");
        let kernel = Kernel::find(&folder.join("kernel"))?;
        let root = folder.join("root.cpio");
        root::write(&root, &kernel, &folder.join("root")).context("no root for the machine")?;
        let tree = tree::write(&BOARD, &folder).context("no device tree")?;
        Ok(Self { kernel, root, tree })
    }

    /// Booted, with a screen, its button left alone.
    pub(crate) fn boot(&self) -> Result<Pi> {
        let folder = tempfile::tempdir()?;
        let [lines, screen] = ["lines", "screen"].map(|name| folder.path().join(name));
        let mut qemu = Command::new("qemu-system-aarch64");
        qemu.args(["-M", "virt"]).args(BOARD).args(PACE).args(HOUSE);
        qemu.arg("-kernel").arg(&self.kernel.image).arg("-initrd").arg(&self.root);
        qemu.arg("-dtb").arg(&self.tree).args(["-append", "console=ttyAMA0 quiet panic=-1"]);
        qemu.args(["-S", "-qtest-log", "none", "-qtest"]).arg(socket(&lines));
        qemu.args(["-device", "qemu-xhci", "-device", "usb-redir,chardev=screen", "-chardev"]);
        qemu.arg(format!("socket,id=screen,path={},server=on,wait=off", screen.display()));
        let mut machine = Machine::switch_on(qemu, folder)?;
        let lines = Lines::connect(&lines, &mut machine)?;
        let mut bus = Bus::new(&screen);
        bus.plug_in()?;
        machine.order(r#"{"execute": "cont"}"#)?;
        machine.wait_booted()?;
        Ok(Pi { machine, lines, bus })
    }
}

fn socket(path: &Path) -> String {
    format!("unix:{},server=on,wait=off", path.display())
}
