//! Remembers how much of the house's line clients have used this day.

use byway_core::Used;
use byway_core::stamps::Boot;

use super::slots::{Record, Slots};
use super::{Recalled, Store, StoreError};

const KB: u64 = 1_000;

/// Where that is kept.
#[derive(Debug)]
pub struct UsedFile(Slots<Kept>, Boot);

/// And in which boot it was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kept {
    used: Used,
    boot: Boot,
}

impl UsedFile {
    /// The file, and what is in it: of another boot, nothing was counted in this one by then.
    pub fn open(store: Store, boot: Boot) -> (UsedFile, Recalled<Used>) {
        let (slots, recalled) = Slots::open(store);
        let of_this_boot = |kept: Kept| {
            let counted = if kept.boot == boot { kept.used.counted } else { 0 };
            Used { counted, ..kept.used }
        };
        let used = recalled.map(|kept: Option<Kept>| kept.map(of_this_boot).unwrap_or_default());
        (UsedFile(slots, boot), used)
    }

    /// On the disk when this returns, in whole kB. A refusal leaves what was there.
    pub fn write(&mut self, used: Used) -> Result<(), StoreError> {
        self.0.write(Kept { used, boot: self.1 })
    }
}

impl Record for Kept {
    const FILE: &str = "used";
    const MAGIC: [u8; 8] = *b"bywayus1";

    fn numbers(&self) -> [u64; 3] {
        let Used { day, bytes, counted } = self.used;
        [day.map_or(0, |day| u64::from(day) + 1), bytes / KB, counted / KB]
    }

    fn boot(&self) -> Boot {
        self.boot
    }

    fn from_parts([day, bytes, counted]: [u64; 3], boot: Boot) -> Option<Self> {
        let day = day.checked_sub(1).map(u32::try_from).transpose().ok()?;
        Some(Self { used: Used { day, bytes: bytes * KB, counted: counted * KB }, boot })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_a_days_use_and_in_which_boot_it_was_counted() {
        let folder = tempfile::tempdir().unwrap();
        let open = |boot| UsedFile::open(Store::new(folder.path()), Boot(boot));
        assert_eq!(open(1).1.value, Used::default());
        for day in [None, Some(0), Some(20_784)] {
            let used = Used { day, bytes: 50_000_000_000, counted: 7_000 };
            open(1).0.write(used).unwrap();
            assert_eq!(open(1).1.value, used);
            assert_eq!(open(2).1.value, Used { counted: 0, ..used });
        }
    }
}
