//! The panel as other people's scripts read it: what it shows, dot by dot and in words, and on what. Paints nothing.

use byway_core::Uptime;
use byway_core::panel::{Lamps, Level, Picture, Test, Told};
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget as _;
use embedded_graphics::geometry::Point;
use embedded_graphics::pixelcolor::BinaryColor;
use serde::{Deserialize, Serialize};

use crate::panel::screen::{Frame, Health, Size};
use crate::panel::{On, Shown};

/// Of dots in a row, by one hex digit.
const NIBBLE: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Panel {
    pub light: Light,
    pub screen: Screen,
    pub button: Button,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Light {
    /// `"privacy"`, `"residential"`, `"working"`, `"paused"`, `"needs the owner"`, `"let go to pause"`, `"let go to go on"`,
    /// `"let go to restart"` or `"a test"`.
    pub says: String,
    /// What two lamps show at this moment: `"red"`, `"green"`, `"amber"` (both) or `"dark"`.
    pub lamps: Colour,
    /// `"panel"`: its own two; `"lamp"`: one of them alone, in rhythm; `"act"`: the Pi's own, in rhythm; null: no lamp was found.
    pub on: Option<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    Dark,
    Red,
    Green,
    Amber,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    Panel,
    Lamp,
    Act,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Screen {
    /// Where none was found, the picture is what one would show.
    pub found: bool,
    /// Why none was found, as a sentence.
    pub error: Option<String>,
    /// `"bright"`, `"dim"` or `"off"`.
    pub level: Level,
    /// In dots.
    pub width: usize,
    pub height: usize,
    /// The words of the page, from above; none for a test picture.
    pub says: Vec<String>,
    /// From above, hex digits for four dots each, the left one first.
    pub rows: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    pub found: bool,
    /// Since when it is held; null: it is not.
    pub held_ms: Option<u64>,
    /// Something lies on it.
    pub stuck: bool,
    /// Since the agent's start.
    pub presses: u32,
}

/// What the panel is asked to show in place of the truth, for two minutes at most.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestRequest {
    /// Null: the truth again.
    pub show: Option<Show>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Show {
    Red,
    Green,
    Amber,
    Dark,
    /// Every dot of the screen lit.
    Full,
    /// A frame along the screen's edge, and a word that shows which way is up.
    Frame,
    /// Nothing but presses is waited for, and they do nothing.
    Button,
}

impl Panel {
    pub fn new(shown: &Shown) -> Self {
        let Shown { told, frame, lamps, button, screen, now } = shown;
        let lamps = lamps.map(|on| match on {
            On::Panel => Place::Panel,
            On::Lamp => Place::Lamp,
            On::Act => Place::Act,
        });
        Self {
            light: Light { says: told.light.to_string(), lamps: told.lamps.into(), on: lamps },
            screen: Screen::new(told, frame, screen),
            button: Button {
                found: *button,
                held_ms: told.held.map(|since| held_ms(*now, since)),
                stuck: told.stuck,
                presses: told.presses,
            },
        }
    }
}

impl Screen {
    fn new(told: &Told, frame: &Frame, health: &Health) -> Self {
        let height = frame.screen().height();
        Self {
            found: health.found,
            error: health.error.clone(),
            level: told.scene.level,
            width: Size::WIDTH,
            height,
            says: words(&told.scene.picture),
            rows: (0..height).map(|y| row(frame, y)).collect(),
        }
    }

    /// The picture again; whatever is no digit is dark.
    pub fn frame(&self) -> Frame {
        let mut frame = Frame::dark(if self.height > 32 { Size::Whole } else { Size::Half });
        let dots = self.rows.iter().zip(0..).flat_map(|(row, y)| {
            let digits = row.chars().zip((0..).step_by(NIBBLE));
            let lit = |digit: char| digit.to_digit(16).unwrap_or_default();
            digits.flat_map(move |(digit, x)| {
                let dots = (0..4).filter(move |nth| lit(digit) & (8 >> nth) != 0);
                dots.map(move |nth| Pixel(Point::new(x + nth, y), BinaryColor::On))
            })
        });
        let Ok(()) = frame.draw_iter(dots);
        frame
    }
}

impl From<Lamps> for Colour {
    fn from(lamps: Lamps) -> Self {
        match (lamps.red, lamps.green) {
            (false, false) => Self::Dark,
            (true, false) => Self::Red,
            (false, true) => Self::Green,
            (true, true) => Self::Amber,
        }
    }
}

impl From<Show> for Test {
    fn from(show: Show) -> Self {
        match show {
            Show::Red => Self::Light(Lamps::RED),
            Show::Green => Self::Light(Lamps::GREEN),
            Show::Amber => Self::Light(Lamps::AMBER),
            Show::Dark => Self::Light(Lamps::DARK),
            Show::Full => Self::Full,
            Show::Frame => Self::Frame,
            Show::Button => Self::Button,
        }
    }
}

fn held_ms(now: Uptime, since: Uptime) -> u64 {
    u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX)
}

fn words(picture: &Picture) -> Vec<String> {
    match picture {
        Picture::Page(page) => {
            let headline = Some(page.headline).filter(|headline| !headline.is_empty());
            let headline = headline.map(str::to_owned);
            headline.into_iter().chain(page.lines.iter().cloned()).chain(page.link.clone()).collect()
        }
        Picture::Full | Picture::Frame => Vec::new(),
    }
}

fn row(frame: &Frame, y: usize) -> String {
    let digit = |x: usize| {
        let lit = (x..x + NIBBLE).fold(0, |bits, x| bits << 1 | u32::from(frame.dot(x, y)));
        char::from_digit(lit, 16).unwrap_or('0')
    };
    (0..Size::WIDTH).step_by(NIBBLE).map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(frame: &Frame) -> Screen {
        let height = frame.screen().height();
        Screen {
            found: true,
            error: None,
            level: Level::Bright,
            width: Size::WIDTH,
            height,
            says: Vec::new(),
            rows: (0..height).map(|y| row(frame, y)).collect(),
        }
    }

    #[test]
    fn a_picture_comes_back_dot_by_dot() {
        for size in [Size::Whole, Size::Half] {
            let mut frame = Frame::dark(size);
            let corners = [(0, 0), (1, 0), (127, 0), (6, 9), (0, 31), (127, 31)];
            let dots = corners.map(|(x, y)| Pixel(Point::new(x, y), BinaryColor::On));
            let Ok(()) = frame.draw_iter(dots);
            let told = screen(&frame);
            assert_eq!(told.rows.len(), size.height());
            assert_eq!(told.rows[0], format!("c{}1", "0".repeat(30)));
            assert_eq!(told.rows[9], format!("02{}", "0".repeat(30)));
            for frame in [frame, Frame::lit(size)] {
                let again = screen(&frame).frame();
                assert_eq!((again.screen(), again.strips()), (size, frame.strips()));
            }
        }
    }

    #[test]
    fn a_picture_of_another_version_is_dark_where_it_makes_no_sense() {
        let mut told = screen(&Frame::dark(Size::Half));
        told.rows = Vec::from(["zz\u{e5}".to_owned(), "f".repeat(99), String::new()]);
        assert_eq!(
            (told.frame().dot(0, 0), told.frame().dot(127, 1), told.frame().dot(0, 2)),
            (false, true, false)
        );
    }
}
