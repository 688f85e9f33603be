//! `byway spare`: what init does with the second copy of the box's files.

use std::path::Path;

use super::Ending;
use crate::spare;

/// One line, whatever there is.
pub(super) fn restore(device: &Path, state_dir: &Path) -> anyhow::Result<Ending> {
    let (device_name, folder) = (device.display(), state_dir.display());
    match spare::restore(device, state_dir)? {
        Some((files, turn)) => {
            println!("{files} files put back below {folder}, of copy {turn} on {device_name}");
        }
        None => println!("there is no copy on {device_name}: nothing is put back"),
    }
    Ok(Ending::Done)
}

pub(super) fn wipe(device: &Path) -> anyhow::Result<Ending> {
    spare::wipe(device)?;
    println!("there is no copy on {} any more", device.display());
    Ok(Ending::Done)
}
