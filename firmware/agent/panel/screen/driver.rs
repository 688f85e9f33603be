//! Brings a chip to show a frame with as few bytes as that takes, and remembers what it shows. After an error it knows
//! nothing, and begins anew.

use byway_core::panel::Level;
use embedded_hal::i2c::I2c;

use super::{Frame, ScreenSettings, Strip, chip};

/// What a message begins with: commands follow, or dots.
const COMMANDS: u8 = 0x00;
const DOTS: u8 = 0x40;
/// Of the chips' 255; darker than any brightness that can be configured.
const DIMMEST: u8 = 1;

#[derive(Debug)]
pub(super) struct Driver<B> {
    bus: B,
    settings: ScreenSettings,
    /// What the chip is known to have.
    known: Option<Known>,
}

#[derive(Debug)]
struct Known {
    /// `None`: noise.
    strips: Vec<Option<Strip>>,
    contrast: Option<u8>,
    on: Option<bool>,
}

impl<B: I2c> Driver<B> {
    pub(super) const fn new(bus: B, settings: ScreenSettings) -> Self {
        Self { bus, settings, known: None }
    }

    /// Sends what differs from what the chip has. It is dark until all of a first frame is there.
    pub(super) fn show(&mut self, frame: &Frame, level: Level) -> Result<(), B::Error> {
        let mut known = match self.known.take() {
            Some(known) => known,
            None => self.set_up()?,
        };
        let contrast = match level {
            // What would be drawn meanwhile is drawn when it is switched on again.
            Level::Off => return self.switch(known, false),
            Level::Dim => DIMMEST,
            Level::Bright => self.settings.brightness.contrast(),
        };
        for (nth, strip) in (0..).zip(frame.strips()) {
            let before = known.strips.get_mut(usize::from(nth)).map(|slot| slot.replace(*strip));
            self.send(nth, strip, before.flatten().as_ref())?;
        }
        if known.contrast.replace(contrast) != Some(contrast) {
            self.command(&chip::contrast(contrast))?;
        }
        self.switch(known, true)
    }

    /// Whether it is still there, at no more than three bytes.
    pub(super) fn probe(&mut self) -> Result<(), B::Error> {
        let known = self.known.take();
        self.command(&[chip::NOTHING])?;
        self.known = known;
        Ok(())
    }

    /// In case that it has lost all without a word: the next frame is sent whole, to a chip that is set up. Nobody sees it
    /// of one that had lost nothing.
    pub(super) fn renew(&mut self) -> Result<(), B::Error> {
        if self.known.take().is_some() {
            self.known = Some(self.set_registers(None)?);
        }
        Ok(())
    }

    fn set_up(&mut self) -> Result<Known, B::Error> {
        for command in chip::begin(self.settings.chip) {
            self.command(&command)?;
        }
        self.set_registers(Some(false))
    }

    fn set_registers(&mut self, on: Option<bool>) -> Result<Known, B::Error> {
        for command in chip::registers(&self.settings) {
            self.command(&command)?;
        }
        let strips = vec![None; self.settings.size.height() / 8];
        Ok(Known { strips, contrast: None, on })
    }

    fn switch(&mut self, mut known: Known, on: bool) -> Result<(), B::Error> {
        if known.on.replace(on) != Some(on) {
            self.command(&[chip::switch(on)])?;
        }
        self.known = Some(known);
        Ok(())
    }

    /// From the first column that differs to the last one.
    fn send(&mut self, nth: u8, strip: &Strip, before: Option<&Strip>) -> Result<(), B::Error> {
        let differs = |column: &usize| before.is_none_or(|before| before[*column] != strip[*column]);
        let mut columns = 0..strip.len();
        let Some(first) = columns.find(differs) else { return Ok(()) };
        let last = columns.rfind(differs).unwrap_or(first);
        self.command(&chip::place(self.settings.chip, nth, u8::try_from(first).unwrap_or(u8::MAX)))?;
        self.write(DOTS, &strip[first..=last])
    }

    fn command(&mut self, command: &[u8]) -> Result<(), B::Error> {
        self.write(COMMANDS, command)
    }

    fn write(&mut self, kind: u8, bytes: &[u8]) -> Result<(), B::Error> {
        let mut message = Vec::with_capacity(1 + bytes.len());
        message.push(kind);
        message.extend(bytes);
        self.bus.write(self.settings.address, &message)
    }
}

#[cfg(test)]
mod tests;
