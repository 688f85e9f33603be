//! One agent a run folder: a lock that ends with the process, whatever ends the process.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("an agent is running already: {} is locked; ask it with `byway status`", path.display())]
    Held { path: PathBuf },
    #[error("cannot lock {}: {cause}: make its folder writable, or name another with --run-dir", path.display())]
    Failed { path: PathBuf, cause: io::Error },
}

/// Held until it is dropped.
pub(super) fn take(run_dir: &Path) -> Result<Flock<File>, Error> {
    let path = run_dir.join("lock");
    let failed = |cause| Error::Failed { path: path.clone(), cause };
    fs::create_dir_all(run_dir).map_err(failed)?;
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((_, Errno::EWOULDBLOCK)) => Err(Error::Held { path }),
        Err((_, errno)) => Err(failed(errno.into())),
    }
}

/// Without taking it: a probe must not make an agent fail that starts just now.
pub(super) fn is_held(run_dir: &Path) -> bool {
    let Ok(file) = File::open(run_dir.join("lock")) else { return false };
    matches!(Flock::lock(file, FlockArg::LockSharedNonblock), Err((_, Errno::EWOULDBLOCK)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_running_agent_from_a_folder_that_cannot_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let lock = take(folder.path()).unwrap();
        assert!(matches!(take(folder.path()), Err(Error::Held { .. })) && is_held(folder.path()));
        drop(lock);
        assert!(!is_held(folder.path()));

        let blocked = folder.path().join("blocked");
        fs::create_dir_all(blocked.join("lock")).unwrap();
        let error = take(&blocked).unwrap_err();
        assert!(matches!(error, Error::Failed { .. }), "{error}");
        assert!(error.to_string().contains("blocked/lock") && error.to_string().contains("--run-dir"));
    }
}
