//! A fake of a Pi's firmware, which QEMU does not run: from a card's image alone it decides what is started, and takes that
//! from the card. It knows as much of `autoboot.txt` and `config.txt` as the card uses.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

const SECTOR: u64 = 512;
/// Of a partition table's four entries: where the first one is, how long each.
const TABLE: usize = 446;
const ENTRY: usize = 16;
/// Types of partitions that the firmware reads: FAT of some sort.
const FAT: [u8; 6] = [0x01, 0x04, 0x06, 0x0b, 0x0c, 0x0e];
/// What is longer is not read.
const LONGEST_AUTOBOOT: usize = 512;

/// How the machine came to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Power, or any reset.
    Plain,
    /// `reboot "0 tryboot"`: once.
    Tryboot,
}

/// What a slot says is to be started, as files of this machine.
#[derive(Debug)]
pub struct Loaded {
    pub kernel: PathBuf,
    pub initramfs: PathBuf,
    pub command_line: String,
    /// Of the partition table, from 1.
    pub partition: u32,
    card: PathBuf,
    folder: PathBuf,
}

/// Where `autoboot.txt` leads.
#[derive(Debug, PartialEq, Eq)]
struct Choice {
    /// 0: the first one with FAT.
    partition: u32,
    config: &'static str,
}

impl Loaded {
    /// Reads the card as the firmware does; `folder` gets what it loads.
    pub fn read(card: &Path, start: Start, folder: &Path) -> Result<Self> {
        let first = first_fat(card)?;
        let autoboot = Partition::find(card, first)?.text("autoboot.txt").unwrap_or_default();
        let choice = choose(&autoboot, start);
        let partition = if choice.partition == 0 { first } else { choice.partition };
        let slot = Partition::find(card, partition)?;
        let config = slot.text(choice.config)?;
        let (kernel, initramfs) = (value(&config, "kernel"), following(&config));
        let load = |name: Option<&str>, what| {
            let name =
                name.with_context(|| format!("{} of partition {partition} names no {what}", choice.config))?;
            slot.copy(name, folder)
        };
        Ok(Self {
            kernel: load(kernel, "kernel")?,
            initramfs: load(initramfs, "initramfs")?,
            command_line: slot.text("cmdline.txt")?.trim().to_owned(),
            partition,
            card: card.to_owned(),
            folder: folder.to_owned(),
        })
    }

    /// One more file of the slot, such as a device tree.
    pub fn file(&self, name: &str) -> Result<PathBuf> {
        Partition::find(&self.card, self.partition)?.copy(name, &self.folder)
    }
}

/// A partition with FAT, read and written by mtools.
#[derive(Debug)]
pub struct Partition {
    image: String,
    /// In bytes.
    pub offset: u64,
    pub length: u64,
}

impl Partition {
    /// By its number in the table, from 1.
    pub fn find(card: &Path, number: u32) -> Result<Self> {
        let entries = table(card)?;
        let index = usize::try_from(number)?.checked_sub(1).context("partitions are counted from 1")?;
        let entry = entries.get(index).with_context(|| format!("a card has no partition {number}"))?;
        let word = |at: usize| entry[at..at + 4].try_into().map(u32::from_le_bytes).map(u64::from);
        let (offset, length) = (word(8)? * SECTOR, word(12)? * SECTOR);
        ensure!(length > 0, "there is no partition {number} on {}", card.display());
        Ok(Self { image: format!("{}@@{offset}", card.display()), offset, length })
    }

    pub fn text(&self, name: &str) -> Result<String> {
        mtools("mtype", &["-i", &self.image, &format!("::{name}")])
    }

    /// Into a folder of this machine, under its own name.
    pub fn copy(&self, name: &str, folder: &Path) -> Result<PathBuf> {
        let place = folder.join(Path::new(name).file_name().context("a file without a name")?);
        let target = place.to_str().context("a path that is not UTF-8")?;
        mtools("mcopy", &["-n", "-o", "-i", &self.image, &format!("::{name}"), target])?;
        Ok(place)
    }

    /// What somebody with the card in his computer does.
    pub fn put(&self, name: &str, file: &Path) -> Result<()> {
        let source = file.to_str().context("a path that is not UTF-8")?;
        mtools("mcopy", &["-o", "-i", &self.image, source, &format!("::{name}")]).map(drop)
    }
}

fn table(card: &Path) -> Result<[[u8; ENTRY]; 4]> {
    let mut sector = [0; TABLE + 4 * ENTRY + 2];
    let file = File::open(card).with_context(|| format!("cannot open the card {}", card.display()))?;
    file.read_exact_at(&mut sector, 0).context("a card without a first sector")?;
    ensure!(sector.ends_with(&[0x55, 0xaa]), "{} has no partition table", card.display());
    let mut entries = [[0; ENTRY]; 4];
    for (entry, bytes) in entries.iter_mut().zip(sector[TABLE..].chunks(ENTRY)) {
        entry.copy_from_slice(bytes);
    }
    Ok(entries)
}

fn first_fat(card: &Path) -> Result<u32> {
    let entries = table(card)?;
    let Some(index) = entries.iter().position(|entry| FAT.contains(&entry[4])) else {
        bail!("no partition with FAT on {}", card.display());
    };
    Ok(u32::try_from(index)? + 1)
}

/// Sections `[all]`, `[none]` and `[tryboot]`; a later word overrides an earlier one.
fn choose(autoboot: &str, start: Start) -> Choice {
    let mut choice = Choice { partition: 0, config: "config.txt" };
    let (mut applies, mut both_alike) = (true, false);
    let read = if autoboot.len() <= LONGEST_AUTOBOOT { autoboot } else { "" };
    for line in read.lines().map(str::trim) {
        match line.split_once('=') {
            None if line.starts_with('[') => {
                applies = line == "[all]" || (line == "[tryboot]" && start == Start::Tryboot);
            }
            Some(("boot_partition", number)) if applies => choice.partition = number.parse().unwrap_or(0),
            Some(("tryboot_a_b", word)) if applies => both_alike = word == "1",
            None | Some(_) => {}
        }
    }
    if start == Start::Tryboot && !both_alike {
        choice.config = "tryboot.txt";
    }
    choice
}

/// Of `config.txt`, what holds for every Pi.
fn for_all(config: &str) -> impl Iterator<Item = &str> {
    let mut applies = true;
    config.lines().map(str::trim).filter(move |line| {
        if line.starts_with('[') {
            applies = *line == "[all]";
        }
        applies
    })
}

fn value<'a>(config: &'a str, key: &str) -> Option<&'a str> {
    for_all(config)
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| *name == key)
        .last()
        .map(|(_, value)| value)
}

/// `initramfs FILE followkernel`: this one alone has no equals sign.
fn following(config: &str) -> Option<&str> {
    for_all(config).filter_map(|line| line.strip_prefix("initramfs ")?.split_whitespace().next()).last()
}

fn mtools(program: &str, words: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    // The card's geometry is nobody's.
    let output = command.args(words).env("MTOOLS_SKIP_CHECK", "1").output();
    let output = output.with_context(|| format!("cannot run {program}: install mtools"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", words.join(" "), complaint.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT_A: &str = "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n";

    #[test]
    fn a_try_is_the_other_slot_and_everything_else_the_committed_one() {
        let chosen = |partition| Choice { partition, config: "config.txt" };
        assert_eq!(choose(SLOT_A, Start::Plain), chosen(2));
        assert_eq!(choose(SLOT_A, Start::Tryboot), chosen(3));
        let from_windows = SLOT_A.replace('\n', "\r\n");
        assert_eq!(choose(&from_windows, Start::Tryboot), chosen(3));
        assert_eq!(choose(SLOT_A.trim_end(), Start::Tryboot), chosen(3));
    }

    #[test]
    fn without_a_word_or_with_too_many_it_is_the_first_partition() {
        let first = Choice { partition: 0, config: "config.txt" };
        assert_eq!(choose("", Start::Plain), first);
        assert_eq!(choose("[none]\nboot_partition=2\n", Start::Plain), first);
        assert_eq!(choose(&format!("{SLOT_A}{}", " ".repeat(512)), Start::Plain), first);
        let alone = choose("boot_partition=2\n", Start::Tryboot);
        assert_eq!(alone, Choice { partition: 2, config: "tryboot.txt" });
    }

    #[test]
    fn what_holds_for_one_model_alone_is_not_taken() {
        let config = "kernel=a\n[pi3]\nkernel=b\n[all]\ninitramfs root followkernel\n#kernel=c\n";
        assert_eq!((value(config, "kernel"), following(config)), (Some("a"), Some("root")));
    }
}
