//! What the box holds: its own configuration and the files that it names, and what it has to know of where they came from.
//! Each file is replaced whole or not at all, the one that names the others last; what was there before is kept.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::files::{Failure, at, put, read, remove, rename, with_end, write_synced};
use super::offer::{Offer, Texts};
use super::secrets::{self, Form};
use super::{NAME, Verdict};
use crate::store::folder_of;
use crate::{config, tailnet};

/// The folder of the box's own configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held<'a> {
    config: &'a Path,
    pub(super) folder: &'a Path,
}

impl<'a> Held<'a> {
    pub(super) fn by(config: &'a Path) -> Self {
        Self { config, folder: folder_of(config) }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn text(&self) -> io::Result<String> {
        read(self.config)
    }

    pub(super) fn read(&self, name: &str) -> io::Result<String> {
        read(&self.path(name))
    }

    pub(super) fn is_good(&self) -> bool {
        config::load(self.config).is_ok()
    }

    /// An auth key that has not served yet, or may not have.
    pub(super) fn has_auth_key(&self) -> bool {
        let Ok(text) = self.text() else { return false };
        let key_files = secrets::named(&text).into_iter().filter(|(_, form)| *form == Form::Key);
        tailnet::without_auth_key(&text).is_some()
            || key_files.into_iter().any(|(name, _)| self.read(&name).is_ok_and(|key| !key.is_empty()))
    }

    pub(super) fn take_over(&self, offer: Offer) -> Verdict {
        if self.holds(&offer) {
            return Verdict::Same;
        }
        let mut files: Vec<String> = offer.named.keys().cloned().collect();
        files.insert(0, NAME.to_owned());
        match self.replace(offer) {
            Ok(kept) => Verdict::TakenOver { files, kept },
            Err(failure) => Verdict::Failed(failure),
        }
    }

    /// A key that was wiped after the join does not make another configuration of the one that brought it.
    pub(super) fn holds(&self, offer: &Offer) -> bool {
        let was_taken = read(&self.taken()).is_ok_and(|taken| taken == offer.checksum().to_string());
        let has = |here: io::Result<String>, text: &str, wiped: Option<&str>| {
            here.is_ok_and(|here| here == text || (was_taken && wiped.is_some_and(|wiped| here == wiped)))
        };
        let wiped = tailnet::without_auth_key(&offer.text);
        has(self.text(), &offer.text, wiped.as_deref())
            && offer.named.iter().all(|(name, text)| has(self.read(name), text, Some("")))
    }

    /// What was replaced, by its new name.
    fn replace(&self, offer: Offer) -> Result<Vec<String>, Failure> {
        let sum = offer.checksum();
        DirBuilder::new().recursive(true).mode(0o700).create(self.folder).map_err(at(self.folder))?;
        let mut files: Vec<(PathBuf, String)> =
            offer.named.into_iter().map(|(name, text)| (self.path(&name), text)).collect();
        files.push((self.config.to_owned(), offer.text));
        files.retain(|(path, text)| !read(path).is_ok_and(|here| here == *text));
        let written = self.write_all(&files, sum);
        if written.is_err() {
            for (path, _) in &files {
                remove(&with_end(path, ".new"));
            }
        }
        written
    }

    /// Everything that may find no room comes before the first change.
    fn write_all(&self, files: &[(PathBuf, String)], sum: u32) -> Result<Vec<String>, Failure> {
        let mut kept = Vec::new();
        for (path, text) in files {
            write_synced(&with_end(path, ".new"), text.as_bytes())?;
        }
        for (path, _) in files {
            match fs::read(path) {
                Ok(old) => {
                    put(&with_end(path, ".old"), &old)?;
                    kept.extend(
                        with_end(path, ".old").file_name().map(|name| name.to_string_lossy().into_owned()),
                    );
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(at(path)(error)),
            }
        }
        put(&self.taken(), sum.to_string().as_bytes())?;
        for (path, _) in files {
            rename(&with_end(path, ".new"), path)?;
        }
        File::open(self.folder).and_then(|folder| folder.sync_all()).map_err(at(self.folder))?;
        Ok(kept)
    }

    /// Which configuration it was as it was taken over: to be known again when its key was wiped.
    fn taken(&self) -> PathBuf {
        with_end(self.config, ".taken")
    }

    /// Whether the card looked like this when the box last held what is on it: a stick may have brought another since.
    pub(super) fn has_seen(&self, card: u32) -> bool {
        read(&self.seen()).is_ok_and(|seen| seen == card.to_string())
    }

    pub(super) fn remember(&self, card: u32) -> Result<(), Failure> {
        if self.has_seen(card) { Ok(()) } else { put(&self.seen(), card.to_string().as_bytes()) }
    }

    fn seen(&self) -> PathBuf {
        with_end(self.config, ".card")
    }
}

impl Offer {
    fn checksum(&self) -> u32 {
        checksum(&self.text, &self.named)
    }
}

pub(super) fn checksum(text: &str, named: &Texts) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    for part in [NAME, text].into_iter().chain(named.iter().flat_map(|(name, text)| [name.as_str(), text])) {
        sum.update(&part.len().to_le_bytes());
        sum.update(part.as_bytes());
    }
    sum.finalize()
}
