//! One agent a run folder: a lock that ends with the process, whatever ends the process.

use std::fs::{self, File, OpenOptions};
use std::path::Path;

use anyhow::{Context as _, bail};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// Held until it is dropped.
pub(super) fn take(run_dir: &Path) -> anyhow::Result<Flock<File>> {
    fs::create_dir_all(run_dir).with_context(|| format!("cannot make {}", run_dir.display()))?;
    let path = run_dir.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((_, Errno::EWOULDBLOCK)) => {
            bail!("an agent is running already: {} is locked; ask it with `byway status`", path.display())
        }
        Err((_, errno)) => bail!("cannot lock {}: {errno}", path.display()),
    }
}

/// Without taking it: a probe must not make an agent fail that starts just now.
pub(super) fn is_held(run_dir: &Path) -> bool {
    let Ok(file) = File::open(run_dir.join("lock")) else { return false };
    matches!(Flock::lock(file, FlockArg::LockSharedNonblock), Err((_, Errno::EWOULDBLOCK)))
}
