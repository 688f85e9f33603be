//! A small disk of its own under one of the box's folders, which can be full to the last byte or read-only. Dropping
//! it takes it away, whoever still uses it, and shows what was in the folder before.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::process::{command, succeed};
use crate::tools::path_text;
use crate::wait_for;

/// Room for everything that a box keeps, and little to fill; of files as well.
const ROOM: &str = "size=4m,nr_inodes=256,mode=700";
const FILLER: &str = "filler";
/// Files are written in a moment.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
    /// Where it stands once more: what is changed here is changed for the whole disk, and not for one mount of it,
    /// of which every process of the box has its own.
    back: PathBuf,
}

impl SmallDisk {
    /// Puts it over `folder`, with a copy of what is in there.
    pub fn over(folder: &Path) -> Result<Self> {
        let disk = Self { folder: folder.to_owned(), back: folder.with_extension("disk") };
        fs::create_dir(&disk.back).with_context(|| format!("cannot make {}", disk.back.display()))?;
        mount(Some("tmpfs"), &disk.back, Some("tmpfs"), MsFlags::empty(), Some(ROOM))
            .with_context(|| format!("cannot put a disk at {}", disk.back.display()))?;
        let everything = format!("{}/.", path_text(folder)?);
        succeed(command("cp", &["-a", &everything, path_text(&disk.back)?], &[]))?;
        let none = None::<&str>;
        mount(Some(&disk.back), folder, none, MsFlags::MS_BIND, none)
            .with_context(|| format!("cannot put a disk over {}", folder.display()))?;
        Ok(disk)
    }

    /// To the last byte; what somebody frees afterwards is free until this is called again.
    pub fn fill(&self) -> Result<()> {
        let path = self.folder.join(FILLER);
        let mut filler = File::options().create(true).append(true).open(&path)?;
        loop {
            match filler.write(&[0; 4096]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                Err(error) => bail!("cannot fill {}: {error}", path.display()),
            }
        }
    }

    /// To the last file.
    pub fn fill_with_files(&self) -> Result<()> {
        for number in 0.. {
            match File::create(self.folder.join(format!("{FILLER}-{number}"))) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                Err(error) => bail!("cannot fill {} with files: {error}", self.folder.display()),
            }
        }
        Ok(())
    }

    /// Takes away what it was filled with.
    pub fn make_room(&self) -> Result<()> {
        for entry in fs::read_dir(&self.folder)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(FILLER) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// As a worn card turns: as soon as nobody has a file open to write.
    pub fn make_read_only(&self) -> Result<()> {
        wait_for("a disk that nobody writes to", PATIENCE, || self.remount(MsFlags::MS_RDONLY))?;
        ensure!(File::create(self.folder.join(FILLER)).is_err(), "a read-only disk took a file");
        Ok(())
    }

    pub fn make_writable(&self) -> Result<()> {
        self.remount(MsFlags::empty())
    }

    fn remount(&self, flags: MsFlags) -> Result<()> {
        let none = None::<&str>;
        mount(none, &self.back, none, MsFlags::MS_REMOUNT | flags, none)
            .with_context(|| format!("cannot remount {}", self.back.display()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The relay remembers the handshakes that this disk had the stamps of.
        let stamps = self.folder.join("stamps");
        let reserved = fs::read(&stamps);
        // What cannot be taken away now is taken away with the world's folder.
        let _ = umount2(&self.folder, MntFlags::MNT_DETACH);
        let _ = umount2(&self.back, MntFlags::MNT_DETACH);
        let _ = fs::remove_dir(&self.back);
        let _ = reserved.map(|reserved| fs::write(&stamps, reserved));
    }
}

/// Takes away every disk that stands in `folder` or below.
pub(crate) fn remove_below(folder: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read the mounts")?;
    // The last one mounted is the first to go.
    for line in mounts.lines().rev() {
        let place = line.split(' ').nth(1).map(Path::new);
        if let Some(place) = place.filter(|place| place.starts_with(folder)) {
            umount2(place, MntFlags::MNT_DETACH)
                .with_context(|| format!("cannot take away {}", place.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Root, as everything in the lab.
    #[test]
    fn is_full_read_only_and_gone_again() {
        let world = tempfile::tempdir().unwrap();
        let folder = world.path().join("state");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("wish"), "before").unwrap();
        let disk = SmallDisk::over(&folder).unwrap();
        assert_eq!(fs::read_to_string(folder.join("wish")).unwrap(), "before");
        disk.fill().unwrap();
        assert_eq!(fs::write(folder.join("more"), "x").unwrap_err().kind(), ErrorKind::StorageFull);
        disk.make_room().unwrap();
        disk.fill_with_files().unwrap();
        assert_eq!(File::create(folder.join("another")).unwrap_err().kind(), ErrorKind::StorageFull);
        disk.make_room().unwrap();
        disk.make_read_only().unwrap();
        disk.make_writable().unwrap();
        fs::write(folder.join("wish"), "on the disk").unwrap();
        drop(disk);
        assert_eq!(fs::read_to_string(folder.join("wish")).unwrap(), "before");

        std::mem::forget(SmallDisk::over(&folder).unwrap());
        remove_below(world.path()).unwrap();
        fs::remove_dir_all(world.path()).unwrap();
    }
}
