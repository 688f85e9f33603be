//! Reads the configuration on a stick, and puts it in the place of the box's own if it is good. Each file is replaced whole
//! or not at all, the one that names the others last; what was there before is kept.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use crate::config::{self, ConfigError};
use crate::mistake::Mistake;
use crate::tailnet;

pub(super) const NAME: &str = "byway.toml";
/// What Windows makes of it while it hides the ends of names.
const HIDDEN_END: &str = "byway.toml.txt";
/// No configuration is longer, and none of the files that it names.
const LONGEST: u64 = 256 << 10;
/// What a stick may put beside `byway.toml`, where the files are too that the box starts from.
const ENDS: [&str; 2] = [".conf", ".key"];

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is no `byway.toml` on it.
    Nothing,
    /// There is none, but one whose name has another end.
    Misnamed,
    /// The box has it already.
    Same,
    /// Now it has.
    TakenOver {
        /// Those of the stick.
        files: Vec<String>,
        /// What was replaced, by its new name.
        kept: Vec<String>,
    },
    Mistakes(ConfigError),
    /// It is good, and could not be written.
    Failed(Failure),
}

/// What went wrong on the box's side; the old files are in use.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    pub path: PathBuf,
    pub cause: String,
}

/// The texts of a stick's files as they were read and checked, by their names.
type Texts = BTreeMap<String, String>;

/// `config`: the box's own, whose folder holds the files that it names.
pub fn take_over(stick: &Path, config: &Path) -> Verdict {
    let text = match read(&stick.join(NAME)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return if stick.join(HIDDEN_END).exists() { Verdict::Misnamed } else { Verdict::Nothing };
        }
        Err(error) => return unreadable(stick, &error),
    };
    let card = Card {
        config,
        folder: config.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new(".")),
    };
    let named = RefCell::new(Texts::new());
    let parsed = config::parse(&text, &stick.join(NAME), &|path| {
        let name = plain_name(path, stick)?;
        match read(path) {
            Ok(text) => {
                named.borrow_mut().insert(name.to_owned(), text.clone());
                Ok(text)
            }
            // A new password needs no new relay.
            Err(error) if error.kind() == io::ErrorKind::NotFound => read(&card.folder.join(name)),
            Err(error) => Err(error),
        }
    });
    match parsed {
        Err(mistakes) => Verdict::Mistakes(mistakes),
        Ok(_) => card.hold(&text, named.into_inner()),
    }
}

/// The box's side.
struct Card<'a> {
    config: &'a Path,
    folder: &'a Path,
}

impl Card<'_> {
    fn hold(&self, text: &str, named: Texts) -> Verdict {
        let sum = checksum(text, &named);
        if self.holds(text, &named, sum) {
            return Verdict::Same;
        }
        let mut files: Vec<String> = named.keys().cloned().collect();
        files.insert(0, NAME.to_owned());
        match self.replace(text, named, sum) {
            Ok(kept) => Verdict::TakenOver { files, kept },
            Err(failure) => Verdict::Failed(failure),
        }
    }

    /// A key that was wiped after the join does not make another configuration of the one that brought it.
    fn holds(&self, text: &str, named: &Texts, sum: u32) -> bool {
        let was_taken = read(&self.taken()).is_ok_and(|taken| taken == sum.to_string());
        let has = |path: &Path, text: &str, wiped: Option<&str>| {
            read(path)
                .is_ok_and(|here| here == text || (was_taken && wiped.is_some_and(|wiped| here == wiped)))
        };
        let wiped = tailnet::without_auth_key(text);
        has(self.config, text, wiped.as_deref())
            && named.iter().all(|(name, text)| has(&self.folder.join(name), text, Some("")))
    }

    /// What was replaced, by its new name.
    fn replace(&self, text: &str, named: Texts, sum: u32) -> Result<Vec<String>, Failure> {
        let mut files: Vec<(PathBuf, String)> =
            named.into_iter().map(|(name, text)| (self.folder.join(name), text)).collect();
        files.push((self.config.to_owned(), text.to_owned()));
        files.retain(|(path, text)| !read(path).is_ok_and(|here| here == *text));
        let written = self.write_all(&files, sum);
        if written.is_err() {
            // Half of it is of no use, and takes the room that the next try needs.
            for (path, _) in &files {
                _ = fs::remove_file(with_end(path, ".new"));
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
            fs::rename(with_end(path, ".new"), path).map_err(at(path))?;
        }
        File::open(self.folder).and_then(|folder| folder.sync_all()).map_err(at(self.folder))?;
        Ok(kept)
    }

    /// Which stick's configuration it is: to be known again when its key was wiped.
    fn taken(&self) -> PathBuf {
        with_end(self.config, ".stick")
    }
}

/// The name of a file beside `byway.toml`, and of no other.
fn plain_name<'p>(path: &'p Path, stick: &Path) -> io::Result<&'p str> {
    let refuse = || io::Error::other("write its name alone, and put it beside byway.toml on the stick");
    let relative = path.strip_prefix(stick).map_err(|_| refuse())?;
    let mut parts = relative.components();
    let (Some(Component::Normal(name)), None) = (parts.next(), parts.next()) else { return Err(refuse()) };
    let name = name.to_str().ok_or_else(refuse)?;
    if !ENDS.iter().any(|end| name.to_ascii_lowercase().ends_with(end)) {
        return Err(io::Error::other("on a stick its name ends in .conf or .key: give it another"));
    }
    Ok(name)
}

/// Text of a plain file: no link's target, no pipe's, and not more than a configuration is.
fn read(path: &Path) -> io::Result<String> {
    let open = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    let file = open.map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => io::Error::other("it is a link: put the file itself in its place"),
        _ => error,
    })?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file: put one in its place"));
    }
    let mut text = String::new();
    file.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::other("it is longer than 256 KiB: it is another kind of file"));
    }
    Ok(text)
}

fn unreadable(stick: &Path, error: &io::Error) -> Verdict {
    let message = if error.kind() == io::ErrorKind::InvalidData {
        "it is not text: save it as UTF-8".to_owned()
    } else {
        format!("it cannot be read: {error}")
    };
    Verdict::Mistakes(ConfigError {
        mistakes: vec![(stick.join(NAME), Mistake { line: 1, column: 1, message })],
    })
}

fn checksum(text: &str, named: &Texts) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    for part in [NAME, text].into_iter().chain(named.iter().flat_map(|(name, text)| [name.as_str(), text])) {
        sum.update(&part.len().to_le_bytes());
        sum.update(part.as_bytes());
    }
    sum.finalize()
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// The old content or the new, whenever the power goes.
fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let fresh = with_end(path, ".new");
    let put = write_synced(&fresh, bytes).and_then(|()| fs::rename(&fresh, path).map_err(at(path)));
    if put.is_err() {
        _ = fs::remove_file(&fresh);
    }
    put
}

/// For root alone.
fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut open = OpenOptions::new();
    let file = open.write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(at(path))
}

fn at(path: &Path) -> impl Fn(io::Error) -> Failure {
    let path = path.to_owned();
    move |cause| Failure { path: path.clone(), cause: cause.to_string() }
}
