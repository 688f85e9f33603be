//! What a test adds to a card's root, as an archive behind it: a shell on a line of its own, what that calls, and the
//! authority of the lab's internet in place of the world's. Nothing else of the card is touched.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use byway_lab::machine::Archive;

use crate::card::file_of_root;

const SHELL: &str = include_str!("shell.sh");
/// Tells on the console how it is, where there is no line for a shell.
const STATUS: &str = "#!/test/busybox sh
/test/busybox sleep 2
byway status --json --run-dir /run/byway
";

/// What runs beside the card's own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Line {
    Shell,
    Status,
}

/// Where the agent and tailscaled look for authorities.
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";

/// The root that is booted, beside what the firmware has loaded.
pub(crate) fn behind(root: &Path, busybox: &Path, line: Line, authority: Option<&Path>) -> Result<PathBuf> {
    let added = root.with_extension("added");
    let mut archive = Archive::create(&added)?;
    archive.folder("test")?;
    let busybox = fs::read(busybox).with_context(|| format!("no {}: ./dev fetches it", busybox.display()))?;
    archive.program("test/busybox", &busybox)?;
    let (terminal, program) = match line {
        Line::Shell => ("", SHELL),
        Line::Status => ("console", STATUS),
    };
    archive.program("test/line", program.as_bytes())?;
    let inittab = format!("{}\n{terminal}::respawn:/test/line\n", file_of_root(root, "etc/inittab")?);
    archive.program("etc/inittab", inittab.as_bytes())?;
    if let Some(authority) = authority {
        archive.program(AUTHORITIES, &fs::read(authority)?)?;
    }
    archive.finish()?;
    let whole = root.with_extension("whole");
    let mut bytes = fs::read(root)?;
    // An archive begins at a multiple of four.
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let mut file = fs::File::create(&whole)?;
    file.write_all(&bytes)?;
    file.write_all(&fs::read(&added)?)?;
    Ok(whole)
}
