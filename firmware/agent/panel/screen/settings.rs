//! Which screen there is, and how it is built in.

use std::fmt;

use byway_core::panel::Room;
use embedded_graphics::geometry::Size as Extent;

/// One screen on an I2C bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScreenSettings {
    pub chip: Chip,
    pub size: Size,
    pub rotation: Rotation,
    pub brightness: Brightness,
    /// As in `/dev/i2c-1`.
    pub bus: u8,
    /// Of seven bits.
    pub address: u8,
}

impl Default for ScreenSettings {
    /// Most modules, and Adafruit's bonnet, on a Pi's header.
    fn default() -> Self {
        Self {
            chip: Chip::Ssd1306,
            size: Size::Whole,
            rotation: Rotation::Upright,
            brightness: Brightness::default(),
            bus: 1,
            address: 0x3c,
        }
    }
}

/// What drives the dots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chip {
    Ssd1306,
    Sh1106,
}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ssd1306 => "ssd1306",
            Self::Sh1106 => "sh1106",
        })
    }
}

/// In dots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 128 by 64.
    Whole,
    /// 128 by 32.
    Half,
}

impl Size {
    pub const WIDTH: usize = 128;

    pub const fn height(self) -> usize {
        match self {
            Self::Whole => 64,
            Self::Half => 32,
        }
    }

    pub(super) fn extent(self) -> Extent {
        let [width, height] =
            [Self::WIDTH, self.height()].map(|dots| u32::try_from(dots).unwrap_or(u32::MAX));
        Extent::new(width, height)
    }

    /// How much text it takes below the big word.
    pub const fn room(self) -> Room {
        match self {
            Self::Whole => Room::WHOLE,
            Self::Half => Room::HALF,
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", Self::WIDTH, self.height())
    }
}

/// How the module is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// As the module's maker means it.
    Upright,
    /// By 180 degrees.
    UpsideDown,
}

impl TryFrom<u16> for Rotation {
    type Error = String;

    fn try_from(degrees: u16) -> Result<Self, Self::Error> {
        match degrees {
            0 => Ok(Self::Upright),
            180 => Ok(Self::UpsideDown),
            _ => Err("a screen is turned by 0 or 180 degrees".to_owned()),
        }
    }
}

/// In percent of what the chip can do, 1 to 100: while somebody may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brightness(u8);

impl Brightness {
    /// What the chip is told.
    pub(super) fn contrast(self) -> u8 {
        let steps = u16::from(self.0) * u16::from(u8::MAX) / 100;
        u8::try_from(steps).unwrap_or(u8::MAX)
    }
}

impl Default for Brightness {
    /// What the chips begin with.
    fn default() -> Self {
        Self(50)
    }
}

impl TryFrom<u16> for Brightness {
    type Error = String;

    fn try_from(percent: u16) -> Result<Self, Self::Error> {
        match u8::try_from(percent) {
            Ok(percent @ 1..=100) => Ok(Self(percent)),
            Ok(_) | Err(_) => {
                Err("a brightness is 1 to 100 percent: leave the screen out to have none".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brightest_is_all_that_the_chip_can_do_and_the_darkest_is_not_dark() {
        let contrast = |percent: u16| Brightness::try_from(percent).unwrap().contrast();
        assert_eq!([1, 50, 100].map(contrast), [2, 127, 255]);
        for wrong in [0, 101, 256, 300] {
            assert!(Brightness::try_from(wrong).is_err(), "{wrong}");
        }
    }
}
