//! Keeps the clock: raises it before anything else, then asks, sets and saves as byway-core decides, beside everything
//! else and with nobody waiting for it.

use std::io;
use std::time::Duration;

use byway_core::clock::{Adjustment, Clock, Effect, Found, Input, Keep, Stamp};
use byway_core::{ClockReport, View};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::{BUILT, Referee, Servers, boot, ntp, set, uptime, wall};
use crate::store::{ClockFile, Store, StoreError};
use crate::watchdog::Pulse;
use crate::way::Way;

/// The end of the agent waits no longer than this for the disk.
const PATIENCE: Duration = Duration::from_secs(1);
/// Also when nothing is due, to show that the task waits and does not hang.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// A clock that was raised, and not asked about yet.
#[derive(Debug)]
pub struct Awake {
    clock: Clock,
    file: ClockFile,
    pulse: Pulse,
}

/// What the task needs.
#[derive(Debug)]
pub struct Means {
    pub servers: Servers,
    pub referee: Referee,
    /// Tell whether the house's line is there.
    pub views: watch::Receiver<View>,
    pub reports: mpsc::Sender<byway_core::Input>,
}

/// The running task.
#[derive(Debug)]
pub struct Task {
    stop: oneshot::Sender<oneshot::Sender<()>>,
}

impl Awake {
    /// Raises the clock to what is known, to be called before anybody looks at it.
    pub fn wake(keep: Keep, folder: Store, pulse: Pulse) -> Self {
        let last_write = folder.last_write();
        let (file, recalled) = ClockFile::open(folder);
        let saved = recalled.told();
        let found = Found { boot: boot(), built: BUILT, keep, saved, last_write, has_rtc: set::has_rtc() };
        let before = now();
        let woken = found.wake(before);
        let raised = woken.raise.map_or(Ok(()), set::to);
        if let (Some(to), Ok(())) = (woken.raise, &raised) {
            let to = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + to);
            tracing::info!(%to, source = ?woken.source, "the clock was behind and is raised");
        }
        let raised = raised.map_err(|error| error.to_string());
        Self { clock: Clock::start(now(), &found, &woken, raised), file, pulse }
    }

    pub fn keep(self, means: Means) -> Task {
        let (stop, stopped) = oneshot::channel();
        let Self { clock, file, pulse } = self;
        let told = ClockReport::default();
        let keeper =
            Keeper { clock, file: Some(file), pulse, means, told, has_uplink: false, is_refused: false };
        tokio::spawn(keeper.live_until(stopped));
        Task { stop }
    }
}

impl Task {
    /// Saves what the clock shows.
    pub async fn stop(self) {
        let (done, saved) = oneshot::channel();
        if self.stop.send(done).is_ok() {
            // A disk that hangs is no reason to stay.
            _ = timeout(PATIENCE, saved).await;
        }
    }
}

struct Keeper {
    clock: Clock,
    /// None while it is being written.
    file: Option<ClockFile>,
    pulse: Pulse,
    means: Means,
    told: ClockReport,
    /// As the clock was told.
    has_uplink: bool,
    /// The disk has refused the last stamp.
    is_refused: bool,
}

impl Keeper {
    async fn live_until(mut self, stopped: oneshot::Receiver<oneshot::Sender<()>>) {
        let done = tokio::select! {
            () = self.live() => None,
            done = stopped => done.ok(),
        };
        if let Some(stamp) = self.clock.last(now()) {
            self.save(stamp).await;
        }
        if let Some(done) = done {
            _ = done.send(());
        }
    }

    /// Until the agent ends.
    async fn live(&mut self) {
        while self.publish().await.is_ok() {
            let mut inputs = Vec::from([self.next().await]);
            while let Some(input) = inputs.pop() {
                let effects = self.clock.step(now(), input);
                // A doubt is told before somebody is asked about it.
                _ = self.publish().await;
                for effect in effects {
                    inputs.extend(self.carry_out(effect).await);
                }
            }
        }
    }

    async fn next(&mut self) -> Input {
        let had_uplink = self.has_uplink;
        self.pulse.tick();
        let due = self.clock.deadline().map_or(SIGN_OF_LIFE, |due| due.since(uptime()));
        tokio::select! {
            () = sleep(due.min(SIGN_OF_LIFE)) => Input::Tick,
            Ok(_) = self.means.views.wait_for(|view| view.uplink.is_some() != had_uplink) => {
                self.has_uplink = !had_uplink;
                Input::Uplink(self.has_uplink)
            }
        }
    }

    async fn carry_out(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Ask => {
                let answers = ntp::ask(&self.means.servers.all(), &Way::by_isp(), now()).await;
                Some(Input::Answers(answers))
            }
            Effect::Refer => Some(Input::Dates(self.means.referee.ask().await)),
            Effect::Set(adjustment) => {
                Some(Input::Set(adjust(adjustment).map_err(|error| error.to_string())))
            }
            Effect::InStep => {
                // Where the kernel has no chip to write to, nothing is lost.
                if let Err(error) = set::mark_in_step() {
                    tracing::debug!("the kernel is not told that its clock is kept: {error}");
                }
                None
            }
            Effect::Save(stamp) => {
                self.save(stamp).await;
                None
            }
        }
    }

    /// By a thread of its own: a card that takes its time holds up nothing else.
    async fn save(&mut self, stamp: Stamp) {
        let Some(mut file) = self.file.take() else { return };
        let written = spawn_blocking(move || (file.write(stamp), file)).await;
        if let Ok((written, file)) = written {
            self.file = Some(file);
            self.note(written);
        }
    }

    fn note(&mut self, written: Result<(), StoreError>) {
        match written {
            Ok(()) => self.is_refused = false,
            Err(error) => {
                if !std::mem::replace(&mut self.is_refused, true) {
                    tracing::warn!(%error, "the time is not saved: after a power cut the clock starts earlier");
                }
            }
        }
    }

    /// An error: nobody hears it any more.
    async fn publish(&mut self) -> Result<(), mpsc::error::SendError<byway_core::Input>> {
        let report = self.clock.report();
        if *report == self.told {
            return Ok(());
        }
        if report.source != self.told.source {
            super::learn_source(report.source);
            let offset = report.offset.map(|offset| offset.to_string());
            tracing::info!(source = ?report.source, offset, "the time is known by another source");
        }
        if let Some(trouble) = report.trouble.as_ref().filter(|_| report.trouble != self.told.trouble) {
            tracing::warn!("{trouble}");
        }
        self.told = report.clone();
        self.means.reports.send(byway_core::Input::Clock(report.clone())).await
    }
}

fn adjust(adjustment: Adjustment) -> io::Result<()> {
    set::adjust(adjustment)?;
    match adjustment {
        Adjustment::Slew(offset) => tracing::debug!("the clock is {offset} and made to go there"),
        Adjustment::Step(_) => tracing::info!("the clock is set"),
    }
    Ok(())
}

fn now() -> byway_core::clock::Now {
    byway_core::clock::Now { uptime: uptime(), wall: wall(), in_step: set::is_in_step() }
}
