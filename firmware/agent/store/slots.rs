//! Remembers one record in a file with two places, written in turn and in place, so that a power cut at any byte leaves
//! the last record or the new one, and each costs one block. Knows no meaning of any record.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::marker::PhantomData;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use byway_core::stamps::Boot;

use super::{Recalled, Store, StoreError, at};

/// Apart by a block of every usual disk: what tears one leaves the other whole.
pub(super) const PLACES: [u64; 2] = [0, 4096];
/// Of an entry: what it is, how many were before it, three numbers, a boot, and the sum over them.
pub(super) const LENGTH: usize = 60;
const SUMMED: usize = 56;
/// No number is greater: there is room for what is added.
const MOST: u64 = 1 << 40;

/// What is remembered.
pub(super) trait Record: Copy {
    const FILE: &str;
    /// Changes with what the numbers mean.
    const MAGIC: [u8; 8];

    fn numbers(&self) -> [u64; 3];
    fn boot(&self) -> Boot;
    /// `None`: no agent has written that.
    fn from_parts(numbers: [u64; 3], boot: Boot) -> Option<Self>;
}

/// Where it is kept.
#[derive(Debug)]
pub(super) struct Slots<R> {
    store: Store,
    pub(super) path: PathBuf,
    /// Counts the writes; odd and even ones have a place each.
    turn: u64,
    record: PhantomData<R>,
}

/// What a place holds; the greater turn is the newer.
#[derive(Clone, Copy, Debug)]
struct Entry<R> {
    turn: u64,
    record: R,
}

impl<R: Record> Slots<R> {
    /// The file, and what is in it; none where there was none.
    pub(super) fn open(store: Store) -> (Self, Recalled<Option<R>>) {
        let path = store.folder.join(R::FILE);
        let (newest, note) = match read(&path) {
            Ok(newest) => (newest, None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (None, None),
            Err(error) => (None, Some(format!("{} cannot be read: {error}", path.display()))),
        };
        let turn = newest.map_or(0, |entry: Entry<R>| entry.turn);
        let value = newest.map(|entry| entry.record);
        (Self { store, path, turn, record: PhantomData }, Recalled { value, note })
    }

    /// On the disk when this returns. A refusal leaves the last one.
    pub(super) fn write(&mut self, record: R) -> Result<(), StoreError> {
        self.store.make_folder()?;
        let entry = Entry { turn: self.turn + 1, record };
        write(&self.path, place(entry.turn), &encode(&entry)).map_err(at(&self.path))?;
        self.turn = entry.turn;
        Ok(())
    }
}

fn place(turn: u64) -> u64 {
    if turn.is_multiple_of(2) { PLACES[0] } else { PLACES[1] }
}

fn read<R: Record>(path: &Path) -> io::Result<Option<Entry<R>>> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let mut bytes = Vec::new();
    file.take(PLACES[1] + LENGTH as u64).read_to_end(&mut bytes)?;
    let entries = PLACES.map(|place| {
        let place = usize::try_from(place).expect("a few thousand");
        decode(bytes.get(place..place + LENGTH)?)
    });
    Ok(entries.into_iter().flatten().max_by_key(|entry| entry.turn))
}

fn write(path: &Path, place: u64, bytes: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    file.write_all_at(bytes, place)?;
    file.sync_data()?;
    // Costs nothing once the folder knows the file.
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn encode<R: Record>(Entry { turn, record }: &Entry<R>) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..8].copy_from_slice(&R::MAGIC);
    let [first, second, third] = record.numbers();
    for (place, number) in [(8, *turn), (16, first), (24, second), (32, third)] {
        bytes[place..place + 8].copy_from_slice(&number.to_le_bytes());
    }
    let Boot(boot) = record.boot();
    bytes[40..SUMMED].copy_from_slice(&boot.to_le_bytes());
    let sum = crc32fast::hash(&bytes[..SUMMED]);
    bytes[SUMMED..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn decode<R: Record>(bytes: &[u8]) -> Option<Entry<R>> {
    let (head, sum) = bytes.split_last_chunk::<4>()?;
    let number = |place: usize| Some(u64::from_le_bytes(*head.get(place..)?.first_chunk()?));
    let turn = number(8)?;
    let numbers = [number(16)?, number(24)?, number(32)?];
    let boot = Boot(u128::from_le_bytes(*head.get(40..)?.first_chunk()?));
    let whole = head.starts_with(&R::MAGIC) && crc32fast::hash(head) == u32::from_le_bytes(*sum);
    let possible = numbers.into_iter().chain([turn]).all(|number| number <= MOST);
    let record = R::from_parts(numbers, boot).filter(|_| whole && possible)?;
    Some(Entry { turn, record })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Count(u64);

    impl Record for Count {
        const FILE: &str = "count";
        const MAGIC: [u8; 8] = *b"bywaytst";

        fn numbers(&self) -> [u64; 3] {
            [self.0, 7, self.0 / 2]
        }

        fn boot(&self) -> Boot {
            Boot(u128::MAX - 7)
        }

        fn from_parts([count, seven, half]: [u64; 3], boot: Boot) -> Option<Self> {
            (seven == 7 && half == count / 2 && boot == Boot(u128::MAX - 7)).then_some(Self(count))
        }
    }

    #[test]
    fn remembers_the_last_record() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, recalled) = open(folder.path());
        assert_eq!(recalled, Recalled { value: None, note: None });
        for count in [1, 4, 2, 5, 1] {
            file.write(Count(count)).unwrap();
            assert_eq!(open(folder.path()).1.value, Some(Count(count)));
        }
    }

    #[test]
    fn a_power_cut_at_any_byte_leaves_the_last_record_or_the_new_one() {
        for writes in 1..=4 {
            let folder = tempfile::tempdir().unwrap();
            let (mut file, _) = open(folder.path());
            for count in 1..=writes {
                file.write(Count(count)).unwrap();
            }
            let (last, new) = (Count(writes), Count(writes + 1));
            let before = std::fs::read(&file.path).unwrap();
            for (torn, rest) in
                (0..=LENGTH).flat_map(|torn| [None, Some(0), Some(0xff)].map(|rest| (torn, rest)))
            {
                let entry = Entry { turn: file.turn + 1, record: new };
                let mut bytes = encode(&entry).to_vec();
                match rest {
                    None => bytes.truncate(torn),
                    Some(rest) => bytes[torn..].fill(rest),
                }
                std::fs::write(&file.path, &before).unwrap();
                write(&file.path, place(entry.turn), &bytes).unwrap();
                let (mut next, recalled) = open(folder.path());
                let found = recalled.value.unwrap();
                assert!(found == last || (found == new && torn > 16), "{found:?} torn at {torn}");
                let later = Count(found.0 + 1);
                next.write(later).unwrap();
                assert_eq!(open(folder.path()).1.value, Some(later));
            }
        }
    }

    #[test]
    fn does_not_grow_and_is_for_root_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (mut file, _) = open(&folder.path().join("deep/er"));
        for count in 0..100 {
            file.write(Count(count)).unwrap();
        }
        let metadata = file.path.metadata().unwrap();
        assert_eq!(metadata.len(), PLACES[1] + LENGTH as u64);
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_refusal_leaves_the_last_record_and_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, _) = open(folder.path());
        file.write(Count(1)).unwrap();
        let path = std::mem::replace(&mut file.path, folder.path().join("wish/count"));
        let error = file.write(Count(2)).unwrap_err().to_string();
        assert!(error.contains("wish/count"), "{error}");
        file.path = path;
        file.write(Count(2)).unwrap();
        assert_eq!(open(folder.path()).1.value, Some(Count(2)));
    }

    #[test]
    fn believes_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(Count::FILE);
        for content in [&b""[..], b"bywaytst", &[0xff; 8192]] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(open(folder.path()).1, Recalled { value: None, note: None });
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let note = open(folder.path()).1.note.unwrap();
        assert!(note.contains("count cannot be read"), "{note}");
    }

    fn open(folder: &Path) -> (Slots<Count>, Recalled<Option<Count>>) {
        Slots::open(Store::new(folder))
    }
}
