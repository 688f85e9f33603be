//! One picture as a screen holds it: its dots, in the order of the chips' memory.

use std::convert::Infallible;
use std::fmt;

use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Size as Extent};
use embedded_graphics::pixelcolor::BinaryColor;

use super::Size;

/// Eight rows of dots, a byte a column, the lowest bit on top.
pub type Strip = [u8; Size::WIDTH];

/// What is drawn beside it is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    screen: Size,
    /// From above; as many as it has.
    strips: Vec<Strip>,
}

impl Frame {
    pub fn dark(screen: Size) -> Self {
        Self::full_of(0, screen)
    }

    pub fn lit(screen: Size) -> Self {
        Self::full_of(u8::MAX, screen)
    }

    fn full_of(column: u8, screen: Size) -> Self {
        Self { screen, strips: vec![[column; Size::WIDTH]; screen.height() / 8] }
    }

    pub const fn screen(&self) -> Size {
        self.screen
    }

    /// From above.
    pub fn strips(&self) -> &[Strip] {
        &self.strips
    }

    /// Whether it is lit, from the left and from above; nothing beside the picture is.
    pub fn dot(&self, x: usize, y: usize) -> bool {
        let strip = self.strips().get(y / 8);
        strip.and_then(|strip| strip.get(x)).is_some_and(|column| column >> (y % 8) & 1 == 1)
    }

    /// Two rows of dots in each.
    pub fn rows(&self) -> impl Iterator<Item = String> {
        let row = move |y: usize| (0..Size::WIDTH).map(move |x| block(self.dot(x, y), self.dot(x, y + 1)));
        (0..self.screen.height()).step_by(2).map(move |y| row(y).collect())
    }
}

const fn block(upper: bool, lower: bool) -> char {
    match (upper, lower) {
        (false, false) => ' ',
        (true, false) => '\u{2580}',
        (false, true) => '\u{2584}',
        (true, true) => '\u{2588}',
    }
}

/// With a line around it, so that one sees where it ends.
impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let edge = "\u{2500}".repeat(Size::WIDTH);
        writeln!(f, "\u{250c}{edge}\u{2510}")?;
        for row in self.rows() {
            writeln!(f, "\u{2502}{row}\u{2502}")?;
        }
        write!(f, "\u{2514}{edge}\u{2518}")
    }
}

impl OriginDimensions for Frame {
    fn size(&self) -> Extent {
        self.screen.extent()
    }
}

impl DrawTarget for Frame {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, dots: I) -> Result<(), Self::Error>
    where
        I: IntoIterator<Item = Pixel<Self::Color>>,
    {
        for Pixel(at, colour) in dots {
            let (Ok(x), Ok(y)) = (usize::try_from(at.x), usize::try_from(at.y)) else { continue };
            let Some(column) = self.strips.get_mut(y / 8).and_then(|strip| strip.get_mut(x)) else {
                continue;
            };
            match colour {
                BinaryColor::On => *column |= 1 << (y % 8),
                BinaryColor::Off => *column &= !(1 << (y % 8)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use embedded_graphics::geometry::Point;

    use super::*;

    fn with(screen: Size, dots: &[(i32, i32)]) -> Frame {
        let mut frame = Frame::dark(screen);
        let Ok(()) = frame.draw_iter(dots.iter().map(|at| Pixel(Point::from(*at), BinaryColor::On)));
        frame
    }

    #[test]
    fn a_strip_has_its_lowest_bit_on_top() {
        let frame = with(Size::Whole, &[(0, 0), (0, 2), (5, 9), (127, 63)]);
        assert_eq!(frame.strips().len(), 8);
        assert_eq!((frame.strips()[0][0], frame.strips()[1][5], frame.strips()[7][127]), (5, 2, 128));
        assert!(frame.dot(5, 9) && !frame.dot(5, 8));
    }

    #[test]
    fn what_lies_beside_it_is_lost() {
        let beside = [(-1, 0), (0, -1), (128, 0), (0, 32)];
        assert_eq!(with(Size::Half, &beside).strips(), Frame::dark(Size::Half).strips());
        assert!(!Frame::lit(Size::Half).dot(0, 32) && !Frame::lit(Size::Half).dot(128, 0));
    }

    #[test]
    fn a_person_reads_two_rows_in_one() {
        let rows: Vec<String> = with(Size::Half, &[(0, 0), (1, 1), (2, 0), (2, 1)]).rows().collect();
        assert_eq!((rows.len(), rows[0].trim_end()), (16, "\u{2580}\u{2584}\u{2588}"));
    }
}
