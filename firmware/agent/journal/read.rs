//! Reads the logs from their files, which are there though nobody lives: what was written so far, and what is written next,
//! also when a log was cut or has begun anew meanwhile.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::lines::{self, Whose};
use crate::tailnet;

pub(super) fn own_log(run_dir: &Path) -> PathBuf {
    run_dir.join("byway.log")
}

pub(super) fn older_log(run_dir: &Path) -> PathBuf {
    run_dir.join("byway.log.old")
}

/// The end of both logs, and how they go on.
#[derive(Debug)]
pub struct Tail {
    agent: Source,
    tailscaled: Source,
}

/// One log, from where it was read last.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    whose: Whose,
    file: Option<File>,
    /// The beginning of a line whose end is not written yet.
    begun: Vec<u8>,
}

impl Tail {
    /// All lines so far, those of both in the order in which they were written. No log is no line.
    pub fn begin(run_dir: &Path) -> io::Result<(Self, Vec<String>)> {
        let mut agent = Source::new(own_log(run_dir), Whose::Agent);
        let mut tailscaled = Source::new(tailnet::log(run_dir), Whose::Tailscaled);
        let newer = agent.read()?;
        let older = agent.read_older(&older_log(run_dir))?;
        let lines = lines::merge(&(older + &newer), &tailscaled.read()?);
        Ok((Self { agent, tailscaled }, lines))
    }

    /// What was written since, each log's lines together.
    pub fn since(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        for source in [&mut self.agent, &mut self.tailscaled] {
            let (text, whose) = (source.read()?, source.whose);
            lines.extend(text.lines().map(|line| lines::shown(line, whose)));
        }
        Ok(lines)
    }
}

/// The agent's last words: so much of its log's end as fits, from the beginning of a line on.
pub(crate) fn last_words(run_dir: &Path, bytes: usize) -> io::Result<String> {
    let mut agent = Source::new(own_log(run_dir), Whose::Agent);
    let newer = agent.read()?;
    let all = agent.read_older(&older_log(run_dir))? + &newer;
    let mut from = all.len().saturating_sub(bytes);
    if from > 0 {
        // Bytes, because the cut may be within a letter.
        from += all.as_bytes()[from..].iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    }
    Ok(all.get(from..).unwrap_or_default().to_owned())
}

impl Source {
    fn new(path: PathBuf, whose: Whose) -> Self {
        Self { path, whose, file: None, begun: Vec::new() }
    }

    /// Whole lines, from where it was read last to its end; all of a file that has taken its place.
    fn read(&mut self) -> io::Result<String> {
        let mut bytes = std::mem::take(&mut self.begun);
        if let Some(file) = &mut self.file {
            if file.metadata()?.len() < file.stream_position()? {
                file.seek(SeekFrom::Start(0))?;
                bytes.clear();
            }
            file.read_to_end(&mut bytes)?;
        }
        if self.has_begun_anew() {
            // The last one is complete now; something may have come to it meanwhile.
            let next = found(File::open(&self.path))?;
            for mut file in [self.file.take(), next].into_iter().flatten() {
                file.read_to_end(&mut bytes)?;
                self.file = Some(file);
            }
        }
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.begun = bytes.split_off(whole);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn has_begun_anew(&self) -> bool {
        let there = fs::metadata(&self.path).map(|there| (there.dev(), there.ino())).ok();
        let ours = self.file.as_ref().and_then(|file| file.metadata().ok());
        there.is_some() && there != ours.map(|ours| (ours.dev(), ours.ino()))
    }

    /// The older half; nothing where that is what was just read as the newer one.
    fn read_older(&self, path: &Path) -> io::Result<String> {
        let Some(mut file) = found(File::open(path))? else { return Ok(String::new()) };
        let newer = self.file.as_ref().map(File::metadata).transpose()?;
        if newer.is_some_and(|newer| file.metadata().is_ok_and(|older| older.ino() == newer.ino())) {
            return Ok(String::new());
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn found(opened: io::Result<File>) -> io::Result<Option<File>> {
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
