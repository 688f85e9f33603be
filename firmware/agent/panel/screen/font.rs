//! Letters: the alphabets of Europe in three sizes, and the big word.

use embedded_graphics::Drawable as _;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget as _;
use embedded_graphics::geometry::{Point, Size as Extent};
use embedded_graphics::mono_font::{
    MonoFont, MonoTextStyle, iso_8859_1, iso_8859_2, iso_8859_3, iso_8859_4, iso_8859_5, iso_8859_7,
    iso_8859_9, iso_8859_10, iso_8859_13, iso_8859_14, iso_8859_15, iso_8859_16,
};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::primitives::{PointsIter as _, Primitive as _, PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Baseline, Text};

use super::{Frame, Size};

/// One size of letters, all equally wide.
#[derive(Clone, Copy, Debug)]
pub(super) struct Font {
    /// The first that has a letter draws it.
    alphabets: [MonoFont<'static>; 12],
}

macro_rules! font {
    ($size:ident) => {
        Font {
            alphabets: [
                iso_8859_1::$size,
                iso_8859_2::$size,
                iso_8859_3::$size,
                iso_8859_4::$size,
                iso_8859_5::$size,
                iso_8859_7::$size,
                iso_8859_9::$size,
                iso_8859_10::$size,
                iso_8859_13::$size,
                iso_8859_14::$size,
                iso_8859_15::$size,
                iso_8859_16::$size,
            ],
        }
    };
}

/// The largest first; the last takes whatever a [`byway_core::panel::Room`] has room for.
pub(super) static FONTS: [Font; 3] = [font!(FONT_7X13), font!(FONT_6X10), font!(FONT_5X8)];

/// Of what no alphabet has.
const UNKNOWN: char = '\u{fffd}';

impl Font {
    pub(super) const fn letter(&self) -> Extent {
        self.alphabets[0].character_size
    }

    pub(super) fn width(&self, line: &str) -> u32 {
        let letters = u32::try_from(line.chars().count()).unwrap_or(u32::MAX);
        letters.saturating_mul(self.letter().width)
    }

    /// `at`: the upper left corner.
    pub(super) fn draw(&self, line: &str, at: Point, frame: &mut Frame) {
        let mut at = at;
        for letter in line.chars() {
            self.draw_letter(letter, at, frame);
            at += self.letter().x_axis();
        }
    }

    fn draw_letter(&self, letter: char, at: Point, frame: &mut Frame) {
        let Ok(()) = match self.alphabets.iter().find(|alphabet| has(alphabet, letter)) {
            Some(alphabet) => draw_glyph(alphabet, letter, at, frame),
            None => Rectangle::new(at + Point::new(0, 1), self.letter() - Extent::new(1, 2))
                .into_styled(PrimitiveStyle::with_stroke(BinaryColor::On, 1))
                .draw(frame),
        };
    }
}

fn has(alphabet: &MonoFont<'_>, letter: char) -> bool {
    let unknown = alphabet.glyph_mapping.index(UNKNOWN);
    letter == '?' || alphabet.glyph_mapping.index(letter) != unknown
}

fn draw_glyph(
    font: &MonoFont<'_>,
    letter: char,
    at: Point,
    frame: &mut Frame,
) -> Result<(), std::convert::Infallible> {
    let style = MonoTextStyle::new(font, BinaryColor::On);
    Text::with_baseline(letter.encode_utf8(&mut [0; 4]), at, style, Baseline::Top).draw(frame).map(|_| ())
}

/// A to Z of the big word, and where they stand in their letter.
const BIG: MonoFont<'static> = iso_8859_1::FONT_9X15_BOLD;
const BIG_TOP: i32 = 2;
const BIG_ROWS: u32 = 10;

/// A word as wide and as high as may be.
#[derive(Debug)]
pub(super) struct BigWord {
    /// As the font has it.
    plain: Frame,
    /// Of that.
    columns: u32,
    /// What each of its dots becomes.
    dot: Extent,
}

impl BigWord {
    /// `room`: what there is to fill.
    pub(super) fn fit(word: &str, room: Extent) -> Self {
        let mut plain = Frame::dark(Size::Whole);
        let mut at = Point::new(0, -BIG_TOP);
        for letter in word.chars() {
            let Ok(()) = draw_glyph(&BIG, letter, at, &mut plain);
            at += BIG.character_size.x_axis();
        }
        // Without what keeps the last letter from the next.
        let columns = at.x.unsigned_abs().saturating_sub(1);
        let height = room.height / BIG_ROWS;
        let width = (room.width / columns.max(1)).clamp(1, height);
        Self { plain, columns, dot: Extent::new(width, height) }
    }

    pub(super) fn extent(&self) -> Extent {
        Extent::new(self.columns, BIG_ROWS).component_mul(self.dot)
    }

    pub(super) fn draw(&self, at: Point, frame: &mut Frame) {
        let whole = Rectangle::new(Point::zero(), self.extent());
        let lit = whole.points().filter(|point| self.is_lit(*point));
        let Ok(()) = frame.draw_iter(lit.map(|point| Pixel(at + point, BinaryColor::On)));
    }

    /// Every dot grows into a block, and a block's corner goes with the two neighbours that meet there, as in EPX: a
    /// slope has no steps then.
    fn is_lit(&self, point: Point) -> bool {
        let [width, height] = [self.dot.width, self.dot.height].map(u32::cast_signed);
        let (x, y) = (point.x / width, point.y / height);
        let at = |x: i32, y: i32| {
            usize::try_from(x).ok().zip(usize::try_from(y).ok()).is_some_and(|(x, y)| self.plain.dot(x, y))
        };
        // Twice the distance from the block's edges, in parts of its width times its height.
        let (left, above) = ((2 * (point.x % width) + 1) * height, (2 * (point.y % height) + 1) * width);
        let whole = 2 * width * height;
        let (side, left) = if left * 2 < whole { (-1, left) } else { (1, whole - left) };
        let (end, above) = if above * 2 < whole { (-1, above) } else { (1, whole - above) };
        let (beside, over) = (at(x + side, y), at(x, y + end));
        let is_corner = (left + above) * 2 <= whole;
        if is_corner && beside == over && beside != at(x - side, y) && over != at(x, y - end) {
            beside
        } else {
            at(x, y)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(font: &Font, letter: char) -> Frame {
        let mut frame = Frame::dark(Size::Half);
        font.draw_letter(letter, Point::zero(), &mut frame);
        frame
    }

    #[test]
    fn the_names_of_europe_can_be_written() {
        let unknown = '\u{6f22}';
        for letter in "\u{e5}\u{e6}\u{f8}\u{df}\u{f1}\u{e7}\u{142}\u{159}\u{151}\u{11f}\u{131}"
            .chars()
            .chain('\u{3b1}'..='\u{3c9}')
            .chain('\u{430}'..='\u{44f}')
            .chain("\u{127}\u{101}\u{175}\u{219}\u{20ac}\u{153}\u{f0}\u{fe}".chars())
        {
            for font in &FONTS {
                let frame = drawn(font, letter);
                assert!(frame != Frame::dark(Size::Half), "{letter} is blank");
                assert!(frame != drawn(font, unknown) && frame != drawn(font, '?'), "{letter} is unknown");
            }
        }
    }

    #[test]
    fn what_no_alphabet_has_is_seen_to_be_missing() {
        for font in &FONTS {
            let frame = drawn(font, '\u{6f22}');
            let lit: u32 = frame.strips().iter().flatten().map(|column| column.count_ones()).sum();
            assert!(lit > 10 && frame != drawn(font, '?'));
        }
    }

    #[test]
    fn a_letter_of_the_big_word_is_cut_nowhere() {
        let rows = |letter| {
            let mut frame = Frame::dark(Size::Whole);
            let Ok(()) = draw_glyph(&BIG, letter, Point::zero(), &mut frame);
            (0..64).filter(move |y| (0..128).any(|x| frame.dot(x, *y))).collect::<Vec<_>>()
        };
        for letter in ('A'..='Z').filter(|letter| *letter != 'Q') {
            assert_eq!(rows(letter), (2..12).collect::<Vec<_>>(), "{letter}");
        }
    }
}
