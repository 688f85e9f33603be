//! What the two chips want to be told. Everything but the first setting up is common to both: an SH1106 addresses by page
//! alone, and has two columns more on each side than its glass.

use super::{Chip, Rotation, ScreenSettings, Size};

/// A command, and what belongs to it.
type Command = Vec<u8>;

const OFF: u8 = 0xae;
const ON: u8 = 0xaf;
/// Changes nothing; who is there acknowledges it.
pub(super) const NOTHING: u8 = 0xe3;
const CONTRAST: u8 = 0x81;

/// From whatever state to dark, with the pump at work that makes the dots' voltage.
pub(super) fn begin(chip: Chip) -> Vec<Command> {
    let pump = match chip {
        Chip::Ssd1306 => vec![0x8d, 0x14],
        Chip::Sh1106 => vec![0xad, 0x8b],
    };
    vec![vec![OFF], pump]
}

/// Every register that matters is named: what another program has left there, or a glitch of the supply, does not count.
/// A chip that has these values already shows nothing of it. An SH1106 takes no order for its pump while it is lit, but
/// begins with one that is at work.
pub(super) fn registers(settings: &ScreenSettings) -> Vec<Command> {
    // How the module's maker has wired lines to pins.
    let [lines, pins] = match settings.size {
        Size::Whole => [63, 0x12],
        Size::Half => [31, 0x02],
    };
    let [columns, scan] = match settings.rotation {
        Rotation::Upright => [0xa1, 0xc8],
        Rotation::UpsideDown => [0xa0, 0xc0],
    };
    let mut commands = own(settings.chip);
    commands.extend([
        vec![0xd5, 0x80],
        vec![0xa8, lines],
        vec![0xd3, 0x00],
        vec![0x40],
        vec![columns],
        vec![scan],
        vec![0xda, pins],
        // What lies in the memory, as it lies there.
        vec![0xa4],
        vec![0xa6],
    ]);
    commands
}

/// The pump; the longest charge and the shortest discharge, in each chip's order; the level of a dark line. What an
/// SSD1306 can do besides is undone: other orders of addresses, and scrolling.
fn own(chip: Chip) -> Vec<Command> {
    match chip {
        Chip::Ssd1306 => {
            vec![vec![0x8d, 0x14], vec![0xd9, 0xf1], vec![0xdb, 0x20], vec![0x20, 0x02], vec![0x2e]]
        }
        Chip::Sh1106 => vec![vec![0x32], vec![0xd9, 0x1f], vec![0xdb, 0x35]],
    }
}

pub(super) fn contrast(value: u8) -> Command {
    vec![CONTRAST, value]
}

pub(super) const fn switch(on: bool) -> u8 {
    if on { ON } else { OFF }
}

/// Where the next dots go: eight rows of them, and the column on the glass.
pub(super) fn place(chip: Chip, strip: u8, column: u8) -> [u8; 3] {
    let unseen = match chip {
        Chip::Ssd1306 => 0,
        Chip::Sh1106 => 2,
    };
    let column = column.saturating_add(unseen);
    [0xb0 | strip, column & 0x0f, 0x10 | column >> 4]
}
