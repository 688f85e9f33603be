//! Reads what lies in a folder of the owner's, a stick's or the card's: `byway.toml` and the files beside it, with the box's
//! own secrets where it says `kept`. Changes nothing.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::files::read;
use super::held::Held;
use super::secrets::{self, Filled, Form};
use super::{NAME, Verdict};
use crate::config::{self, Config, ConfigError, ReadFile};
use crate::mistake::Mistake;

/// What Windows makes of it while it hides the ends of names.
const HIDDEN_END: &str = "byway.toml.txt";
/// What may lie beside `byway.toml` and be taken over, where the files are too that the box starts from.
const ENDS: [&str; 2] = [".conf", ".key"];

/// Texts by the names of their files.
pub(super) type Texts = BTreeMap<String, String>;

/// A configuration that is good, filled.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) text: String,
    /// What it names, as far as it lies beside it.
    pub(super) named: Texts,
}

/// Whose the secrets are that are kept.
#[derive(Clone, Copy)]
enum Keeper<'a> {
    Box(&'a Held<'a>),
    /// Of a box that is elsewhere, and has them all.
    Elsewhere,
}

/// What lies in `folder` for the box that holds `held`, or why it is none.
pub(super) fn find(folder: &Path, held: &Held<'_>) -> Result<Offer, Verdict> {
    let text = match read(&folder.join(NAME)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let is_misnamed = folder.join(HIDDEN_END).exists();
            return Err(if is_misnamed { Verdict::Misnamed } else { Verdict::Nothing });
        }
        Err(error) => return Err(unreadable(folder, &error)),
    };
    let beside = RefCell::new(BTreeSet::new());
    let read = |path: &Path| {
        let name = plain_name(path, folder)?;
        match read(path) {
            Ok(text) => {
                beside.borrow_mut().insert(name.to_owned());
                Ok(text)
            }
            // A new password needs no new relay.
            Err(error) if error.kind() == io::ErrorKind::NotFound => read(&held.path(name)),
            Err(error) => Err(error),
        }
    };
    let file = folder.join(NAME);
    let (parsed, filled) = parse(&text, &file, Keeper::Box(held), &read);
    parsed.map_err(Verdict::Mistakes)?;
    let beside = beside.into_inner();
    let mut texts: BTreeMap<PathBuf, String> =
        filled.into_iter().map(|(path, filled)| (path, filled.text)).collect();
    let text = texts.remove(&file).unwrap_or(text);
    let named = beside.into_iter().filter_map(|name| Some((name.clone(), texts.remove(&folder.join(name))?)));
    Ok(Offer { text, named: named.collect() })
}

/// Reads a configuration for a box that is elsewhere: which secrets it takes from that box, each with its file.
pub fn check(file: &Path) -> Result<Vec<(PathBuf, String)>, ConfigError> {
    let text = config::read_text(file)?;
    let (parsed, filled) = parse(&text, file, Keeper::Elsewhere, &|path| std::fs::read_to_string(path));
    parsed?;
    let kept = |(path, filled): (PathBuf, Filled)| {
        filled.kept.into_iter().map(move |secret| (path.clone(), secret)).collect::<Vec<_>>()
    };
    Ok(filled.into_iter().flat_map(kept).collect())
}

/// With the texts that were parsed.
fn parse(
    text: &str,
    file: &Path,
    keeper: Keeper<'_>,
    read: ReadFile<'_>,
) -> (Result<Config, ConfigError>, BTreeMap<PathBuf, Filled>) {
    let folder = file.parent().unwrap_or(Path::new(""));
    let forms: BTreeMap<PathBuf, Form> =
        secrets::named(text).into_iter().map(|(name, form)| (folder.join(name), form)).collect();
    let of_box = |name: Option<&str>| match keeper {
        Keeper::Box(held) => name.map_or_else(|| held.text(), |name| held.read(name)).ok(),
        Keeper::Elsewhere => None,
    };
    let toml = secrets::fill(Form::Toml, text, of_box(None).as_deref());
    let filled = RefCell::new(BTreeMap::new());
    let parsed = config::parse(&toml.text, file, &|path| {
        let form = forms.get(path).copied().unwrap_or(Form::Conf);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let fresh = secrets::fill(form, &read(path)?, of_box(Some(name)).as_deref());
        let text = fresh.text.clone();
        filled.borrow_mut().insert(path.to_owned(), fresh);
        Ok(text)
    });
    let mut filled = filled.into_inner();
    filled.insert(file.to_owned(), toml);
    let missing = match keeper {
        Keeper::Box(_) => missing(&filled),
        Keeper::Elsewhere => Vec::new(),
    };
    (judge(parsed, missing, &filled, file), filled)
}

fn missing(filled: &BTreeMap<PathBuf, Filled>) -> Vec<(PathBuf, Mistake)> {
    let of = |(path, filled): (&PathBuf, &Filled)| {
        filled.missing.iter().map(|mistake| (path.clone(), mistake.clone())).collect::<Vec<_>>()
    };
    filled.iter().flat_map(of).collect()
}

/// All mistakes where the owner made them, those of `file` first.
fn judge(
    parsed: Result<Config, ConfigError>,
    missing: Vec<(PathBuf, Mistake)>,
    filled: &BTreeMap<PathBuf, Filled>,
    file: &Path,
) -> Result<Config, ConfigError> {
    let (config, told) = match parsed {
        Ok(config) => (Some(config), Vec::new()),
        Err(error) => (None, error.mistakes),
    };
    let lead_back = |(path, mistake): (PathBuf, Mistake)| {
        let mistake = match filled.get(&path) {
            Some(filled) => filled.lead_back(mistake),
            None => mistake,
        };
        (path, mistake)
    };
    let is_complete = missing.is_empty();
    let mut mistakes: Vec<(PathBuf, Mistake)> = told.into_iter().map(lead_back).chain(missing).collect();
    if !is_complete {
        mistakes.sort_by(|one, other| (one.0 != file, one).cmp(&(other.0 != file, other)));
    }
    config.filter(|_| mistakes.is_empty()).ok_or(ConfigError { mistakes })
}

/// The name of a file beside `byway.toml`, and of no other.
fn plain_name<'p>(path: &'p Path, folder: &Path) -> io::Result<&'p str> {
    let refuse = || io::Error::other("write its name alone, and put it beside byway.toml");
    let relative = path.strip_prefix(folder).map_err(|_| refuse())?;
    let mut parts = relative.components();
    let (Some(Component::Normal(name)), None) = (parts.next(), parts.next()) else { return Err(refuse()) };
    let name = name.to_str().ok_or_else(refuse)?;
    if !ENDS.iter().any(|end| name.to_ascii_lowercase().ends_with(end)) {
        return Err(io::Error::other("its name ends in .conf or .key: give it another"));
    }
    Ok(name)
}

fn unreadable(folder: &Path, error: &io::Error) -> Verdict {
    let message = if error.kind() == io::ErrorKind::InvalidData {
        "it is not text: save it as UTF-8".to_owned()
    } else {
        format!("it cannot be read: {error}")
    };
    Verdict::Mistakes(ConfigError {
        mistakes: vec![(folder.join(NAME), Mistake { line: 1, column: 1, message })],
    })
}
