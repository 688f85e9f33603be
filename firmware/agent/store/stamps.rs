//! Remembers how far the handshakes' stamps are reserved: one file with two places, written in turn and in
//! place, so that a power cut at any byte leaves the last mark or the new one, and a mark costs one block.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use byway_core::stamps::{Boot, Mark};

use super::{Recalled, Store, StoreError, at};

const STAMPS: &str = "stamps";
/// Apart by a block of every usual disk: what tears one leaves the other whole.
const PLACES: [u64; 2] = [0, 4096];
const MAGIC: [u8; 8] = *b"bywaymk2";
/// Of an entry: what it is, five numbers, and the sum over them.
const LENGTH: usize = 60;
const SUMMED: usize = 56;
/// No mark or turn is later: there is room for what is added.
const LATEST: u64 = 1 << 40;

/// Where the mark is kept.
#[derive(Debug)]
pub struct StampFile {
    store: Store,
    path: PathBuf,
    /// Counts the writes; odd and even ones have a place each.
    turn: u64,
}

/// What a place holds; the greater turn is the newer.
#[derive(Clone, Copy, Debug)]
struct Entry {
    turn: u64,
    mark: Mark,
}

impl StampFile {
    /// The file, and the mark in it; none where there was none.
    pub fn open(store: Store) -> (StampFile, Recalled<Option<Mark>>) {
        let path = store.folder.join(STAMPS);
        let (newest, note) = match read(&path) {
            Ok(newest) => (newest, None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (None, None),
            Err(error) => (None, Some(format!("{} cannot be read: {error}", path.display()))),
        };
        let turn = newest.map_or(0, |entry| entry.turn);
        (StampFile { store, path, turn }, Recalled { value: newest.map(|entry| entry.mark), note })
    }

    /// On the disk when this returns, the stamp rounded up to a second. A refusal leaves the last mark.
    pub fn write(&mut self, mark: Mark) -> Result<(), StoreError> {
        self.store.make_folder()?;
        let entry = Entry { turn: self.turn + 1, mark };
        write(&self.path, place(entry.turn), &encode(entry)).map_err(at(&self.path))?;
        self.turn = entry.turn;
        Ok(())
    }
}

fn place(turn: u64) -> u64 {
    if turn.is_multiple_of(2) { PLACES[0] } else { PLACES[1] }
}

fn read(path: &Path) -> io::Result<Option<Entry>> {
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

fn encode(entry: Entry) -> [u8; LENGTH] {
    let Entry { turn, mark: Mark { stamp, wall, boot: Boot(boot), lead } } = entry;
    let mut bytes = [0; LENGTH];
    bytes[..8].copy_from_slice(&MAGIC);
    let numbers = [(8, turn), (16, rounded_up(stamp)), (24, wall.as_secs()), (32, rounded_up(lead))];
    for (place, number) in numbers {
        bytes[place..place + 8].copy_from_slice(&number.to_le_bytes());
    }
    bytes[40..SUMMED].copy_from_slice(&boot.to_le_bytes());
    let sum = crc32fast::hash(&bytes[..SUMMED]);
    bytes[SUMMED..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Entry> {
    let (head, sum) = bytes.split_last_chunk::<4>()?;
    let number = |place: usize| Some(u64::from_le_bytes(*head.get(place..)?.first_chunk()?));
    let turn = number(8)?;
    let numbers = [number(16)?, number(24)?, number(32)?];
    let boot = Boot(u128::from_le_bytes(*head.get(40..)?.first_chunk()?));
    let whole = head.starts_with(&MAGIC) && crc32fast::hash(head) == u32::from_le_bytes(*sum);
    let [stamp, wall, lead] = numbers.map(Duration::from_secs);
    let possible = numbers.into_iter().chain([turn]).all(|number| number <= LATEST);
    (whole && possible).then_some(Entry { turn, mark: Mark { stamp, wall, boot, lead } })
}

/// To whole seconds: a mark may be higher than it was asked for.
fn rounded_up(mark: Duration) -> u64 {
    mark.as_secs() + u64::from(mark.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_hours(500_000);
    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn remembers_the_last_mark_rounded_up() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, recalled) = open(folder.path());
        assert_eq!(recalled, Recalled { value: None, note: None });
        for hours in [0, 3, 1, 4, 0] {
            file.write(mark(FIRST + hours * HOUR + Duration::from_nanos(1))).unwrap();
            let rounded = mark(FIRST + hours * HOUR + Duration::from_secs(1));
            assert_eq!(open(folder.path()).1.value, Some(rounded));
        }
    }

    #[test]
    fn a_power_cut_at_any_byte_leaves_the_last_mark_or_the_new_one() {
        for writes in 1..=4 {
            let folder = tempfile::tempdir().unwrap();
            let (mut file, _) = open(folder.path());
            for hours in 0..writes {
                file.write(mark(FIRST + hours * HOUR)).unwrap();
            }
            let (last, new) = (mark(FIRST + (writes - 1) * HOUR), mark(FIRST + writes * HOUR));
            let before = std::fs::read(&file.path).unwrap();
            for (torn, rest) in
                (0..=LENGTH).flat_map(|torn| [None, Some(0), Some(0xff)].map(|rest| (torn, rest)))
            {
                let entry = Entry { turn: file.turn + 1, mark: new };
                let mut bytes = encode(entry).to_vec();
                match rest {
                    None => bytes.truncate(torn),
                    Some(rest) => bytes[torn..].fill(rest),
                }
                std::fs::write(&file.path, &before).unwrap();
                write(&file.path, place(entry.turn), &bytes).unwrap();
                let (mut next, recalled) = open(folder.path());
                let found = recalled.value.unwrap();
                assert!(found == last || (found == new && torn > 16), "{found:?} torn at {torn}");
                let later = mark(found.stamp + HOUR);
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
        for hours in 0..100 {
            file.write(mark(FIRST + hours * HOUR)).unwrap();
        }
        let metadata = file.path.metadata().unwrap();
        assert_eq!(metadata.len(), PLACES[1] + LENGTH as u64);
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_refusal_leaves_the_last_mark_and_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, _) = open(folder.path());
        file.write(mark(FIRST)).unwrap();
        let path = std::mem::replace(&mut file.path, folder.path().join("wish/stamps"));
        let error = file.write(mark(FIRST + HOUR)).unwrap_err().to_string();
        assert!(error.contains("wish/stamps"), "{error}");
        file.path = path;
        file.write(mark(FIRST + HOUR)).unwrap();
        assert_eq!(open(folder.path()).1.value, Some(mark(FIRST + HOUR)));
    }

    #[test]
    fn believes_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(STAMPS);
        for content in [&b""[..], b"bywaymk1", &[0xff; 8192]] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(open(folder.path()).1, Recalled { value: None, note: None });
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let note = open(folder.path()).1.note.unwrap();
        assert!(note.contains("stamps cannot be read"), "{note}");
    }

    fn mark(stamp: Duration) -> Mark {
        let half = Duration::from_secs(stamp.as_secs() / 2);
        Mark { stamp, wall: half, boot: Boot(u128::MAX - 7), lead: half }
    }

    fn open(folder: &Path) -> (StampFile, Recalled<Option<Mark>>) {
        StampFile::open(Store::new(folder))
    }
}
