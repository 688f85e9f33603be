//! A stranger on tailscaled's socket, who answers everybody with nonsense: a process of its own, since the agent ends
//! whoever holds that socket. It is this test's own program, started again.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result};
use byway_lab::stage::Stage;

/// Set for the stranger: where to listen.
const SOCKET: &str = "BYWAY_LAB_BABBLES_AT";

/// Puts the stranger where tailscaled listened. The real one goes on, and nobody can reach it.
pub(super) fn instead_of_tailscaled(stage: &mut Stage) -> Result<()> {
    let socket = stage.byway.run_dir().join("tailscaled.sock");
    fs::remove_file(&socket).with_context(|| format!("cannot remove {}", socket.display()))?;
    let mut stranger = Command::new(std::env::current_exe()?);
    stranger.env(SOCKET, &socket).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut stranger = stranger.spawn().context("cannot start the stranger")?;
    // Reaped whenever the agent ends it.
    thread::spawn(move || stranger.wait());
    byway_lab::wait_for("the stranger", crate::ordeal::PATIENCE, || {
        socket.exists().then_some(()).context("no socket yet")
    })
}

/// Never returns in the stranger's process; does nothing in the test's own.
pub(super) fn if_asked() {
    if let Some(socket) = std::env::var_os(SOCKET) {
        babble(Path::new(&socket)).expect("the stranger cannot listen");
    }
}

fn babble(socket: &Path) -> Result<()> {
    for caller in UnixListener::bind(socket)?.incoming() {
        let mut caller = caller?;
        // Whoever hangs up early has heard enough.
        _ = caller.read(&mut [0; 4096]);
        _ = caller.write_all(b"HTTP/9.9 banana\r\n\r\n\x00\xff");
    }
    Ok(())
}
