//! The socket where wireguard-tools look for the tunnel: there while the agent is, and never in its way. Few are
//! served at once, each for a moment; the rest wait in the kernel.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::{Snapshot, answer, is_whole};

/// Compiled into wireguard-tools.
pub const FOLDER: &str = "/var/run/wireguard";

/// Callers at once, the time for each of them, and the most that one may say: a `wg setconf` that is refused has
/// come to its end before.
const MOST: usize = 8;
const PATIENCE: Duration = Duration::from_secs(2);
const LONGEST: u64 = 16 * 1024;
/// Callers that wait in the kernel.
const BACKLOG: i32 = 16;

/// The socket's place in the file system, freed when this is dropped.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    /// Kept open, so that nothing that comes after it can have its inode's number.
    file: File,
}

/// The socket of `device`, for root only. One that a killed agent left is replaced; another program's is not.
pub fn listen(folder: &Path, device: &str) -> anyhow::Result<(UnixListener, Place)> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(format!("{device}.sock"));
    free(&path)?;
    let listener = bind(&path).with_context(|| format!("cannot listen at {}", path.display()))?;
    // Not by std's options: musl's libc counts O_PATH among the access modes, and std leaves it out then.
    let file = open(&path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty());
    let file = file.with_context(|| format!("cannot hold {}", path.display()))?;
    Ok((listener, Place { path, file: file.into() }))
}

/// Until the agent ends.
pub async fn serve(listener: UnixListener, snapshots: watch::Receiver<Snapshot>) {
    let seats = Arc::new(Semaphore::new(MOST));
    // Nobody closes a semaphore of ours.
    while let Ok(seat) = Arc::clone(&seats).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let talk = timeout(PATIENCE, converse(stream, snapshots.clone()));
                tokio::spawn(async move {
                    if !matches!(talk.await, Ok(Ok(()))) {
                        tracing::debug!("wg's socket: a caller went away, or took too long");
                    }
                    drop(seat);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "wg's socket: a caller got lost");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// One request. wg(8) calls first without one, to see whether anybody is there.
async fn converse(mut stream: UnixStream, snapshots: watch::Receiver<Snapshot>) -> io::Result<()> {
    let mut request = Vec::new();
    let mut incoming = (&mut stream).take(LONGEST);
    while !is_whole(&request) && incoming.read_buf(&mut request).await? > 0 {}
    if request.is_empty() {
        return Ok(());
    }
    let answer = answer(&request, &snapshots.borrow());
    stream.write_all(&answer).await
}

/// Removes a socket that nobody listens at, and nothing else.
fn free(path: &Path) -> anyhow::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => bail!("cannot look at {}: {error}", path.display()),
    };
    if !found.file_type().is_socket() {
        bail!("{} is no socket: remove it", path.display());
    }
    // Without waiting: one that answers nobody any more is still another's.
    let caller = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    match caller.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).with_context(|| format!("cannot remove the old {}", path.display()))
        }
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
            bail!("cannot tell whose {} is: {error}", path.display())
        }
        Ok(()) | Err(_) => bail!("another program listens at {}: end it", path.display()),
    }
}

/// The mode is the socket's before anybody can see it.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    fchmod(socket.as_fd(), Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG)?;
    UnixListener::from_std(socket.into())
}

impl Drop for Place {
    /// Not if it is another's by now.
    fn drop(&mut self) {
        let number = |of: Metadata| (of.dev(), of.ino());
        let (Ok(found), Ok(ours)) = (fs::symlink_metadata(&self.path), self.file.metadata()) else { return };
        if number(found) == number(ours) {
            // Whoever comes next replaces what is left.
            _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests;
