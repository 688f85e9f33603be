//! `byway logs`: reads the files themselves, so that a dead agent's log is told too.

use std::io::{self, Write as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::{Ending, text};
use crate::journal::Tail;

/// Between two looks at what was written since.
const LOOK: Duration = Duration::from_millis(200);

pub(super) fn show(run_dir: &Path, most: usize, follow: bool) -> anyhow::Result<Ending> {
    let (mut tail, lines) = Tail::begin(run_dir).with_context(|| format!("{}", run_dir.display()))?;
    if lines.is_empty() && !follow {
        bail!("nothing is logged in {}: was `byway run` up, and is --run-dir the same?", run_dir.display());
    }
    let newest = &lines[lines.len().saturating_sub(most)..];
    let mut listened = print(newest)?;
    while follow && listened {
        thread::sleep(LOOK);
        listened = print(&tail.since()?)?;
    }
    Ok(Ending::Done)
}

/// Whether somebody still reads, as `head` does not for long.
fn print(lines: &[String]) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    let printed = lines.iter().try_for_each(|line| writeln!(out, "{}", text::printable(line)));
    match printed.and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}
