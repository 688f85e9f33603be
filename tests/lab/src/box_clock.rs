//! A wall clock of the box's own, which the machine's does not follow: a fake below the agent (`examples/fake_clock.rs`),
//! and this, the hand that turns it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

/// What the agents of a box see as the time, as long as it has power.
#[derive(Debug)]
pub struct BoxClock {
    library: PathBuf,
    file: PathBuf,
    /// What tells one boot from another.
    boot: PathBuf,
}

impl BoxClock {
    /// Shows 1970, as a Pi that was switched on just now. `library` is the built fake.
    pub(crate) fn make(library: &Path, folder: &Path) -> Result<Self> {
        let (file, boot) = (folder.join("clock"), folder.join("boot_id"));
        let clock = Self { library: library.to_owned(), file, boot };
        clock.forget()?;
        Ok(clock)
    }

    /// What a power cut makes of it: 1970, and nobody keeps it; another boot.
    pub(crate) fn forget(&self) -> Result<()> {
        let machine = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        fs::write(&self.boot, format!("{:032x}\n", machine.as_nanos()))
            .with_context(|| format!("cannot write {}", self.boot.display()))?;
        self.write(-nanos(machine)?)
    }

    /// By how much it is ahead of the machine's; negative: behind.
    pub fn ahead(&self) -> Result<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a nanosecond of three years does not matter")]
        let seconds = self.read()? as f64 / 1e9;
        Ok(seconds)
    }

    /// Somebody steps it forward.
    pub fn step_forward(&self, by: Duration) -> Result<()> {
        self.write(self.read()? + nanos(by)?)
    }

    pub fn step_back(&self, by: Duration) -> Result<()> {
        self.write(self.read()? - nanos(by)?)
    }

    /// For the agent's environment.
    pub(crate) fn environment(&self) -> [(&str, &Path); 3] {
        [("LD_PRELOAD", &self.library), ("BYWAY_LAB_CLOCK", &self.file), ("BYWAY_LAB_BOOT", &self.boot)]
    }

    fn read(&self) -> Result<i64> {
        let mut bytes = [0; 8];
        self.open()?.read_exact_at(&mut bytes, 0)?;
        Ok(i64::from_ne_bytes(bytes))
    }

    /// In place: the agent has it mapped.
    fn write(&self, offset: i64) -> Result<()> {
        // Nanoseconds beyond the machine's clock; that nobody keeps it in step.
        let state = [offset.to_ne_bytes(), 0_i64.to_ne_bytes()].concat();
        Ok(self.open()?.write_all_at(&state, 0)?)
    }

    fn open(&self) -> Result<File> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&self.file);
        file.with_context(|| format!("cannot open {}", self.file.display()))
    }
}

fn nanos(span: Duration) -> Result<i64> {
    i64::try_from(span.as_nanos()).context("292 years are enough for a clock")
}
