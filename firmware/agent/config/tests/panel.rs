//! `[panel]`: what the owner reads about each mistake, word for word.

use std::time::{Duration, SystemTime};

use super::*;
use crate::panel::screen::{Brightness, Chip, Rotation, ScreenSettings, Size};

/// Lines below `[panel]`, and where and what the answer is.
const WRONG_PANELS: &[(&str, &str)] = &[
    ("driver = \"ssd1309\"", "2:10: driver cannot be \"ssd1309\": write \"ssd1306\""),
    ("driver = \"oled\"", "2:10: driver cannot be \"oled\": write \"ssd1306\" or \"sh1106\" or \"none\""),
    ("driver = false", "2:10: driver is a text in quotes, not true or false: write driver = \"ssd1306\""),
    ("size = \"64x128\"", "2:8: size cannot be \"64x128\": write \"128x64\" or \"128x32\""),
    ("rotation = 90", "2:12: rotation cannot be 90: write 0, or 180 for upside down"),
    ("rotation = -180", "2:12: rotation cannot be -180: write a number from 0 to 65535"),
    ("brightness = 0", "2:14: brightness cannot be 0: write a number from 1 to 100"),
    ("brightness = \"60%\"", "2:14: brightness is a whole number, not a text: write brightness = 60"),
    ("bus = \"/dev/i2c-1\"", "2:7: bus is a whole number, not a text: write bus = 1"),
    ("bus = 256", "2:7: bus cannot be 256: write a number from 0 to 255"),
    ("address = 0x78", "2:11: 0x78 is twice the address: write address = 0x3c"),
    ("address = 122", "2:11: 0x7a is twice the address: write address = 0x3d"),
    ("address = 0x03", "2:11: no screen has the address 0x3: write 0x3c, or 0x3d"),
    ("address = \"0x3c\"", "2:11: address is a whole number, not a text: write address = 0x3c"),
    (
        "off_hours = \"23-7\"\ntime_zone = \"Europe/Stockholm\"",
        "2:13: off_hours cannot be \"23-7\": write two different times of the day as 23:00-07:00",
    ),
    (
        "off_hours = [\"23:00\", \"07:00\"]\ntime_zone = \"UTC\"",
        "2:13: off_hours is a text in quotes, not a list: write off_hours = \"23:00-07:00\"",
    ),
    (
        "off_hours = \"23:00-07:00\"",
        "2:13: the box's clock is UTC, not the house's: write time_zone = \"Europe/Stockholm\", or where the house is, below it",
    ),
    (
        "off_hours = \"23:00-07:00\"\ntime_zone = \"Stockholm\"",
        "3:13: \"Stockholm\" is no time zone: write its continent and city, as \"Europe/Stockholm\"",
    ),
    ("timezone = \"Europe/Stockholm\"", "2:1: [panel] knows no key \"timezone\": write time_zone"),
    (
        "leds = 2",
        "2:1: [panel] knows no key \"leds\": there are driver, size, rotation, brightness, bus, address, off_hours, time_zone",
    ),
];

fn panel(lines: &str) -> Panel {
    read(&format!("[panel]\n{lines}\n{}", LEAST.concat())).unwrap().panel
}

#[test]
fn reads_a_panel() {
    let read = panel(
        "driver = \"sh1106\"\nsize = \"128x32\"\nrotation = 180\nbrightness = 7\nbus = 0\naddress = 0x3d\n\
         off_hours = \"22:30-07:00\"\ntime_zone = \"europe/stockholm\"",
    );
    let screen = ScreenSettings {
        chip: Chip::Sh1106,
        size: Size::Half,
        rotation: Rotation::UpsideDown,
        brightness: Brightness::try_from(7).unwrap(),
        bus: 0,
        address: 0x3d,
    };
    assert_eq!(read.screen, Some(screen));
    let Night { hours, zone } = read.night.unwrap();
    assert_eq!((hours.to_string().as_str(), zone.name()), ("22:30-07:00", "Europe/Stockholm"));
    // 2026-07-01 20:29 UTC, and a minute later.
    let minutes = [1_782_937_740, 1_782_937_800]
        .map(|seconds| zone.minute_of_day(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)));
    assert_eq!(minutes.map(|minute| hours.contains(minute)), [false, true]);
}

#[test]
fn looks_for_the_usual_screen_unless_there_is_none() {
    let usual = Panel { screen: Some(ScreenSettings::default()), night: None };
    assert_eq!(read(&LEAST.concat()).unwrap().panel, usual);
    assert_eq!(panel(""), usual);
    assert_eq!(panel("time_zone = \"Europe/Oslo\""), usual, "it is there for off_hours alone");
    assert_eq!(panel("driver = \"none\"\nsize = \"128x32\"").screen, None);
}

#[test]
fn says_what_is_wrong_with_the_panel() {
    for (lines, complaint) in WRONG_PANELS {
        assert_eq!(complaints(&format!("[panel]\n{lines}\n{}", LEAST.concat())), [*complaint], "{lines}");
    }
}
