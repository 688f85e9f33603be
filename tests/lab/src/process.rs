//! One child process with its log file. It ends with its owner: asked first, then forced, by its exact pid.

use std::borrow::BorrowMut;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use nix::sys::signal::{self, Signal};
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

use crate::wait_for;

/// How long a peer may take to end by itself when its owner is dropped.
const GRACE: Duration = Duration::from_secs(3);

/// Lines of a log that an error quotes.
const TAIL: usize = 15;

/// A running child. Dropping it ends and reaps it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` in a process group of its own, so that a Ctrl-C in the terminal meets only the test.
    /// Both its outputs are appended to `log`.
    pub(crate) fn start(name: &str, mut command: Command, log: PathBuf) -> Result<Self> {
        let file = File::options().create(true).append(true).open(&log);
        let file = file.with_context(|| format!("cannot open the log {}", log.display()))?;
        let errors = file.try_clone().context("cannot share a log between both outputs")?;
        command.stdin(Stdio::null()).stdout(file).stderr(errors).process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {name} ({command:?})"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// The process's id, in the machine's own process namespace.
    pub fn pid(&self) -> Pid {
        pid_of(&self.child)
    }

    /// Sends a signal; does not wait for what comes of it.
    pub fn kill(&self, signal: Signal) -> Result<()> {
        signal::kill(self.pid(), signal).with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    /// Waits until it has ended by itself or by a signal sent before.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        wait_for(&what, timeout, || self.child.try_wait()?.ok_or_else(|| anyhow!("it still runs")))
            .with_context(|| self.log_tail())
    }

    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The most memory that it has had resident, in bytes (`proc_pid_status(5)`); none once it has ended.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?;
        kib.parse::<u64>().ok().map(|kib| kib << 10)
    }

    /// User and system time of all of its threads so far.
    pub fn cpu_time(&self) -> Result<Duration> {
        let clock = clock_getcpuclockid(self.pid()).with_context(|| format!("{} has ended", self.name))?;
        clock.now().map(Duration::from).with_context(|| format!("{} has ended", self.name))
    }

    /// Everything it has printed so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The last lines of the log, as an error quotes them.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n  ");
        format!("the last lines of {}:\n  {tail}\n", self.log.display())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_alive() {
            return;
        }
        // Errors mean that it ended between the look and the signal.
        let _ = self.kill(Signal::SIGTERM);
        if self.wait(GRACE).is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// `program args` with environment `env`, ready to be run.
pub(crate) fn command(program: impl AsRef<OsStr>, args: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program);
    command.args(args).envs(env.iter().copied());
    command
}

/// Runs `command` to its end and returns what it printed, trimmed; a failure quotes both outputs.
pub fn succeed(mut command: impl BorrowMut<Command>) -> Result<String> {
    let command = command.borrow_mut();
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(anyhow!("{command:?}: {}: {stdout} {}", output.status, stderr.trim()))
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("Linux hands out pids below 2^22"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_process_is_gone_even_when_it_ignores_the_request() {
        let folder = tempfile::tempdir().unwrap();
        let stubborn = command("sh", &["-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], &[]);
        let process = Process::start("stubborn", stubborn, folder.path().join("log")).unwrap();
        wait_for("its first line", Duration::from_secs(5), || {
            process.log().contains("ready").then_some(()).context("nothing yet")
        })
        .unwrap();
        let pid = process.pid();
        drop(process);
        assert!(signal::kill(pid, None).is_err(), "pid {pid} outlived its owner");
    }

    #[test]
    fn a_failed_command_quotes_what_it_printed() {
        let error = succeed(command("sh", &["-c", "echo out; echo err >&2; exit 7"], &[])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("out") && text.contains("err") && text.contains('7'), "{text}");
    }
}
