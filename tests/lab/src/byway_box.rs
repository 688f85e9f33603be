//! The box under test: its agent, its command line, its power. What it should do is the
//! tests' word; this file only handles it as an owner, a host or a power cut would.

mod owner;

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::libc;
use nix::sys::signal::{self, Signal};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::Value;

use crate::box_clock::BoxClock;
use crate::card::{Card, write_confs};
use crate::events::Events;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::tailscale::environment;
use crate::tools::{path_text, write_secret};
use crate::topology::{Place, Topology};
use crate::{World, wait_for};

/// DESIGN 7: how long SIGTERM may take.
const SIGTERM_LIMIT: Duration = Duration::from_secs(5);

/// Before every command on the box: the machine's clock is not the box's to set.
const WITHOUT_THE_MACHINES_CLOCK: [&str; 4] =
    ["setpriv", "--inh-caps=-sys_time", "--bounding-set=-sys_time", "--"];

/// What stands for its watchdog's device: a pipe that takes what it is fed. Its agent finds it open, as from init.
const WATCHDOG: &str = "watchdog";

/// What stands for its card's device: a partition table, and the gap behind it.
const DEVICE: &str = "device";

/// Before its agent and its `wg`: a machine has one such folder, and stands for many boxes. One with a clock of its own
/// has its own boots too.
const WITH_ITS_OWN_WIREGUARD: &str = "mkdir -p /var/run/wireguard && mount --bind \"$0\" /var/run/wireguard && \
     { [ -z \"$BYWAY_LAB_BOOT\" ] || mount --bind \"$BYWAY_LAB_BOOT\" /proc/sys/kernel/random/boot_id; } && \
     { [ -z \"$BYWAY_LAB_WATCHDOG\" ] || exec 9<> \"$BYWAY_LAB_WATCHDOG\"; } && exec \"$@\"";

/// What a command of the agent's binary said.
#[derive(Debug, Clone)]
pub struct Said {
    /// None: ended by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A box in the house, running or not. Dropping it cuts its power.
#[derive(Debug)]
pub struct BywayBox {
    agent: Option<Process>,
    namespace: Namespace,
    topology: Arc<Topology>,
    binary: PathBuf,
    authority: PathBuf,
    /// Of `BusyBox`, by name.
    applets: PathBuf,
    folder: PathBuf,
    fake_clock: PathBuf,
    /// Without one its agents see the machine's.
    clock: Option<BoxClock>,
    /// Bytes, of all its agents so far.
    peak_memory: u64,
}

impl BywayBox {
    /// Puts a box with this card and an empty disk into the house, switched off: a fresh kernel, links down.
    /// `binary` is the `byway` that is tested.
    pub fn new(world: &World, binary: &Path, card: &Card) -> Result<Self> {
        ensure!(binary.is_file(), "there is no agent at {}: build it first", binary.display());
        world.topology().power_cut_box()?;
        let folder = world.folder().join("box");
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
        }
        for part in ["card", "state", "run", "wireguard"] {
            let part = folder.join(part);
            fs::create_dir_all(&part).with_context(|| format!("cannot make {}", part.display()))?;
        }
        mkfifo(&folder.join(WATCHDOG), Mode::S_IRUSR | Mode::S_IWUSR).context("cannot make a watchdog")?;
        make_device(&folder.join(DEVICE)).context("cannot make a card")?;
        write_confs(&folder.join("card"), &card.mullvad_confs)?;
        let tailscaled = world.peers.tailscaled_box();
        write_secret(&folder.join("card/byway.toml"), &card.byway_toml(path_text(&tailscaled)?))?;
        Ok(Self {
            agent: None,
            namespace: world.namespace(Place::Box).logging_to(&folder),
            topology: Arc::clone(world.topology()),
            binary: binary.to_owned(),
            authority: world.authority().to_owned(),
            applets: world.peers.applets(),
            folder,
            fake_clock: world.peers.fake_clock(),
            clock: None,
            peak_memory: 0,
        })
    }

    /// From its next agent on it has a wall clock of its own, which shows 1970 and wakes there after each power cut, as
    /// a Pi's does. tailscaled and the kernel go on by the machine's.
    pub fn give_clock(&mut self) -> Result<()> {
        self.clock = Some(BoxClock::make(&self.fake_clock, &self.folder)?);
        Ok(())
    }

    /// From its next agent on it has the machine's again.
    pub fn take_clock(&mut self) {
        self.clock = None;
    }

    pub fn clock(&self) -> Result<&BoxClock> {
        self.clock.as_ref().context("this box has no clock of its own")
    }

    /// Switches it on as the image does: sealed before any link is up, then the agent, which attaches it to the house.
    pub fn boot(&mut self) -> Result<()> {
        self.seal()?;
        self.start()
    }

    /// Power off and on: the kernel and `/run` forget everything, the disk nothing.
    pub fn reboot(&mut self) -> Result<()> {
        self.power_cut()?;
        self.boot()
    }

    /// Pulls the plug and leaves it out; every link is down afterwards.
    pub fn power_cut(&mut self) -> Result<()> {
        self.note_memory();
        self.topology.power_cut_box()?;
        self.agent = None;
        if let Some(clock) = &self.clock {
            clock.forget()?;
        }
        let run = self.run_dir();
        fs::remove_dir_all(&run)
            .and_then(|()| fs::create_dir(&run))
            .context("cannot empty the box's run folder")
    }

    /// While the power is off its disk is damaged beyond repair: init makes it anew, and puts back what has a second copy.
    pub fn lose_disk(&self) -> Result<Said> {
        let (state, device) = (self.state_dir(), self.folder.join(DEVICE));
        fs::remove_dir_all(&state).context("cannot empty the disk")?;
        self.binary(&["spare", "restore", path_text(&device)?, "--state-dir", path_text(&state)?])
    }

    /// `byway seal`, which must succeed; then the loopback comes up, which is init's.
    pub fn seal(&self) -> Result<()> {
        let said = self.cli(&["seal"])?;
        ensure!(said.code == Some(0), "byway seal failed: {said:?}");
        self.namespace.ip("link set lo up")
    }

    /// Starts the agent; does not wait for anything.
    pub fn start(&mut self) -> Result<()> {
        ensure!(!self.is_running(), "the agent runs already");
        let (config, state, run) = (self.config_path(), self.state_dir(), self.run_dir());
        let (wireguard, device) = (self.wireguard_dir(), self.folder.join(DEVICE));
        let args = [
            "sh",
            "-c",
            WITH_ITS_OWN_WIREGUARD,
            path_text(&wireguard)?,
            path_text(&self.binary)?,
            "run",
            "--config",
            path_text(&config)?,
            "--state-dir",
            path_text(&state)?,
            "--run-dir",
            path_text(&run)?,
            "--spare",
            path_text(&device)?,
        ];
        let owners = self.owners_dir();
        let from: &[&str] = if owners.is_dir() { &["--from", path_text(&owners)?] } else { &[] };
        let path = self.path();
        let [setpriv, without @ ..] = WITHOUT_THE_MACHINES_CLOCK;
        let args = [&without[..], &args, from].concat();
        let mut env = Vec::from(environment(path_text(&self.authority)?));
        let watchdog = self.folder.join(WATCHDOG);
        env.push(("PATH", &path));
        env.extend([("BYWAY_LAB_WATCHDOG", path_text(&watchdog)?), ("BYWAY_WATCHDOG_FD", "9")]);
        for (name, path) in self.clock.iter().flat_map(BoxClock::environment) {
            env.push((name, path_text(path)?));
        }
        self.agent = Some(self.namespace.spawn("byway", Path::new(setpriv), &args, &env)?);
        Ok(())
    }

    /// A client command of the binary, such as `["egress", "privacy"]`, told where this agent's socket is.
    pub fn cli(&self, words: &[&str]) -> Result<Said> {
        let run = self.run_dir();
        let mut words = words.to_vec();
        words.extend(["--run-dir", path_text(&run)?]);
        self.binary(&words)
    }

    /// `byway status --json`, whatever it says about the wish; an error when nobody answers.
    pub fn status(&self) -> Result<Value> {
        let said = self.cli(&["status", "--json"])?;
        match said.code {
            Some(0 | 3) => serde_json::from_str(&said.stdout).with_context(|| format!("no JSON: {said:?}")),
            code => bail!("byway status ended with {code:?}: {}", said.stderr.trim()),
        }
    }

    /// Waits until the status passes `wanted` and returns it; `what` says in words what that is.
    pub fn wait_status(
        &self,
        what: &str,
        timeout: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let seen = wait_for(what, timeout, || {
            let status = self.status()?;
            if wanted(&status) { Ok(status) } else { bail!("{status}") }
        });
        seen.with_context(|| self.log_tail())
    }

    /// The agent dies without a word; tailscaled and the kernel's state stay.
    pub fn kill9(&mut self) -> Result<()> {
        self.note_memory();
        let mut agent = self.agent.take().context("no agent runs")?;
        agent.kill(Signal::SIGKILL)?;
        agent.wait(SIGTERM_LIMIT).map(drop)
    }

    /// Asks the agent to end and returns how it ended.
    pub fn sigterm(&mut self) -> Result<ExitStatus> {
        self.note_memory();
        let mut agent = self.agent.take().context("no agent runs")?;
        agent.kill(Signal::SIGTERM)?;
        agent.wait(SIGTERM_LIMIT)
    }

    pub fn is_running(&mut self) -> bool {
        self.agent.as_mut().is_some_and(Process::is_alive)
    }

    /// The running agent, for its pid and log.
    pub fn agent(&mut self) -> Option<&mut Process> {
        self.agent.as_mut()
    }

    /// The most memory that an agent of this box has had resident (`VmHWM`), since this was asked last; bytes, 0 if
    /// none ran.
    pub fn take_peak_memory(&mut self) -> u64 {
        self.note_memory();
        std::mem::take(&mut self.peak_memory)
    }

    /// Before the agent ends: nobody knows afterwards.
    fn note_memory(&mut self) {
        if let Some(agent) = &mut self.agent
            && agent.is_alive()
        {
            self.peak_memory = self.peak_memory.max(agent.peak_memory().unwrap_or(0));
        }
    }

    /// How often its watchdog was fed since this was asked last; none is counted while no agent runs.
    pub fn meals(&self) -> Result<usize> {
        let path = self.folder.join(WATCHDOG);
        let mut pipe = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        let mut meals = Vec::new();
        match pipe.read_to_end(&mut meals) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => {
                Err(error).context("cannot look at the watchdog")
            }
            Ok(_) | Err(_) => Ok(meals.len()),
        }
    }

    /// The tailscaled that the agent has started.
    pub fn tailscaled(&self) -> Result<Pid> {
        self.process("tailscaled")
    }

    /// Makes its DHCP client ask for its lease again at once, instead of at half of its time.
    pub fn renew_lease(&self) -> Result<()> {
        let client = self.process("udhcpc")?;
        signal::kill(client, Signal::SIGUSR1).context("cannot tell udhcpc to renew")
    }

    fn process(&self, name: &str) -> Result<Pid> {
        let pids = self.namespace.pids()?;
        let is_it = |pid: &&Pid| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.starts_with(name))
        };
        pids.iter().find(is_it).copied().with_context(|| format!("no {name} runs on the box"))
    }

    /// The machine's programs, and before them the box's own.
    fn path(&self) -> String {
        let machine = env::var("PATH").unwrap_or_default();
        format!("{}:{machine}", self.applets.display())
    }

    /// What the agent tells from now on, each change of it.
    pub fn events(&self) -> Result<Events> {
        Events::follow(&self.run_dir().join("byway.sock"))
    }

    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The `byway` that it runs.
    pub fn binary_path(&self) -> PathBuf {
        self.binary.clone()
    }

    pub fn config_path(&self) -> PathBuf {
        self.folder.join("card/byway.toml")
    }

    pub fn state_dir(&self) -> PathBuf {
        self.folder.join("state")
    }

    pub fn run_dir(&self) -> PathBuf {
        self.folder.join("run")
    }

    /// Where its `wg` looks for sockets.
    pub fn wireguard_dir(&self) -> PathBuf {
        self.folder.join("wireguard")
    }

    /// Everything its agents have printed, across restarts and boots.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("byway.log")).unwrap_or_default()
    }

    /// The end of what its agent has printed, for a failure's report.
    pub fn log_tail(&self) -> String {
        self.agent.as_ref().map_or_else(|| "no agent runs".to_owned(), Process::log_tail)
    }

    /// A command of the binary as it is, without a run folder.
    pub fn binary(&self, words: &[&str]) -> Result<Said> {
        self.said(&[&[path_text(&self.binary)?], words].concat())
    }

    /// `wg` of wireguard-tools, as somebody on the box would call it.
    pub fn wg(&self, words: &[&str]) -> Result<Said> {
        let folder = self.wireguard_dir();
        let inside = ["sh", "-c", WITH_ITS_OWN_WIREGUARD, path_text(&folder)?, "wg"];
        self.said(&[&inside, words].concat())
    }

    fn said(&self, words: &[&str]) -> Result<Said> {
        let words = [&WITHOUT_THE_MACHINES_CLOCK, words].concat();
        let output = self.namespace.output(&words, &environment(path_text(&self.authority)?))?;
        Ok(Said {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

impl Drop for BywayBox {
    fn drop(&mut self) {
        // The agent's tailscaled lives in a session of its own: only the power reaches it. An error leaves it to
        // the world's end.
        let _ = self.namespace.kill_all();
    }
}

/// One partition (MBR), from 4 MiB on, which is not there.
fn make_device(path: &Path) -> Result<()> {
    let mut sector = [0; 512];
    sector[446 + 4] = 0x83;
    sector[446 + 8..446 + 12].copy_from_slice(&8192_u32.to_le_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    fs::write(path, sector)?;
    Ok(OpenOptions::new().write(true).open(path)?.set_len(4 << 20)?)
}
