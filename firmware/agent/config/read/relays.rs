//! Reads the relays of `[mullvad] config`: the files that it names, each of another relay and with another name, the
//! preferred one first. Beside an account there need be none.

use std::path::Path;

use super::super::MullvadFile;
use super::super::reader::{At, Reader, Section};
use super::Walk;

/// More than anybody proves in turn within a few minutes.
const MOST: usize = 16;

/// Empty only where an account is in their place; `None` only beside a mistake.
pub(super) fn read<'a>(walk: &mut Walk<'a>, section: &Section<'a>) -> Option<Vec<MullvadFile>> {
    if section.has("account") && !section.has("config") {
        return Some(Vec::new());
    }
    let list = listed(&mut walk.reader, section)?;
    let mut relays = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for named in list {
        if let Some(twin) = names.iter().find(|name| is_same_name(name, named.value)) {
            let message = twin_message(twin, named.value);
            walk.reader.mistake(named.at, message);
            continue;
        }
        names.push(named.value);
        let Some(relay) = file(walk, named) else { continue };
        match relays.iter().find(|(_, other)| is_same_relay(other, &relay)) {
            Some((first, _)) => {
                let message = format!(
                    "{:?} is of the same relay as {first:?}: leave one of the two out, or download another relay's",
                    named.value
                );
                walk.reader.mistake(named.at, message);
            }
            None => relays.push((named.value, relay)),
        }
    }
    let relays: Vec<MullvadFile> = relays.into_iter().map(|(_, relay)| relay).collect();
    Some(relays).filter(|relays| !relays.is_empty())
}

fn listed<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Option<Vec<At<&'a str>>> {
    if !section.has("config") {
        let message = "no relay is named: write account = \"1234567890123456\" and location = \"se-got\" below \
                       [mullvad], or config = [\"se-got-wg-001.conf\"] with the name of a file of Mullvad's WireGuard \
                       generator beside byway.toml";
        reader.missing(section, message);
    }
    let At { at, value: mut list } = reader.texts(section, "config")?;
    if list.is_empty() {
        reader.mistake(at, "the list names no file: write config = [\"se-got-wg-001.conf\"]");
    }
    if let Some(surplus) = list.get(MOST) {
        let message = format!("the list names {} files: leave {MOST}, those that you prefer", list.len());
        reader.mistake(surplus.at, message);
        list.truncate(MOST);
    }
    Some(list)
}

fn file<'a>(walk: &mut Walk<'a>, named: At<&'a str>) -> Option<MullvadFile> {
    let text = walk.file(named)?;
    let path = walk.folder.join(named.value);
    match MullvadFile::parse(path.clone(), &text) {
        Ok(relay) => Some(relay),
        Err(mistakes) => {
            walk.elsewhere.extend(mistakes.into_iter().map(|mistake| (path.clone(), mistake)));
            None
        }
    }
}

/// A relay is called as its file is; the card's file system does not tell capitals from small letters.
fn is_same_name(one: &str, other: &str) -> bool {
    let stem = |name: &str| Path::new(name).file_stem().map(|stem| stem.to_string_lossy().to_lowercase());
    stem(one) == stem(other)
}

fn twin_message(first: &str, second: &str) -> String {
    if Path::new(first) == Path::new(second) {
        return format!("{second:?} is in the list already: leave it out");
    }
    let name = Path::new(second).file_stem().unwrap_or_default().to_string_lossy();
    format!("{second:?} and {first:?} would both be called {name}: rename one of the two files")
}

fn is_same_relay(one: &MullvadFile, other: &MullvadFile) -> bool {
    one.conf.peer.public_key == other.conf.peer.public_key
}
