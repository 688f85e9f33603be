//! Tells dropbear whom to let in: the keys of `byway.toml`, where it looks for them. Their file is in the box's memory, because
//! the owner's way in must be open when no agent runs; what starts dropbear is `/usr/libexec/byway/keep-ssh` on a card.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::Context as _;

use crate::config::SshKey;
use crate::store;

/// In the state folder, beside the key by which the box is known.
const FOLDER: &str = "ssh";
const FILE: &str = "authorized_keys";

/// From now on these may log in, and nobody else. An empty file ends dropbear; where there never was one, none is made.
pub fn authorize(keys: &[SshKey], state_dir: &Path) -> anyhow::Result<()> {
    let folder = state_dir.join(FOLDER);
    let file = folder.join(FILE);
    if keys.is_empty() && !file.exists() {
        return Ok(());
    }
    // dropbear takes no file that somebody else could change.
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let lines: Vec<String> = keys.iter().map(|key| format!("{key}\n")).collect();
    Ok(store::replace(&file, &folder.join("authorized_keys.new"), lines.concat().as_bytes())?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    const KEYS: &str = include_str!("config/tests/keys.pub");

    #[test]
    fn keys_are_written_for_root_alone_when_they_differ_and_taken_away_again() {
        let state = tempfile::tempdir().unwrap();
        let file = state.path().join("ssh/authorized_keys");
        authorize(&[], state.path()).unwrap();
        assert!(!state.path().join("ssh").exists(), "nobody asked for it");

        let keys: Vec<SshKey> = KEYS.lines().map(|line| line.parse().unwrap()).collect();
        authorize(&keys, state.path()).unwrap();
        let written = fs::metadata(&file).unwrap();
        assert_eq!(written.mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_to_string(&file).unwrap(), KEYS.replace(" somebody@somewhere", ""));

        authorize(&keys, state.path()).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().ino(), written.ino(), "the same was written again");
        authorize(&[], state.path()).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().len(), 0);
    }
}
