//! Keeps the last words: how the agent ended, in `RUN_DIR/life.json` for the rest of the boot, with the end of its log in
//! `STATE_DIR/last-words.log` where it crashed; and how the boot ended, in `STATE_DIR/boot.json` for the next one. What is made
//! of it is decided in [`byway_core::last_stop`].
//!
//! The card is written once a boot and once a stop. A process has one life, and whoever panics, bites or restarts the box is
//! anywhere in it: so it is one for all.

mod traces;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use byway_core::last_stop::{self, Crashes, Farewell};
use byway_core::stamps::Boot;

use crate::clock;
use crate::journal;
use crate::run::Paths;
use crate::store::{BootNote, Store, StoreError, Story};

/// Of the log.
const KEPT: usize = 64 * 1024;
/// An agent that crashes again and again does not wear the card out.
const PAUSE: Duration = Duration::from_mins(10);
const WORDS: &str = "last-words.log";

static LIFE: OnceLock<Mutex<Life>> = OnceLock::new();

/// The agent's life in this boot.
#[derive(Debug)]
struct Life {
    state: Store,
    run: Store,
    run_dir: PathBuf,
    story: Story,
}

/// The agent has begun. To be called by the one that holds the run folder's lock, and before anybody writes the time down
/// anew.
pub fn begin(paths: &Paths) {
    let life = Life::begin(paths, clock::boot(), Path::new("/sys"));
    if let Some(sentence) = life.sentence() {
        tracing::info!("last stop: {sentence}");
    }
    _ = LIFE.set(Mutex::new(life));
}

/// For the status: how the machine stopped last, and how often the agent crashed since.
pub fn sentence() -> Option<String> {
    life()?.sentence()
}

/// The agent panics, and the box is sealed.
pub fn panicked(panic: &dyn Display) {
    // Whoever panics with the lock held waits for itself.
    if let Some(Ok(mut life)) = LIFE.get().map(Mutex::try_lock) {
        life.crash(&panic.to_string());
    }
}

/// The agent ends with this error.
pub fn failed(error: &anyhow::Error) {
    if let Some(mut life) = life() {
        life.crash(&format!("{error:#}"));
    }
}

/// The agent ends in good order.
pub fn ended() {
    if let Some(mut life) = life() {
        life.story.runs = false;
        life.save();
    }
}

/// For the watchdog, before it bites: this part of the agent did not tick for so long. Waits for the card, so whoever feeds
/// the watchdog must have made up its mind before.
pub fn about_to_bite(part: &str, silent_for: Duration) {
    if let Some(mut life) = life() {
        let how =
            format!("the watchdog is not fed any more: {part} did not tick for {} s", silent_for.as_secs());
        journal::note(&life.run_dir, &how);
        life.keep_words(&how);
        life.farewell(Some(Farewell::Watchdog { part: part.to_owned(), silent_s: silent_for.as_secs() }));
    }
}

/// The machine is about to stop, for this reason. The first one counts.
pub fn farewell(why: Farewell) {
    if let Some(life) = life() {
        life.farewell(Some(why));
    }
}

/// It does not stop after all.
pub fn take_back() {
    if let Some(life) = life() {
        life.farewell(None);
    }
}

fn life() -> Option<MutexGuard<'static, Life>> {
    LIFE.get().map(|life| life.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Life {
    fn begin(paths: &Paths, boot: Boot, sys: &Path) -> Self {
        let (state, run) = (Store::new(&paths.state_dir), Store::new(&paths.run_dir));
        let boot = name(boot);
        let before = state.boot().told();
        let told = run.life().told().filter(|story| story.boot == boot);
        let story = told.unwrap_or_else(|| {
            // Also where nothing is known of the boot before: whoever looks for why finds them.
            let kernel = traces::take_kernel_logs(&paths.state_dir, sys);
            let before = before.filter(|before| before.boot != boot);
            let traces = before.map(|before| traces::gather(&before, kernel, &paths.state_dir, sys));
            let last_stop = traces.map(|traces| traces.verdict().to_string());
            Story { last_stop, boot, runs: false, crashes: Crashes::default(), kept_s: None }
        });
        let mut life = Self { state, run, run_dir: paths.run_dir.clone(), story };
        life.farewell(None);
        if life.story.runs {
            life.crash("it was killed");
        }
        life.story.runs = true;
        life.save();
        life
    }

    fn sentence(&self) -> Option<String> {
        last_stop::sentence(self.story.last_stop.as_deref(), &self.story.crashes)
    }

    fn crash(&mut self, how: &str) {
        journal::note(&self.run_dir, &format!("byway crashed: {how}"));
        self.story.crashes.learn(how);
        self.story.runs = false;
        self.keep_words(how);
        self.save();
    }

    fn keep_words(&mut self, how: &str) {
        let now = clock::uptime().elapsed_since_boot();
        if self.story.kept_s.is_some_and(|kept| now < Duration::from_secs(kept) + PAUSE) {
            return;
        }
        self.story.kept_s = Some(now.as_secs());
        let words = journal::last_words(&self.run_dir, KEPT).unwrap_or_else(|error| error.to_string());
        let kept = self.state.keep(WORDS, format!("{how}\n{words}").as_bytes());
        warn("the last words are not kept", kept);
    }

    /// None: the machine runs. Nothing is written where that is what is there.
    fn farewell(&self, why: Option<Farewell>) {
        let said = self.state.boot().told().filter(|before| before.boot == self.story.boot);
        let has_said = said.is_some_and(|said| said.farewell.is_some());
        if why.is_none() || !has_said {
            let note = BootNote { boot: self.story.boot.clone(), farewell: why };
            warn("the next boot does not know how this one ended", self.state.remember_boot(note));
        }
    }

    fn save(&self) {
        warn("the next agent does not know how this one ended", self.run.remember_life(self.story.clone()));
    }
}

/// As it stands in both notes.
fn name(boot: Boot) -> String {
    format!("{:032x}", boot.0)
}

fn warn(what: &str, done: Result<(), StoreError>) {
    if let Err(error) = done {
        tracing::warn!("{what}: {error}");
    }
}

#[cfg(test)]
mod tests;
