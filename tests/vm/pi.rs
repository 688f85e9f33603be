//! The virtual Pi: QEMU's `virt`, started as the firmware would from what is on a card, with the card's device tree. On a
//! bench it has a bus with a screen on it and a cable that leads nowhere; in a house, that house's cable.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use byway_lab::firmware::{Loaded, Start};
use byway_lab::machine::Machine;
use byway_lab::namespace::Namespace;
use byway_lab::topology::{BOX_MAC, MACHINES_SECOND_TAP, MACHINES_TAP};
use tempfile::TempDir;

use crate::added::{self, Line};
use crate::bus::Bus;
use crate::card::CardImage;
use crate::lines::Lines;
use crate::tree;

pub(crate) const QEMU: &str = "qemu-system-aarch64";
/// What is left of 512 MB where the firmware has taken its share.
const BOARD: [&str; 8] = ["-cpu", "cortex-a53", "-smp", "1", "-m", "496", "-nic", "none"];
/// Time in it is what it has executed, four nanoseconds an instruction (as slow as a Pi's core without its caches), so that
/// a busy machine under it makes it late, never slow by its own clock.
const ITS_OWN_TIME: [&str; 4] = ["-accel", "tcg,thread=single", "-icount", "shift=2,sleep=on"];
/// Where others keep time with it: theirs.
const EVERYBODYS_TIME: [&str; 2] = ["-accel", "tcg,thread=multi"];
/// A gateway of QEMU's own, which lends addresses and leads nowhere.
const NOWHERE: [&str; 4] =
    ["-netdev", "user,id=house,restrict=on,ipv6=off", "-device", "virtio-net-pci,netdev=house"];
/// Where the agent stands still and nobody feeds it.
pub(crate) const WITHOUT_WATCHDOG: &str = "byway.watchdog=off";
const KERNELS_WORDS: &str = "console=ttyAMA0 loglevel=6 byway.card=/dev/vda";

/// What every one of them needs beside a card.
#[derive(Debug)]
pub(crate) struct Bench {
    busybox: PathBuf,
    bare_tree: PathBuf,
    _folder: TempDir,
}

/// On the bench, its button left alone.
#[derive(Debug)]
pub(crate) struct Pi {
    pub(crate) machine: Machine,
    pub(crate) lines: Lines,
    pub(crate) bus: Bus,
}

impl Bench {
    pub(crate) fn prepare() -> Result<Self> {
        let busybox = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/vm/root/usr/bin/busybox");
        let folder = tempfile::tempdir()?;
        let bare_tree = tree::write_bare(&BOARD, folder.path()).context("no device tree")?;
        Ok(Self { busybox, bare_tree, _folder: folder })
    }

    /// Debian's, of which a card has but a part.
    pub(crate) fn busybox(&self) -> &Path {
        &self.busybox
    }

    /// Booted from a card with these files, with a screen.
    pub(crate) fn boot(&self, files: &[(&str, &str)], words: &str) -> Result<Pi> {
        let folder = tempfile::tempdir()?;
        let card = CardImage::flash(folder.path())?;
        for (name, text) in files {
            card.write(name, text)?;
        }
        let [lines, screen] = ["lines", "screen"].map(|name| folder.path().join(name));
        let mut qemu = Command::new(QEMU);
        qemu.args(ITS_OWN_TIME).args(NOWHERE);
        self.insert(&card, None, words, &mut qemu, folder.path())?;
        qemu.args(["-S", "-qtest-log", "none", "-qtest"])
            .arg(format!("unix:{},server=on,wait=off", lines.display()));
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

    /// Its cable is that of the box's place in a world; nothing is waited for.
    pub(crate) fn switch_on(&self, card: &CardImage, room: &Namespace, authority: &Path) -> Result<Machine> {
        let folder = tempfile::tempdir()?;
        let mut qemu = Command::new("ip");
        qemu.args(["netns", "exec", room.name(), QEMU]).args(EVERYBODYS_TIME);
        qemu.arg("-netdev").arg(format!("tap,id=house,ifname={MACHINES_TAP},script=no,downscript=no"));
        qemu.arg("-device").arg(format!("virtio-net-pci,netdev=house,mac={BOX_MAC}"));
        qemu.arg("-netdev")
            .arg(format!("tap,id=second,ifname={MACHINES_SECOND_TAP},script=no,downscript=no"));
        qemu.args(["-device", "virtio-net-pci,netdev=second"]);
        self.insert(card, Some(authority), "", &mut qemu, folder.path())?;
        Machine::switch_on(qemu, folder)
    }

    /// What the firmware makes of the card that is in, and the card itself: nothing of it is held back in memory, so that a
    /// killed machine leaves on it what one without power would.
    fn insert(
        &self,
        card: &CardImage,
        authority: Option<&Path>,
        words: &str,
        qemu: &mut Command,
        folder: &Path,
    ) -> Result<()> {
        let loaded =
            Loaded::read(card.path(), Start::Plain, folder).context("nothing to start on the card")?;
        let overlay = loaded.file("overlays/byway-panel.dtbo")?;
        qemu.args(["-M", "virt"]).args(BOARD).args(["-device", "i6300esb", "-device", "virtio-rng-pci"]);
        qemu.arg("-kernel").arg(&loaded.kernel);
        qemu.arg("-initrd").arg(added::behind(&loaded.initramfs, &self.busybox, Line::Shell, authority)?);
        qemu.arg("-dtb").arg(tree::write(&self.bare_tree, &overlay, folder)?);
        qemu.arg("-append").arg(format!("{} {KERNELS_WORDS} {words}", loaded.command_line));
        let drive = format!("id=card,if=none,format=raw,cache=directsync,file={}", card.path().display());
        qemu.arg("-drive").arg(drive).args(["-device", "virtio-blk-pci,drive=card"]);
        Ok(())
    }
}
