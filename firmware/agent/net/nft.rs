//! Runs `nft`: loads a text as one transaction, lists our table. What the text says is rendered in the core.

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use super::listing::Listing;

/// A hundred times what a load takes; `nft` starts over for as long as somebody else keeps changing rules.
const PATIENCE: Duration = Duration::from_secs(3);

/// Ten times what the rule set takes with a full count of clients.
const LONGEST: usize = 8 << 20;

/// In all these cases nothing was loaded: a transaction is taken whole or not at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("nft did not start, install nftables: {0}")]
    Start(#[source] io::Error),
    #[error("nft could not be talked to: {0}")]
    Pipe(#[source] io::Error),
    #[error("nft refused: {0}")]
    Refused(String),
    #[error("nft crashed by signal {0}; does its version fit the kernel's rules?")]
    Crashed(i32),
    #[error("nft gave no answer within {} s", PATIENCE.as_secs())]
    Silent,
    #[error("nft says more than {} MiB: has somebody filled a set of ours?", LONGEST >> 20)]
    TooLong,
    #[error("the agent is ending and the box is sealed")]
    Closed,
    #[error("the listing of nft is not understood: {0}")]
    Listing(#[from] serde_json::Error),
}

/// Held while the box's own rule set is being loaded.
static COMMITTING: Mutex<()> = Mutex::new(());
/// Set once, when the agent ends: afterwards nothing but a seal is loaded.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// No [`commit`] that has not begun yet will load anything.
pub(super) fn close() {
    CLOSED.store(true, Ordering::SeqCst);
}

/// [`load`], one at a time: a sealing waits for it, so that no door opens behind its back.
pub(super) fn commit(text: &str) -> Result<(), Error> {
    let _turn = COMMITTING.lock().unwrap_or_else(PoisonError::into_inner);
    if CLOSED.load(Ordering::SeqCst) {
        return Err(Error::Closed);
    }
    load(text)
}

/// Waits for a running [`commit`], but no longer than `nft` may take: it may be this very thread's, which panicked.
pub(super) fn commit_at_last(text: &str) -> Result<(), Error> {
    let end = Instant::now() + PATIENCE;
    let turn = loop {
        match COMMITTING.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < end => thread::sleep(Duration::from_millis(1)),
            turn => break turn,
        }
    };
    let outcome = load(text);
    drop(turn);
    outcome
}

/// One transaction in the calling thread's network namespace.
pub(super) fn load(text: &str) -> Result<(), Error> {
    run(&["-f", "-"], text).map(drop)
}

/// Our table as it stands in the calling thread's network namespace.
pub(super) fn listing() -> Result<Listing, Error> {
    let json = run(&["-j", "-s", "list", "table", "inet", "byway"], "")?;
    Ok(Listing::parse(&json)?)
}

/// Our table with what was counted. Not its sets alone: nft 1.0.6 lists everybody's then, however large they are.
pub(super) fn counted() -> Result<serde_json::Value, Error> {
    Ok(serde_json::from_slice(&run(&["-j", "list", "table", "inet", "byway"], "")?)?)
}

fn run(args: &[&str], input: &str) -> Result<Vec<u8>, Error> {
    let mut nft = Command::new("nft");
    nft.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    ends_with_its_parent(&mut nft);
    let mut child = nft.spawn().map_err(Error::Start)?;
    let talked = converse(&mut child, input);
    if talked.is_err() {
        // It may be gone already; what it was told is incomplete in any case.
        _ = child.kill();
    }
    let status = child.wait().map_err(Error::Pipe)?;
    let (output, complaint) = talked?;
    verdict(status, &complaint).map(|()| output)
}

/// Else a door that the agent was opening when it was killed could open behind the next agent's seal.
fn ends_with_its_parent(command: &mut Command) {
    // SAFETY: prctl(2) is one system call; it allocates nothing and takes no lock.
    #[expect(unsafe_code, reason = "std has no safe way to run a call between fork and exec")]
    unsafe {
        command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?));
    }
}

fn verdict(status: ExitStatus, complaint: &[u8]) -> Result<(), Error> {
    if let Some(signal) = status.signal() {
        return Err(Error::Crashed(signal));
    }
    if status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(complaint);
    let first = complaint.lines().next().unwrap_or("it does not say why");
    Err(Error::Refused(String::from(first)))
}

/// Feeds it and reads (what it prints, what it complains of) until it is done.
fn converse(child: &mut Child, input: &str) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(mut stdout), Some(stderr)) = (stdin, stdout, stderr) else {
        return Err(Error::Pipe(io::ErrorKind::BrokenPipe.into()));
    };
    // A rule set and a complaint fit into a pipe (64 KiB), so neither side waits for the other.
    match stdin.write_all(input.as_bytes()) {
        // It gave up before it read: its complaint says why.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written.map_err(Error::Pipe)?,
    }
    drop(stdin);
    let output = read_until(&mut stdout, Instant::now() + PATIENCE)?;
    let mut complaint = Vec::new();
    // Its first line is all that is told.
    stderr.take(LONGEST as u64).read_to_end(&mut complaint).map_err(Error::Pipe)?;
    Ok((output, complaint))
}

fn read_until(pipe: &mut ChildStdout, end: Instant) -> Result<Vec<u8>, Error> {
    let (mut output, mut chunk) = (Vec::new(), [0; 16384]);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], left) {
            Ok(0) => return Err(Error::Silent),
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(Error::Pipe(errno.into())),
        }
        match pipe.read(&mut chunk).map_err(Error::Pipe)? {
            0 => return Ok(output),
            _ if output.len() > LONGEST => return Err(Error::TooLong),
            length => output.extend_from_slice(&chunk[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_told_by_its_first_line() {
        let refused = verdict(ExitStatus::from_raw(1 << 8), b"Error: syntax error\nadd tabel\n");
        assert_eq!(refused.unwrap_err().to_string(), "nft refused: Error: syntax error");
    }

    #[test]
    fn a_crash_is_not_a_success() {
        let crashed = verdict(ExitStatus::from_raw(11), b"");
        assert!(matches!(crashed, Err(Error::Crashed(11))), "{crashed:?}");
    }

    /// The kernel tells the child when the thread that made it ends, as it does when the process is killed.
    #[test]
    fn a_transaction_does_not_outlive_whoever_ordered_it() {
        let orphan = thread::spawn(|| {
            let mut slow = Command::new("sleep");
            ends_with_its_parent(slow.arg("60"));
            slow.spawn().unwrap()
        });
        let status = orphan.join().unwrap().wait().unwrap();
        assert_eq!(status.signal(), Some(9));
    }
}
