//! A second copy of the few files that the box is lost without, outside the partition they live on: cards tear file systems.
//! Written by a thread of its own, when one of them has changed; put back by init, at every boot, where one is lost.

mod files;
mod gap;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;

use self::gap::{Copy, Gap};

/// Between two looks, and so between two writes.
const LOOK: Duration = Duration::from_mins(1);
/// Who waits for a copy waits no longer for the card.
const PATIENCE: Duration = Duration::from_secs(10);

/// The thread, seen by the others.
#[derive(Debug)]
pub struct Spare {
    device: PathBuf,
    ask: Sender<Sender<()>>,
    outcome: Arc<Mutex<Outcome>>,
}

/// Of the last look: how many files the copy has, or why there is none of what is there now.
type Outcome = Result<usize, String>;

/// Keeps a copy on `device` for as long as anybody has what this returns: looks every minute, and when somebody asks.
pub fn keep(device: &Path, state_dir: &Path, config: &Path) -> anyhow::Result<Spare> {
    let (ask, asked) = mpsc::channel();
    let outcome = Arc::new(Mutex::new(Ok(0)));
    let keeper = Keeper {
        device: device.to_owned(),
        state_dir: state_dir.to_owned(),
        config: config.to_owned(),
        last: None,
        outcome: Arc::clone(&outcome),
    };
    let serve = move || keeper.serve(&asked);
    thread::Builder::new().name("spare".to_owned()).spawn(serve).context("no thread for the spare copy")?;
    Ok(Spare { device: device.to_owned(), ask, outcome })
}

/// Puts back what is lost below `state_dir`: how many files, of which copy; none where there is no copy.
pub fn restore(device: &Path, state_dir: &Path) -> anyhow::Result<Option<(usize, u64)>> {
    let Some(Copy { turn, content }) = Gap::open_read_only(device)?.newest()? else { return Ok(None) };
    let files = files::unpack(&content)
        .map_err(anyhow::Error::msg)
        .with_context(|| format!("the copy on {} is of another version", device.display()))?;
    let put_back = files::put_back(&files, state_dir).context("not all files are put back")?;
    Ok(Some((put_back, turn)))
}

/// Leaves zeroes there.
pub fn wipe(device: &Path) -> anyhow::Result<()> {
    Ok(Gap::open(device)?.wipe()?)
}

impl Spare {
    /// Before what else there is of the files goes.
    pub fn keep_now(&self) {
        let (done, kept) = mpsc::channel();
        // Without its thread nobody answers either.
        _ = self.ask.send(done);
        if kept.recv_timeout(PATIENCE).is_err() {
            tracing::warn!("{} takes its time with the spare copy", self.device.display());
        }
    }

    /// For the doctor.
    pub fn told(&self) -> Result<String, String> {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match outcome {
            Ok(0) => Ok("none yet: the box has not joined".to_owned()),
            Ok(files) => Ok(format!("{files} files have a second copy on {}", self.device.display())),
            Err(why) => Err(format!("a damaged partition takes the box's files with it: {why}")),
        }
    }
}

struct Keeper {
    device: PathBuf,
    state_dir: PathBuf,
    config: PathBuf,
    /// What the card has; none before the first look at it.
    last: Option<Copy>,
    outcome: Arc<Mutex<Outcome>>,
}

impl Keeper {
    fn serve(mut self, asked: &Receiver<Sender<()>>) {
        loop {
            let waits = asked.recv_timeout(LOOK);
            if waits.as_ref().is_err_and(|error| *error == RecvTimeoutError::Disconnected) {
                return;
            }
            let outcome = self.look();
            self.tell(outcome);
            if let Ok(done) = waits {
                // Whoever asked may have gone away.
                _ = done.send(());
            }
        }
    }

    fn look(&mut self) -> Outcome {
        let found = files::find(&self.state_dir, &self.config).map_err(|error| error.to_string())?;
        let Some(found) = found else { return Ok(0) };
        let content = files::pack(&found)?;
        if self.last.as_ref().is_none_or(|last| last.content != content) {
            self.last = Some(self.write(content).map_err(|error| error.to_string())?);
        }
        Ok(found.len())
    }

    /// What the card has then.
    fn write(&self, content: Vec<u8>) -> Result<Copy, gap::Error> {
        let gap = Gap::open(&self.device)?;
        let newest = gap.newest()?;
        let turn = newest.as_ref().map_or(0, |copy| copy.turn);
        if let Some(same) = newest.filter(|copy| copy.content == content) {
            return Ok(same);
        }
        let copy = Copy { turn: turn + 1, content };
        gap.write(&copy)?;
        tracing::info!(copy = copy.turn, "the spare copy is on {}", self.device.display());
        Ok(copy)
    }

    /// Trouble is logged when it comes, not at each look.
    fn tell(&self, outcome: Outcome) {
        let mut told = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(why) = &outcome
            && told.as_ref().err() != Some(why)
        {
            tracing::warn!("no spare copy: {why}");
        }
        *told = outcome;
    }
}

#[cfg(test)]
mod tests;
