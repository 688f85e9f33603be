//! Makes a folder writable for a moment, where it is a file system of its own that is mounted read-only, as the card's
//! first partition is. Any other is left as it is.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::{FsFlags, statvfs};

/// What a new mount of the same must be told again; when files were last read is noted as before by itself (mount(2)).
const STAYING: [(FsFlags, MsFlags); 4] = [
    (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
    (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
    (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
    (FsFlags::ST_SYNCHRONOUS, MsFlags::MS_SYNCHRONOUS),
];

/// Whatever becomes of the work, the folder is read-only again afterwards if it was before.
pub(super) fn while_writable<T>(folder: &Path, work: impl FnOnce() -> T) -> io::Result<T> {
    let Some(flags) = read_only_mount(folder)? else { return Ok(work()) };
    remount(folder, flags)?;
    let done = work();
    remount(folder, flags | MsFlags::MS_RDONLY)?;
    Ok(done)
}

/// Its flags, if it is one.
fn read_only_mount(folder: &Path) -> io::Result<Option<MsFlags>> {
    let flags = statvfs(folder)?.flags();
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev());
    let is_mount = device(folder)? != device(&folder.join(".."))?;
    let staying = STAYING.iter().filter(|(has, _)| flags.contains(*has)).map(|(_, flag)| *flag).collect();
    Ok((is_mount && flags.contains(FsFlags::ST_RDONLY)).then_some(staying))
}

fn remount(folder: &Path, flags: MsFlags) -> io::Result<()> {
    let none: Option<&Path> = None;
    Ok(mount(none, folder, none, flags | MsFlags::MS_REMOUNT, none)?)
}
