//! Remembers across power cuts: the last wish, and the last good addresses of the box's own names. A file is replaced
//! whole or not at all; one that cannot be read is set aside and reported, never believed. Decides nothing.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use byway_core::{Egress, Wish};

/// A file of another version is foreign: after an update that was undone, the old agent finds the new one's file.
const VERSION: u32 = 1;
const WISH: &str = "wish";
const NAMES: &str = "names";
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

#[derive(Debug, thiserror::Error)]
#[error("could not save {path}: {cause}: is the disk full or read-only?")]
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

#[derive(Serialize, Deserialize)]
struct Names {
    names: Addresses,
}

impl Store {
    /// Makes the folder, for root alone, if it is not there.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let folder = folder.into();
        match DirBuilder::new().recursive(true).mode(0o700).create(&folder) {
            Ok(()) => Ok(Self { folder }),
            Err(cause) => Err(StoreError { path: folder, cause }),
        }
    }

    /// The last wish, or the first one if none can be read.
    pub fn wish(&self, first: Egress) -> Recalled<LastWish> {
        self.recall(WISH, LastWish::first(first))
    }

    pub fn remember_wish(&self, wish: LastWish) -> Result<(), StoreError> {
        self.remember(WISH, wish)
    }

    /// The last good addresses, none if they cannot be read.
    pub fn names(&self) -> Recalled<Addresses> {
        let Recalled { value, note } = self.recall(NAMES, Names { names: Addresses::new() });
        Recalled { value: value.names, note }
    }

    pub fn remember_names(&self, names: &Addresses) -> Result<(), StoreError> {
        self.remember(NAMES, Names { names: names.clone() })
    }

    fn recall<T: DeserializeOwned>(&self, kind: &str, default: T) -> Recalled<T> {
        let broken = match fs::read(self.path(kind)) {
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
        let fate = match fs::rename(&path, &aside) {
            Ok(()) => format!("kept as {}", aside.display()),
            Err(error) => format!("and cannot be set aside: {error}"),
        };
        format!("{} is not what was saved ({broken}): the default applies, {fate}", path.display())
    }

    fn remember<T: Serialize>(&self, kind: &str, value: T) -> Result<(), StoreError> {
        let path = self.path(kind);
        let replaced = serde_json::to_vec(&Versioned { version: VERSION, value })
            .map_err(io::Error::from)
            .and_then(|bytes| replace(&path, &self.folder.join(format!("{kind}.new")), &bytes));
        replaced.map_err(|cause| StoreError { path, cause })
    }

    fn path(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("{kind}.json"))
    }
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
fn replace(path: &Path, fresh: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(fresh, path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("state")).unwrap();
        (folder, store)
    }

    fn files(store: &Store) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&store.folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn begins_with_the_configured_egress() {
        let (_folder, store) = store();
        let first = LastWish { wish: Wish::Residential, last_egress: Egress::Residential };
        assert_eq!(store.wish(Egress::Residential), Recalled { value: first, note: None });
    }

    #[test]
    fn remembers_the_wish_and_the_egress_before_sealing() {
        let (_folder, store) = store();
        let sealed = LastWish::first(Egress::Privacy).then(Wish::Residential).then(Wish::Sealed);
        store.remember_wish(sealed).unwrap();
        assert_eq!(store.wish(Egress::Privacy), Recalled { value: sealed, note: None });
        assert_eq!(sealed.last_egress, Egress::Residential);
        assert_eq!(files(&store), ["wish.json"]);
    }

    #[test]
    fn remembers_names() {
        let (_folder, store) = store();
        let names: Addresses =
            [("control.example".into(), vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()])]
                .into();
        store.remember_names(&names).unwrap();
        assert_eq!(store.names(), Recalled { value: names, note: None });
    }

    #[test]
    fn believes_no_torn_file_at_any_length() {
        let (_folder, store) = store();
        let saved = LastWish::first(Egress::Residential);
        store.remember_wish(saved).unwrap();
        let whole = fs::read(store.path(WISH)).unwrap();
        for length in 0..whole.len() {
            fs::write(store.path(WISH), &whole[..length]).unwrap();
            let recalled = store.wish(Egress::Privacy);
            assert_eq!(recalled.value, LastWish::first(Egress::Privacy), "{length} bytes");
            assert!(recalled.note.unwrap().contains("the default applies"));
        }
        assert_eq!(files(&store), ["wish.broken-1", "wish.broken-2", "wish.broken-3"]);
    }

    #[test]
    fn sets_foreign_files_aside_and_says_so() {
        let (_folder, store) = store();
        let newer = r#"{"version":2,"wish":"privacy","last_egress":"privacy"}"#;
        let unknown = r#"{"version":1,"wish":"both","last_egress":"privacy"}"#;
        for (foreign, hint) in
            [(newer, "version 2"), (unknown, "unknown variant"), ("\0\0\0", "expected value")]
        {
            fs::write(store.path(WISH), foreign).unwrap();
            let note = store.wish(Egress::Privacy).note.unwrap();
            assert!(note.contains(hint) && note.contains("kept as"), "{note}");
        }
        assert_eq!(fs::read_to_string(store.folder.join("wish.broken-1")).unwrap(), newer);
        assert_eq!(store.wish(Egress::Privacy).note, None, "told once");
    }

    #[test]
    fn keeps_the_old_wish_when_the_new_one_cannot_be_saved() {
        let (_folder, store) = store();
        let old = LastWish::first(Egress::Residential);
        store.remember_wish(old).unwrap();
        // Root may write anywhere, so the way is blocked by something that is no file.
        fs::create_dir(store.folder.join("wish.new")).unwrap();
        let error = store.remember_wish(old.then(Wish::Privacy)).unwrap_err().to_string();
        assert!(error.contains("could not save") && error.contains("wish.json"), "{error}");
        assert_eq!(store.wish(Egress::Privacy).value, old);
    }

    #[test]
    fn overwrites_what_a_power_cut_left_half_written() {
        let (_folder, store) = store();
        fs::write(store.folder.join("wish.new"), "{\"version\":1,\"wi").unwrap();
        let wish = LastWish::first(Egress::Residential);
        store.remember_wish(wish).unwrap();
        assert_eq!(store.wish(Egress::Privacy).value, wish);
        assert_eq!(files(&store), ["wish.json"]);
    }

    #[test]
    fn says_which_folder_cannot_be_made() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let error = Store::open(folder.path().join("file/state")).unwrap_err().to_string();
        assert!(error.contains("file/state"), "{error}");
    }
}
