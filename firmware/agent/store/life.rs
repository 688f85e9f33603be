//! Remembers how the machine's boot ended, and, in a folder in memory, how the agent's lives in this one did.

use byway_core::last_stop::{Crashes, Farewell};
use serde::{Deserialize, Serialize};

use super::{Recalled, Store, StoreError, replace};

const BOOT: &str = "boot";
const LIFE: &str = "life";

/// How the machine runs, or was about to stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootNote {
    /// Which boot that was.
    pub boot: String,
    /// Why it was about to end; none while it runs.
    pub farewell: Option<Farewell>,
}

/// What the next agent of this boot is to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Story {
    pub boot: String,
    /// An agent runs, or was killed.
    pub runs: bool,
    /// Of the boot before.
    pub last_stop: Option<String>,
    pub crashes: Crashes,
    /// When words were last kept, as seconds since the boot.
    pub kept_s: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Boots {
    last: Option<BootNote>,
}

#[derive(Serialize, Deserialize)]
struct Lives {
    last: Option<Story>,
}

impl Store {
    /// What was last said of a boot; none before the first.
    pub fn boot(&self) -> Recalled<Option<BootNote>> {
        self.recall(BOOT, Boots { last: None }).map(|saved| saved.last)
    }

    pub fn remember_boot(&self, last: BootNote) -> Result<(), StoreError> {
        self.remember(BOOT, Boots { last: Some(last) })
    }

    pub fn life(&self) -> Recalled<Option<Story>> {
        self.recall(LIFE, Lives { last: None }).map(|saved| saved.last)
    }

    pub fn remember_life(&self, last: Story) -> Result<(), StoreError> {
        self.remember(LIFE, Lives { last: Some(last) })
    }

    /// A file for people, which is never read back.
    pub fn keep(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.make_folder()?;
        replace(&self.folder.join(name), &self.fresh(name), bytes)
    }
}
