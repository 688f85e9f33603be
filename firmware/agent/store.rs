//! Remembers across power cuts: the last wish, the relay or the place that somebody chose, for whom nothing is carried, the last good addresses of the box's own names, the tailnet's domain, how the boot ended; `used` what of the house's line, `stamps` what the
//! handshakes' stamps are above, `clock` what the time was; for `mullvad` its list of relays and the account's keys. A file is replaced whole or not at all; one that cannot be read is set aside and
//! reported, never believed. A disk that takes nothing is no reason to stop. Decides nothing.

mod clock;
mod ledger;
mod life;
mod slots;
mod stamps;
mod used;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use byway_core::account::Choice;
use byway_core::clients::PausedClient;
use byway_core::{Egress, Wish};

pub use self::clock::ClockFile;
pub use self::life::{BootNote, Story};
pub use self::stamps::StampFile;
pub use self::used::UsedFile;

/// A file of another version is foreign: after an update that was undone, the old agent finds the new one's file.
const VERSION: u32 = 1;
const WISH: &str = "wish";
const RELAY: &str = "relay";
const PAUSED: &str = "paused";
const NAMES: &str = "names";
const DOMAIN: &str = "domain";
const PROBE: &str = "probe";
/// One block of every usual disk: less could fit into what is left of another.
const PROBE_BYTES: [u8; 4096] = [b'.'; 4096];
/// Nothing that was saved here is longer.
const LONGEST: u64 = 1 << 20;
/// How many unreadable files of a kind are kept for the owner to look at; the last place is used again.
const KEPT_BROKEN: u32 = 3;

/// The box's own names and where they were last found.
pub type Addresses = BTreeMap<String, Vec<IpAddr>>;

/// What people wished last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastWish {
    pub wish: Wish,
    /// The last egress that was wished, for a toggle out of sealed.
    pub last_egress: Egress,
}

impl LastWish {
    /// Before anybody wished anything.
    pub fn first(egress: Egress) -> Self {
        Self { wish: egress.into(), last_egress: egress }
    }

    #[must_use]
    pub fn then(self, wish: Wish) -> Self {
        Self { wish, last_egress: wish.egress().unwrap_or(self.last_egress) }
    }
}

/// A value, and the sentence to log when the file that held it could not be believed.
#[derive(Debug, PartialEq, Eq)]
pub struct Recalled<T> {
    pub value: T,
    pub note: Option<String>,
}

impl<T> Recalled<T> {
    /// The value, once its note is logged.
    pub fn told(self) -> T {
        if let Some(note) = self.note {
            tracing::warn!("{note}");
        }
        self.value
    }

    fn map<U>(self, part: impl FnOnce(T) -> U) -> Recalled<U> {
        Recalled { value: part(self.value), note: self.note }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("could not save {}: {cause}: {}", path.display(), next_step(cause.kind()))]
pub struct StoreError {
    path: PathBuf,
    cause: io::Error,
}

/// A folder of small files, `STATE_DIR`.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    value: T,
}

#[derive(Default, Serialize, Deserialize)]
struct Relay {
    relay: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    choice: Option<Chosen>,
}

/// A place of relays, in place of the one that the configuration named at that time.
#[derive(Serialize, Deserialize)]
struct Chosen {
    place: String,
    location: String,
}

#[derive(Serialize, Deserialize)]
struct Paused {
    paused: Vec<PausedClient>,
}

#[derive(Serialize, Deserialize)]
struct Names {
    names: Addresses,
}

#[derive(Serialize, Deserialize)]
struct Domain {
    domain: Option<String>,
}

impl Store {
    /// The folder is made when there is something to save: a box whose disk is gone carries all the same.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The last wish, or the first one if none can be read.
    pub fn wish(&self, first: Egress) -> Recalled<LastWish> {
        self.recall(WISH, LastWish::first(first))
    }

    pub fn remember_wish(&self, wish: LastWish) -> Result<(), StoreError> {
        self.remember(WISH, wish)
    }

    /// The relay that was chosen last, by its name; none while the list's order is right.
    pub fn relay(&self) -> Recalled<Option<String>> {
        self.recall(RELAY, Relay::default()).map(|saved| saved.relay)
    }

    /// The place that it was chosen in stays.
    pub fn remember_relay(&self, name: &str) -> Result<(), StoreError> {
        let choice = read(&self.path(RELAY)).ok().and_then(|saved| decode::<Relay>(&saved).ok()?.choice);
        self.remember(RELAY, Relay { relay: Some(name.to_owned()), choice })
    }

    /// The place that was chosen last; none where the configuration's `location` is right, or another one than it was then.
    pub fn choice(&self, location: &Choice) -> Recalled<Option<Choice>> {
        let of_now = |chosen: &Chosen| chosen.location == location.to_string();
        self.recall(RELAY, Relay::default())
            .map(|saved| saved.choice.filter(of_now).and_then(|chosen| chosen.place.parse().ok()))
    }

    /// The relay that was chosen before is forgotten. `location`: the configuration's.
    pub fn remember_choice(&self, choice: &Choice, location: &Choice) -> Result<(), StoreError> {
        let chosen = Chosen { place: choice.to_string(), location: location.to_string() };
        self.remember(RELAY, Relay { relay: None, choice: Some(chosen) })
    }

    /// For whom nothing is carried.
    pub fn paused(&self) -> Recalled<Vec<PausedClient>> {
        self.recall(PAUSED, Paused { paused: Vec::new() }).map(|saved| saved.paused)
    }

    pub fn remember_paused(&self, paused: &[PausedClient]) -> Result<(), StoreError> {
        self.remember(PAUSED, Paused { paused: paused.to_vec() })
    }

    /// The last good addresses, none if they cannot be read.
    pub fn names(&self) -> Recalled<Addresses> {
        self.recall(NAMES, Names { names: Addresses::new() }).map(|saved| saved.names)
    }

    pub fn remember_names(&self, names: &Addresses) -> Result<(), StoreError> {
        self.remember(NAMES, Names { names: names.clone() })
    }

    /// The tailnet's base domain.
    pub fn domain(&self) -> Recalled<Option<String>> {
        self.recall(DOMAIN, Domain { domain: None }).map(|saved| saved.domain)
    }

    pub fn remember_domain(&self, domain: &str) -> Result<(), StoreError> {
        self.remember(DOMAIN, Domain { domain: Some(domain.to_owned()) })
    }

    /// Whether something can be saved right now.
    pub fn check(&self) -> Result<(), StoreError> {
        self.make_folder()?;
        let probe = self.fresh(PROBE);
        let written = write_fresh(&probe, &PROBE_BYTES);
        _ = fs::remove_file(&probe);
        written
    }

    /// When the newest of its files, or folders, was last written, as time since 1970.
    pub fn last_write(&self) -> Option<Duration> {
        let entries = fs::read_dir(&self.folder).ok()?.flatten();
        let written = entries.filter_map(|entry| entry.metadata().and_then(|found| found.modified()).ok());
        written.filter_map(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok()).max()
    }

    /// What was remembered of this kind last; the default where that cannot be believed.
    pub(crate) fn recall<T: DeserializeOwned>(&self, kind: &str, default: T) -> Recalled<T> {
        let broken = match read(&self.path(kind)) {
            Ok(bytes) => match decode(&bytes) {
                Ok(value) => return Recalled { value, note: None },
                Err(reason) => reason,
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Recalled { value: default, note: None };
            }
            Err(error) => error.to_string(),
        };
        Recalled { value: default, note: Some(self.set_aside(kind, &broken)) }
    }

    /// Returns the sentence that tells about it.
    fn set_aside(&self, kind: &str, broken: &str) -> String {
        let path = self.path(kind);
        let place = |number: u32| self.folder.join(format!("{kind}.broken-{number}"));
        let free = (1..KEPT_BROKEN).find(|number| !place(*number).exists()).unwrap_or(KEPT_BROKEN);
        let aside = place(free);
        // Nothing but a file takes a file's place, and nothing but an empty folder a folder's.
        _ = fs::remove_file(&aside).or_else(|_| fs::remove_dir_all(&aside));
        let fate = match fs::rename(&path, &aside) {
            Ok(()) => format!("kept as {}", aside.display()),
            Err(error) => format!("and cannot be set aside: {error}"),
        };
        format!("{} is not what was saved ({broken}): the default applies, {fate}", path.display())
    }

    /// On the disk when this returns. A refusal leaves what was there.
    pub(crate) fn remember<T: Serialize>(&self, kind: &str, value: T) -> Result<(), StoreError> {
        let path = self.path(kind);
        let bytes = serde_json::to_vec(&Versioned { version: VERSION, value });
        let bytes = bytes.map_err(io::Error::from).map_err(at(&path))?;
        self.make_folder()?;
        replace(&path, &self.fresh(kind), &bytes)
    }

    /// For root alone.
    fn make_folder(&self) -> Result<(), StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(at(&self.folder))
    }

    fn path(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("{kind}.json"))
    }

    fn fresh(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("{kind}.new"))
    }
}

/// The folder that a file is in: of one that is named alone, the present one.
pub(crate) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |cause| StoreError { path, cause }
}

fn next_step(kind: io::ErrorKind) -> &'static str {
    if kind == io::ErrorKind::StorageFull || kind == io::ErrorKind::QuotaExceeded {
        "make room on its disk"
    } else if kind == io::ErrorKind::ReadOnlyFilesystem {
        "make its disk writable; a worn card turns read-only, then replace it"
    } else {
        "look at what stands in its place"
    }
}

/// Whatever somebody has put there: no more than we would have saved, and no waiting for a pipe's other end.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::other("it is longer than 1 MiB"));
    }
    Ok(bytes)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let version: Versioned<serde::de::IgnoredAny> =
        serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if version.version != VERSION {
        return Err(format!("version {}, this agent knows {VERSION}", version.version));
    }
    serde_json::from_slice(bytes).map(|versioned: Versioned<T>| versioned.value).map_err(|e| e.to_string())
}

/// The old content or the new, whenever the power goes; nothing is written if nothing changes.
pub(crate) fn replace(path: &Path, fresh: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    if read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Err(error) = write_fresh(fresh, bytes) {
        // Half of it is of no use, and takes the room that the next try needs.
        _ = fs::remove_file(fresh);
        return Err(error);
    }
    fs::rename(fresh, path).and_then(|()| File::open(folder_of(path))?.sync_all()).map_err(at(path))
}

fn write_fresh(fresh: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(fresh);
    let written = file.and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(at(fresh))
}

#[cfg(test)]
mod tests;
