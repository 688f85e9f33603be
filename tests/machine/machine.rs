//! A machine of its own: QEMU with Debian's kernel, for what this one's kernel may lack. Told what to do by a shell on its
//! line of its own; sticks are plugged in by QMP. Nothing of it is left when it is dropped.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use tempfile::TempDir;

use crate::root::Kernel;

/// For everything: an emulated machine is slow, and the other core may be busy.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks at something inside.
const LOOK_EVERY: Duration = Duration::from_millis(300);

pub(crate) struct Machine {
    qemu: Child,
    shell: ChildStdin,
    lines: Receiver<String>,
    monitor: UnixStream,
    folder: TempDir,
}

impl Machine {
    /// Booted, with a shell that answers.
    pub(crate) fn boot(kernel: &Kernel, root: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let monitor = folder.path().join("monitor");
        let console = folder.path().join("console.log");
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(accelerator()).args(["-m", "768", "-display", "none", "-nic", "none", "-no-reboot"]);
        qemu.arg("-kernel").arg(&kernel.image).arg("-initrd").arg(root);
        qemu.args(["-append", "console=ttyS0 quiet panic=-1", "-device", "qemu-xhci,id=usb"]);
        qemu.arg("-serial").arg(format!("file:{}", console.display()));
        qemu.args(["-chardev", "stdio,id=shell", "-device", "virtio-serial"]);
        qemu.args(["-device", "virtserialport,chardev=shell"]);
        qemu.arg("-qmp").arg(format!("unix:{},server=on,wait=off", monitor.display()));
        qemu.stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.path().join("qemu.log"))?);
        let mut qemu = qemu.spawn().context("cannot start qemu-system-x86_64: install qemu-system-x86")?;
        let shell = qemu.stdin.take().context("no way into the machine")?;
        let lines = lines(qemu.stdout.take().context("no way out of the machine")?);
        let monitor = connect(&monitor, &mut qemu)?;
        let mut machine = Self { qemu, shell, lines, monitor, folder };
        machine.greet()?;
        Ok(machine)
    }

    fn greet(&mut self) -> Result<()> {
        self.until_line(|line| line == "@@ready").context("the machine does not boot")?;
        self.monitor_says(r#"{"execute": "qmp_capabilities"}"#)
    }

    /// What the command prints, on both of its outputs; an error if it fails.
    pub(crate) fn run(&mut self, command: &str) -> Result<String> {
        let (code, output) = self.try_run(command)?;
        ensure!(code == 0, "{command:?} fails with {code}: {output}");
        Ok(output)
    }

    /// Its exit code too.
    pub(crate) fn try_run(&mut self, command: &str) -> Result<(i32, String)> {
        writeln!(self.shell, "( {command}\n) </dev/null 2>&1; code=$?; echo; echo \"@@$code\"")
            .and_then(|()| self.shell.flush())
            .with_context(|| format!("the machine is gone before {command:?}: {}", self.console()))?;
        let mut output =
            self.until_line(|line| line.starts_with("@@")).with_context(|| command.to_owned())?;
        let code = output.pop().and_then(|line| line.strip_prefix("@@")?.parse().ok());
        Ok((code.context("no exit code")?, output.join("\n").trim_end().to_owned()))
    }

    /// In the background, its outputs in `/run/NAME.log`, its pid in `/run/NAME.pid`.
    pub(crate) fn start(&mut self, name: &str, command: &str) -> Result<()> {
        self.run(&format!("{command} </dev/null >>/run/{name}.log 2>&1 & echo $! >/run/{name}.pid")).map(drop)
    }

    pub(crate) fn write(&mut self, path: &str, text: &str) -> Result<()> {
        ensure!(!text.contains("@END@"), "the text ends early");
        self.run(&format!("cat >{path} <<'@END@'\n{text}\n@END@")).map(drop)
    }

    /// Looks until what the command prints is as wanted.
    pub(crate) fn wait_for(
        &mut self,
        what: &str,
        command: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String> {
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

    /// A stick with this image is put in.
    pub(crate) fn plug_in(&mut self, name: &str, image: &Path, read_only: bool) -> Result<()> {
        let image = image.display();
        self.monitor_says(&format!(
            r#"{{"execute": "blockdev-add", "arguments": {{"driver": "raw", "node-name": "{name}", "read-only": {read_only}, "file": {{"driver": "file", "filename": "{image}"}}}}}}"#
        ))?;
        self.monitor_says(&format!(
            r#"{{"execute": "device_add", "arguments": {{"driver": "usb-storage", "id": "{name}-usb", "drive": "{name}", "removable": true, "bus": "usb.0"}}}}"#
        ))
    }

    /// Its image is whole afterwards.
    pub(crate) fn pull_out(&mut self, name: &str) -> Result<()> {
        self.monitor_says(&format!(r#"{{"execute": "device_del", "arguments": {{"id": "{name}-usb"}}}}"#))?;
        let deadline = Instant::now() + PATIENCE;
        let remove = format!(r#"{{"execute": "blockdev-del", "arguments": {{"node-name": "{name}"}}}}"#);
        // Until the machine has let go of it.
        while let Err(error) = self.monitor_says(&remove) {
            ensure!(Instant::now() < deadline, "the stick stays in: {error}");
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// What the background has printed, for whoever must find out what went wrong.
    pub(crate) fn logs(&mut self) -> String {
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

    /// One order, and what comes of it; events in between are skipped.
    fn monitor_says(&mut self, order: &str) -> Result<()> {
        writeln!(self.monitor, "{order}")?;
        let mut answers = BufReader::new(&self.monitor);
        loop {
            let mut answer = String::new();
            ensure!(answers.read_line(&mut answer)? > 0, "QEMU has ended");
            let answer: serde_json::Value = serde_json::from_str(&answer)?;
            if let Some(error) = answer.get("error") {
                bail!("QEMU refuses {order}: {error}");
            }
            if answer.get("return").is_some() {
                return Ok(());
            }
        }
    }

    fn console(&self) -> String {
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

/// The processor's own where it has that, else emulated: `/dev/kvm` alone does not say so.
fn accelerator() -> [&'static str; 4] {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let can = processor.split_whitespace().any(|flag| flag == "vmx" || flag == "svm");
    let may = File::options().read(true).write(true).open("/dev/kvm").is_ok();
    if can && may { ["-accel", "kvm", "-cpu", "host"] } else { ["-accel", "tcg,thread=multi", "-cpu", "max"] }
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

fn connect(path: &PathBuf, qemu: &mut Child) -> Result<UnixStream> {
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
