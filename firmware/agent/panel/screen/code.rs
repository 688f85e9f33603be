//! A link as a QR code, dark on light, with dots that a telephone can tell apart.

use embedded_graphics::Drawable as _;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget as _;
use embedded_graphics::geometry::{Point, Size as Extent};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::primitives::{PointsIter as _, Primitive as _, PrimitiveStyle, Rectangle};
use qrcodegen::{QrCode, QrCodeEcc};

use super::{Frame, Size};

/// Of light around it, in modules, as the standard has it.
const QUIET: u32 = 4;
/// Above and below, in dots, where there is no room for more: readers are content with it, and with larger dots more so.
const LEAST_QUIET: u32 = 3;

/// One that fits its screen; with what is lit around it.
pub(super) struct Code {
    modules: QrCode,
    /// In dots, each way.
    scale: u32,
    extent: Extent,
}

impl Code {
    /// None where it is too long for the screen.
    pub(super) fn of(link: &str, screen: Size) -> Option<Self> {
        let modules = QrCode::encode_text(link, QrCodeEcc::Low).ok()?;
        let across = modules.size().unsigned_abs();
        let height = screen.extent().height;
        let scale = ((height - 2 * LEAST_QUIET) / across).min(2);
        let whole = (across + 2 * QUIET) * scale;
        (scale > 0).then_some(Self { modules, scale, extent: Extent::new(whole, whole.min(height)) })
    }

    pub(super) const fn extent(&self) -> Extent {
        self.extent
    }

    pub(super) fn draw(&self, at: Point, frame: &mut Frame) {
        let lit = Rectangle::new(at, self.extent);
        let Ok(()) = lit.into_styled(PrimitiveStyle::with_fill(BinaryColor::On)).draw(frame);
        let across = Extent::new_equal(self.modules.size().unsigned_abs() * self.scale);
        let corner = at + (self.extent - across) / 2;
        let scale = self.scale.cast_signed();
        let dark = Rectangle::new(Point::zero(), across)
            .points()
            .filter(|dot| self.modules.get_module(dot.x / scale, dot.y / scale));
        let Ok(()) = frame.draw_iter(dark.map(|dot| Pixel(corner + dot, BinaryColor::Off)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAILSCALE: &str = "https://login.tailscale.com/a/1f2e3d4c5b6a79";
    const HEADSCALE: &str = "https://headscale.example.com/register/hskey-authreq-GoodMorningGoodMorning1";

    /// As a camera sees the glass, black around it, six by six for each dot.
    fn read(frame: &Frame) -> Vec<String> {
        const DOT: usize = 6;
        const RIM: usize = 10;
        let [width, height] = [Size::WIDTH, frame.screen().height()].map(|dots| (dots + 2 * RIM) * DOT);
        let seen = |x: usize, y: usize| {
            let dot = (x / DOT).checked_sub(RIM).zip((y / DOT).checked_sub(RIM));
            if dot.is_some_and(|(x, y)| frame.dot(x, y)) { 220 } else { 8 }
        };
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, seen);
        image.detect_grids().iter().filter_map(|grid| Some(grid.decode().ok()?.1)).collect()
    }

    fn drawn(link: &str, screen: Size, at: Point) -> Frame {
        let mut frame = Frame::dark(screen);
        Code::of(link, screen).expect("room").draw(at, &mut frame);
        frame
    }

    #[test]
    fn another_reads_what_was_drawn_wherever_it_is_moved() {
        for (link, screen) in
            [(TAILSCALE, Size::Whole), (HEADSCALE, Size::Whole), ("HTTPS://EXAMPLE.COM/A", Size::Half)]
        {
            for x in 0..=2 {
                let frame = drawn(link, screen, Point::new(x, 0));
                assert_eq!(read(&frame), [link], "\n{frame}");
            }
        }
    }

    #[test]
    fn dots_are_as_large_as_there_is_room_for() {
        let scale = |link, screen| Code::of(link, screen).map(|code| code.scale);
        assert_eq!(scale(TAILSCALE, Size::Whole), Some(2));
        assert_eq!(scale(HEADSCALE, Size::Whole), Some(1));
        assert_eq!(scale(HEADSCALE, Size::Half), None);
    }

    #[test]
    fn a_link_is_drawn_if_and_only_if_the_core_says_that_there_is_room() {
        for screen in [Size::Whole, Size::Half] {
            let of = |bytes| Code::of(&"x".repeat(bytes), screen);
            let longest = screen.room().link;
            assert!(of(longest).is_some() && of(longest + 1).is_none(), "{longest} on {screen}");
        }
    }
}
