//! Lets the box start anew, with what it has or as for a new owner. Init does the work: it ends everything in order, and
//! forgets where it finds the mark (`overlays/rootfs/etc/init.d/40-data.sh`).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tokio::process::Command;

use crate::lasting;
use crate::store::folder_of;

/// Beside the state's folder, which goes with all that is in it.
pub fn mark_path(state_dir: &Path) -> PathBuf {
    state_dir.with_file_name("reset")
}

/// A mark that is gone with the power is none.
pub fn ensure_lasting(state_dir: &Path) -> anyhow::Result<()> {
    let path = mark_path(state_dir);
    let folder = folder_of(&path);
    // What cannot be looked at cannot be marked either, and that tells why.
    if lasting::is_in_memory(folder).unwrap_or(false) {
        bail!(
            "nothing is forgotten: {} is in memory alone, since its partition is lost, and nobody would know after the \
             restart what is to be forgotten; start the box anew, and if this stays, flash its card",
            folder.display()
        );
    }
    Ok(())
}

/// The box forgets everything at its next start, whenever that comes.
pub fn mark(state_dir: &Path) -> anyhow::Result<()> {
    let path = mark_path(state_dir);
    let mark = || -> io::Result<()> {
        File::create(&path)?.sync_all()?;
        File::open(folder_of(&path))?.sync_all()
    };
    mark().with_context(|| {
        format!("nothing is forgotten, {} cannot be written: is --state-dir right?", path.display())
    })
}

pub async fn reboot() -> anyhow::Result<()> {
    let status = Command::new("reboot").status().await.context("cannot run `reboot`")?;
    if !status.success() {
        bail!("`reboot` ends with {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_mark_is_beside_what_is_forgotten() {
        assert_eq!(mark_path(Path::new("/data/byway")), Path::new("/data/reset"));
        let data = tempfile::tempdir().unwrap();
        mark(&data.path().join("byway")).unwrap();
        mark(&data.path().join("byway")).unwrap();
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
        let error = mark(&data.path().join("nowhere/byway")).unwrap_err();
        assert!(format!("{error:#}").contains("nowhere/reset cannot be written"), "{error:#}");
    }

    #[test]
    fn nothing_is_asked_of_a_box_that_forgets_it_with_the_power() {
        let error = ensure_lasting(Path::new("/dev/shm/byway")).unwrap_err().to_string();
        assert!(error.contains("nothing is forgotten: /dev/shm is in memory alone"), "{error}");
        for other in ["/proc/byway", "/nowhere/byway"] {
            ensure_lasting(Path::new(other)).unwrap();
        }
    }
}
