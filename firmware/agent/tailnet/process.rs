//! Keeps one tailscaled alive: adopts the one that listens, starts one where nobody does, ends one that hangs or
//! that another has taken the socket from.
//!
//! tailscaled is the owner's only way in, so it is a process of its own session that outlives the agent;
//! nothing here ties its life to ours. What it does on the tailnet is none of this file's business.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use byway_core::posture::TAILSCALED_PORT;
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::{Pid, setsid},
};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};
use tracing::{info, warn};

use super::localapi::{Error as ApiError, LocalApi};

pub const INTERFACE: &str = "tailscale0";

/// Calls unanswered, for 5 s each, or answered with no sense, after which it counts as useless.
const USELESS_AFTER: u32 = 2;
/// From its start to its first answer; slow cards need seconds to load it.
const START_PATIENCE: Duration = Duration::from_secs(20);
/// How long it may take to leave after SIGTERM: it takes its interface and rules down.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// A process that dies breaks its connections before it stops listening.
const BROKEN_PAUSE: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LONGEST_LOG: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot start {}: {source}; is `tailscaled` under [tailnet] in byway.toml right?", program.display())]
    Spawn { program: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} ended or did not answer within {} s; its last words are in {}", program.display(), START_PATIENCE.as_secs(), log.display())]
    NotReady { program: PathBuf, log: PathBuf },
    #[error("cannot end the hung tailscaled {pid}: {source}")]
    Kill { pid: Pid, source: Errno },
    #[error("tailscaled {pid} is still there after SIGKILL")]
    Unkillable { pid: Pid },
}

/// How a tailscaled came to be ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Adopted,
    Started,
}

/// What to run and where it keeps its things.
#[derive(Debug, Clone)]
pub struct Tailscaled {
    program: PathBuf,
    state_dir: PathBuf,
    run_dir: PathBuf,
    api: LocalApi,
}

impl Tailscaled {
    pub fn new(program: &Path, state_dir: &Path, run_dir: &Path) -> Self {
        Self {
            program: program.into(),
            state_dir: state_dir.join("tailscale"),
            run_dir: run_dir.into(),
            api: LocalApi::new(socket(run_dir)),
        }
    }

    pub fn api(&self) -> &LocalApi {
        &self.api
    }

    /// A tailscaled that answers. One that runs is left as it is.
    pub async fn ensure_running(&self) -> Result<Origin, Error> {
        if self.hail().await == Answer::Given {
            return Ok(Origin::Adopted);
        }
        self.end().await?;
        self.start().await?;
        Ok(Origin::Started)
    }

    /// Ends what runs without a chance to object: whoever holds the socket, and ours, which may have lost it. Two
    /// of them would fight for the interface.
    pub async fn end(&self) -> Result<(), Error> {
        let listener = self.api.pid().await.ok().map(Pid::from_raw);
        let mut pids = processes_told(&self.statedir_argument());
        pids.extend(listener.filter(|pid| !pids.contains(pid)));
        for pid in pids {
            kill_and_wait(pid).await?;
        }
        Ok(())
    }

    /// Cuts the log when it has grown: it lives in memory.
    pub fn bound_log(&self) -> Result<(), Error> {
        let log = self.log_path();
        match fs::metadata(&log) {
            Ok(it) if it.len() > LONGEST_LOG => truncate(&log).map_err(at(&log)),
            Ok(_) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(at(&log)(e)),
        }
    }

    async fn start(&self) -> Result<(), Error> {
        let child = self.spawn()?;
        let deadline = Instant::now() + START_PATIENCE;
        let mut ended = tokio::spawn(reap(child));
        while Instant::now() < deadline && !ended.is_finished() {
            if self.api.status().await.is_ok() {
                return Ok(());
            }
            let _ = tokio::time::timeout(LOOK_EVERY, &mut ended).await;
        }
        Err(Error::NotReady { program: self.program.clone(), log: self.log_path() })
    }

    fn spawn(&self) -> Result<Child, Error> {
        make_private_dir(&self.state_dir).map_err(at(&self.state_dir))?;
        self.bound_log()?;
        let log = self.open_log().map_err(at(&self.log_path()))?;
        let errors = log.try_clone().map_err(at(&self.log_path()))?;
        let mut command = Command::new(&self.program);
        // Its log tells the time as the agent's does.
        command.args(self.arguments()).env("TZ", "UTC").stdin(Stdio::null()).stdout(log).stderr(errors);
        outlive_us(&mut command);
        let child = command.spawn();
        child.map_err(|source| Error::Spawn { program: self.program.clone(), source })
    }

    /// No `TS_PARENT_DEATH_FD` and no tight `GOMEMLIMIT`: research/tailnet.md 1.5 and 7.
    fn arguments(&self) -> [String; 5] {
        [
            format!("--tun={INTERFACE}"),
            format!("--port={TAILSCALED_PORT}"),
            self.statedir_argument(),
            format!("--socket={}", self.api.socket().display()),
            "--no-logs-no-support".into(),
        ]
    }

    /// No other process is told the same.
    fn statedir_argument(&self) -> String {
        format!("--statedir={}", self.state_dir.display())
    }

    /// A refusal is an answer too, and so is one that byway does not understand, if it is tailscaled's: whatever it
    /// means, another tailscaled would not help.
    async fn hail(&self) -> Answer {
        for _ in 0..USELESS_AFTER {
            match self.api.status().await {
                Err(ApiError::Unreachable { .. }) => return Answer::Nobody,
                Err(ApiError::Silent { .. }) => {}
                Err(ApiError::Broken { .. }) => sleep(BROKEN_PAUSE).await,
                Err(ApiError::Garbled { .. }) if !self.is_ours_listening().await => sleep(BROKEN_PAUSE).await,
                Ok(_)
                | Err(ApiError::Refused { .. } | ApiError::Missing { .. } | ApiError::Garbled { .. }) => {
                    return Answer::Given;
                }
            }
        }
        Answer::Useless
    }

    async fn is_ours_listening(&self) -> bool {
        let Ok(pid) = self.api.pid().await else { return false };
        is_told(pid, &self.statedir_argument())
    }

    fn log_path(&self) -> PathBuf {
        log(&self.run_dir)
    }

    /// Appending, so that it can be cut short under a running tailscaled.
    fn open_log(&self) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).mode(0o600).open(self.log_path())
    }
}

/// What tailscaled says.
pub fn log(run_dir: &Path) -> PathBuf {
    run_dir.join("tailscaled.log")
}

/// Where tailscaled listens for us.
pub fn socket(run_dir: &Path) -> PathBuf {
    run_dir.join("tailscaled.sock")
}

/// Ends tailscaled in good order: for a person's Ctrl-C, and for nothing else. Nobody there is fine.
pub async fn stop(run_dir: &Path) -> Result<(), Error> {
    let api = LocalApi::new(socket(run_dir));
    let Ok(pid) = api.pid().await.map(Pid::from_raw) else {
        return Ok(());
    };
    info!(%pid, "stopping tailscaled");
    signal(pid, Signal::SIGTERM)?;
    if is_gone(pid, STOP_PATIENCE).await {
        return Ok(());
    }
    warn!(%pid, "tailscaled does not leave after SIGTERM");
    kill_and_wait(pid).await
}

#[derive(PartialEq, Eq)]
enum Answer {
    Given,
    Nobody,
    Useless,
}

/// Every process that was started with this argument.
fn processes_told(argument: &str) -> Vec<Pid> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| is_told(*pid, argument)).map(Pid::from_raw).collect()
}

fn is_told(pid: i32, argument: &str) -> bool {
    let told = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    told.split(|byte| *byte == 0).any(|word| word == argument.as_bytes())
}

async fn reap(mut child: Child) {
    let pid = child.id();
    match child.wait().await {
        Ok(status) => warn!(pid, %status, "tailscaled ended"),
        Err(error) => warn!(pid, %error, "tailscaled cannot be waited for"),
    }
}

async fn kill_and_wait(pid: Pid) -> Result<(), Error> {
    warn!(%pid, "killing tailscaled");
    signal(pid, Signal::SIGKILL)?;
    if is_gone(pid, STOP_PATIENCE).await { Ok(()) } else { Err(Error::Unkillable { pid }) }
}

/// Gone already is what was wanted. A pid of 0 or 1 would mean everybody in reach, or init.
fn signal(pid: Pid, signal: Signal) -> Result<(), Error> {
    if pid.as_raw() <= 1 {
        return Err(Error::Kill { pid, source: Errno::ESRCH });
    }
    match kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(source) => Err(Error::Kill { pid, source }),
    }
}

async fn is_gone(pid: Pid, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if !is_alive(pid) {
            return true;
        }
        sleep(LOOK_EVERY).await;
    }
    !is_alive(pid)
}

/// A zombie holds no interface and no socket, whoever has yet to reap it.
fn is_alive(pid: Pid) -> bool {
    !matches!(process_state(pid), None | Some('Z'))
}

/// The letter after the name, which is in parentheses (`proc_pid_stat(5)`).
fn process_state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

#[expect(unsafe_code, reason = "a session of its own can only be made between fork and exec")]
fn outlive_us(command: &mut Command) {
    // SAFETY: the closure only makes one system call, which POSIX lists as async-signal-safe; it allocates
    // nothing and touches no lock that another thread may have held at the fork.
    unsafe {
        command.pre_exec(|| setsid().map(drop).map_err(io::Error::from));
    }
}

fn make_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn truncate(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.set_len(0)
}

fn at(path: &Path) -> impl Fn(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::File { path: path.clone(), source }
}

#[cfg(test)]
mod tests;
