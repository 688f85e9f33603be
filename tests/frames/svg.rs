//! The screen as one sees it: light dots on black glass.

use std::fmt::Write as _;

use byway::panel::screen::{Frame, Size};

const COLUMNS: usize = 4;
/// Around a screen, for its caption too.
const MARGIN: usize = 14;
/// Dots of the page for one of the screen.
const SCALE: usize = 2;

pub(crate) fn sheet(pictures: &[(String, Frame)]) -> String {
    let (mut top, mut screens) = (MARGIN, String::new());
    for row in pictures.chunks(COLUMNS) {
        for (nth, (caption, frame)) in row.iter().enumerate() {
            let left = MARGIN + nth * (Size::WIDTH + MARGIN);
            _ = writeln!(screens, "{}", screen(left, top, caption, frame));
        }
        let tallest = row.iter().map(|(_, frame)| frame.screen().height()).max().unwrap_or_default();
        top += tallest + 2 * MARGIN;
    }
    let width = COLUMNS * (Size::WIDTH + MARGIN) + MARGIN;
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{}" height="{}">
<style>rect{{fill:#05070a}}path{{stroke:#cfe8ff;stroke-width:.86;stroke-dasharray:.86 .14}}text{{font:4.5px sans-serif;fill:#444}}</style>
<rect width="100%" height="100%" style="fill:#f4f4f2"/>
{screens}</svg>
"#,
        width * SCALE,
        top * SCALE
    )
}

fn screen(left: usize, top: usize, caption: &str, frame: &Frame) -> String {
    let height = frame.screen().height();
    let mut dots = String::new();
    for y in 0..height {
        let mut x = 0;
        while x < Size::WIDTH {
            let run = (x..Size::WIDTH).take_while(|x| frame.dot(*x, y)).count();
            if run > 0 {
                _ = write!(dots, "M{x} {y}h{run}");
            }
            x += run.max(1);
        }
    }
    format!(
        concat!(
            r#"<g transform="translate({left} {top})"><rect x="-3" y="-3" width="{glass}" height="{}" rx="2"/>"#,
            r#"<path transform="translate(.07 .5)" d="{dots}"/><text x="-3" y="{}">{}</text></g>"#
        ),
        height + 6,
        height + 9,
        caption.replace('&', "&amp;").replace('<', "&lt;"),
        left = left,
        top = top,
        glass = Size::WIDTH + 6,
        dots = dots,
    )
}
