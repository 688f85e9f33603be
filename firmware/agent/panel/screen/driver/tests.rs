//! The driver against models of the chips, which refuse what the chips do.

use byway_core::panel::{Level, Page, Picture, Scene, Shift};

use super::super::fake::{Module, Wire};
use super::super::{Brightness, Chip, Rotation, Size, paint};
use super::*;

const CHIPS: [Chip; 2] = [Chip::Ssd1306, Chip::Sh1106];
const SIZES: [Size; 2] = [Size::Whole, Size::Half];
/// Nine clocks a byte, and two for start and stop; at 400 kHz.
const LONGEST: u64 = 30 * 400;

fn settings(chip: Chip, size: Size, rotation: Rotation) -> ScreenSettings {
    ScreenSettings { chip, size, rotation, ..ScreenSettings::default() }
}

fn page(headline: &'static str, lines: &[&str], size: Size) -> Frame {
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    let picture = Picture::Page(Page { headline, lines, ..Page::default() });
    paint(&Scene { picture, graph: Vec::new(), level: Level::Bright, shift: Shift::default() }, size)
}

/// Each kind of module, and a driver for it.
fn every_module() -> impl Iterator<Item = (Module, ScreenSettings, Driver<Wire>)> {
    let kinds = CHIPS.into_iter().flat_map(|chip| SIZES.map(|size| (chip, size)));
    let turned = [Rotation::Upright, Rotation::UpsideDown];
    kinds.flat_map(move |(chip, size)| turned.map(|rotation| settings(chip, size, rotation))).map(
        |settings| {
            let module = Module::of(&settings);
            let driver = Driver::new(module.wire(), settings.clone());
            (module, settings, driver)
        },
    )
}

#[test]
fn a_person_sees_the_frame_whatever_the_chip_and_however_it_is_built_in() {
    for (module, settings, mut driver) in every_module() {
        let frames = [page("PRIVACY", &["192.0.2.130"], settings.size), page("HOME", &["x"], settings.size)];
        for frame in &frames {
            driver.show(frame, Level::Bright).unwrap();
            assert_eq!(module.seen(settings.rotation).to_string(), frame.to_string(), "{settings:?}");
        }
    }
}

#[test]
fn noise_is_never_seen() {
    for (module, settings, mut driver) in every_module() {
        let frame = page("WAIT", &["one moment"], settings.size);
        let cut_off = |writes: &u64| {
            module.plug_in();
            module.lose_after(*writes);
            driver.show(&frame, Level::Bright).is_err()
        };
        let dark = (0..).take_while(cut_off).map(|_| module.seen(settings.rotation));
        let looks = dark.map(|seen| assert!(seen == Frame::dark(settings.size), "{seen}")).count();
        assert!(looks > 10, "only {looks} were taken");
    }
}

#[test]
fn nothing_is_sent_when_nothing_changed_and_little_when_little_did() {
    for (module, settings, mut driver) in every_module() {
        let sends = |driver: &mut Driver<Wire>, frame: &Frame| {
            let before = module.bytes();
            driver.show(frame, Level::Bright).unwrap();
            module.bytes() - before
        };
        let [three, four] = ["3 devices", "4 devices"].map(|line| page("HOME", &[line], settings.size));
        assert!(sends(&mut driver, &three) > 128 * settings.size.height() as u64 / 8);
        assert_eq!(sends(&mut driver, &three), 0, "{settings:?}");
        let few = sends(&mut driver, &four);
        assert!((10..60).contains(&few), "{few} bytes for another digit: {settings:?}");
        assert_eq!(module.seen(settings.rotation), four);
    }
}

#[test]
fn a_whole_frame_is_thirty_milliseconds_on_the_wire_at_most() {
    for (module, settings, mut driver) in every_module() {
        driver.show(&page("PRIVACY", &["192.0.2.130"], settings.size), Level::Bright).unwrap();
        assert!(module.clocks() <= LONGEST, "the first: {} clocks, {settings:?}", module.clocks());
        let before = module.clocks();
        driver.show(&Frame::lit(settings.size), Level::Dim).unwrap();
        let other = module.clocks() - before;
        assert!(other <= LONGEST, "another: {other} clocks, {settings:?}");
        assert!(other > 8 * 128 * 8 / 2, "only {other} clocks for a frame: {settings:?}");
    }
}

#[test]
fn brightness_follows_the_level_without_a_dot_being_sent() {
    for (module, settings, _) in every_module() {
        let brightness = Brightness::try_from(80).unwrap();
        let mut driver = Driver::new(module.wire(), ScreenSettings { brightness, ..settings.clone() });
        let frame = page("HOME", &[], settings.size);
        let mut told = Vec::new();
        for level in [Level::Bright, Level::Dim, Level::Off, Level::Off, Level::Bright] {
            let before = module.bytes();
            driver.show(&frame, level).unwrap();
            told.push((module.contrast(), module.is_on(), module.bytes() - before));
        }
        assert_eq!(told[1..], [(1, true, 4), (1, false, 3), (1, false, 0), (204, true, 7)]);
        assert_eq!((told[0].0, told[0].1), (204, true));
    }
}

#[test]
fn what_changes_in_the_dark_is_there_when_it_is_light_again() {
    for (module, settings, mut driver) in every_module() {
        let (one, other) = (page("HOME", &[], settings.size), page("WAIT", &[], settings.size));
        driver.show(&one, Level::Off).unwrap();
        driver.show(&other, Level::Off).unwrap();
        assert!(!module.is_on());
        driver.show(&other, Level::Dim).unwrap();
        assert_eq!(module.seen(settings.rotation), other);
    }
}

#[test]
fn a_module_that_was_replaced_is_set_up_and_gets_the_whole_frame() {
    for (module, settings, mut driver) in every_module() {
        let frame = page("PRIVACY", &["192.0.2.130"], settings.size);
        driver.show(&frame, Level::Bright).unwrap();
        module.unplug();
        driver.probe().unwrap_err();
        module.plug_in();
        assert!(!module.is_on());
        driver.show(&frame, Level::Bright).unwrap();
        assert_eq!(module.seen(settings.rotation), frame);
    }
}

#[test]
fn one_that_was_lost_in_the_middle_of_a_frame_comes_right_again() {
    for (module, settings, mut driver) in every_module() {
        let (one, other) = (page("PRIVACY", &[], settings.size), page("HOME", &[], settings.size));
        driver.show(&one, Level::Bright).unwrap();
        module.lose_after(3);
        driver.show(&other, Level::Bright).unwrap_err();
        module.plug_in();
        driver.show(&one, Level::Bright).unwrap();
        assert_eq!(module.seen(settings.rotation), one);
    }
}

#[test]
fn one_that_forgot_all_without_a_word_is_right_when_it_is_renewed() {
    for (module, settings, mut driver) in every_module() {
        let frame = page("HOME", &[], settings.size);
        driver.show(&frame, Level::Bright).unwrap();
        // Between two signs of life.
        module.plug_in();
        driver.probe().unwrap();
        driver.show(&frame, Level::Bright).unwrap();
        assert!(!module.is_on(), "nobody could know");
        driver.renew().unwrap();
        driver.show(&frame, Level::Bright).unwrap();
        assert_eq!(module.seen(settings.rotation), frame);
    }
}

#[test]
fn nobody_sees_one_being_renewed_that_has_lost_nothing() {
    for (module, settings, mut driver) in every_module() {
        let frame = page("HOME", &[], settings.size);
        let mut renewed_after = |writes: u64| {
            driver.show(&frame, Level::Bright).unwrap();
            module.lose_after(writes);
            let lost = driver.renew().and_then(|()| driver.show(&frame, Level::Bright)).is_err();
            module.hear_again();
            lost
        };
        for writes in (0..).take_while(|writes| renewed_after(*writes)) {
            assert_eq!(module.seen(settings.rotation), frame, "after {writes} writes");
        }
        driver.renew().unwrap();
        driver.show(&frame, Level::Off).unwrap();
        assert!(!module.is_on());
    }
}
