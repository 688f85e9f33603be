//! A module on a wire that can be pulled, for tests.

use std::sync::{Arc, Mutex, PoisonError};

use byway_lab::oled::Oled;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget as _;
use embedded_graphics::geometry::Point;
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};

use super::{Chip, Frame, Rotation, ScreenSettings};

#[derive(Clone, Debug)]
pub(super) struct Module {
    settings: ScreenSettings,
    on_the_wire: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    oled: Oled,
    /// Writes that it will still hear; `None`: all.
    hears: Option<u64>,
    writes: u64,
    bytes: u64,
}

/// The agent's end.
#[derive(Debug)]
pub(super) struct Wire(Module);

impl Module {
    pub(super) fn of(settings: &ScreenSettings) -> Self {
        let state = State { oled: fresh(settings), hears: None, writes: 0, bytes: 0 };
        Self { settings: settings.clone(), on_the_wire: Arc::new(Mutex::new(state)) }
    }

    pub(super) fn wire(&self) -> Wire {
        Wire(self.clone())
    }

    pub(super) fn unplug(&self) {
        self.lose_after(0);
    }

    /// So many writes are heard from now on.
    pub(super) fn lose_after(&self, writes: u64) {
        self.with(|state| state.hears = Some(writes));
    }

    pub(super) fn hear_again(&self) {
        self.with(|state| state.hears = None);
    }

    pub(super) fn is_plugged_in(&self) -> bool {
        self.with(|state| state.hears != Some(0))
    }

    /// As it comes from its maker.
    pub(super) fn plug_in(&self) {
        self.with(|state| (state.oled, state.hears) = (fresh(&self.settings), None));
    }

    /// By a person who holds it as it is built in.
    pub(super) fn seen(&self, rotation: Rotation) -> Frame {
        let (width, height) = (127, self.settings.size.height() - 1);
        let mut frame = Frame::dark(self.settings.size);
        let lit = self.with(|state| {
            let all = (0..=height).flat_map(|y| (0..=width).map(move |x| (x, y)));
            all.filter(|(x, y)| state.oled.pixel(*x, *y)).collect::<Vec<_>>()
        });
        let as_seen = |(x, y): (usize, usize)| match rotation {
            Rotation::Upright => (x, y),
            Rotation::UpsideDown => (width - x, height - y),
        };
        let dots = lit
            .into_iter()
            .map(as_seen)
            .map(|(x, y)| Pixel(Point::new(x.try_into().unwrap(), y.try_into().unwrap()), BinaryColor::On));
        let Ok(()) = frame.draw_iter(dots);
        frame
    }

    pub(super) fn is_on(&self) -> bool {
        self.with(|state| state.oled.is_on())
    }

    pub(super) fn contrast(&self) -> u8 {
        self.with(|state| state.oled.contrast())
    }

    /// Addresses included.
    pub(super) fn bytes(&self) -> u64 {
        self.with(|state| state.bytes)
    }

    /// Nine a byte, one for a start and one for a stop.
    pub(super) fn clocks(&self) -> u64 {
        self.with(|state| state.bytes * 9 + state.writes * 2)
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.on_the_wire.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn fresh(settings: &ScreenSettings) -> Oled {
    match settings.chip {
        Chip::Ssd1306 => Oled::ssd1306(settings.size.height()),
        Chip::Sh1106 => Oled::sh1106(settings.size.height()),
    }
}

impl ErrorType for Wire {
    type Error = ErrorKind;
}

impl I2c for Wire {
    /// What the chip refuses is a mistake of ours.
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        let Wire(module) = self;
        assert_eq!(address, module.settings.address);
        module.with(|state| {
            for operation in operations {
                let Operation::Write(message) = operation else { panic!("nothing is ever read") };
                if state.hears == Some(0) {
                    return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
                }
                state.hears = state.hears.map(|left| left - 1);
                state.writes += 1;
                state.bytes += 1 + message.len() as u64;
                state.oled.write(message).unwrap_or_else(|why| panic!("{message:02x?}: {why}"));
            }
            Ok(())
        })
    }
}
