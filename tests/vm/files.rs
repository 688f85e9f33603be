//! What the card says it was made of, beside what the tree has. No machine is switched on.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use byway_lab::firmware::Partition;
use byway_lab::process::succeed;

use crate::card::{CardImage, file_of_root};
use crate::pi::Bench;

const SLOTS: [u32; 2] = [2, 3];

/// A real card that bears the same was made of the same: `board/post-build.sh` and `board/post-image.sh` are in both builds.
pub(crate) fn are_the_trees(_: &Bench) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let card = CardImage::flash(folder.path())?;
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("board/hash.sh");
    let hash = succeed(Command::new(tree))?;
    ensure!(hash.len() == 64, "no hash: {hash}");
    for slot in SLOTS.map(|number| Partition::find(card.path(), number)) {
        let slot = slot?;
        let told: serde_json::Value = serde_json::from_str(&slot.text("SLOT.json")?)?;
        ensure!(told["files"] == hash.as_str(), "SLOT.json says {told}, the tree's files have {hash}");
        let root = slot.copy("rootfs.cpio.zst", folder.path())?;
        let release = file_of_root(&root, "etc/os-release")?;
        let line = format!("IMAGE_FILES={hash}");
        ensure!(release.lines().any(|found| found == line), "/etc/os-release says {release}, not {line}");
    }
    Ok(())
}
