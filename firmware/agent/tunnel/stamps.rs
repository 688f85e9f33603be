//! Hands out the stamps of handshakes and has them reserved on the disk, by a thread of its own: a card that
//! takes its time holds up no packet. What is handed out when is decided in [`byway_core::stamps`].

use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use byway_core::Uptime;
use byway_core::stamps::{self, Mark, NotYet};

use super::TunnelError;
use crate::clock;
use crate::store::StampFile;

/// The end of the agent waits no longer than this for the disk.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(2);

/// The stamps of every session of an engine.
pub struct Stamps {
    desk: Arc<Mutex<Desk>>,
    wall: Box<dyn Fn() -> Duration + Send + Sync>,
    /// None without a disk.
    disk: Option<Disk>,
}

/// The writer, seen by whoever asks.
struct Disk {
    ask: SyncSender<Mark>,
    thread: JoinHandle<()>,
}

type HandOut = fn(&mut stamps::Stamps, Uptime, Duration) -> Result<Duration, NotYet>;

struct Desk {
    stamps: stamps::Stamps,
    /// That the wall clock cannot be right was told.
    told: bool,
}

impl Desk {
    fn first_mark(&mut self, now: Uptime, wall: Duration) -> Option<Mark> {
        let begun = self.stamps.begin(now, wall);
        begun.err().and_then(|_| self.stamps.reserve(now, wall))
    }
}

impl Stamps {
    /// Above the mark that was `recalled` from `file`. The first reservation is under way when this returns.
    pub fn kept(file: StampFile, recalled: Option<Mark>) -> Result<Stamps, TunnelError> {
        Stamps::kept_by(clock::wall, file, recalled)
    }

    /// As [`Stamps::kept`], by another wall clock than the system's; which stays the earliest.
    pub fn kept_by(
        wall: impl Fn() -> Duration + Send + Sync + 'static,
        file: StampFile,
        recalled: Option<Mark>,
    ) -> Result<Stamps, TunnelError> {
        let desk = Desk { stamps: stamps::Stamps::new(recalled, clock::boot(), clock::BUILT), told: false };
        let desk = Arc::new(Mutex::new(desk));
        let writer = Writer { desk: Arc::clone(&desk), file, refused: false };
        let (ask, asked) = sync_channel(1);
        if let Some(mark) = locked(&desk).first_mark(clock::uptime(), wall().max(clock::wall())) {
            // There is room, and somebody who takes it soon.
            _ = ask.try_send(mark);
        }
        let thread = std::thread::Builder::new()
            .name("stamps".to_owned())
            .spawn(move || writer.serve(&asked))
            .map_err(TunnelError::Thread)?;
        Ok(Stamps { desk, wall: Box::new(wall), disk: Some(Disk { ask, thread }) })
    }

    /// Without a disk: greater than those before only while the engine lives, or by a clock that is right.
    pub fn in_memory() -> Stamps {
        let desk = Desk { stamps: stamps::Stamps::unkept(clock::boot(), clock::BUILT), told: false };
        Stamps { desk: Arc::new(Mutex::new(desk)), wall: Box::new(clock::wall), disk: None }
    }

    /// The first stamp of a new machine. None: not yet; what there is to wait for is under way, or was told.
    pub(super) fn begin(&self, now: Duration) -> Option<Duration> {
        self.hand_out(now, stamps::Stamps::begin)
    }

    /// The same of a machine beside the engine's, which calls another relay.
    pub(super) fn join(&self, now: Duration) -> Option<Duration> {
        self.hand_out(now, stamps::Stamps::join)
    }

    fn hand_out(&self, now: Duration, by: HandOut) -> Option<Duration> {
        let wall = self.wall();
        let mut desk = locked(&self.desk);
        let begun = by(&mut desk.stamps, Uptime::since_boot(now), wall);
        let wrong = begun == Err(NotYet::Clock);
        if wrong && !desk.told {
            let clock = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + wall);
            tracing::error!(%clock, "the clock cannot be right: no handshake is made until it is set");
        }
        desk.told = wrong;
        drop(desk);
        self.keep(now);
        begun.ok()
    }

    /// boringtun stamps no earlier than the system's clock.
    fn wall(&self) -> Duration {
        (self.wall)().max(clock::wall())
    }

    /// Has the next stamps reserved in time; to be called every now and then.
    pub(super) fn keep(&self, now: Duration) {
        if let Some(disk) = &self.disk
            && let Some(mark) = locked(&self.desk).stamps.reserve(Uptime::since_boot(now), self.wall())
        {
            // There is room: one mark is asked for at a time. Without its thread the writing is given up.
            _ = disk.ask.try_send(mark);
        }
    }
}

impl Drop for Stamps {
    /// Leaves the next boot no gap of an hour, which power cuts do.
    fn drop(&mut self) {
        let Some(Disk { ask, thread }) = self.disk.take() else { return };
        let last = locked(&self.desk).stamps.last(clock::uptime(), self.wall());
        _ = last.map(|mark| ask.try_send(mark));
        drop(ask);
        let asked = Instant::now();
        while !thread.is_finished() && asked.elapsed() < PATIENCE {
            std::thread::sleep(LOOK);
        }
    }
}

impl fmt::Debug for Stamps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stamps").field("stamps", &locked(&self.desk).stamps).finish_non_exhaustive()
    }
}

/// Writes the marks that are asked for, until nobody can ask any more.
struct Writer {
    desk: Arc<Mutex<Desk>>,
    file: StampFile,
    refused: bool,
}

impl Writer {
    fn serve(mut self, asked: &Receiver<Mark>) {
        for mark in asked {
            self.write(mark);
        }
    }

    fn write(&mut self, mark: Mark) {
        let written = self.file.write(mark);
        let now = clock::uptime();
        let mut desk = locked(&self.desk);
        match written {
            Ok(()) => {
                desk.stamps.on_reserved(mark);
                if std::mem::take(&mut self.refused) {
                    tracing::info!("the stamps of handshakes are reserved again");
                }
            }
            Err(error) => {
                desk.stamps.on_refused(now);
                if !std::mem::replace(&mut self.refused, true) {
                    tracing::warn!(%error, "the stamps of handshakes are not reserved: after a power cut, relays answer only once the clock is right");
                }
            }
        }
    }
}

/// The desk is whole at every moment, also when a thread died holding it.
fn locked(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::store::Store;

    const HOUR: Duration = Duration::from_hours(1);
    const YEAR: Duration = Duration::from_hours(365 * 24);

    #[test]
    fn the_next_agent_s_stamps_are_greater_whatever_its_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        let mut before = clock::wall();
        for ahead in [3 * YEAR, Duration::ZERO, 2 * YEAR, 4 * YEAR, Duration::ZERO] {
            let next = begun(&agent(folder.path(), move || clock::wall() + ahead));
            assert!(next > before, "{next:?} after {before:?}");
            before = next;
        }
        assert!(before < clock::wall() + 4 * YEAR + HOUR / 2, "{before:?}");
    }

    #[test]
    fn an_agent_that_is_killed_costs_no_gap() {
        let folder = tempfile::tempdir().unwrap();
        let first = agent(folder.path(), clock::wall);
        let earlier = begun(&first);
        let next = begun(&agent(folder.path(), clock::wall));
        assert!(next > earlier && next < earlier + HOUR / 60, "{next:?} after {earlier:?}");
    }

    #[test]
    fn reserves_what_a_clock_that_was_set_asks_for() {
        let folder = tempfile::tempdir().unwrap();
        let ahead = Arc::new(AtomicU64::new(0));
        let shown = Arc::clone(&ahead);
        let stamps = agent(folder.path(), move || {
            clock::wall() + HOUR * u32::try_from(shown.load(Ordering::Relaxed)).unwrap()
        });
        begun(&stamps);
        ahead.store(10, Ordering::Relaxed);
        assert_eq!(stamps.begin(now()), None);
        begun(&stamps);
        let (_, recalled) = StampFile::open(Store::new(folder.path()));
        assert!(recalled.value.unwrap().stamp > clock::wall() + 10 * HOUR, "{recalled:?}");
    }

    #[test]
    fn begins_where_there_is_no_disk() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a file");
        std::fs::write(&file, "").unwrap();
        let stamps = agent(&file, clock::wall);
        begun(&stamps);
        assert!(stamps.begin(now() + 10 * HOUR).is_some());
    }

    #[test]
    fn waits_for_a_clock_that_can_be_right() {
        let folder = tempfile::tempdir().unwrap();
        let stamps = agent(folder.path(), || clock::wall() + 9 * YEAR);
        assert_eq!(stamps.begin(now()), None);
        let (_, recalled) = StampFile::open(Store::new(folder.path()));
        assert_eq!(recalled.value, None);
    }

    fn agent(folder: &Path, wall: impl Fn() -> Duration + Send + Sync + 'static) -> Stamps {
        let (file, recalled) = StampFile::open(Store::new(folder));
        Stamps::kept_by(wall, file, recalled.value).unwrap()
    }

    /// Once its mark is on the disk, or the disk has refused it.
    fn begun(stamps: &Stamps) -> Duration {
        loop {
            if let Some(first) = stamps.begin(now()) {
                return first;
            }
            std::thread::yield_now();
        }
    }

    fn now() -> Duration {
        clock::uptime().elapsed_since_boot()
    }
}
