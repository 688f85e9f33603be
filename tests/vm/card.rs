//! A card in a reader: the image that the virtual Pi boots, what its owner puts on it, what is found on it afterwards.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use byway_lab::firmware::Partition;
use byway_lab::process::succeed;

use crate::cuts::Dice;

/// What a card must have, and what an SD card of QEMU's may have: a power of two.
const SIZE: u64 = 512 << 20;
const OWNERS: u32 = 1;
/// Where FAT32 notes it, in bytes.
const MARK_OF_MOUNTED: u64 = 0x41;
/// As fsck.fat names it.
const STATUS: &str = "/BYWAY-";
const BLOCK: usize = 4096;
const FIRST_FILES: u64 = 8 << 20;
const DATA: u32 = 4;

#[derive(Debug)]
pub(crate) struct CardImage {
    path: PathBuf,
    folder: PathBuf,
}

impl CardImage {
    /// Flashed just now, in this folder.
    pub(crate) fn flash(folder: &Path) -> Result<Self> {
        let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/vm/card/byway-rpi.img");
        let path = folder.join("card.img");
        succeed(Command::new("cp").arg("--sparse=always").args([&image, &path]))
            .with_context(|| format!("no card at {}: run `just vm`", image.display()))?;
        File::options().write(true).open(&path)?.set_len(SIZE)?;
        Ok(Self { path, folder: folder.to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file of the owner's partition.
    pub(crate) fn read(&self, name: &str) -> Result<String> {
        Partition::find(&self.path, OWNERS)?.text(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        let file = self.folder.join("to-be-copied");
        fs::write(&file, text)?;
        Partition::find(&self.path, OWNERS)?.put(name, &file)
    }

    /// Neither file system has lost anything, once DATA's journal is replayed. Looked at on copies.
    pub(crate) fn require_whole(&self) -> Result<()> {
        self.require_owners_whole()?;
        let data = self.copy_of(DATA)?;
        // What counts as repaired: its sums, which a file system that is mounted leaves to the next one who looks.
        let replayed = Command::new("e2fsck").arg("-p").arg(&data).output().context("cannot run e2fsck")?;
        let told = String::from_utf8_lossy(&replayed.stdout);
        ensure!(
            replayed.status.code().is_some_and(|code| code <= 1),
            "DATA needs more than its journal: {told}"
        );
        succeed(Command::new("e2fsck").args(["-f", "-n"]).arg(&data)).context("DATA is broken").map(drop)
    }

    /// But for the mark that it was mounted, and for a status that was being written, which the next boot mends.
    pub(crate) fn require_owners_whole(&self) -> Result<()> {
        let copy = self.copy_of(OWNERS)?;
        File::options().write(true).open(&copy)?.write_all_at(&[0], MARK_OF_MOUNTED)?;
        let told = Command::new("fsck.fat").arg("-n").arg(&copy).output()?;
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        // The last line begins with the path of the copy.
        let is_summary = |line: &str| line.contains(" files, ");
        let mut files = told.lines().filter(|line| line.starts_with('/') && !is_summary(line));
        let others = files.any(|file| !file.starts_with(STATUS));
        ensure!(told.lines().any(is_summary) && !others, "the owner's partition is broken: {told}");
        Ok(())
    }

    /// Half of the blocks where DATA's first files are.
    pub(crate) fn break_data(&self, dice: &mut Dice, blocks: usize) -> Result<()> {
        let partition = Partition::find(&self.path, DATA)?;
        let card = File::options().write(true).open(&self.path)?;
        let mut junk = [0; BLOCK];
        for nth in 0..blocks {
            let within = if nth % 2 == 0 { FIRST_FILES } else { partition.length };
            // The first one has the superblock.
            let block = if nth == 0 { 0 } else { dice.below(within / BLOCK as u64) };
            junk.fill_with(|| u8::try_from(dice.below(256)).unwrap_or_default());
            card.write_all_at(&junk, partition.offset + block * BLOCK as u64)?;
        }
        Ok(())
    }

    fn copy_of(&self, number: u32) -> Result<PathBuf> {
        let partition = Partition::find(&self.path, number)?;
        let copy = self.folder.join(format!("partition-{number}"));
        let mut card = File::open(&self.path)?;
        card.seek(SeekFrom::Start(partition.offset))?;
        std::io::copy(&mut card.take(partition.length), &mut File::create(&copy)?)?;
        Ok(copy)
    }
}

/// What a file of the card's root says, by its path there; `root` is the archive that the kernel unpacks.
pub(crate) fn file_of_root(root: &Path, name: &str) -> Result<String> {
    const READ: &str = r#"zstd -dqc "$1" | cpio --quiet --extract --to-stdout "$2""#;
    let mut read = Command::new("sh");
    succeed(read.args(["-c", READ, "sh"]).arg(root).arg(name))
        .with_context(|| format!("the card's root has no {name}"))
}
