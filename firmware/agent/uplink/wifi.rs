//! The radio: runs `wpa_supplicant` for the house's network and tells how far it is. Addresses are not its business.

mod program;
mod socket;
mod text;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use byway_core::uplink::wifi::WifiState;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::Wifi;
use program::{CONFIGURATION, Program, SOCKETS};

/// One radio's program, which ends when this is dropped or the agent dies, however it dies.
#[derive(Debug)]
pub struct Supplicant {
    states: watch::Receiver<WifiState>,
    _keeper: JoinSet<()>,
}

impl Supplicant {
    /// Inside a tokio runtime. A radio or a program that is not there is no error but a state: it may come.
    pub fn start(wifi: &Wifi, run_dir: &Path) -> io::Result<Self> {
        let text = text::configuration(wifi, SOCKETS);
        write_secret(&run_dir.join(CONFIGURATION), &text)?;
        let (tell, states) = watch::channel(WifiState::Starting);
        let mut keeper = JoinSet::new();
        keeper.spawn(Program::new(wifi.interface.as_str(), run_dir, tell).keep());
        Ok(Self { states, _keeper: keeper })
    }

    pub fn state(&self) -> WifiState {
        *self.states.borrow()
    }

    /// The next change. Loses nothing when dropped while waiting.
    pub async fn next(&mut self) -> WifiState {
        // Its keeper lives as long as this does.
        _ = self.states.changed().await;
        *self.states.borrow_and_update()
    }
}

/// For root alone, from its first byte on.
fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests;
