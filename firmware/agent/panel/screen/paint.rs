//! What a scene looks like: the big word, the lines below it, the graph or the code, each as large as there is room for.

use byway_core::panel::{Page, Picture, Scene, Shift};
use embedded_graphics::Drawable as _;
use embedded_graphics::geometry::{Dimensions as _, Point, Size as Extent};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::primitives::{Primitive as _, PrimitiveStyle, Rectangle};

use super::code::Code;
use super::font::{BigWord, FONTS, Font};
use super::{Frame, Size, graph};

/// Between text and graph.
const GAP: u32 = 4;

pub fn paint(scene: &Scene, screen: Size) -> Frame {
    let page = match &scene.picture {
        Picture::Full => return Frame::lit(screen),
        Picture::Frame => return edge(screen),
        Picture::Page(page) => page,
    };
    let mut frame = Frame::dark(screen);
    match page.link.as_deref().and_then(|link| Code::of(link, screen)) {
        Some(code) => with_code(&code, page, scene.shift, &mut frame),
        None => Layout::of(page, scene.shift, screen).draw(page, &scene.graph, &mut frame),
    }
    frame
}

/// Where what belongs, for a page of text.
#[derive(Debug)]
struct Layout {
    word: Option<(BigWord, Point)>,
    font: &'static Font,
    /// Of the first line.
    text: Point,
    /// From one line to the next.
    pitch: u32,
    /// As far as anything may reach to the right.
    right: i32,
}

impl Layout {
    fn of(page: &Page, shift: Shift, screen: Size) -> Self {
        let farthest = Extent::new(Shift::FARTHEST.x.into(), Shift::FARTHEST.y.into());
        let whole = screen.extent();
        let room = whole - farthest;
        let shift = Point::new(shift.x.into(), shift.y.into());
        let word = (!page.headline.is_empty())
            .then(|| BigWord::fit(page.headline, Extent::new(room.width, word_height(screen))));
        let above = word.as_ref().map_or(0, |word| word.extent().height + 1);
        let font = font_for(page, Extent::new(room.width, room.height - above));
        let (lines, height) = (rows(page), font.letter().height);
        let free = (room.height - above).saturating_sub(lines * height);
        let pitch = height + (free / lines.max(1)).min(2);
        let used = above + lines.saturating_sub(1) * pitch + if lines > 0 { height } else { 0 };
        // A page full of lines has no room to move down.
        let shift = Point::new(shift.x, shift.y.min(whole.height.saturating_sub(used).cast_signed()));
        let left_over = room.height.saturating_sub(used);
        // The word stands still while pages turn.
        let start = if lines == 0 { left_over / 2 } else { 0 };
        let below = if lines == 0 { above } else { above + left_over / 2 };
        let width = page.lines.iter().map(|line| font.width(line)).max().unwrap_or_default();
        let left = if page.graph { 0 } else { room.width.saturating_sub(width) / 2 };
        let centred = |word: BigWord| {
            let left = (room.width - word.extent().width.min(room.width)) / 2;
            (word, shift + Extent::new(left, start))
        };
        Self {
            word: word.map(centred),
            font,
            text: shift + Extent::new(left, below),
            pitch,
            right: shift.x + room.width.cast_signed(),
        }
    }

    fn draw(&self, page: &Page, graph: &[u64], frame: &mut Frame) {
        if let Some((word, at)) = &self.word {
            word.draw(*at, frame);
        }
        let mut at = self.text;
        for line in &page.lines {
            self.font.draw(line, at, frame);
            at += Extent::new(0, self.pitch);
        }
        if page.graph {
            graph::draw(graph, self.beside_the_last_line(page), frame);
        }
    }

    fn beside_the_last_line(&self, page: &Page) -> Rectangle {
        let last = page.lines.last().map_or(0, |line| self.font.width(line) + GAP);
        let down = rows(page).saturating_sub(1) * self.pitch;
        let at = self.text + Extent::new(last, down);
        let width = (self.right - at.x).max(0).unsigned_abs();
        Rectangle::new(at, Extent::new(width, self.font.letter().height))
    }
}

const fn word_height(screen: Size) -> u32 {
    match screen {
        Size::Whole => 30,
        Size::Half => 20,
    }
}

/// The largest that leaves nothing out.
fn font_for(page: &Page, room: Extent) -> &'static Font {
    let fits = |font: &&Font| {
        let high = rows(page) * font.letter().height <= room.height;
        high && page.lines.iter().all(|line| font.width(line) <= room.width)
    };
    FONTS.iter().find(fits).unwrap_or(&FONTS[FONTS.len() - 1])
}

fn rows(page: &Page) -> u32 {
    u32::try_from(page.lines.len()).unwrap_or(u32::MAX)
}

/// The code, and what it is for beside it. It moves sideways alone: above and below there is no more light than it needs.
fn with_code(code: &Code, page: &Page, shift: Shift, frame: &mut Frame) {
    let whole = frame.bounding_box().size;
    let down = (whole.height - code.extent().height) / 2;
    let at = Point::new(shift.x.into(), down.cast_signed());
    code.draw(at, frame);
    let font = &FONTS[0];
    let beside = whole.width - u32::from(Shift::FARTHEST.x) - code.extent().width;
    let free = beside.saturating_sub(font.width(page.headline));
    let middle = (whole.height - font.letter().height) / 2;
    let at = Point::new(shift.x.into(), middle.cast_signed());
    font.draw(page.headline, at + Extent::new(code.extent().width + free / 2, 0), frame);
}

/// A line along the very edge, which way is up, and how many dots it thinks it has.
fn edge(screen: Size) -> Frame {
    let mut frame = Frame::dark(screen);
    let line = PrimitiveStyle::with_stroke(BinaryColor::On, 1);
    let Ok(()) = frame.bounding_box().into_styled(line).draw(&mut frame);
    let page = Page { lines: vec![String::from("TOP"), screen.to_string()], ..Page::default() };
    Layout::of(&page, Shift::default(), screen).draw(&page, &[], &mut frame);
    frame
}
