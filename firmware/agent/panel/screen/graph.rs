//! How much went through, a column of dots for each span of time.

use embedded_graphics::Drawable as _;
use embedded_graphics::geometry::{Point, Size as Extent};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::primitives::{Primitive as _, PrimitiveStyle, Rectangle};

use super::Frame;

/// Bytes of a column below which no more than this is to be seen, however quiet it is: what keeps a tailnet alive is no
/// traffic.
const LEAST_TOP: u64 = 1_000_000;

/// `columns`: bytes, the newest last, on the right; what there is no room for is left out. The tallest one is as high as
/// there is room, the others by the root of their share, so that a film can be seen beside a download.
pub(super) fn draw(columns: &[u64], room: Rectangle, frame: &mut Frame) {
    let width = usize::try_from(room.size.width).unwrap_or(usize::MAX);
    let shown = &columns[columns.len().saturating_sub(width)..];
    let top = shown.iter().copied().max().unwrap_or_default().max(LEAST_TOP);
    let bottom = room.top_left + room.size.y_axis();
    for (nth, bytes) in (1..).zip(shown.iter().rev()) {
        // A dot even of nothing, so that one sees where nothing was.
        let height = 1 + share(*bytes, top, room.size.height - 1);
        let bar = Rectangle::new(
            bottom + room.size.x_axis() - Point::new(nth, height.cast_signed()),
            Extent::new(1, height),
        );
        let Ok(()) = bar.into_styled(PrimitiveStyle::with_fill(BinaryColor::On)).draw(frame);
    }
}

fn share(bytes: u64, top: u64, height: u32) -> u32 {
    let squared = u128::from(bytes) * u128::from(height).pow(2) / u128::from(top);
    u32::try_from(squared.isqrt()).unwrap_or(height).min(height)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panel::screen::Size;

    fn heights(columns: &[u64]) -> Vec<usize> {
        let mut frame = Frame::dark(Size::Half);
        draw(columns, Rectangle::new(Point::new(80, 10), Extent::new(48, 10)), &mut frame);
        (80..128).map(|x| (0..32).filter(|y| frame.dot(x, *y)).count()).collect()
    }

    #[test]
    fn an_idle_line_is_flat_and_a_download_is_not() {
        let idle = heights(&[0, 5_000, 900, 12_000, 0]);
        assert_eq!(idle[..43], [0; 43]);
        assert_eq!(idle[43..], [1; 5]);
        let download = heights(&[0, 40_000_000, 400_000_000, 4_000_000]);
        assert_eq!(download[44..], [1, 3, 10, 1]);
    }

    #[test]
    fn only_the_newest_are_shown_where_there_are_more_than_fit() {
        let mut columns = vec![u64::MAX];
        columns.extend([2_000_000; 48]);
        assert_eq!(heights(&columns), [10; 48]);
    }
}
