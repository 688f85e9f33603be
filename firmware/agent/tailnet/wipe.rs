//! Takes the auth key out of byway.toml once it has served, and leaves every other byte as it was; or empties the file
//! that `auth_key_file` names.
//!
//! Does not know when that is. Afterwards there is no such key; only where it shares its line with others, as
//! in an inline table, it stays as `auth_key = ""`. A file stays, empty: the next key may be put there.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    ops::Range,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use crate::store::folder_of;

const TABLE: &str = "tailnet";
const KEY: &str = "auth_key";
const KEY_FILE: &str = "auth_key_file";
const NOTHING: &str = "\"\"";

/// Carries the file's name, never its text.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot take the auth key out of {}: {source}; remove it by hand", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot take the auth key out of {}: it is not valid TOML (byway check tells where)", path.display())]
    NotToml { path: PathBuf },
    #[error("cannot take the auth key out of {}: {key} is not a string (byway check tells where)", path.display())]
    NotAString { path: PathBuf, key: &'static str },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wiped {
    Now,
    /// There was none.
    Before,
}

/// Blocks on the card; call it where that is allowed.
pub fn wipe_auth_key(config: &Path) -> Result<Wiped, Error> {
    let failed = |source| Error::File { path: config.into(), source };
    let text = fs::read_to_string(config).map_err(failed)?;
    // The parser's error quotes the line, which may be the key's.
    let document = DeTable::parse(&text).map_err(|_| Error::NotToml { path: config.into() })?;
    if let Some((_, named)) = text_of(KEY_FILE, document.get_ref(), config)? {
        return empty(&folder_of(config).join(named.get_ref().as_str().unwrap_or_default()));
    }
    let Some((key, value)) = text_of(KEY, document.get_ref(), config)? else {
        return Ok(Wiped::Before);
    };
    let without = Assignment { key: key.span(), value: value.span() }.cut_from(&text);
    replace(config, &without).or_else(|_| write_in_place(config, &without)).map_err(failed)?;
    Ok(Wiped::Now)
}

/// A configuration's text as it is after a join; `None` where it holds no key.
pub fn without_auth_key(text: &str) -> Option<String> {
    let document = DeTable::parse(text).ok()?;
    let (key, value) = text_of(KEY, document.get_ref(), Path::new("")).ok()??;
    Some(Assignment { key: key.span(), value: value.span() }.cut_from(text))
}

fn empty(key_file: &Path) -> Result<Wiped, Error> {
    let failed = |source| Error::File { path: key_file.into(), source };
    if fs::metadata(key_file).map_err(failed)?.len() == 0 {
        return Ok(Wiped::Before);
    }
    write_in_place(key_file, "").map_err(failed)?;
    Ok(Wiped::Now)
}

/// Where the key and its value stand, quotes included.
struct Assignment {
    key: Range<usize>,
    value: Range<usize>,
}

type Entry<'a, 't> = (&'a Spanned<DeString<'t>>, &'a Spanned<DeValue<'t>>);

/// A key of `[tailnet]` and its value, if that is a text and says something. TOML's own parser says where: whatever
/// it takes for a string, over several lines or in an inline table, is found.
fn text_of<'a, 't>(
    key: &'static str,
    document: &'a DeTable<'t>,
    config: &Path,
) -> Result<Option<Entry<'a, 't>>, Error> {
    let table = document.get(TABLE).map(Spanned::get_ref).and_then(DeValue::as_table);
    let Some(entry) = table.and_then(|table| table.get_key_value(key)) else {
        return Ok(None);
    };
    match entry.1.get_ref().as_str() {
        Some("") => Ok(None),
        Some(_) => Ok(Some(entry)),
        None => Err(Error::NotAString { path: config.into(), key }),
    }
}

impl Assignment {
    fn cut_from(&self, text: &str) -> String {
        let line = text[..self.key.start].rfind('\n').map_or(0, |end| end + 1);
        let path = &text[line..self.key.start];
        let rest = text[self.value.end..].lines().next().unwrap_or_default().trim_start();
        let is_alone = !path.contains(['=', '{']) && (rest.is_empty() || rest.starts_with('#'));
        if is_alone {
            let indent = path.len() - path.trim_start().len();
            [&text[..line + indent], &text[self.value.end..]].concat()
        } else {
            [&text[..self.value.start], NOTHING, &text[self.value.end..]].concat()
        }
    }
}

/// A power cut leaves the old file or the new one, never half of one.
fn replace(config: &Path, text: &str) -> io::Result<()> {
    let folder = folder_of(config);
    let new = folder.join(".byway.toml.new");
    let written = write_new(&new, text, fs::metadata(config)?.permissions());
    if let Err(e) = written.and_then(|()| fs::rename(&new, config)) {
        let _ = fs::remove_file(&new);
        return Err(e);
    }
    File::open(folder)?.sync_all()
}

fn write_new(path: &Path, text: &str, permissions: Permissions) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.set_permissions(permissions)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// For a file that cannot be renamed over, as one that is mounted by itself.
fn write_in_place(config: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).truncate(true).open(config)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const BEFORE: &str = "# my box\n[box]\nname = \"byway\"   # auth_key = \"not this\"\n\n[tailnet]\r\n\
                          control = 'https://hs.example.net'\n\tauth_key =  VALUE  # from Anna\n[mullvad]\nconfig=[]";
    const AFTER: &str = "# my box\n[box]\nname = \"byway\"   # auth_key = \"not this\"\n\n[tailnet]\r\n\
                         control = 'https://hs.example.net'\n\t  # from Anna\n[mullvad]\nconfig=[]";

    #[test]
    fn takes_out_the_value_and_leaves_every_other_byte() {
        for value in
            ["\"hskey-1\"", "'hskey-1'", "\"hs\\u006bey-1\"", "\"\"\"hskey\n-1\"\"\"", "'''hskey-1'''"]
        {
            let (_folder, config) = config_with(&BEFORE.replace("VALUE", value));
            assert_eq!(wipe_auth_key(&config).unwrap(), Wiped::Now, "{value}");
            assert_eq!(fs::read_to_string(&config).unwrap(), AFTER);
            assert_eq!(wipe_auth_key(&config).unwrap(), Wiped::Before, "a second time");
        }
    }

    #[test]
    fn finds_it_in_every_spelling_of_the_table() {
        for (before, after) in [
            (
                "tailnet = { auth_key = \"k\", control = \"c\" }\n",
                "tailnet = { auth_key = \"\", control = \"c\" }\n",
            ),
            ("tailnet.auth_key = \"k\"\r\nx = 1\n", "\r\nx = 1\n"),
            ("[\"tailnet\"]\n'auth_key' = \"k\"\n", "[\"tailnet\"]\n\n"),
        ] {
            let (_folder, config) = config_with(before);
            wipe_auth_key(&config).unwrap();
            assert_eq!(fs::read_to_string(&config).unwrap(), after);
        }
    }

    #[test]
    fn leaves_a_file_without_a_key_alone() {
        for text in ["", "[tailnet]\ncontrol = \"c\"\n", "[box]\nauth_key = \"another's\"\n"] {
            let (_folder, config) = config_with(text);
            assert_eq!(wipe_auth_key(&config).unwrap(), Wiped::Before);
            assert_eq!(fs::read_to_string(&config).unwrap(), text);
        }
    }

    #[test]
    fn empties_the_file_that_holds_the_key_and_leaves_the_configuration_alone() {
        let text = "[tailnet]\nauth_key_file = \"auth.key\"  # from Anna\n";
        let (folder, config) = config_with(text);
        let key_file = folder.path().join("auth.key");
        assert!(wipe_auth_key(&config).unwrap_err().to_string().contains("auth.key"), "there is none yet");
        fs::write(&key_file, "hskey-1\n").unwrap();
        assert_eq!(wipe_auth_key(&config).unwrap(), Wiped::Now);
        assert_eq!(fs::read_to_string(&key_file).unwrap(), "");
        assert_eq!(wipe_auth_key(&config).unwrap(), Wiped::Before, "a second time");
        assert_eq!(fs::read_to_string(&config).unwrap(), text);
    }

    #[test]
    fn keeps_the_mode_and_leaves_no_second_file() {
        let (folder, config) = config_with("[tailnet]\nauth_key = \"k\"\n");
        fs::set_permissions(&config, Permissions::from_mode(0o600)).unwrap();
        wipe_auth_key(&config).unwrap();
        assert_eq!(fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn writes_in_place_where_no_second_file_can_be() {
        let (folder, config) = config_with("[tailnet]\nauth_key = \"k\"\n");
        // Whoever runs this as root may write into any folder; nobody may put a file where a folder is.
        fs::create_dir(folder.path().join(".byway.toml.new")).unwrap();
        assert_eq!(wipe_auth_key(&config).unwrap(), Wiped::Now);
        assert_eq!(fs::read_to_string(&config).unwrap(), "[tailnet]\n\n");
    }

    #[test]
    fn refuses_what_it_cannot_read_without_quoting_it() {
        for text in ["[tailnet]\nauth_key = [\"hskey-1\"]\n", "[tailnet]\nauth_key = \"hskey-1\n"] {
            let (_folder, config) = config_with(text);
            let error = wipe_auth_key(&config).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("byway.toml") && !shown.contains("hskey"), "{shown}");
            assert_eq!(fs::read_to_string(&config).unwrap(), text);
        }
        let missing = wipe_auth_key(Path::new("/nowhere/byway.toml")).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/byway.toml"), "{missing}");
    }

    fn config_with(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("byway.toml");
        fs::write(&config, text).unwrap();
        (folder, config)
    }
}
