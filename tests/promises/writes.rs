//! What is written to the box's card while nobody does anything, file by file: ours, and tailscaled's own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};
use byway_lab::stage::Stage;

const IDLE: Duration = Duration::from_mins(10);
/// A mark of the handshakes' stamps and a stamp of the clock may be due, and a name's addresses have changed.
const MOST_WRITES: usize = 3;
/// Often enough to see each file that changes.
const LOOK: Duration = Duration::from_millis(50);

/// By name, of each version of a file its length.
type Writes = BTreeMap<String, Vec<u64>>;
/// By name, when a file was written and how long it is.
type Files = BTreeMap<String, (SystemTime, u64)>;

pub(super) fn are_few_while_idle(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    let folder = stage.byway.state_dir();
    let writes = watch(&folder, IDLE, || Ok(()))?;
    say(IDLE, &writes);
    let is_ours = |name: &String| !name.starts_with("tailscale/");
    let ours: usize = writes.iter().filter(|(name, _)| is_ours(name)).map(|(_, each)| each.len()).sum();
    ensure!(ours <= MOST_WRITES, "{ours} writes in {IDLE:?}: {writes:?}");
    let flip = || stage.byway.cli(&["egress", "residential"]).map(drop);
    let seen = watch(&folder, Duration::from_secs(1), flip)?;
    ensure!(seen.contains_key("wish.json"), "a wish is not seen: {seen:?}");
    stage.carry()
}

/// While `work` is done, and for so long after it.
fn watch(folder: &Path, time: Duration, work: impl FnOnce() -> Result<()>) -> Result<Writes> {
    let (mut seen, mut writes) = (Files::new(), Writes::new());
    list(folder, folder, &mut seen)?;
    work()?;
    let began = Instant::now();
    while began.elapsed() < time {
        thread::sleep(LOOK);
        let mut now = Files::new();
        list(folder, folder, &mut now)?;
        for (name, (at, length)) in &now {
            if seen.get(name) != Some(&(*at, *length)) {
                writes.entry(name.clone()).or_default().push(*length);
            }
        }
        seen = now;
    }
    Ok(writes)
}

fn list(folder: &Path, top: &Path, files: &mut Files) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // Some live for a moment.
        let Ok(found) = path.symlink_metadata() else { continue };
        if found.is_dir() {
            list(&path, top, files)?;
        } else {
            let name = path.strip_prefix(top)?.to_string_lossy().into_owned();
            files.insert(name, (found.modified()?, found.len()));
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "figures of the run")]
fn say(time: Duration, writes: &Writes) {
    println!("written in {} minutes:", time.as_secs() / 60);
    for (name, each) in writes {
        println!("  {name}: {} times, {} bytes", each.len(), each.iter().sum::<u64>());
    }
}
