//! A small screen: what is written to its chip by I2C, and what a person then sees of it. A write to which the chip's data
//! sheet gives no meaning is refused with words, where a real one would show something odd or nothing.
//!
//! SSD1306 rev. 1.5 (chapters 8.1.5, 9, 10) and SH1106 v2.3, as the modules have them that are sold: the first segment on
//! the right, the first line at the bottom (`0xa1 0xc8` is upright), no other supply than the chip's own charge pump.

use std::fmt;
use std::ops::RangeInclusive;

/// What is in the memory before anything is written: noise.
const NOISE: u8 = 0b1001_0110;
const PAGES: usize = 8;
const LINES: usize = 64;
const WIDTH: usize = 128;
const SH1106_WIDTH: usize = 132;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chip {
    Ssd1306,
    Sh1106,
}

/// How the address moves on after a byte of data; an SH1106 knows only the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Addressing {
    Horizontal,
    Vertical,
    Page,
}

/// One module.
#[derive(Debug, Clone)]
pub struct Oled {
    chip: Chip,
    height: usize,
    /// By page and segment.
    memory: [[u8; SH1106_WIDTH]; PAGES],
    addressing: Addressing,
    columns: RangeInclusive<usize>,
    pages: RangeInclusive<usize>,
    column: usize,
    page: usize,
    scan: Scan,
    contrast: u8,
    switches: Switches,
    bytes: u64,
}

/// Which part of the memory is driven onto which part of the glass.
#[derive(Debug, Clone, Copy)]
struct Scan {
    segments_reversed: bool,
    lines_reversed: bool,
    start_line: usize,
    offset: usize,
    multiplex: u8,
    pins: u8,
}

#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "four switches of the chip, in no order")]
struct Switches {
    pump: bool,
    display: bool,
    inverse: bool,
    all_lit: bool,
}

#[derive(Debug, Clone, Copy)]
enum Byte {
    Command(u8),
    Data(u8),
}

impl Oled {
    /// 128 columns, and 64 or 32 lines.
    pub fn ssd1306(height: usize) -> Self {
        Self::after_reset(Chip::Ssd1306, height)
    }

    /// The same glass: the first and the last two of the chip's 132 columns lead nowhere.
    pub fn sh1106(height: usize) -> Self {
        Self::after_reset(Chip::Sh1106, height)
    }

    fn after_reset(chip: Chip, height: usize) -> Self {
        assert!(matches!(height, 32 | 64), "a module has 32 or 64 lines");
        let is_sh1106 = chip == Chip::Sh1106;
        let scan = Scan {
            segments_reversed: false,
            lines_reversed: false,
            start_line: 0,
            offset: 0,
            multiplex: 63,
            pins: 0x12,
        };
        Self {
            chip,
            height,
            memory: [[NOISE; SH1106_WIDTH]; PAGES],
            addressing: Addressing::Page,
            columns: 0..=if is_sh1106 { SH1106_WIDTH } else { WIDTH } - 1,
            pages: 0..=PAGES - 1,
            column: 0,
            page: 0,
            scan,
            contrast: if is_sh1106 { 0x80 } else { 0x7f },
            switches: Switches { pump: is_sh1106, display: false, inverse: false, all_lit: false },
            bytes: 0,
        }
    }

    /// One I2C write message without its address: a control byte and what follows it.
    pub fn write(&mut self, message: &[u8]) -> Result<(), String> {
        // The address is a byte on the wire too.
        self.bytes += 1 + message.len() as u64;
        let mut bytes = told_apart(message)?.into_iter();
        while let Some(byte) = bytes.next() {
            let command = match byte {
                Byte::Data(data) => {
                    self.data(data)?;
                    continue;
                }
                Byte::Command(command) => command,
            };
            let mut arguments = [0; 2];
            for argument in arguments.iter_mut().take(self.arguments(command)) {
                *argument = match bytes.next() {
                    Some(Byte::Command(argument)) => argument,
                    Some(Byte::Data(_)) | None => return Err(format!("{command:#04x} lacks an argument")),
                };
            }
            self.command(command, arguments)
                .map_err(|why| format!("{command:#04x} {arguments:02x?}: {why}"))?;
        }
        Ok(())
    }

    /// Lit, as a person sees it: `x` from the left, `y` from above.
    pub fn pixel(&self, x: usize, y: usize) -> bool {
        assert!(x < WIDTH && y < self.height, "({x}, {y}) is beside the glass");
        let unconnected = match self.chip {
            Chip::Ssd1306 => 0,
            Chip::Sh1106 => 2,
        };
        let segment = unconnected + WIDTH - 1 - x;
        let scanned = if self.scan.lines_reversed { y } else { self.height - 1 - y };
        let line = (scanned + self.scan.start_line + self.scan.offset) % LINES;
        let in_memory = self.memory[line / 8][segment] >> (line % 8) & 1 == 1;
        self.is_on() && (self.switches.all_lit || in_memory != self.switches.inverse)
    }

    /// Switched on, with a voltage to show something by.
    pub fn is_on(&self) -> bool {
        self.switches.display && self.switches.pump
    }

    pub fn contrast(&self) -> u8 {
        self.contrast
    }

    /// All that were ever sent to it, addresses included; each takes nine clocks.
    pub fn bytes_on_the_wire(&self) -> u64 {
        self.bytes
    }

    fn data(&mut self, data: u8) -> Result<(), String> {
        let (column, page) = (self.column, self.page);
        if column > self.last_column() {
            return Err(format!("data for column {column} of {}", self.last_column() + 1));
        }
        if page >= self.height / 8 {
            return Err(format!("data for page {page} of a module with {} lines", self.height));
        }
        let reversed = self.scan.segments_reversed;
        // Only for what is written from now on, as rev. 1.5 has it.
        self.memory[page][if reversed { self.last_column() - column } else { column }] = data;
        match self.addressing {
            Addressing::Page => self.column += 1,
            Addressing::Horizontal if step(&mut self.column, &self.columns) => {
                step(&mut self.page, &self.pages);
            }
            Addressing::Vertical if step(&mut self.page, &self.pages) => {
                step(&mut self.column, &self.columns);
            }
            Addressing::Horizontal | Addressing::Vertical => {}
        }
        Ok(())
    }

    fn arguments(&self, command: u8) -> usize {
        match (command, self.chip) {
            (0x21 | 0x22, Chip::Ssd1306) => 2,
            (0x20 | 0x8d, Chip::Ssd1306)
            | (0xad, Chip::Sh1106)
            | (0x81 | 0xa8 | 0xd3 | 0xd5 | 0xd9 | 0xda | 0xdb, _) => 1,
            _ => 0,
        }
    }

    fn command(&mut self, command: u8, arguments: [u8; 2]) -> Result<(), String> {
        let [argument, _] = arguments;
        match (command, self.chip) {
            (0x00..=0x22 | 0xb0..=0xb7, _) => return self.address(command, arguments),
            (0xd9, _) if [argument & 0x0f, argument >> 4].contains(&0) => {
                return Err("a phase without length".into());
            }
            (0x2e, Chip::Ssd1306) | (0x30..=0x33 | 0xdb, Chip::Sh1106) | (0xd5 | 0xd9 | 0xe3, _) => {}
            (0x40..=0x7f, _) => self.scan.start_line = usize::from(command & 0x3f),
            (0x81, _) => self.contrast = argument,
            (0x8d, Chip::Ssd1306) => self.switches.pump = one_of(argument, &[0x10, 0x14])? == 0x14,
            (0xa0 | 0xa1, _) => self.scan.segments_reversed = command == 0xa1,
            (0xa4 | 0xa5, _) => self.switches.all_lit = command == 0xa5,
            (0xa6 | 0xa7, _) => self.switches.inverse = command == 0xa7,
            (0xa8, _) if (15..=63).contains(&argument) => self.scan.multiplex = argument,
            (0xad, Chip::Sh1106) if self.switches.display => return Err("not while the display is on".into()),
            (0xad, Chip::Sh1106) => self.switches.pump = one_of(argument, &[0x8a, 0x8b])? == 0x8b,
            (0xae, _) => self.switches.display = false,
            (0xaf, _) => return self.switch_on(),
            (0xc0 | 0xc8, _) => self.scan.lines_reversed = command == 0xc8,
            (0xd3, _) if argument < 64 => self.scan.offset = usize::from(argument),
            (0xda, Chip::Ssd1306) => self.scan.pins = one_of(argument, &[0x02, 0x12, 0x22, 0x32])?,
            (0xda, Chip::Sh1106) => self.scan.pins = one_of(argument, &[0x02, 0x12])?,
            // 0x40 is in no table of the data sheet, but in its own example.
            (0xdb, Chip::Ssd1306) => _ = one_of(argument, &[0x00, 0x20, 0x30, 0x40])?,
            (0xa8 | 0xd3, _) => return Err("an argument out of bounds".into()),
            _ => return Err(format!("no command of the {:?}", self.chip)),
        }
        Ok(())
    }

    fn address(&mut self, command: u8, [from, to]: [u8; 2]) -> Result<(), String> {
        let window = |last: usize| {
            let (from, to) = (usize::from(from), usize::from(to));
            (from <= to && to <= last).then_some(from..=to).ok_or("a window beyond the memory")
        };
        let (by_page, low) = (self.addressing == Addressing::Page, usize::from(command & 0x0f));
        match (command, self.chip) {
            (0x20, Chip::Ssd1306) => {
                self.addressing = match from {
                    0 => Addressing::Horizontal,
                    1 => Addressing::Vertical,
                    2 => Addressing::Page,
                    _ => return Err("no such addressing".into()),
                }
            }
            (0x21 | 0x22, Chip::Ssd1306) if by_page => return Err("not while addressing by page".into()),
            (0x21, Chip::Ssd1306) => {
                self.columns = window(WIDTH - 1)?;
                self.column = *self.columns.start();
            }
            (0x22, Chip::Ssd1306) => {
                self.pages = window(PAGES - 1)?;
                self.page = *self.pages.start();
            }
            (0x20.., Chip::Sh1106) if command < 0xb0 => return Err("no command of the Sh1106".into()),
            _ if !by_page => return Err("only while addressing by page".into()),
            (0x00..=0x0f, _) => self.column = self.column & 0xf0 | low,
            (0x10..=0x1f, _) => self.column = low << 4 | self.column & 0x0f,
            _ => self.page = low,
        }
        Ok(())
    }

    /// Dark without its pump, but that shows; lines in disorder are harder to see for a test.
    fn switch_on(&mut self) -> Result<(), String> {
        let wired = if self.height == 64 { 0x12 } else { 0x02 };
        if usize::from(self.scan.multiplex) + 1 != self.height || self.scan.pins != wired {
            return Err(format!("lines in disorder: {} want other 0xa8 and 0xda", self.height));
        }
        self.switches.display = true;
        Ok(())
    }

    fn last_column(&self) -> usize {
        match self.chip {
            Chip::Ssd1306 => WIDTH - 1,
            Chip::Sh1106 => SH1106_WIDTH - 1,
        }
    }
}

/// Two lines in one row of text.
impl fmt::Display for Oled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for y in (0..self.height).step_by(2) {
            let row = (0..WIDTH).map(|x| match (self.pixel(x, y), self.pixel(x, y + 1)) {
                (false, false) => ' ',
                (false, true) => '\u{2584}',
                (true, false) => '\u{2580}',
                (true, true) => '\u{2588}',
            });
            writeln!(f, "{}", row.collect::<String>().trim_end())?;
        }
        Ok(())
    }
}

/// A control byte says what the next byte is, or what all that follow are (chapter 8.1.5.2).
fn told_apart(message: &[u8]) -> Result<Vec<Byte>, String> {
    let mut bytes = Vec::new();
    let mut rest = message;
    while let [control, after @ ..] = rest {
        if control & 0x3f != 0 || after.is_empty() {
            return Err(format!("{control:#04x} is no control byte with something behind it"));
        }
        let kind = if control & 0x40 == 0 { Byte::Command } else { Byte::Data };
        let (told, next) = after.split_at(if control & 0x80 == 0 { after.len() } else { 1 });
        bytes.extend(told.iter().copied().map(kind));
        rest = next;
    }
    Ok(bytes)
}

/// The next in the window; `true`: the first again.
fn step(position: &mut usize, window: &RangeInclusive<usize>) -> bool {
    let is_last = *position >= *window.end();
    *position = if is_last { *window.start() } else { *position + 1 };
    is_last
}

fn one_of(argument: u8, known: &[u8]) -> Result<u8, String> {
    known.contains(&argument).then_some(argument).ok_or_else(|| format!("not one of {known:02x?}"))
}

#[cfg(test)]
mod tests;
