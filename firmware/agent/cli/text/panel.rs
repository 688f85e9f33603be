//! The panel on paper: its picture as large as there is room for, and below it what it is shown on.

use std::fmt::{self, Write as _};

use byway_core::panel::Level;

use super::super::terminal::{Ink, Paper};
use super::{line, printable};
use crate::control::Panel;
use crate::control::panel::{Button, Colour, Light, Place, Screen};
use crate::panel::screen::{Frame, Size};

/// What is printed beside and below the picture.
const MARGIN: (usize, usize) = (2, 6);

/// What a person has seen of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Finding {
    pub(in super::super) part: Part,
    pub(in super::super) sight: Sight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Part {
    Light,
    Screen,
    Button,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Sight {
    Right(String),
    Wrong(String),
    Skipped(String),
}

impl Finding {
    pub(in super::super) const fn is_wrong(&self) -> bool {
        match self.sight {
            Sight::Wrong(_) => true,
            Sight::Right(_) | Sight::Skipped(_) => false,
        }
    }
}

/// One line a part, and what to do about what is wrong.
pub(in super::super) fn walked(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { part, sight } in findings {
        let (mark, detail) = match sight {
            Sight::Right(detail) => ("ok  ", detail),
            Sight::Wrong(detail) => ("FAIL", detail),
            Sight::Skipped(detail) => ("skip", detail),
        };
        _ = writeln!(text, "{mark} {:<8} {}", part.to_string(), printable(detail));
    }
    if findings.iter().any(Finding::is_wrong) {
        text.push_str("\nwhat may help\n");
    }
    for Finding { part, .. } in findings.iter().filter(|finding| finding.is_wrong()) {
        for advice in advice(*part) {
            line(&mut text, &part.to_string(), advice);
        }
    }
    text
}

const fn advice(part: Part) -> &'static [&'static str] {
    match part {
        Part::Light | Part::Button => &["compare its wires with the picture in board/rpi/panel.md"],
        Part::Screen => &[
            "upside down: write rotation = 180 below [panel] in byway.toml",
            "moved sideways, with snow at the edge: write driver = \"sh1106\"",
            "cut off, or only every second row: write size = \"128x32\", or \"128x64\"",
            "not found: compare its wires with the picture in board/rpi/panel.md, and bus and address",
        ],
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Light => "light",
            Self::Screen => "screen",
            Self::Button => "button",
        })
    }
}

pub(in super::super) fn panel(panel: &Panel, paper: Paper) -> String {
    let mut text = picture(&panel.screen, paper);
    line(&mut text, "light", &light(&panel.light, paper.ink));
    line(&mut text, "screen", &screen(&panel.screen));
    line(&mut text, "button", &button(&panel.button));
    text
}

/// By half blocks, which look as the screen does, where these fit.
fn picture(screen: &Screen, paper: Paper) -> String {
    let frame = match screen.level {
        Level::Off => Frame::dark(screen.frame().screen()),
        Level::Dim | Level::Bright => screen.frame(),
    };
    let fits = usize::from(paper.columns) >= Size::WIDTH + MARGIN.0
        && usize::from(paper.lines) >= frame.screen().height() / 2 + MARGIN.1;
    if fits { format!("{frame}\n") } else { braille(&frame) }
}

/// Two dots across and four down in each letter, with a line around.
fn braille(frame: &Frame) -> String {
    /// Unicode's order of the dots: down the left side and the right one, and then the lowest two.
    const DOTS: [(usize, usize); 8] = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)];
    let letter = |x: usize, y: usize| {
        let lit = DOTS.iter().enumerate().filter(|(_, (right, down))| frame.dot(x + right, y + down));
        match lit.fold(0, |letter, (nth, _)| letter | 1 << nth) {
            0 => ' ',
            lit => char::from_u32(0x2800 | lit).unwrap_or(' '),
        }
    };
    let edge = "\u{2500}".repeat(Size::WIDTH / 2);
    let mut text = format!("\u{250c}{edge}\u{2510}\n");
    for y in (0..frame.screen().height()).step_by(4) {
        let row: String = (0..Size::WIDTH).step_by(2).map(|x| letter(x, y)).collect();
        _ = writeln!(text, "\u{2502}{row}\u{2502}");
    }
    _ = writeln!(text, "\u{2514}{edge}\u{2518}");
    text
}

fn light(light: &Light, ink: Ink) -> String {
    let says = printable(&light.says);
    match light.on {
        Some(Place::Panel) => format!("{}: {says}", lamps(light.lamps, ink)),
        Some(Place::Lamp) => format!("{says}, by the rhythm of the panel's one lamp"),
        Some(Place::Act) => format!("{says}, by the rhythm of the Pi's own lamp"),
        None => format!("{}: {says}, but no lamp was found", lamps(light.lamps, ink)),
    }
}

fn lamps(colour: Colour, ink: Ink) -> String {
    let (name, sequence) = match colour {
        Colour::Dark => ("dark", "90"),
        Colour::Red => ("red", "91"),
        Colour::Green => ("green", "92"),
        Colour::Amber => ("amber", "93"),
    };
    match (ink, colour) {
        (Ink::Coloured, _) => format!("\u{1b}[{sequence}m\u{25cf}\u{1b}[0m {name}"),
        (Ink::Plain | Ink::Grey, Colour::Dark) => format!("\u{25cb} {name}"),
        (Ink::Plain | Ink::Grey, Colour::Red | Colour::Green | Colour::Amber) => format!("\u{25cf} {name}"),
    }
}

fn screen(screen: &Screen) -> String {
    let says = printable(&screen.says.join(" / "));
    let colon = if says.is_empty() { "" } else { ": " };
    let error = screen.error.as_deref().map(printable);
    if !screen.found {
        let why = error.map_or_else(String::new, |error| format!(" ({error})"));
        let says = if says.is_empty() { "what is above" } else { &says };
        return format!("none was found{why}; it would show {says}");
    }
    let shows = match screen.level {
        Level::Bright => format!("bright{colon}{says}"),
        Level::Dim => format!("dim{colon}{says}"),
        Level::Off => "dark for the off hours; a press of the button wakes it".to_owned(),
    };
    let trouble = error.map_or_else(String::new, |error| format!("; {error}"));
    format!("{}x{}, {shows}{trouble}", screen.width, screen.height)
}

fn button(button: &Button) -> String {
    let so_far = match button.presses {
        0 => "not pressed so far".to_owned(),
        1 => "1 press so far".to_owned(),
        more => format!("{more} presses so far"),
    };
    match (button.found, button.stuck, button.held_ms) {
        (false, _, _) => "none was found".to_owned(),
        (true, true, _) => "down all the time: something lies on it".to_owned(),
        (true, false, Some(held)) => format!("held for {}.{} s", held / 1000, held % 1000 / 100),
        (true, false, None) => so_far,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Paper = Paper { columns: u16::MAX, lines: u16::MAX, ink: Ink::Plain };

    fn privacy() -> Panel {
        let corner = |y: usize| format!("{}{}", if y < 2 { "e" } else { "0" }, "0".repeat(31));
        let says = ["PRIVACY", "192.0.2.130", "Gothenburg se-got-wg-001", "1 device"];
        Panel {
            light: Light { says: "privacy".to_owned(), lamps: Colour::Green, on: Some(Place::Panel) },
            screen: Screen {
                found: true,
                error: None,
                level: Level::Bright,
                width: 128,
                height: 64,
                says: says.map(str::to_owned).to_vec(),
                rows: (0..64).map(corner).collect(),
            },
            button: Button { found: true, held_ms: None, stuck: false, presses: 0 },
        }
    }

    /// What stands below the picture.
    fn words(told: &Panel, paper: Paper) -> String {
        let text = panel(told, paper);
        let lines: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("  ")).collect();
        lines.join("\n") + "\n"
    }

    #[test]
    fn a_panel_is_told_in_three_lines() {
        assert_eq!(
            words(&privacy(), FILE),
            "  light    \u{25cf} green: privacy\n  \
               screen   128x64, bright: PRIVACY / 192.0.2.130 / Gothenburg se-got-wg-001 / 1 device\n  \
               button   not pressed so far\n"
        );
    }

    #[test]
    fn a_box_with_nothing_on_it_is_told_so() {
        let mut other = privacy();
        other.light.on = Some(Place::Act);
        other.screen.found = false;
        other.screen.error = Some("/dev/i2c-1 is not there".to_owned());
        other.button.found = false;
        assert_eq!(
            words(&other, FILE),
            "  light    privacy, by the rhythm of the Pi's own lamp\n  \
               screen   none was found (/dev/i2c-1 is not there); it would show PRIVACY / 192.0.2.130 / Gothenburg se-got-wg-001 / 1 device\n  \
               button   none was found\n"
        );
        other.light.on = None;
        assert!(
            words(&other, FILE).starts_with("  light    \u{25cf} green: privacy, but no lamp was found\n")
        );
    }

    #[test]
    fn a_walk_is_told_with_what_may_help() {
        let finding = |part, sight| Finding { part, sight };
        let right = finding(Part::Light, Sight::Right("red, green, amber, dark".to_owned()));
        let skipped = finding(Part::Screen, Sight::Skipped("there is none".to_owned()));
        let wrong = finding(Part::Button, Sight::Wrong("no press came within 30 s".to_owned()));
        assert!(wrong.is_wrong() && !right.is_wrong() && !skipped.is_wrong());
        let good = "ok   light    red, green, amber, dark\nskip screen   there is none\n";
        assert_eq!(walked(&[right.clone(), skipped.clone()]), good);
        assert_eq!(
            walked(&[right, skipped, wrong]),
            format!(
                "{good}FAIL button   no press came within 30 s\n\nwhat may help\n  \
                   button   compare its wires with the picture in board/rpi/panel.md\n"
            )
        );
    }

    #[test]
    fn what_is_dark_is_drawn_dark() {
        let mut other = privacy();
        other.screen.level = Level::Off;
        other.light.lamps = Colour::Dark;
        let text = panel(&other, FILE);
        assert!(!text.contains('\u{2588}'), "{text}");
        assert!(text.contains("128x64, dark for the off hours; a press of the button wakes it\n"), "{text}");
        assert!(text.contains("light    \u{25cb} dark: privacy\n"), "{text}");
        assert!(panel(&privacy(), FILE).contains('\u{2588}'), "it is drawn else");
    }

    #[test]
    fn the_button_is_told_as_it_is() {
        let told = |change: fn(&mut Button)| {
            let mut other = privacy();
            change(&mut other.button);
            button(&other.button)
        };
        assert_eq!(told(|button| button.held_ms = Some(12_340)), "held for 12.3 s");
        assert_eq!(told(|button| button.stuck = true), "down all the time: something lies on it");
        assert_eq!(told(|button| button.presses = 1), "1 press so far");
        assert_eq!(told(|button| button.presses = 20), "20 presses so far");
    }

    #[test]
    fn a_picture_fits_its_paper_and_is_the_same_on_each() {
        let size = |paper: Paper| {
            let text = panel(&privacy(), paper);
            let lines: Vec<&str> = text.lines().collect();
            (lines[0].chars().count(), lines.len())
        };
        assert_eq!(size(FILE), (130, 37));
        for (columns, lines) in [(80, 24), (129, 60), (200, 36)] {
            let paper = Paper { columns, lines, ..FILE };
            assert_eq!(size(paper), (66, 21), "{columns} by {lines}");
            let text = panel(&privacy(), paper);
            assert_eq!(text.lines().nth(1).map(|row| &row[..9]), Some("\u{2502}\u{281b}\u{2803}"), "{text}");
        }
        let text = panel(&privacy(), Paper { columns: 130, lines: 38, ..FILE });
        assert_eq!(text.lines().nth(1).map(|row| &row[..12]), Some("\u{2502}\u{2588}\u{2588}\u{2588}"));
    }

    #[test]
    fn colours_are_for_terminals_and_no_word_moves_a_cursor() {
        let mut other = privacy();
        other.screen.says = Vec::from(["\u{1b}[2J".to_owned()]);
        let text = |ink| panel(&other, Paper { ink, ..FILE });
        assert!(text(Ink::Coloured).contains("\u{1b}[92m\u{25cf}\u{1b}[0m green: privacy"));
        assert!(!text(Ink::Plain).contains('\u{1b}') && !text(Ink::Grey).contains('\u{1b}'));
    }
}
