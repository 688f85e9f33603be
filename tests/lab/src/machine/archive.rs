//! Writes the archive that the kernel unpacks as its first root: "newc" of cpio(5).

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const LINK: u32 = 0o120_777;

/// Of programs (everything may be executed), folders and links; each folder before what is in it.
#[derive(Debug)]
pub struct Archive {
    file: BufWriter<File>,
    entries: u32,
}

impl Archive {
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { file: BufWriter::new(file), entries: 0 })
    }

    pub fn folder(&mut self, name: &str) -> Result<()> {
        self.entry(name, FOLDER, &[])
    }

    pub fn program(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.entry(name, PROGRAM, bytes)
    }

    pub fn link(&mut self, name: &str, target: &str) -> Result<()> {
        self.entry(name, LINK, target.as_bytes())
    }

    pub fn finish(mut self) -> Result<()> {
        self.entry("TRAILER!!!", 0, &[])?;
        Ok(self.file.flush()?)
    }

    fn entry(&mut self, name: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        self.entries += 1;
        let (length, name_length) = (u32::try_from(bytes.len())?, u32::try_from(name.len() + 1)?);
        let fields = [self.entries, mode, 0, 0, 1, 0, length, 0, 0, 0, 0, name_length, 0];
        let fields = fields.map(|field| format!("{field:08X}")).concat();
        self.padded(format!("070701{fields}{name}\0").as_bytes())?;
        self.padded(bytes)
    }

    fn padded(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes)?;
        Ok(self.file.write_all(&[0; 3][..bytes.len().wrapping_neg() % 4])?)
    }
}
