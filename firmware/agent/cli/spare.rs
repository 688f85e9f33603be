//! `byway spare`: what init does with the second copy of the box's files.

use std::path::Path;

use super::Ending;
use crate::spare;

/// At every boot, so that nothing is said where nothing is done.
pub(super) fn restore(device: &Path, state_dir: &Path) -> anyhow::Result<Ending> {
    if let Some((files @ 1.., turn)) = spare::restore(device, state_dir)? {
        let (device, folder) = (device.display(), state_dir.display());
        println!("{files} files put back below {folder}, of copy {turn} on {device}");
    }
    Ok(Ending::Done)
}

pub(super) fn wipe(device: &Path) -> anyhow::Result<Ending> {
    spare::wipe(device)?;
    println!("there is no copy on {} any more", device.display());
    Ok(Ending::Done)
}
