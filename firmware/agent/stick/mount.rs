//! Mounts a stick for a moment: read-only, and writable only for the answer. Nothing on it is a device, a program or
//! somebody else's right.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// As sticks are sold. The kernel may know only the first.
const FILE_SYSTEMS: [&str; 2] = ["vfat", "exfat"];
/// Files that hold secrets, for root alone.
const OPTIONS: &str = "umask=077";
/// Each write goes out at once: people pull sticks.
const ALWAYS: MsFlags =
    MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC).union(MsFlags::MS_SYNCHRONOUS);

/// Unmounted when it is dropped.
#[derive(Debug)]
pub(super) struct Mounted(PathBuf);

impl Mounted {
    pub(super) fn mount(volume: &Path, place: &Path) -> io::Result<Self> {
        // Left by an agent that was killed over it.
        _ = umount2(place, MntFlags::MNT_DETACH);
        DirBuilder::new().recursive(true).mode(0o700).create(place)?;
        let mut refusal = Errno::ENODEV;
        for kind in FILE_SYSTEMS {
            match mount(Some(volume), place, Some(kind), ALWAYS | MsFlags::MS_RDONLY, Some(OPTIONS)) {
                Ok(()) => return Ok(Self(place.to_owned())),
                // The kernel does not know this kind: what it has said of the other counts.
                Err(Errno::ENODEV) => {}
                Err(errno) => refusal = errno,
            }
        }
        Err(refusal.into())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn make_writable(&self) -> io::Result<()> {
        let none: Option<&Path> = None;
        Ok(mount(none, &self.0, none, ALWAYS | MsFlags::MS_REMOUNT, Some(OPTIONS))?)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if umount2(&self.0, MntFlags::empty()).is_err() {
            // Somebody has a file of it open: it goes when that one closes it.
            _ = umount2(&self.0, MntFlags::MNT_DETACH);
        }
    }
}
