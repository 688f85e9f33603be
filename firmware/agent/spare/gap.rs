//! Where the second copy lies: two places in the card's gap between its partition table and its first partition, written in
//! turn, so that a power cut at any byte leaves the last copy or the new one. Nothing is written where the gap is not
//! proven to be one, or holds what is not ours.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

const PLACES: [u64; 2] = [1 << 20, 2 << 20];
const ROOM: usize = 512 << 10;
/// Behind both places.
const FIRST_PARTITION: u64 = 4 << 20;

/// The last byte changes with what follows.
const MAGIC: [u8; 8] = *b"bywaysp1";
const NAME: &[u8] = MAGIC.split_at(7).0;
/// Before the content: the magic, how many copies were before it, its length, and the sum over these and it.
const HEAD: usize = 24;
const SUMMED: usize = 20;
/// What fits.
pub(super) const LONGEST: usize = ROOM - HEAD;

/// The partition table of the first sector (MBR): four entries before the signature.
const SECTOR: usize = 512;
const ENTRIES: Range<usize> = 446..510;
const ENTRY: usize = 16;
const SIGNATURE: [u8; 2] = [0x55, 0xaa];

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{}: {cause}", device.display())]
    Device { device: PathBuf, cause: io::Error },
    #[error(
        "{} has no free gap below {} MiB: {what}; flash the card with an image that leaves one",
        device.display(),
        FIRST_PARTITION >> 20
    )]
    NoGap { device: PathBuf, what: &'static str },
    #[error(
        "in the gap of {} is something that is not ours: if nobody needs it, `byway spare wipe {0}` makes room",
        device.display()
    )]
    Foreign { device: PathBuf },
    #[error("{} does not give back what was written: the card is worn, replace it", device.display())]
    Worn { device: PathBuf },
}

/// A device whose gap is one.
#[derive(Debug)]
pub(super) struct Gap {
    file: File,
    device: PathBuf,
}

/// What a place holds; the greater turn is the newer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) turn: u64,
    pub(super) content: Vec<u8>,
}

impl Gap {
    pub(super) fn open(device: &Path) -> Result<Self, Error> {
        Self::open_for(device, OpenOptions::new().read(true).write(true))
    }

    /// A worn card lets nobody open it for more.
    pub(super) fn open_read_only(device: &Path) -> Result<Self, Error> {
        Self::open_for(device, OpenOptions::new().read(true))
    }

    fn open_for(device: &Path, access: &OpenOptions) -> Result<Self, Error> {
        let failed = |cause| Error::Device { device: device.to_owned(), cause };
        let file = access.open(device).map_err(failed)?;
        let mut sector = [0; SECTOR];
        file.read_exact_at(&mut sector, 0).map_err(failed)?;
        prove(&sector).map_err(|what| Error::NoGap { device: device.to_owned(), what })?;
        Ok(Self { file, device: device.to_owned() })
    }

    pub(super) fn newest(&self) -> Result<Option<Copy>, Error> {
        Ok(newest(&self.places()?))
    }

    /// On the card when this returns, and read back. `content` is no longer than [`LONGEST`].
    pub(super) fn write(&self, copy: &Copy) -> Result<(), Error> {
        if !are_ours(&self.places()?) {
            return Err(Error::Foreign { device: self.device.clone() });
        }
        let bytes = encode(copy);
        let place = PLACES[place(copy.turn)];
        self.put(&bytes, place)?;
        let mut written = vec![0; bytes.len()];
        self.file.read_exact_at(&mut written, place).map_err(self.failed())?;
        if written == bytes { Ok(()) } else { Err(Error::Worn { device: self.device.clone() }) }
    }

    pub(super) fn wipe(&self) -> Result<(), Error> {
        PLACES.into_iter().try_for_each(|place| self.put(&vec![0; ROOM], place))
    }

    fn put(&self, bytes: &[u8], place: u64) -> Result<(), Error> {
        let put = || {
            self.file.write_all_at(bytes, place)?;
            self.file.sync_all()?;
            // So that it is read from the card, and not from memory.
            posix_fadvise(&self.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).map_err(io::Error::from)
        };
        put().map_err(self.failed())
    }

    fn places(&self) -> Result<[Vec<u8>; 2], Error> {
        let read = |place| self.read(place).map_err(self.failed());
        Ok([read(PLACES[0])?, read(PLACES[1])?])
    }

    /// As much as is ours; where nothing is, all of it.
    fn read(&self, place: u64) -> io::Result<Vec<u8>> {
        let mut head = [0; HEAD];
        self.file.read_exact_at(&mut head, place)?;
        let length =
            length(&head).filter(|_| head.starts_with(NAME)).map(|length| HEAD + length.min(LONGEST));
        let mut bytes = vec![0; length.unwrap_or(ROOM)];
        self.file.read_exact_at(&mut bytes, place)?;
        Ok(bytes)
    }

    fn failed(&self) -> impl Fn(io::Error) -> Error {
        |cause| Error::Device { device: self.device.clone(), cause }
    }
}

/// An error says what the sector has in the gap's place. A table of the other kind (GPT) begins with a partition that holds
/// the whole disk.
fn prove(sector: &[u8; SECTOR]) -> Result<(), &'static str> {
    if !sector.ends_with(&SIGNATURE) {
        return Err("it has no partition table");
    }
    let (entries, _) = sector[ENTRIES].as_chunks::<ENTRY>();
    let used = entries.iter().filter(|entry| entry[4] != 0);
    let first = used.map(|entry| u32::from_le_bytes([entry[8], entry[9], entry[10], entry[11]])).min();
    match first {
        None => Err("its partition table is empty"),
        Some(first) if u64::from(first) * (SECTOR as u64) < FIRST_PARTITION => {
            Err("a partition begins there")
        }
        Some(_) => Ok(()),
    }
}

/// Which of both: the one that the copy before it is not in.
fn place(turn: u64) -> usize {
    usize::from(!turn.is_multiple_of(2))
}

fn newest(places: &[Vec<u8>; 2]) -> Option<Copy> {
    places.iter().filter_map(|place| decode(place)).max_by_key(|copy| copy.turn)
}

/// Where one is, both are. Else nobody was ever here, or we were and the power went at the first bytes.
fn are_ours(places: &[Vec<u8>; 2]) -> bool {
    let begun = |place: &Vec<u8>| {
        let same = place.iter().zip(MAGIC).take_while(|(here, ours)| **here == *ours).count();
        place[same..].iter().all(|byte| *byte == 0)
    };
    places.iter().any(|place| place.starts_with(NAME)) || places.iter().all(begun)
}

fn encode(Copy { turn, content }: &Copy) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("it fits");
    let mut bytes = [&MAGIC[..], &turn.to_le_bytes(), &length.to_le_bytes(), &[0; 4], content].concat();
    let sum = sum(&bytes);
    bytes[SUMMED..HEAD].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Copy> {
    let turn = u64::from_le_bytes(*bytes.get(8..)?.first_chunk()?);
    let whole = bytes.get(..HEAD.checked_add(length(bytes)?)?)?;
    let is_ours = whole.starts_with(&MAGIC) && number(whole, SUMMED) == Some(sum(whole));
    is_ours.then(|| Copy { turn, content: whole[HEAD..].to_vec() })
}

/// Of the content.
fn length(bytes: &[u8]) -> Option<usize> {
    usize::try_from(number(bytes, 16)?).ok()
}

fn number(bytes: &[u8], place: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(place..)?.first_chunk()?))
}

/// Over all but itself.
fn sum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..SUMMED]);
    hasher.update(&bytes[HEAD..]);
    hasher.finalize()
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    /// A card's first 4 MiB, with a partition behind them; what was never written is zero.
    pub(in crate::spare) fn card(folder: &TempDir) -> PathBuf {
        card_with(folder, &[(0xc, 8192), (0x83, 4_000_000)])
    }

    fn card_with(folder: &TempDir, partitions: &[(u8, u32)]) -> PathBuf {
        let mut sector = [0; SECTOR];
        for ((kind, begin), place) in partitions.iter().zip(ENTRIES.step_by(ENTRY)) {
            sector[place + 4] = *kind;
            sector[place + 8..place + 12].copy_from_slice(&begin.to_le_bytes());
        }
        sector[ENTRIES.end..].copy_from_slice(&SIGNATURE);
        let path = folder.path().join("card");
        let file = File::create(&path).unwrap();
        file.set_len(FIRST_PARTITION).unwrap();
        file.write_all_at(&sector, 0).unwrap();
        path
    }

    fn put(device: &Path, bytes: &[u8], place: u64) {
        OpenOptions::new().write(true).open(device).unwrap().write_all_at(bytes, place).unwrap();
    }

    fn copy(turn: u64, content: impl Into<Vec<u8>>) -> Copy {
        Copy { turn, content: content.into() }
    }

    #[test]
    fn keeps_the_newest_and_touches_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let card = card(&folder);
        let before = std::fs::read(&card).unwrap();
        let gap = Gap::open(&card).unwrap();
        assert_eq!(gap.newest().unwrap(), None);
        for turn in 1..=5 {
            gap.write(&copy(turn, turn.to_le_bytes())).unwrap();
            assert_eq!(gap.newest().unwrap(), Some(copy(turn, turn.to_le_bytes())));
        }
        gap.write(&copy(6, vec![1; LONGEST])).unwrap();
        assert_eq!(gap.newest().unwrap(), Some(copy(6, vec![1; LONGEST])));
        let after = std::fs::read(&card).unwrap();
        assert_eq!(after.len(), before.len());
        let ours = |byte: u64| PLACES.iter().any(|place| (*place..*place + ROOM as u64).contains(&byte));
        let kept = (0..).zip(before.iter().zip(&after)).filter(|(byte, _)| !ours(*byte));
        assert!(kept.map(|(_, both)| both).all(|(before, after)| before == after));
        gap.wipe().unwrap();
        assert!(std::fs::read(&card).unwrap() == before, "wiped");
    }

    #[test]
    fn what_is_opened_to_be_read_is_never_written() {
        let folder = tempfile::tempdir().unwrap();
        let card = card(&folder);
        Gap::open(&card).unwrap().write(&copy(1, *b"old")).unwrap();
        let gap = Gap::open_read_only(&card).unwrap();
        assert!(matches!(gap.write(&copy(2, *b"new")), Err(Error::Device { .. })));
        assert_eq!(gap.newest().unwrap(), Some(copy(1, *b"old")));
    }

    #[test]
    fn refuses_where_there_is_no_gap() {
        let folder = tempfile::tempdir().unwrap();
        let said = |partitions: &[(u8, u32)]| {
            Gap::open(&card_with(&folder, partitions)).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(said(&[(0xc, 8192)]), Ok(()));
        assert_eq!(said(&[(0, 1), (0x83, 8192)]), Ok(()));
        for (partitions, what) in [
            (&[][..], "is empty"),
            (&[(0xc, 8191)], "a partition begins there"),
            (&[(0x83, 300_000), (0xc, 2048)], "a partition begins there"),
            (&[(0xee, 1)], "a partition begins there"),
        ] {
            let error = said(partitions).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
        let card = card(&folder);
        put(&card, &[0], 510);
        let error = Gap::open(&card).unwrap_err().to_string();
        assert!(error.contains("no partition table"), "{error}");
        std::fs::write(&card, "short").unwrap();
        assert!(matches!(Gap::open(&card), Err(Error::Device { .. })));
        let nowhere = folder.path().join("nowhere");
        assert!(Gap::open(&nowhere).unwrap_err().to_string().contains("nowhere: No such file"));
    }

    #[test]
    fn writes_over_nothing_that_is_not_ours_unless_told_so() {
        for (place, byte) in [(PLACES[0], b"b"), (PLACES[0] + 99, b"x"), (PLACES[1] + ROOM as u64 - 1, b"x")]
        {
            let folder = tempfile::tempdir().unwrap();
            let card = card(&folder);
            put(&card, byte, place);
            put(&card, b"x", place + 1);
            let gap = Gap::open(&card).unwrap();
            let outcome = gap.write(&copy(1, *b"new"));
            if place + 1 == PLACES[1] + ROOM as u64 {
                // Beyond the place nobody looks.
                put(&card, b"x", place);
            }
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains("`byway spare wipe"), "{error}");
            gap.wipe().unwrap();
            gap.write(&copy(1, *b"new")).unwrap();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_power_cut_at_any_byte_leaves_the_last_copy_or_the_new_one(
            contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..5),
            rest in prop::sample::select(vec![None, Some(0), Some(0xff)]),
        ) {
            let mut places = [vec![0; 99], vec![0; 99]];
            let copies: Vec<Copy> = (1..).zip(contents).map(|(turn, content)| copy(turn, content)).collect();
            let (new, before) = copies.split_last().unwrap();
            for copy in before {
                let bytes = encode(copy);
                places[place(copy.turn)][..bytes.len()].copy_from_slice(&bytes);
            }
            let bytes = encode(new);
            for torn in 0..=bytes.len() {
                let mut cut = places.clone();
                let written = &mut cut[place(new.turn)][..bytes.len()];
                written[..torn].copy_from_slice(&bytes[..torn]);
                if let Some(rest) = rest {
                    written[torn..].fill(rest);
                }
                let found = newest(&cut);
                let is_new = found.as_ref() == Some(new) && torn > SUMMED;
                prop_assert!(found.as_ref() == before.last() || is_new, "torn at {}", torn);
                // Of the first bytes of the very first copy nobody knows whose they are.
                let is_unknown = before.is_empty() && torn < NAME.len() && rest == Some(0xff);
                prop_assert_eq!(are_ours(&cut), !is_unknown, "torn at {}", torn);
            }
        }
    }
}
