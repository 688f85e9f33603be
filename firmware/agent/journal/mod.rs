//! The log in memory: what the agent logs goes to stderr and, bounded, to `RUN_DIR/byway.log`, which on the box is RAM and
//! outlives the agent. `read` gives it to people, with tailscaled's in between. Decides nothing.

mod lines;
mod read;

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::clock;
use lines::Moment;
pub use read::Tail;
pub(crate) use read::last_words;

/// Two files of at most this: when the first is full it takes the place of the second, the older half.
const HALF: u64 = 256 * 1024;

/// Everything of ours from INFO on. boringtun calls an ordinary retry an error, which the engine tells better; hickory
/// tells what clients ask for.
fn ours() -> Targets {
    Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target("boringtun", LevelFilter::OFF)
        .with_target("hickory_net", LevelFilter::OFF)
        .with_target("hickory_proto", LevelFilter::OFF)
}

/// From here on what is logged goes to stderr and to the log in memory.
pub fn start(run_dir: &Path) {
    let journal = Journal::open(run_dir);
    let (journal, refused) = match journal {
        Ok(journal) => (Some(Arc::new(journal)), None),
        Err(error) => (None, Some(error)),
    };
    let to_stderr = layer().with_writer(io::stderr).with_ansi(false).with_target(false).with_filter(ours());
    let to_memory = journal.map(|journal| in_memory(journal).with_filter(ours()));
    tracing_subscriber::registry().with(to_stderr).with(to_memory).init();
    if let Some(error) = refused {
        tracing::warn!("`byway logs` shows nothing of this agent: {}: {error}", run_dir.display());
    }
}

fn in_memory<S>(journal: Arc<Journal>) -> impl tracing_subscriber::Layer<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    layer().with_writer(journal).with_ansi(false).with_target(false).with_timer(BothClocks)
}

/// What the process says last and not by way of `tracing`, whose locks whoever panics may hold.
pub fn note(run_dir: &Path, text: &str) {
    let line = format!("{} ERROR {text}\n", moment());
    // Nobody is left to hear that it failed.
    _ = Journal::open(run_dir).and_then(|journal| journal.append(line.as_bytes()));
}

fn moment() -> Moment {
    Moment { wall: clock::is_right().then(clock::wall), uptime: clock::uptime() }
}

struct BothClocks;

impl FormatTime for BothClocks {
    fn format_time(&self, to: &mut Writer<'_>) -> fmt::Result {
        write!(to, "{}", moment())
    }
}

/// The agent's own log.
#[derive(Debug)]
struct Journal {
    path: PathBuf,
    older: PathBuf,
    file: Mutex<File>,
}

impl Journal {
    fn open(run_dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(run_dir)?;
        let path = read::own_log(run_dir);
        let file = open(&path)?;
        Ok(Self { path, older: read::older_log(run_dir), file: Mutex::new(file) })
    }

    fn append(&self, line: &[u8]) -> io::Result<()> {
        let line = &line[..line.len().min(usize::try_from(HALF).unwrap_or(usize::MAX))];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.metadata()?.len() + line.len() as u64 > HALF {
            fs::rename(&self.path, &self.older)?;
            *file = open(&self.path)?;
        }
        file.write_all(line)
    }
}

/// One event a call.
impl Write for &Journal {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.append(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests;
