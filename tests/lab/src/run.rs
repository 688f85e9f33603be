//! One run of the lab on this machine: its room among as many as there are processors, the prefix of its names, its
//! folder, and the removal of what a crashed run left behind.

use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process;
use std::thread::{available_parallelism, sleep};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal;
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::disk;
use crate::namespace::Namespace;

/// Of the rooms' locks.
const LOCKS: &str = "/run";
/// Two digits of a name.
const MOST_ROOMS: usize = 99;
/// Between two looks for a free room.
const LOOK: Duration = Duration::from_millis(100);

/// Where wireguard-go puts its control sockets: one folder for all namespaces.
const WIREGUARD_SOCKETS: &str = "/var/run/wireguard";

/// The run's name and folder. Dropping it lets the next world in.
#[derive(Debug)]
pub(crate) struct Run {
    prefix: String,
    folder: TempDir,
    _room: File,
}

impl Run {
    /// Waits for a room, then clears away what dead runs left.
    pub(crate) fn begin() -> Result<Self> {
        let (room, lock) = any(Path::new(LOCKS), rooms())?;
        clear_leftovers()?;
        let prefix = format!("bw{}r{room:02}", process::id());
        let mut folder = tempfile::Builder::new().prefix(&format!("{prefix}-")).tempdir()?;
        // For a person who looks into a failure: the logs stay until the next world.
        folder.disable_cleanup(env::var_os("BYWAY_LAB_KEEP").is_some());
        Ok(Self { prefix, folder, _room: lock })
    }

    /// The name of a namespace of this run.
    pub(crate) fn namespace(&self, place: &str) -> String {
        format!("{}-{place}", self.prefix)
    }

    /// A network device name that no other run uses; at most 15 characters, the kernel's limit.
    pub(crate) fn device(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.prefix)
    }

    /// Logs, keys, state of the peers.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // What cannot be removed now is removed at the start of the next run.
        let _ = remove_sockets(|name| name.starts_with(&self.prefix));
    }
}

/// The control socket of the wireguard-go device `name`.
pub(crate) fn wireguard_socket(name: &str) -> PathBuf {
    Path::new(WIREGUARD_SOCKETS).join(format!("{name}.sock"))
}

/// How many worlds may stand on this machine: one does little but wait.
fn rooms() -> usize {
    available_parallelism().map_or(1, usize::from).min(MOST_ROOMS)
}

/// The first of so many rooms that is free, and its lock.
fn any(folder: &Path, rooms: usize) -> Result<(usize, File)> {
    let mut told = false;
    loop {
        for room in 0..rooms {
            let (path, file) = open(folder, &room.to_string())?;
            match file.try_lock() {
                Ok(()) => return Ok((room, file)),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
            }
        }
        if !told {
            say_that_we_wait(folder);
            told = true;
        }
        sleep(LOOK);
    }
}

fn open(folder: &Path, name: &str) -> Result<(PathBuf, File)> {
    let path = folder.join(format!("byway-lab.{name}.lock"));
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("cannot open the lock {}", path.display()))?;
    Ok((path, file))
}

#[expect(clippy::print_stderr, reason = "a silent wait looks like a hang to the person at the terminal")]
fn say_that_we_wait(folder: &Path) {
    let locks = folder.join("byway-lab.*.lock");
    eprintln!(
        "as many worlds of the lab stand on this machine as it has room for ({}): waiting",
        locks.display()
    );
}

/// Whoever comes at the same time finds nothing more.
fn clear_leftovers() -> Result<()> {
    let (path, lock) = open(Path::new(LOCKS), "leftovers")?;
    lock.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    for namespace in Namespace::existing(is_leftover)? {
        let name = namespace.name().to_owned();
        namespace.remove().with_context(|| format!("cannot clear the leftover namespace {name}"))?;
    }
    remove_sockets(is_leftover)?;
    for folder in fs::read_dir(env::temp_dir())?.flatten() {
        if is_leftover(&folder.file_name().to_string_lossy()) {
            let path = folder.path();
            disk::remove_below(&path)?;
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// A killed wireguard-go leaves its socket behind.
fn remove_sockets(wanted: impl Fn(&str) -> bool) -> Result<()> {
    let Ok(sockets) = fs::read_dir(WIREGUARD_SOCKETS) else {
        return Ok(()); // no wireguard-go ever ran here
    };
    for socket in sockets.flatten() {
        if wanted(&socket.file_name().to_string_lossy()) {
            fs::remove_file(socket.path())
                .with_context(|| format!("cannot remove {}", socket.path().display()))?;
        }
    }
    Ok(())
}

/// Whether `name` was given by a run whose process is dead.
fn is_leftover(name: &str) -> bool {
    owner(name).is_some_and(|pid| signal::kill(pid, None).is_err())
}

fn owner(name: &str) -> Option<Pid> {
    let rest = name.strip_prefix("bw")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    rest[..digits].parse().ok().filter(|pid| *pid > 0).map(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_whose_a_name_is() {
        assert_eq!(owner("bw1234-house"), Some(Pid::from_raw(1234)));
        assert_eq!(owner("bw77mv.sock"), Some(Pid::from_raw(77)));
        for foreign in ["house", "bw-house", "bwx7-house", "bw0-house", "wg0.sock"] {
            assert_eq!(owner(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_living_owners_names_are_no_leftovers() {
        assert!(!is_leftover(&format!("bw{}-house", process::id())));
    }

    #[test]
    fn a_world_waits_for_a_room() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().to_owned();
        let (first, second) = (any(&here, 2).unwrap(), any(&here, 2).unwrap());
        assert_eq!((first.0, second.0), (0, 1));
        let third = std::thread::spawn(move || any(&here, 2).unwrap());
        assert!(!third.is_finished());
        drop(second);
        assert_eq!(third.join().unwrap().0, 1);
    }
}
