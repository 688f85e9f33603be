//! The small screen, by a thread of its own: it may be missing, late, pulled and put back, and costs nobody anything.
//!
//! What is told is painted (`paint`) and sent (`driver`). A chip that was without power for a moment is blank and tells
//! nobody: so it is asked for a sign of life every few seconds, and set up anew now and then.

mod attend;
mod chip;
mod code;
mod driver;
#[cfg(test)]
mod fake;
mod font;
mod frame;
mod graph;
mod paint;
mod settings;

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use byway_core::panel::Scene;
use rppal::i2c::I2c;

pub use attend::Health;
pub use frame::{Frame, Strip};
pub use paint::paint;
pub use settings::{Brightness, Chip, Rotation, ScreenSettings, Size};

use self::attend::{Attention, Pace, Told};
use crate::watchdog::Pulse;

/// At work until it is dropped; then the screen is dark.
#[derive(Debug)]
pub struct Screen {
    told: Arc<Told>,
    thread: Option<JoinHandle<()>>,
}

impl Screen {
    /// There may be no screen yet, and no bus.
    pub fn start(settings: ScreenSettings, pulse: Pulse) -> io::Result<Self> {
        let bus = settings.bus;
        let open = move || I2c::with_bus(bus);
        let told = Arc::new(Told::default());
        let mut attention = Attention::new(settings, open, Arc::clone(&told), Pace::default(), pulse);
        let thread = Builder::new().name("screen".to_owned()).spawn(move || attention.run())?;
        Ok(Self { told, thread: Some(thread) })
    }

    /// Instead of whatever was told before, shown or not.
    pub fn show(&self, scene: Scene) {
        self.told.tell(scene);
    }

    pub fn health(&self) -> Health {
        self.told.health()
    }
}

impl Drop for Screen {
    /// What it shows would be believed.
    fn drop(&mut self) {
        self.told.end();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the screen's thread had panicked");
        }
    }
}
