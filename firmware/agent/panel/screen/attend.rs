//! When the screen is looked for, written to, asked for a sign of life and set up anew, and how it is.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use byway_core::panel::{Level, Scene};
use embedded_hal::i2c::I2c;

use super::driver::Driver;
use super::{Frame, ScreenSettings, paint};
use crate::watchdog::Pulse;

/// How it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    pub found: bool,
    /// Why it is not.
    pub error: Option<String>,
}

/// How often what is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Looked for, while it is missing.
    pub look: Duration,
    /// Asked whether it is there, while there is nothing to send.
    pub probe: Duration,
    /// Set up anew, which nobody sees.
    pub renew: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { look: Duration::from_secs(3), probe: Duration::from_secs(2), renew: Duration::from_mins(5) }
    }
}

/// What the thread and the others have in common.
#[derive(Debug, Default)]
pub(super) struct Told {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What nobody has taken yet.
    scene: Option<Scene>,
    is_over: bool,
    health: Health,
}

/// Why the thread goes on.
enum News {
    Scene(Scene),
    None,
    End,
}

impl Told {
    pub(super) fn tell(&self, scene: Scene) {
        self.state().scene = Some(scene);
        self.news.notify_one();
    }

    pub(super) fn end(&self) {
        self.state().is_over = true;
        self.news.notify_one();
    }

    pub(super) fn health(&self) -> Health {
        self.state().health.clone()
    }

    fn wait(&self, until: Instant) -> News {
        let mut state = self.state();
        loop {
            if state.is_over {
                return News::End;
            }
            if let Some(scene) = state.scene.take() {
                return News::Scene(scene);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return News::None;
            }
            (state, _) = self.news.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's work. `open` opens the bus.
#[derive(Debug)]
pub(super) struct Attention<O, B> {
    settings: ScreenSettings,
    open: O,
    told: Arc<Told>,
    pace: Pace,
    pulse: Pulse,
    /// `None`: it is missing.
    driver: Option<Driver<B>>,
    set_up: Instant,
    shown: Option<(Frame, Level)>,
}

impl<O, B, E> Attention<O, B>
where
    O: FnMut() -> Result<B, E>,
    B: I2c,
    B::Error: fmt::Display,
    E: fmt::Display,
{
    pub(super) fn new(settings: ScreenSettings, open: O, told: Arc<Told>, pace: Pace, pulse: Pulse) -> Self {
        Self { settings, open, told, pace, pulse, driver: None, set_up: Instant::now(), shown: None }
    }

    pub(super) fn run(&mut self) {
        let mut look = Instant::now();
        loop {
            self.pulse.tick();
            let until = if self.driver.is_some() { Instant::now() + self.pace.probe } else { look };
            match self.told.wait(until) {
                News::Scene(scene) => self.shown = Some((paint(&scene, self.settings.size), scene.level)),
                News::None => {}
                News::End => break,
            }
            // A missing screen is not looked for more often because there is something to show.
            if self.driver.is_some() || look <= Instant::now() {
                let outcome = self.attend();
                look = Instant::now() + self.pace.look;
                self.report(outcome);
            }
        }
        if let Some(mut driver) = self.driver.take() {
            _ = driver.show(&Frame::dark(self.settings.size), Level::Off);
        }
    }

    fn attend(&mut self) -> Result<(), String> {
        let mut driver = match self.driver.take() {
            Some(driver) => driver,
            None => self.find()?,
        };
        self.write(&mut driver).map_err(|error| self.silent(&error))?;
        self.driver = Some(driver);
        Ok(())
    }

    fn write(&mut self, driver: &mut Driver<B>) -> Result<(), B::Error> {
        if self.set_up.elapsed() >= self.pace.renew {
            driver.renew()?;
            self.set_up = Instant::now();
        }
        // Nothing is sent of what it shows already.
        if let Some((frame, level)) = &self.shown {
            driver.show(frame, *level)?;
        }
        driver.probe()
    }

    fn find(&mut self) -> Result<Driver<B>, String> {
        let device = format!("/dev/i2c-{}", self.settings.bus);
        let bus = (self.open)()
            .map_err(|error| format!("cannot open {device}: {error}; is I2C on, and [panel] bus right?"))?;
        self.set_up = Instant::now();
        Ok(Driver::new(bus, self.settings.clone()))
    }

    fn silent(&self, error: &B::Error) -> String {
        let (bus, address) = (self.settings.bus, self.settings.address);
        format!(
            "no screen answers at {address:#04x} on /dev/i2c-{bus}: {error}; look at its four wires, and at \
             [panel] address"
        )
    }

    /// Logged when it changes, not at each try.
    fn report(&self, outcome: Result<(), String>) {
        let health = Health { found: outcome.is_ok(), error: outcome.err() };
        let mut state = self.told.state();
        let was = std::mem::replace(&mut state.health, health.clone());
        drop(state);
        match (&health.error, was.found || was == Health::default()) {
            (None, _) if !was.found => {
                tracing::info!(size = %self.settings.size, chip = %self.settings.chip, "the screen is there");
            }
            (Some(error), true) => tracing::warn!(%error, "the screen is missing"),
            (None | Some(_), _) => {}
        }
    }
}

#[cfg(test)]
mod tests;
