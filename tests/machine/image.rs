//! Sticks as they are sold: one partition with FAT, in a file that is plugged in.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use byway_lab::firmware::Partition;
use byway_lab::process::succeed;

const SECTOR: u32 = 512;
const FIRST_SECTOR: u32 = 2048;
const SECTORS: u32 = 64 * 2048;

pub(crate) struct Image(PathBuf);

impl Image {
    pub(crate) fn make(folder: &Path, name: &str, files: &[(&str, &str)]) -> Result<Self> {
        let path = folder.join(name);
        let mut file = File::create(&path)?;
        file.set_len(u64::from(SECTORS * SECTOR))?;
        file.seek(SeekFrom::Start(446))?;
        file.write_all(&partition())?;
        file.seek(SeekFrom::Start(510))?;
        file.write_all(&[0x55, 0xaa])?;
        let image = Self(path);
        let blocks = ((SECTORS - FIRST_SECTOR) / 2).to_string();
        let offset = format!("--offset={FIRST_SECTOR}");
        succeed(Command::new("mkfs.vfat").args(["-F", "32", &offset]).arg(&image.0).arg(blocks))
            .context("no file system on a stick: install dosfstools")?;
        for (name, text) in files {
            let source = folder.join("to-be-copied");
            std::fs::write(&source, text)?;
            image.filesystem()?.put(name, &source)?;
        }
        Ok(image)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// What is on it now.
    pub(crate) fn read(&self, name: &str) -> Result<String> {
        self.filesystem()?.text(name)
    }

    fn filesystem(&self) -> Result<Partition> {
        Partition::find(&self.0, 1)
    }
}

/// The first entry of the table: FAT32 (0x0c), from the first sector to the end.
fn partition() -> [u8; 16] {
    let mut entry = [0; 16];
    entry[4] = 0x0c;
    entry[8..12].copy_from_slice(&FIRST_SECTOR.to_le_bytes());
    entry[12..16].copy_from_slice(&(SECTORS - FIRST_SECTOR).to_le_bytes());
    entry
}
