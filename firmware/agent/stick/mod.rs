//! A USB stick with a new `byway.toml`: found, read, handed over, answered on the stick itself. For whoever cannot reach the
//! box any more, as after a new wi-fi password.
//!
//! Whoever can plug a stick in could as well take the card out: it asks for no other proof.

mod disk;
mod mount;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::handover::{Place, STATUS, Verdict, answer_on_stick, take_over};
use disk::Volume;
use mount::Mounted;

/// Between two looks at the disks that the kernel knows.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches for sticks as long as somebody listens; says so when one has brought another configuration. On a thread of its
/// own: a broken stick may take its time.
pub fn watch(config: &Path, run_dir: &Path) -> mpsc::Receiver<()> {
    let (tell, told) = mpsc::channel(1);
    let (config, place) = (config.to_owned(), place(run_dir));
    std::thread::spawn(move || {
        let mut seen = BTreeSet::new();
        while !tell.is_closed() {
            if look(&config, &place, &mut seen) {
                // The one who listens starts anew, and looks again.
                _ = tell.blocking_send(());
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    });
    told
}

/// For an agent whose own configuration is broken: whether a stick that is in has brought another.
pub fn look_now(config: &Path, run_dir: &Path) -> bool {
    look(config, &place(run_dir), &mut BTreeSet::new())
}

fn place(run_dir: &Path) -> PathBuf {
    run_dir.join("stick")
}

/// Whether one of the sticks' volumes that were not seen before has brought another configuration.
fn look(config: &Path, place: &Path, seen: &mut BTreeSet<Volume>) -> bool {
    let fresh = disk::fresh(disk::sticks(Path::new("/sys")), seen);
    fresh.iter().any(|volume| read(volume, config, place))
}

/// Whether this one has.
fn read(volume: &Path, config: &Path, place: &Path) -> bool {
    let stick = match Mounted::mount(volume, place) {
        Ok(stick) => stick,
        Err(error) => {
            tracing::info!("{} is no stick to read: {error}", volume.display());
            return false;
        }
    };
    let verdict = take_over(stick.path(), config);
    if verdict == Verdict::Nothing {
        tracing::info!("{} holds no byway.toml", volume.display());
        return false;
    }
    tracing::info!("{}: {}", volume.display(), verdict.summary(Place::Stick));
    if let Err(error) = stick.make_writable().and_then(|()| answer_on_stick(stick.path(), &verdict)) {
        tracing::warn!("{STATUS} cannot be written on {}: {error}", volume.display());
    }
    matches!(verdict, Verdict::TakenOver { .. })
}
