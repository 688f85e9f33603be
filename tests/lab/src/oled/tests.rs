//! What the data sheets say, told to the model.

use super::*;

const UPRIGHT: &[u8] = &[0x00, 0xa1, 0xc8];

fn lit(oled: &Oled) -> Vec<(usize, usize)> {
    let lines = (0..oled.height).flat_map(|y| (0..WIDTH).map(move |x| (x, y)));
    lines.filter(|(x, y)| oled.pixel(*x, *y)).collect()
}

fn write_all(oled: &mut Oled, messages: &[&[u8]]) {
    for message in messages {
        oled.write(message).unwrap_or_else(|error| panic!("{message:02x?}: {error}"));
    }
}

/// Dark all over, on, with the first visible column under the pen.
fn cleared(mut oled: Oled) -> Oled {
    let columns = oled.last_column() + 1;
    let dark = [&[0x40][..], &vec![0; columns]].concat();
    for page in 0..oled.height / 8 {
        write_all(&mut oled, &[&[0x00, 0xb0 | u8::try_from(page).unwrap(), 0x00, 0x10], &dark]);
    }
    let first = if oled.chip == Chip::Sh1106 { 0x02 } else { 0x00 };
    let pins = if oled.height == 64 { 0x12 } else { 0x02 };
    let multiplex = u8::try_from(oled.height - 1).unwrap();
    write_all(&mut oled, &[&[0x00, 0xa8, multiplex, 0xda, pins]]);
    if oled.chip == Chip::Ssd1306 {
        write_all(&mut oled, &[&[0x00, 0x8d, 0x14]]);
    }
    write_all(&mut oled, &[&[0x00, 0xaf, 0xb0, first, 0x10]]);
    oled
}

fn every_module() -> [Oled; 4] {
    [Oled::ssd1306(64), Oled::ssd1306(32), Oled::sh1106(64), Oled::sh1106(32)]
}

#[test]
fn the_first_bit_of_the_first_page_is_above_on_the_left_when_upright() {
    for mut oled in every_module() {
        write_all(&mut oled, &[UPRIGHT]);
        let mut oled = cleared(oled);
        write_all(&mut oled, &[&[0x40, 0b10_0001, 0x80]]);
        assert_eq!(lit(&oled), [(0, 0), (0, 5), (1, 7)], "{oled:?}");
    }
}

#[test]
fn without_both_reversals_the_picture_stands_on_its_head() {
    for oled in every_module() {
        let mut oled = cleared(oled);
        write_all(&mut oled, &[&[0x40, 0b10_0001, 0x80]]);
        let last = oled.height - 1;
        assert_eq!(lit(&oled), [(126, last - 7), (127, last - 5), (127, last)], "{oled:?}");
    }
}

#[test]
fn it_shows_noise_until_it_is_written_and_nothing_without_its_pump() {
    let mut oled = Oled::ssd1306(64);
    write_all(&mut oled, &[&[0x00, 0xaf]]);
    assert!(!oled.is_on() && lit(&oled).is_empty());
    write_all(&mut oled, &[&[0x00, 0x8d, 0x14]]);
    assert!(oled.is_on() && !lit(&oled).is_empty());
    let mut oled = Oled::sh1106(64);
    write_all(&mut oled, &[&[0x00, 0xad, 0x8a, 0xaf]]);
    assert!(!oled.is_on());
    assert!(oled.write(&[0x00, 0xad, 0x8b]).is_err(), "while it is on");
    write_all(&mut oled, &[&[0x00, 0xae, 0xad, 0x8b, 0xaf]]);
    assert!(oled.is_on());
}

#[test]
fn lines_roll_and_lights_turn_by_command() {
    let mut oled = Oled::ssd1306(64);
    write_all(&mut oled, &[UPRIGHT]);
    let mut oled = cleared(oled);
    write_all(&mut oled, &[&[0x40, 0b1000], &[0x00, 0x41, 0xd3, 0x01]]);
    assert_eq!(lit(&oled), [(0, 1)]);
    write_all(&mut oled, &[&[0x80, 0xa7, 0x80, 0x81, 0x80, 0x03]]);
    assert_eq!((lit(&oled).len(), oled.contrast()), (128 * 64 - 1, 3));
    write_all(&mut oled, &[&[0x00, 0xa5]]);
    assert_eq!(lit(&oled).len(), 128 * 64);
}

#[test]
fn a_window_is_filled_in_its_order() {
    let mut oled = Oled::ssd1306(64);
    write_all(&mut oled, &[UPRIGHT]);
    let mut oled = cleared(oled);
    write_all(&mut oled, &[&[0x00, 0x20, 0x00, 0x21, 126, 127, 0x22, 0, 1], &[0x40, 1, 0, 0, 2, 4]]);
    assert_eq!(lit(&oled), [(126, 2), (127, 9)]);
    write_all(&mut oled, &[&[0x00, 0x20, 0x01, 0x21, 126, 127, 0x22, 0, 1], &[0x40, 0, 8]]);
    assert_eq!(lit(&oled), [(127, 9), (126, 11)]);
    assert!(oled.write(&[0x00, 0xb0]).is_err(), "a page's address in a window");
}

#[test]
fn what_a_chip_does_not_know_is_refused() {
    let refuses = |oled: &Oled, message: &[u8]| {
        let told = oled.clone().write(message);
        assert!(told.is_err(), "{message:02x?} is taken by {oled:?}");
    };
    for oled in every_module() {
        for message in [
            &[0x00][..],
            &[0x00, 0x81],
            &[0x80, 0x81, 0x40, 0x10],
            &[0x80, 0xaf, 0x40],
            &[0x01, 0xaf],
            &[0x00, 0xb8],
            &[0x00, 0x26, 0, 0, 0, 0, 0, 0xff],
            &[0x00, 0xa8, 14],
            &[0x00, 0xd3, 64],
            &[0x00, 0xda, 0x13],
            &[0x00, 0xd9, 0x20],
            &[0x00, 0xa8, if oled.height == 64 { 31 } else { 63 }, 0xaf],
        ] {
            refuses(&oled, message);
        }
        let all = [&[0x40][..], &vec![0; oled.last_column() + 2]].concat();
        oled.clone().write(&all[..all.len() - 1]).unwrap();
        refuses(&oled, &all);
    }
    for page in [0xb4, 0xb7] {
        refuses(&Oled::ssd1306(32), &[0x80, page, 0x40, 0]);
        Oled::ssd1306(64).write(&[0x80, page, 0x40, 0]).unwrap();
    }
    for message in [&[0x00, 0x21, 0, 127][..], &[0x00, 0x20, 3], &[0x00, 0xad, 0x8b], &[0x00, 0x31]] {
        refuses(&Oled::ssd1306(64), message);
    }
    for message in [&[0x00, 0x20, 2][..], &[0x00, 0x22, 0, 7], &[0x00, 0x8d, 0x14], &[0x00, 0x2e]] {
        refuses(&Oled::sh1106(64), message);
    }
}

#[test]
fn addresses_count_on_the_wire() {
    let mut oled = Oled::ssd1306(64);
    write_all(&mut oled, &[&[0x00, 0xae], &[0x40, 0, 0, 0]]);
    assert_eq!(oled.bytes_on_the_wire(), 3 + 5);
}
