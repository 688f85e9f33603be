//! A machine of its own: QEMU with Debian's kernel, for what this one's kernel may lack. Told what to do by a shell on a
//! line of its own, and by QMP what happens to it. Nothing of it is left when it is dropped.

mod archive;
mod root;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

pub use archive::Archive;
pub use root::{Kernel, Root};

/// For everything: an emulated machine is slow, and the other core may be busy.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks at something inside.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Running since it was made.
#[derive(Debug)]
pub struct Machine {
    qemu: Child,
    shell: ChildStdin,
    lines: Receiver<String>,
    monitor: BufReader<UnixStream>,
    folder: TempDir,
}

impl Machine {
    /// `qemu` says what it is made of and what is plugged in; its shell, its monitor and its log are added, and kept in
    /// `folder` with whatever is there already.
    pub fn switch_on(mut qemu: Command, folder: TempDir) -> Result<Self> {
        let monitor = folder.path().join("monitor");
        let console = folder.path().join("console.log");
        qemu.args(["-display", "none", "-no-reboot"]);
        qemu.arg("-serial").arg(format!("file:{}", console.display()));
        qemu.args(["-chardev", "stdio,id=shell", "-device", "virtio-serial"]);
        qemu.args(["-device", "virtserialport,chardev=shell"]);
        qemu.arg("-qmp").arg(format!("unix:{},server=on,wait=off", monitor.display()));
        qemu.stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.path().join("qemu.log"))?);
        let mut qemu = qemu.spawn().with_context(|| format!("cannot start {qemu:?}"))?;
        let shell = qemu.stdin.take().context("no way into the machine")?;
        let lines = lines(qemu.stdout.take().context("no way out of the machine")?);
        let monitor = BufReader::new(connect(&monitor, &mut qemu)?);
        let mut machine = Self { qemu, shell, lines, monitor, folder };
        machine.order(r#"{"execute": "qmp_capabilities"}"#)?;
        Ok(machine)
    }

    /// Until its shell answers.
    pub fn wait_booted(&mut self) -> Result<()> {
        self.until_line(|line| line == "@@ready").context("the machine does not boot").map(drop)
    }

    /// Until it has switched itself off, or would start anew: QEMU's word for why, and all that it has told meanwhile.
    pub fn wait_ended(&mut self) -> Result<Vec<Value>> {
        let mut events = Vec::new();
        let mut line = String::new();
        while self.monitor.read_line(&mut line).context("the machine goes on")? > 0 {
            events.push(serde_json::from_str(&line)?);
            line.clear();
        }
        self.qemu.wait()?;
        Ok(events)
    }

    /// Pulls the plug.
    pub fn cut_power(mut self) -> Result<()> {
        self.qemu.kill()?;
        self.qemu.wait()?;
        Ok(())
    }

    /// For how long its processor could have run while somebody else had this machine's (schedstat of proc(5)).
    pub fn waited_for_processor(&self) -> Result<Duration> {
        let mut longest = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.qemu.id()))? {
            let told = std::fs::read_to_string(task?.path().join("schedstat"))?;
            let waited = told.split(' ').nth(1).and_then(|nanos| nanos.parse().ok());
            longest = longest.max(waited.context("no time that a thread has waited")?);
        }
        Ok(Duration::from_nanos(longest))
    }

    /// What the command prints, on both of its outputs; an error if it fails.
    pub fn run(&mut self, command: &str) -> Result<String> {
        let (code, output) = self.try_run(command)?;
        ensure!(code == 0, "{command:?} fails with {code}: {output}");
        Ok(output)
    }

    /// Its exit code too.
    pub fn try_run(&mut self, command: &str) -> Result<(i32, String)> {
        writeln!(self.shell, "( {command}\n) </dev/null 2>&1; code=$?; echo; echo \"@@$code\"")
            .and_then(|()| self.shell.flush())
            .with_context(|| format!("the machine is gone before {command:?}: {}", self.console()))?;
        let mut output =
            self.until_line(|line| line.starts_with("@@")).with_context(|| command.to_owned())?;
        let code = output.pop().and_then(|line| line.strip_prefix("@@")?.parse().ok());
        Ok((code.context("no exit code")?, output.join("\n").trim_end().to_owned()))
    }

    /// In the background, its outputs in `/run/NAME.log`, its pid in `/run/NAME.pid`.
    pub fn start(&mut self, name: &str, command: &str) -> Result<()> {
        self.run(&format!("{command} </dev/null >>/run/{name}.log 2>&1 & echo $! >/run/{name}.pid")).map(drop)
    }

    pub fn write(&mut self, path: &str, text: &str) -> Result<()> {
        ensure!(!text.contains("@END@"), "the text ends early");
        self.run(&format!("cat >{path} <<'@END@'\n{text}\n@END@")).map(drop)
    }

    /// Looks until what the command prints is as wanted.
    pub fn wait_for(&mut self, what: &str, command: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (_, seen) = self.try_run(command)?;
            if wanted(&seen) {
                return Ok(seen);
            }
            if Instant::now() > deadline {
                bail!("waited {PATIENCE:?} for {what}; last seen: {seen}\n{}", self.logs());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// What the background has printed, for whoever must find out what went wrong.
    pub fn logs(&mut self) -> String {
        let logs = self.try_run("for log in /run/*.log; do echo \"== $log\"; tail -n 25 $log; done");
        logs.map_or_else(|error| format!("{error:#}"), |(_, logs)| logs)
    }

    fn until_line(&mut self, is_last: impl Fn(&str) -> bool) -> Result<Vec<String>> {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                bail!("nothing more from the machine: {}\n{}", lines.join("\n"), self.console());
            };
            lines.push(line);
            if lines.last().is_some_and(|line| is_last(line)) {
                return Ok(lines);
            }
        }
    }

    /// An order of QMP, and what comes of it; events in between are skipped.
    pub fn order(&mut self, order: &str) -> Result<Value> {
        writeln!(self.monitor.get_mut(), "{order}")?;
        loop {
            let mut answer = String::new();
            ensure!(self.monitor.read_line(&mut answer)? > 0, "QEMU has ended: {}", self.console());
            let mut answer: Value = serde_json::from_str(&answer)?;
            if let Some(error) = answer.get("error") {
                bail!("QEMU refuses {order}: {error}");
            }
            if let Some(returned) = answer.get_mut("return") {
                return Ok(returned.take());
            }
        }
    }

    /// What it has written where nobody looks, and QEMU's complaints before it.
    pub fn console(&self) -> String {
        let read = |name: &str| std::fs::read(self.folder.path().join(name)).unwrap_or_default();
        let text = [read("qemu.log"), read("console.log")].concat();
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.qemu.kill();
        _ = self.qemu.wait();
    }
}

fn lines(output: std::process::ChildStdout) -> Receiver<String> {
    let (tell, lines) = mpsc::channel();
    std::thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if tell.send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
    lines
}

fn connect(path: &Path, qemu: &mut Child) -> Result<UnixStream> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => {}
        }
        if let Some(status) = qemu.try_wait()? {
            return Err(anyhow!("QEMU has ended at once: {status}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
