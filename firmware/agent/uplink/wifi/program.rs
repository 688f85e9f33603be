//! Keeps one `wpa_supplicant` running for a radio and hears what it tells. It ends with the agent, and no second one is
//! started beside one that is still ending.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use byway_core::uplink::wifi::WifiState;
use nix::net::if_::if_nametoindex;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep};

use super::socket::{Heard, Socket};

const PROGRAM: &str = "wpa_supplicant";
/// Names within `RUN_DIR`, where the program runs: so no folder's name needs quoting.
pub(super) const CONFIGURATION: &str = "wifi.conf";
pub(super) const SOCKETS: &str = "wifi";
const LOCK: &str = "wifi.lock";
const LOG: &str = "wpa_supplicant.log";

/// Between two looks for what is not there yet: the radio, the end of the last program, the socket of a new one.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Before the next one is started.
const PAUSE: Duration = Duration::from_secs(2);
/// Between two looks at its status.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// So many looks unanswered: it hangs.
const USELESS_AFTER: u32 = 2;
/// From its start to its socket.
const START_PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_LOG: u64 = 1 << 18;

#[derive(Debug)]
pub(super) struct Program {
    interface: String,
    run_dir: PathBuf,
    states: watch::Sender<WifiState>,
}

/// A running program, asked to leave when nobody keeps it.
struct Running(Child);

impl Program {
    pub(super) fn new(interface: &str, run_dir: &Path, states: watch::Sender<WifiState>) -> Self {
        Self { interface: interface.to_owned(), run_dir: run_dir.to_owned(), states }
    }

    pub(super) async fn keep(self) {
        loop {
            self.wait_for_radio().await;
            match self.run().await {
                Ok(()) => {
                    tracing::warn!("{PROGRAM} has ended; its last words are in {}", self.log().display());
                }
                Err(error) => tracing::warn!("{PROGRAM}: {error}"),
            }
            self.tell(WifiState::Ended);
            sleep(PAUSE).await;
        }
    }

    async fn wait_for_radio(&self) {
        while !self.has_radio() {
            self.tell(WifiState::NoRadio);
            sleep(LOOK_EVERY).await;
        }
    }

    fn has_radio(&self) -> bool {
        if_nametoindex(self.interface.as_str()).is_ok()
    }

    /// Until it ends.
    async fn run(&self) -> io::Result<()> {
        let lock = self.lock().await?;
        let mut running = Running(self.command(lock)?.spawn()?);
        let Some(socket) = self.connect(&mut running).await else {
            return Ok(());
        };
        socket.ask("ATTACH").await?;
        let mut looks = interval(STATUS_EVERY);
        let mut unanswered = 0;
        loop {
            tokio::select! {
                ended = running.0.wait() => return ended.map(drop),
                heard = socket.hear() => match heard? {
                    Heard::Event(event) => self.tell(self.state().after(&event)),
                    Heard::Answer(answer) => {
                        unanswered = 0;
                        self.tell(self.state().seen(&answer));
                    }
                },
                _ = looks.tick() => {
                    self.look(unanswered)?;
                    unanswered += 1;
                    socket.ask("STATUS").await?;
                }
            }
        }
    }

    fn look(&self, unanswered: u32) -> io::Result<()> {
        if unanswered == USELESS_AFTER {
            return Err(io::Error::other("it does not answer"));
        }
        if !self.has_radio() {
            return Err(io::Error::other("its radio is gone"));
        }
        bound(&self.log())
    }

    /// `None` when it ends or says nothing.
    async fn connect(&self, running: &mut Running) -> Option<Socket> {
        let path = self.run_dir.join(SOCKETS).join(&self.interface);
        let deadline = Instant::now() + START_PATIENCE;
        while Instant::now() < deadline && !matches!(running.0.try_wait(), Ok(Some(_)) | Err(_)) {
            if let Ok(socket) = Socket::connect(&path) {
                return Some(socket);
            }
            sleep(LOOK_EVERY).await;
        }
        None
    }

    /// The program's own for as long as it lives: it inherits it as its standard input.
    async fn lock(&self) -> io::Result<File> {
        let mut open = OpenOptions::new();
        let open = open.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = open.open(self.run_dir.join(LOCK))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => sleep(LOOK_EVERY).await,
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    fn command(&self, lock: File) -> io::Result<Command> {
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(self.log())?;
        let mut command = Command::new(PROGRAM);
        command.args(["-q", "-D", "nl80211", "-i", &self.interface, "-c", CONFIGURATION]);
        command.current_dir(&self.run_dir).stdin(lock).stdout(log).stderr(Stdio::null());
        ends_with_us(&mut command);
        Ok(command)
    }

    fn state(&self) -> WifiState {
        *self.states.borrow()
    }

    fn tell(&self, state: WifiState) {
        self.states.send_if_modified(|told| {
            let changed = *told != state;
            *told = state;
            changed
        });
    }

    fn log(&self) -> PathBuf {
        self.run_dir.join(LOG)
    }
}

impl Drop for Running {
    /// So it leaves the network in good order; one that hangs does not listen, and the next one waits for its lock.
    fn drop(&mut self) {
        if let Some(pid) = self.0.id().and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended just now.
            _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }
}

/// It lives in memory.
fn bound(log: &Path) -> io::Result<()> {
    if fs::metadata(log)?.len() > LONGEST_LOG {
        OpenOptions::new().write(true).open(log)?.set_len(0)?;
    }
    Ok(())
}

/// Else a box whose agent was killed would have two programs on one radio.
fn ends_with_us(command: &mut Command) {
    // SAFETY: prctl(2) is one system call; it allocates nothing and takes no lock.
    #[expect(unsafe_code, reason = "std has no safe way to run a call between fork and exec")]
    unsafe {
        command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGTERM)?));
    }
}
