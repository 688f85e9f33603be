//! The card's first partition, where the owner's files lie, as every computer shows it: taken over at the agent's start,
//! answered there, rid of its secrets after the join. Written to as rarely as can be, and never where nothing changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use super::answer::{self, Home, Place};
use super::files::{self, Failure, read};
use super::held::{Held, checksum};
use super::offer::{self, Texts};
use super::remount::while_writable;
use super::secrets::{self, Form};
use super::{NAME, STATUS, Verdict};
use crate::lasting;

/// How files end that an owner may have put beside those that `byway.toml` names.
const SECRETIVE: [&str; 3] = [".conf", ".key", "byway.toml.txt"];

/// At the agent's start. What it holds is considered once: as long as nobody changes it there, another configuration that
/// a stick has brought stands.
pub fn look(card: &Path, config: &Path) -> Verdict {
    let held = Held::by(config);
    let verdict = consider(card, &held);
    tracing::info!("{}: {}", card.display(), verdict.summary(Place::Card));
    if let Verdict::Mistakes(error) = &verdict {
        error.to_string().lines().for_each(|mistake| tracing::warn!("{mistake}"));
    }
    // A boot at which nothing is new leaves the answer as it was.
    if !read(&card.join(STATUS)).is_ok_and(|said| answer::says(&said, &verdict)) {
        tell_failure(write(card, &[], &answer::on_card(&verdict, held.is_good())));
    }
    verdict
}

/// Once the box is on its tailnet: the secrets that it holds go from the card, and the answer there tells where the box is.
pub fn settle(card: &Path, config: &Path, home: &Home) {
    let held = Held::by(config);
    if held.has_auth_key() || !offer::find(card, &held).is_ok_and(|offer| held.holds(&offer)) {
        return;
    }
    let files = files_of(card);
    let text = answer::joined(home, &unnamed(card, &files));
    let wiped: Vec<(PathBuf, String)> = files
        .into_iter()
        .map(|(name, form, text)| (name, form.without_secrets(&text), text))
        .filter(|(_, wiped, text)| wiped != text)
        .map(|(name, wiped, _)| (card.join(name), wiped))
        .collect();
    if wiped.is_empty() {
        tell_failure(write(card, &[], &text));
        return;
    }
    if outlasts(card, held.folder) {
        static TOLD: Once = Once::new();
        let own = held.folder.display();
        TOLD.call_once(|| {
            tracing::warn!("the secrets on {} stay: {own} is in memory alone", card.display());
        });
        return;
    }
    // What the card loses must be on the box's own disk, and not only on its way there.
    let written = files::flush(held.folder).and_then(|()| write(card, &wiped, &text));
    let remembered = written.and_then(|()| checksum_of(card).map_or(Ok(()), |sum| held.remember(sum)));
    if remembered.is_ok() {
        tracing::info!("the secrets on {} are wiped: the box has them", card.display());
    }
    tell_failure(remembered);
}

/// Whether the card has them after a power cut and the box has not, or may not have.
fn outlasts(card: &Path, own: &Path) -> bool {
    lasting::is_in_memory(own).unwrap_or(true) && !lasting::is_in_memory(card).unwrap_or(false)
}

fn consider(card: &Path, held: &Held<'_>) -> Verdict {
    let sum = checksum_of(card);
    let offer = offer::find(card, held);
    if sum.is_some_and(|sum| held.has_seen(sum)) && held.is_good() {
        let is_held = offer.is_ok_and(|offer| held.holds(&offer));
        return if is_held { Verdict::Same } else { Verdict::Overruled };
    }
    let verdict = offer.map_or_else(|verdict| verdict, |offer| held.take_over(offer));
    if let (Verdict::Same | Verdict::TakenOver { .. }, Some(sum)) = (&verdict, sum) {
        tell_failure(held.remember(sum));
    }
    verdict
}

/// What lies there of what belongs to the configuration: `byway.toml` first, with the secrets that open most. When the power
/// goes while the next one is being wiped, what is left of it is a mistake, and nothing more is wiped.
fn files_of(card: &Path) -> Vec<(String, Form, String)> {
    let Ok(text) = read(&card.join(NAME)) else { return Vec::new() };
    let named = secrets::named(&text).into_iter();
    let mut files = vec![(NAME.to_owned(), Form::Toml, text)];
    files.extend(named.filter_map(|(name, form)| Some((name.clone(), form, read(&card.join(name)).ok()?))));
    files
}

/// What may hold secrets too and is no part of the configuration: it is the owner's, who has nothing of it elsewhere.
fn unnamed(card: &Path, files: &[(String, Form, String)]) -> Vec<String> {
    let plain = fs::read_dir(card).into_iter().flatten().flatten().filter(|entry| entry.path().is_file());
    let here = plain.filter_map(|entry| entry.file_name().into_string().ok());
    let may_hold = |name: &String| {
        let small = name.to_ascii_lowercase();
        SECRETIVE.iter().any(|end| small.ends_with(end)) && files.iter().all(|(named, ..)| named != name)
    };
    let mut others: Vec<String> = here.filter(may_hold).collect();
    others.sort();
    others
}

fn checksum_of(card: &Path) -> Option<u32> {
    let mut texts: Texts = files_of(card).into_iter().map(|(name, _, text)| (name, text)).collect();
    let text = texts.remove(NAME)?;
    Some(checksum(&text, &texts))
}

fn write(card: &Path, texts: &[(PathBuf, String)], answer: &str) -> Result<(), Failure> {
    let status = card.join(STATUS);
    if texts.is_empty() && read(&status).is_ok_and(|said| said == answer) {
        return Ok(());
    }
    let write = || {
        for (path, text) in texts {
            files::overwrite(path, text)?;
        }
        files::answer(&status, answer).map_err(files::at(&status))
    };
    while_writable(card, write).map_err(files::at(card)).and_then(|written: Result<(), Failure>| written)
}

fn tell_failure(outcome: Result<(), Failure>) {
    if let Err(Failure { path, cause }) = outcome {
        tracing::warn!("{} cannot be written: {cause}", path.display());
    }
}
