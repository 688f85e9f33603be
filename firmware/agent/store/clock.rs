//! Remembers what the clock showed, and by whose word.

use std::time::Duration;

use byway_core::Uptime;
use byway_core::clock::{Source, Stamp};
use byway_core::stamps::Boot;

use super::slots::{Record, Slots};
use super::{Recalled, Store, StoreError};

/// In the order of their numbers on the disk.
const SOURCES: [Source; 6] =
    [Source::None, Source::Build, Source::Saved, Source::Rtc, Source::Tls, Source::Ntp];

/// Where the stamp is kept.
#[derive(Debug)]
pub struct ClockFile(Slots<Stamp>);

impl ClockFile {
    /// The file, and the stamp in it; none where there was none.
    pub fn open(store: Store) -> (ClockFile, Recalled<Option<Stamp>>) {
        let (slots, recalled) = Slots::open(store);
        (ClockFile(slots), recalled)
    }

    /// On the disk when this returns, in whole seconds. A refusal leaves the last stamp.
    pub fn write(&mut self, stamp: Stamp) -> Result<(), StoreError> {
        self.0.write(stamp)
    }
}

impl Record for Stamp {
    const FILE: &str = "clock";
    const MAGIC: [u8; 8] = *b"bywayck1";

    fn numbers(&self) -> [u64; 3] {
        let source = (0..).zip(SOURCES).find(|(_, source)| *source == self.source);
        let uptime = self.uptime.elapsed_since_boot();
        [self.wall.as_secs(), uptime.as_secs(), source.map_or(0, |(number, _)| number)]
    }

    fn boot(&self) -> Boot {
        self.boot
    }

    fn from_parts([wall, uptime, source]: [u64; 3], boot: Boot) -> Option<Self> {
        let source = *SOURCES.get(usize::try_from(source).ok()?)?;
        let uptime = Uptime::since_boot(Duration::from_secs(uptime));
        Some(Self { wall: Duration::from_secs(wall), uptime, boot, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_last_stamp_and_its_source() {
        let folder = tempfile::tempdir().unwrap();
        let open = || ClockFile::open(Store::new(folder.path()));
        let (mut file, recalled) = open();
        assert_eq!(recalled, Recalled { value: None, note: None });
        for (wall, source) in (1_800_000_000..).zip(SOURCES) {
            let uptime = Uptime::since_boot(Duration::from_secs(wall / 2));
            let stamp = Stamp { wall: Duration::from_secs(wall), uptime, boot: Boot(9), source };
            file.write(stamp).unwrap();
            assert_eq!(open().1.value, Some(stamp));
        }
    }

    #[test]
    fn a_source_of_a_later_agent_is_no_stamp() {
        assert_eq!(Stamp::from_parts([1, 2, 6], Boot(9)), None);
    }
}
