//! One network namespace of the world: commands, children, threads inside it, and its complete removal.
//! What it is connected to is the topology's business.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, anyhow, ensure};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::process::{Process, command, succeed};
use crate::wait::{PATIENCE, wait_for};

/// No single command in the lab takes longer; one that does hangs, and a hang must fail.
const COMMAND_LIMIT: &str = "60";

/// A name that stands for a namespace; clones stand for the same one. Dropping it removes nothing.
#[derive(Debug, Clone)]
pub struct Namespace {
    name: String,
    logs: PathBuf,
}

impl Namespace {
    /// Makes the namespace, with nothing up in it, and its own `hosts` and `resolv.conf`, which every command
    /// started inside sees in place of the machine's. Logs of its children go to the folder `logs`.
    pub(crate) fn make(name: &str, logs: &Path, hosts: &str, resolver: &str) -> Result<Self> {
        let etc = etc_folder(name);
        fs::create_dir_all(&etc).with_context(|| format!("cannot make {}", etc.display()))?;
        fs::write(etc.join("hosts"), hosts).context("cannot write a namespace's hosts file")?;
        fs::write(etc.join("resolv.conf"), format!("nameserver {resolver}\n"))
            .context("cannot write a namespace's resolv.conf")?;
        succeed(command("ip", &["netns", "add", name], &[]))?;
        Ok(Self::named(name, logs))
    }

    /// The namespace `name`, made before.
    pub(crate) fn named(name: &str, logs: &Path) -> Self {
        Self { name: name.to_owned(), logs: logs.to_owned() }
    }

    /// The same namespace; its children's logs go to the folder `logs`.
    #[must_use]
    pub(crate) fn logging_to(self, logs: &Path) -> Self {
        Self { logs: logs.to_owned(), ..self }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the kernel hands it out.
    pub fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }

    /// Runs a command inside to its end; returns what it printed, trimmed.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        succeed(self.limited(words, &[]))
    }

    /// Runs a command inside to its end, whatever its exit code.
    pub fn output(&self, words: &[&str], env: &[(&str, &str)]) -> Result<Output> {
        self.limited(words, env).output().with_context(|| format!("cannot start {words:?} in {}", self.name))
    }

    /// Starts a long-running program inside; its log is named after `name`.
    pub fn spawn(&self, name: &str, program: &Path, args: &[&str], env: &[(&str, &str)]) -> Result<Process> {
        let mut inside = command("ip", &["netns", "exec", &self.name], env);
        inside.arg(program).args(args);
        Process::start(name, inside, self.logs.join(format!("{name}.log")))
    }

    /// Runs `work` on a thread of its own inside: sockets it opens belong to this namespace for good, wherever
    /// they are used afterwards.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.join()?;
                work()
            });
            inside.join().map_err(|_| anyhow!("the work inside {} panicked", self.name))?
        })
    }

    /// Moves the calling thread into the namespace for the rest of its life.
    pub fn join(&self) -> Result<()> {
        let path = self.path();
        let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        setns(file, CloneFlags::CLONE_NEWNET).with_context(|| format!("cannot enter {}", path.display()))
    }

    /// Feeds `lines` to `ip -batch` inside, one command a line without the word `ip`.
    pub fn ip(&self, lines: &str) -> Result<()> {
        let mut ip = command("ip", &["-n", &self.name, "-batch", "-"], &[]);
        feed(&mut ip, lines).with_context(|| format!("in namespace {}: {lines}", self.name))
    }

    /// Loads `rules` inside as one nft transaction.
    pub fn nft(&self, rules: &str) -> Result<()> {
        let mut nft = command("ip", &["netns", "exec", &self.name, "nft", "-f", "-"], &[]);
        feed(&mut nft, rules).with_context(|| format!("in namespace {}: {rules}", self.name))
    }

    /// Writes a kernel setting inside; `key` with slashes, below `/proc/sys`.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/{key}");
        self.enter(|| fs::write(&path, value).with_context(|| format!("cannot write {value} to {path}")))
    }

    /// Every process inside, whoever started it.
    pub fn pids(&self) -> Result<Vec<Pid>> {
        let listing = succeed(command("ip", &["netns", "pids", &self.name], &[]))?;
        Ok(listing.split_whitespace().filter_map(|word| word.parse().ok()).map(Pid::from_raw).collect())
    }

    /// A power cut: SIGKILL for everything inside, until nothing runs any more.
    pub fn kill_all(&self) -> Result<()> {
        wait_for(&format!("{} to be empty", self.name), PATIENCE, || {
            let pids = self.pids()?;
            for pid in &pids {
                // An error means that it ended since the listing.
                let _ = signal::kill(*pid, Signal::SIGKILL);
            }
            ensure!(pids.is_empty(), "still running: {pids:?}");
            Ok(())
        })
    }

    /// Ends everything inside and deletes the namespace with all its kernel state.
    pub(crate) fn remove(&self) -> Result<()> {
        self.kill_all()?;
        succeed(command("ip", &["netns", "del", &self.name], &[]))?;
        let etc = etc_folder(&self.name);
        fs::remove_dir_all(&etc).with_context(|| format!("cannot remove {}", etc.display()))
    }

    /// The namespaces that exist on this machine and whose name passes `wanted`.
    pub(crate) fn existing(wanted: impl Fn(&str) -> bool) -> Result<Vec<Self>> {
        let listing = succeed(command("ip", &["netns", "list"], &[]))?;
        let names = listing.lines().filter_map(|line| line.split_whitespace().next());
        let found = names.filter(|name| wanted(name));
        Ok(found.map(|name| Self::named(name, Path::new(""))).collect())
    }

    fn limited(&self, words: &[&str], env: &[(&str, &str)]) -> Command {
        let mut inside = command("ip", &["netns", "exec", &self.name, "timeout", COMMAND_LIMIT], env);
        inside.args(words);
        inside
    }
}

/// Where `ip netns exec` looks for files that replace the machine's own in `/etc`.
fn etc_folder(name: &str) -> PathBuf {
    Path::new("/etc/netns").join(name)
}

/// Runs `command` with `text` on its standard input; a failure quotes its error output.
fn feed(command: &mut Command, text: &str) -> Result<()> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let mut stdin = child.stdin.take().context("a piped child has a standard input")?;
    stdin.write_all(text.as_bytes()).with_context(|| format!("cannot write to {command:?}"))?;
    drop(stdin);
    let output = child.wait_with_output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}: {}", output.status, stderr.trim());
    Ok(())
}
