//! Remembers how far the handshakes' stamps are reserved.

use std::time::Duration;

use byway_core::stamps::{Boot, Mark};

use super::slots::{Record, Slots};
use super::{Recalled, Store, StoreError};

/// Where the mark is kept.
#[derive(Debug)]
pub struct StampFile(Slots<Mark>);

impl StampFile {
    /// The file, and the mark in it; none where there was none.
    pub fn open(store: Store) -> (StampFile, Recalled<Option<Mark>>) {
        let (slots, recalled) = Slots::open(store);
        (StampFile(slots), recalled)
    }

    /// On the disk when this returns, the stamp rounded up to a second. A refusal leaves the last mark.
    pub fn write(&mut self, mark: Mark) -> Result<(), StoreError> {
        self.0.write(mark)
    }
}

impl Record for Mark {
    const FILE: &str = "stamps";
    const MAGIC: [u8; 8] = *b"bywaymk2";

    fn numbers(&self) -> [u64; 3] {
        [rounded_up(self.stamp), self.wall.as_secs(), rounded_up(self.lead)]
    }

    fn boot(&self) -> Boot {
        self.boot
    }

    fn from_parts(numbers: [u64; 3], boot: Boot) -> Option<Self> {
        let [stamp, wall, lead] = numbers.map(Duration::from_secs);
        Some(Self { stamp, wall, boot, lead })
    }
}

/// To whole seconds: a mark may be higher than it was asked for.
fn rounded_up(mark: Duration) -> u64 {
    mark.as_secs() + u64::from(mark.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

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

    /// An update must not lose it.
    #[test]
    fn reads_what_earlier_agents_have_written() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, _) = open(folder.path());
        file.write(mark(FIRST)).unwrap();
        let bytes = std::fs::read(folder.path().join("stamps")).unwrap();
        let written = &bytes[4096..];
        assert_eq!(written.len(), 60);
        assert_eq!(&written[..8], b"bywaymk2");
        let numbers = [1, 1_800_000_000, 900_000_000, 900_000_000_u64].map(u64::to_le_bytes).concat();
        assert_eq!(written[8..40], numbers);
        assert_eq!(written[40..56], (u128::MAX - 7).to_le_bytes());
        assert_eq!(written[56..], [0x29, 0xec, 0x5a, 0x19]);
    }

    fn mark(stamp: Duration) -> Mark {
        let half = Duration::from_secs(stamp.as_secs() / 2);
        Mark { stamp, wall: half, boot: Boot(u128::MAX - 7), lead: half }
    }

    fn open(folder: &Path) -> (StampFile, Recalled<Option<Mark>>) {
        StampFile::open(Store::new(folder))
    }
}
