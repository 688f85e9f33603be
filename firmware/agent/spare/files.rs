//! Without which files the box is not its owner's any more: found, packed, and put back.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::gap::LONGEST;
use crate::store::{folder_of, replace};
use crate::tunnel::conf;

/// Its place in the tailnet: a box without one is nobody's, and has nothing to keep.
const NODE: &str = "tailscale/tailscaled.state";
/// In there, what each login begins with; before the first and after a log-out there is none.
const LOGIN: &str = "profile-";
/// What people chose; how far the handshakes' stamps are reserved: after power cuts these are hours ahead of the clock, and
/// without them no relay would answer for as long; and what the box is at Mullvad: without its key it would take another of
/// the account's five places. All else below the state's folder is found again.
const BESIDE: [&str; 5] = ["wish.json", "relay.json", "paused.json", "stamps", "mullvad.json"];
/// Of the configuration's folder: what is half written, and what was replaced.
const LEFT_OUT: [&str; 2] = ["new", "old"];
/// An auth key that has served leaves its file empty.
const KEY_FILE: &str = ".key";

/// By their names below the state's folder.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// None where the box has no place in a tailnet. `config` lies in a folder of its own below the state's, or does not
/// count. An error: a file is there and cannot be read, so that the last copy is the better one.
pub(super) fn find(state_dir: &Path, config: &Path) -> io::Result<Option<Files>> {
    let mut files = Files::new();
    for name in [NODE].into_iter().chain(BESIDE) {
        if let Some(bytes) = read(&state_dir.join(name))? {
            files.insert(name.to_owned(), bytes);
        }
    }
    let folder = config.parent().and_then(|folder| folder.strip_prefix(state_dir).ok());
    if let Some(folder) = folder.filter(|folder| !folder.as_os_str().is_empty()) {
        for entry in fs::read_dir(state_dir.join(folder))? {
            let path = entry?.path();
            let is_left_out = path.extension().is_some_and(|end| LEFT_OUT.iter().any(|left| end == *left));
            if let Some(bytes) = read(&path)?.filter(|_| !is_left_out) {
                files.insert(name_below(&path, state_dir)?, bytes);
            }
        }
    }
    Ok(files.get(NODE).is_some_and(|node| has_login(node)).then_some(files))
}

fn has_login(node: &[u8]) -> bool {
    let entries: Result<Map<String, Value>, _> = serde_json::from_slice(node);
    entries.is_ok_and(|entries| entries.keys().any(|key| key.starts_with(LOGIN)))
}

/// None where no file is.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let at = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(error)),
    };
    if !file.metadata().map_err(at)?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    // More does not fit, as the packing tells.
    file.take(LONGEST as u64).read_to_end(&mut bytes).map_err(at)?;
    Ok(Some(bytes))
}

fn name_below(path: &Path, folder: &Path) -> io::Result<String> {
    let name = path.strip_prefix(folder).map_err(io::Error::other)?.to_str();
    name.map(str::to_owned)
        .ok_or_else(|| io::Error::other(format!("{} has no name in UTF-8", path.display())))
}

/// An error: they do not fit.
pub(super) fn pack(files: &Files) -> Result<Vec<u8>, String> {
    let texts: BTreeMap<&str, String> =
        files.iter().map(|(name, bytes)| (name.as_str(), STANDARD.encode(bytes))).collect();
    let packed = serde_json::to_vec(&texts).map_err(|error| error.to_string())?;
    if packed.len() > LONGEST {
        return Err(format!(
            "{} files are {} KiB in all, more than {}: take needless ones out of the configuration's folder",
            files.len(),
            packed.len() >> 10,
            LONGEST >> 10
        ));
    }
    Ok(packed)
}

pub(super) fn unpack(packed: &[u8]) -> Result<Files, String> {
    let texts: BTreeMap<String, String> =
        serde_json::from_slice(packed).map_err(|error| error.to_string())?;
    let file = |(name, text): (String, String)| {
        if !Path::new(&name).components().all(|part| matches!(part, Component::Normal(_))) || name.is_empty()
        {
            return Err(format!("{name:?} lies elsewhere"));
        }
        let bytes = STANDARD.decode(text).map_err(|error| format!("{name}: {error}"))?;
        Ok((name, bytes))
    };
    texts.into_iter().map(file).collect()
}

/// How many were lost: what is there already is newer. One that cannot be put back does not keep the others away; the first
/// of those errors.
pub(super) fn put_back(files: &Files, state_dir: &Path) -> io::Result<usize> {
    let (mut put_back, mut refused) = (0, None);
    for (name, bytes) in files {
        let path = state_dir.join(name);
        let put = || {
            match loss(name, &path, bytes) {
                None => return Ok(0),
                Some(Loss::Content) => {}
                // It may hold what somebody wants to look at.
                Some(Loss::Sense) => fs::rename(&path, path.with_added_extension("broken"))?,
            }
            put(&path, bytes).map(|()| 1)
        };
        match put() {
            Ok(one) => put_back += one,
            Err(error) => {
                let error = io::Error::new(error.kind(), format!("{}: {error}", path.display()));
                refused = refused.or(Some(error));
            }
        }
    }
    refused.map_or(Ok(put_back), Err)
}

/// What a file of the box's does not have any more, and its copy has.
enum Loss {
    /// It is not there, its disk does not give it any more, or nothing is in it: power cuts leave some files so.
    Content,
    /// A login, or whatever can be made of a file of its kind: disks give wrong bytes without a word.
    Sense,
}

fn loss(name: &str, path: &Path, copy: &[u8]) -> Option<Loss> {
    let Ok(here) = fs::read(path) else { return Some(Loss::Content) };
    if here.iter().all(|byte| *byte == 0) {
        return (!name.ends_with(KEY_FILE)).then_some(Loss::Content);
    }
    (makes_sense(name, copy) && !makes_sense(name, &here)).then_some(Loss::Sense)
}

/// By its kind; of others nobody can tell.
fn makes_sense(name: &str, bytes: &[u8]) -> bool {
    let text = str::from_utf8(bytes);
    match Path::new(name).extension().and_then(|end| end.to_str()) {
        _ if name == NODE => has_login(bytes),
        Some("json") => serde_json::from_slice::<Value>(bytes).is_ok(),
        Some("toml") => text.is_ok_and(|text| text.parse::<toml::Table>().is_ok()),
        Some("conf") => text.is_ok_and(|text| conf::parse(text).is_ok()),
        _ => true,
    }
}

/// Whole or not at all, and for root alone.
fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder_of(path))?;
    replace(path, &path.with_added_extension("new"), bytes).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// What tailscaled keeps of a box that is in, and of one that is not.
    const JOINED: &str = r#"{"_machinekey":"bQ==","_current-profile":"cA==","profile-7a1c":"eyJ9"}"#;
    const LOGGED_OUT: &str = r#"{"_machinekey":"bQ=="}"#;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn what_makes_the_box_its_owners_is_found_and_put_back_for_root_alone() {
        let data = tempfile::tempdir().unwrap();
        let (state, config) = (data.path().join("byway"), data.path().join("byway/config/byway.toml"));
        for (name, text) in [
            ("config/byway.toml", "[box]"),
            ("config/se.conf", "key"),
            ("config/byway.toml.old", "old"),
            ("config/se.conf.new", "half"),
            ("tailscale/tailscaled.state", JOINED),
            ("tailscale/other", "x"),
            ("wish.json", "wish"),
            ("names.json", "names"),
            ("stamps", "stamps"),
            ("mullvad.json", "ring"),
            ("mullvad-relays.json", "list"),
        ] {
            write(&state.join(name), text);
        }
        let files = find(&state, &config).unwrap().unwrap();
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        let vital = [
            "config/byway.toml",
            "config/se.conf",
            "mullvad.json",
            "stamps",
            "tailscale/tailscaled.state",
            "wish.json",
        ];
        assert_eq!(names, vital);

        let packed = pack(&files).unwrap();
        assert_eq!(unpack(&packed).unwrap(), files);
        let anew = data.path().join("anew/byway");
        write(&anew.join("wish.json"), "newer");
        assert_eq!(put_back(&files, &anew).unwrap(), 5);
        assert_eq!(fs::read_to_string(anew.join("wish.json")).unwrap(), "newer");
        assert_eq!(fs::read_to_string(anew.join("config/se.conf")).unwrap(), "key");
        let mode = |path: &str| anew.join(path).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(["config", "config/se.conf"].map(mode), [0o700, 0o600]);
        assert_eq!(fs::read_dir(anew.join("config")).unwrap().count(), 2, "nothing is left behind");
        assert_eq!(put_back(&files, &anew).unwrap(), 0);
    }

    #[test]
    fn a_box_of_no_tailnet_and_one_whose_files_cannot_be_read_have_no_better_copy() {
        let data = tempfile::tempdir().unwrap();
        let (state, config) = (data.path().join("byway"), Path::new("/boot/byway.toml"));
        write(&state.join("wish.json"), "wish");
        assert_eq!(find(&state, config).unwrap(), None);
        let node = state.join("tailscale/tailscaled.state");
        for nobodys in ["", "torn", "[1]", LOGGED_OUT] {
            write(&node, nobodys);
            assert_eq!(find(&state, config).unwrap(), None, "{nobodys}");
        }
        write(&node, JOINED);
        assert_eq!(find(&state, config).unwrap().unwrap().len(), 2);
        let error = find(&state, &state.join("config/byway.toml")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_empty_is_put_back_and_a_login_where_there_is_none() {
        let data = tempfile::tempdir().unwrap();
        let at = |name: &str| data.path().join(name);
        let here = |name: &str| fs::read_to_string(at(name)).unwrap();
        let key = "config/auth.key";
        let copy = [("wish.json", "wish"), ("config/se.conf", "key"), (key, "hskey"), (NODE, JOINED)];
        let files: Files =
            copy.into_iter().map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).collect();
        for (name, text) in [("wish.json", ""), ("config/se.conf", "\0\0\0"), (key, ""), (NODE, LOGGED_OUT)] {
            write(&at(name), text);
        }
        assert_eq!(put_back(&files, data.path()).unwrap(), 3);
        assert_eq!(["wish.json", "config/se.conf", NODE].map(here), ["wish", "key", JOINED]);
        assert_eq!(here(key), "", "it has served");
        assert_eq!(here(&format!("{NODE}.broken")), LOGGED_OUT);
        assert_eq!(put_back(&files, data.path()).unwrap(), 0);

        let nobodys = Files::from([(NODE.to_owned(), LOGGED_OUT.as_bytes().to_vec())]);
        write(&at(NODE), "torn");
        assert_eq!(put_back(&nobodys, data.path()).unwrap(), 0, "no better one");
        write(&at(NODE), &JOINED.replace("7a1c", "another"));
        assert_eq!(put_back(&files, data.path()).unwrap(), 0, "what is there is newer");
    }

    #[test]
    fn what_is_garbled_or_cannot_be_read_is_put_back_and_keeps_no_other_away() {
        let data = tempfile::tempdir().unwrap();
        let at = |name: &str| data.path().join(name);
        let here = |name: &str| fs::read_to_string(at(name)).unwrap();
        let toml = "[mullvad]\naccount = \"kept\"\n";
        let copy = [("config/byway.toml", toml), ("mullvad.json", "{}"), ("stamps", "7"), (NODE, JOINED)];
        let files: Files =
            copy.into_iter().map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).collect();
        for name in ["config/byway.toml", "mullvad.json", "stamps", NODE] {
            write(&at(name), "");
            fs::write(at(name), b"\xff[=\0garbled").unwrap();
        }
        assert_eq!(put_back(&files, data.path()).unwrap(), 3);
        assert_eq!(["config/byway.toml", "mullvad.json", NODE].map(here), [toml, "{}", JOINED]);
        assert!(at("config/byway.toml.broken").exists() && at("mullvad.json.broken").exists());

        fs::remove_file(at("mullvad.json")).unwrap();
        fs::create_dir(at("mullvad.json")).unwrap();
        fs::write(at(NODE), "").unwrap();
        let error = put_back(&files, data.path()).unwrap_err();
        assert!(error.to_string().contains("mullvad.json"), "{error}");
        assert_eq!(here(NODE), JOINED, "behind one that cannot be put back");
    }

    #[test]
    fn only_names_below_the_folder_are_put_back() {
        for name in ["../a", "/etc/passwd", "a/../../b", "", "./a"] {
            let packed = serde_json::to_vec(&BTreeMap::from([(name, "")])).unwrap();
            assert!(unpack(&packed).unwrap_err().contains("lies elsewhere"), "{name}");
        }
        assert!(unpack(b"torn").is_err() && unpack(br#"{"a":"?"}"#).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused_in_a_sentence() {
        let files = Files::from([("config/big.conf".to_owned(), vec![0; LONGEST])]);
        let error = pack(&files).unwrap_err();
        assert!(error.contains("take needless ones out"), "{error}");
    }
}
