//! A network namespace of its own for a test, and the commands that work in it.
#![expect(clippy::unwrap_used, reason = "a test says what it stands on by failing")]

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use nix::sched::{CloneFlags, unshare};

/// Runs `work` on a thread in a network namespace without a name, which ends with it.
pub(crate) fn in_a_namespace<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let body = move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("no network namespace: these tests need root");
        work()
    };
    thread::spawn(body).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// For what is asynchronous in a thread of its own.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// What it prints; its failure fails the test.
pub(crate) fn run(commands: &str) -> String {
    let output = Command::new("sh").args(["-ec", commands]).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{commands}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

/// One transaction; an error is what `nft` complains of, and nothing is loaded then.
pub(crate) fn load(text: &str) -> Result<()> {
    let mut nft = Command::new("nft");
    let mut nft = nft.args(["-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    nft.stdin.take().context("it was piped")?.write_all(text.as_bytes())?;
    let output = nft.wait_with_output()?;
    ensure!(output.status.success(), "nft refused: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
