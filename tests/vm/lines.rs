//! The virtual Pi's lines as they are outside of it: a button that is pressed, two lamps that are seen. Spoken to QEMU's
//! own test interface (qtest), which knows nothing of the guest's kernel.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use byway_core::panel::Lamps;
use byway_lab::machine::Machine;
use serde_json::Value;

/// Lines of the header, as in the overlay.
const RED: u32 = 4;
const BUTTON: u32 = 5;
const GREEN: u32 = 6;
/// The controller's data register, all lines at once (PL061, chapter 3.3.1).
const ALL_LINES: &str = "0x90303fc";
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Lines {
    orders: UnixStream,
    answers: Receiver<String>,
    changes: Arc<Mutex<Vec<Lamps>>>,
    controller: String,
}

impl Lines {
    /// Nobody presses. To be made before the machine runs.
    pub(crate) fn connect(socket: &Path, machine: &mut Machine) -> Result<Self> {
        let orders = UnixStream::connect(socket).context("QEMU has no qtest")?;
        let changes = Arc::default();
        let answers = listen(orders.try_clone()?, Arc::clone(&changes));
        let mut lines = Self { orders, answers, changes, controller: controller(machine)? };
        lines.release()?;
        lines.order(&format!("irq_intercept_out {}", lines.controller))?;
        Ok(lines)
    }

    /// To ground, as a button does.
    pub(crate) fn press(&mut self) -> Result<()> {
        self.level(0)
    }

    pub(crate) fn release(&mut self) -> Result<()> {
        self.level(1)
    }

    fn level(&mut self, level: u8) -> Result<()> {
        self.order(&format!("set_irq_in {} unnamed-gpio-in {BUTTON} {level}", self.controller)).map(drop)
    }

    pub(crate) fn lamps(&mut self) -> Result<Lamps> {
        let told = self.order(&format!("readl {ALL_LINES}"))?;
        let levels = told.trim_start_matches("0x");
        let levels = u32::from_str_radix(levels, 16).with_context(|| format!("no levels: {told}"))?;
        Ok(Lamps { red: levels >> RED & 1 == 1, green: levels >> GREEN & 1 == 1 })
    }

    /// What the lamps have shown since this was asked last, change by change.
    pub(crate) fn take_changes(&self) -> Vec<Lamps> {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn order(&mut self, words: &str) -> Result<String> {
        writeln!(self.orders, "{words}").with_context(|| format!("QEMU is gone before {words:?}"))?;
        let answer =
            self.answers.recv_timeout(PATIENCE).with_context(|| format!("no answer to {words:?}"))?;
        match answer.strip_prefix("OK") {
            Some(told) => Ok(told.trim().to_owned()),
            None => bail!("{words:?}: {answer}"),
        }
    }
}

/// QEMU's name of it.
fn controller(machine: &mut Machine) -> Result<String> {
    const SHELF: &str = "/machine/unattached";
    let parts =
        machine.order(&format!(r#"{{"execute": "qom-list", "arguments": {{"path": "{SHELF}"}}}}"#))?;
    let is_it = |part: &&Value| part["type"] == "child<pl061>";
    let part = parts.as_array().and_then(|parts| parts.iter().find(is_it)).context("no PL061")?;
    Ok(format!("{SHELF}/{}", part["name"].as_str().context("a part without a name")?))
}

/// Answers in the order of what was asked; changes are told by whoever sees them.
fn listen(stream: UnixStream, changes: Arc<Mutex<Vec<Lamps>>>) -> Receiver<String> {
    let (tell, answers) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lamps = Lamps::DARK;
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let Some(told) = line.strip_prefix("IRQ ") else {
                if tell.send(line).is_err() {
                    return;
                }
                continue;
            };
            lamps = changed(lamps, told);
            changes.lock().unwrap_or_else(PoisonError::into_inner).push(lamps);
        }
    });
    answers
}

fn changed(lamps: Lamps, told: &str) -> Lamps {
    let (way, line) = told.split_once(' ').unwrap_or_default();
    let is_lit = way == "raise";
    match line.parse() {
        Ok(RED) => Lamps { red: is_lit, ..lamps },
        Ok(GREEN) => Lamps { green: is_lit, ..lamps },
        Ok(_) | Err(_) => lamps,
    }
}
