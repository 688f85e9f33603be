//! Reads `[panel]`: which screen there is, and when the panel keeps quiet.

use byway_core::panel::OffHours;

use super::super::reader::{At, Reader, Section};
use super::super::zone::TimeZone;
use super::super::{Night, Panel};
use crate::panel::screen::{Brightness, Chip, Rotation, ScreenSettings, Size};

/// Of seven bits, without those that the bus keeps for itself.
const ADDRESSES: std::ops::RangeInclusive<u8> = 0x08..=0x77;

/// And where the house is.
pub(super) fn read<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> (Panel, Option<TimeZone>) {
    let zone: Option<TimeZone> = reader.parsed(section, "time_zone");
    let night = night(reader, section, zone.clone());
    (Panel { screen: screen(reader, section), night }, zone)
}

fn screen<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Option<ScreenSettings> {
    let usual = ScreenSettings::default();
    let drivers = [("ssd1306", Some(Chip::Ssd1306)), ("sh1106", Some(Chip::Sh1106)), ("none", None)];
    let driver = reader.word(section, "driver", &drivers);
    let sizes = [Size::Whole, Size::Half].map(|size| (size.to_string(), size));
    let sizes: Vec<(&str, Size)> = sizes.iter().map(|(word, size)| (word.as_str(), *size)).collect();
    let settings = ScreenSettings {
        chip: usual.chip,
        size: reader.word(section, "size", &sizes).unwrap_or(usual.size),
        rotation: rotation(reader, section).unwrap_or(usual.rotation),
        brightness: brightness(reader, section).unwrap_or(usual.brightness),
        bus: bus(reader, section).unwrap_or(usual.bus),
        address: address(reader, section).unwrap_or(usual.address),
    };
    driver.unwrap_or(Some(usual.chip)).map(|chip| ScreenSettings { chip, ..settings })
}

fn rotation<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Option<Rotation> {
    let At { at, value } = reader.number(section, "rotation", &(0..=u16::MAX))?;
    let rotation = Rotation::try_from(value).ok();
    if rotation.is_none() {
        reader.mistake(at, format!("rotation cannot be {value}: write 0, or 180 for upside down"));
    }
    rotation
}

fn brightness<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Option<Brightness> {
    let percent = reader.number(section, "brightness", &(1..=100))?;
    Brightness::try_from(percent.value).ok()
}

fn bus<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Option<u8> {
    let bus = reader.number(section, "bus", &(0..=u16::from(u8::MAX)))?;
    u8::try_from(bus.value).ok()
}

fn address<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Option<u8> {
    let At { at, value } = reader.number(section, "address", &(0..=u16::MAX))?;
    let address = u8::try_from(value).ok().filter(|address| ADDRESSES.contains(address));
    if address.is_none() {
        let message = match value {
            // As it is printed on many a board.
            0x78 | 0x7a => format!("{value:#x} is twice the address: write address = {:#x}", value / 2),
            _ => format!("no screen has the address {value:#x}: write 0x3c, or 0x3d"),
        };
        reader.mistake(at, message);
    }
    address
}

fn night<'a>(reader: &mut Reader<'a>, section: &Section<'a>, zone: Option<TimeZone>) -> Option<Night> {
    let At { at, value } = reader.text(section, "off_hours")?;
    let hours = value.parse::<OffHours>();
    if let Err(advice) = hours {
        reader.mistake(at, format!("off_hours cannot be {value:?}: {advice}"));
    }
    if !section.has("time_zone") {
        let message = "the box's clock is UTC, not the house's: write time_zone = \"Europe/Stockholm\", or where the \
                       house is, below it";
        reader.mistake(at, message);
    }
    Some(Night { hours: hours.ok()?, zone: zone? })
}
