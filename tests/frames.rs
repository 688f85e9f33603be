//! What the screen shows of every view, dot for dot, in each size: as text to be read in review, and as a picture to be
//! looked at (`docs/panel-frames.svg`). `UPDATE_EXPECT=1` writes them anew: look at the difference.

#[path = "../firmware/core/tests/crowd/mod.rs"]
mod crowd;
#[path = "../firmware/core/tests/drive/mod.rs"]
mod drive;
#[path = "../firmware/core/tests/house/mod.rs"]
mod house;
#[path = "../firmware/core/tests/scenes/mod.rs"]
mod scenes;
#[path = "frames/svg.rs"]
mod svg;

use std::fmt::Write as _;
use std::time::Duration;

use byway::panel::screen::{Frame, Size, paint};
use byway_core::panel::{COLUMN, COLUMNS, Heard, Panel, Picture, Scene, Settings, Shift, Test};
use byway_core::{Uptime, View};
use expect_test::expect_file;
use scenes::SCENES;

const TURN: Duration = Duration::from_secs(6);

/// One picture, and where it is seen first.
struct Shown {
    scene: &'static str,
    light: String,
    page: Scene,
}

#[test]
fn the_screen_shows_this_of_every_view() {
    let mut pictures = Vec::new();
    for (size, file) in [
        (Size::Whole, expect_file!["golden/frames_128x64.txt"]),
        (Size::Half, expect_file!["golden/frames_128x32.txt"]),
    ] {
        let mut text = String::new();
        for shown in every_page(size) {
            let frame = paint(&shown.page, size);
            let caption = format!("{} (light: {})", shown.scene, shown.light);
            _ = writeln!(text, "# {caption}\n{frame}\n");
            pictures.push((caption, frame));
        }
        file.assert_eq(&text);
    }
    expect_file!["../docs/panel-frames.svg"].assert_eq(&svg::sheet(&pictures));
    let few: Vec<_> = FEW.iter().map(|(scene, caption)| first_page(scene, caption)).collect();
    expect_file!["../docs/panel.svg"].assert_eq(&svg::sheet(&few));
}

/// For whoever has never seen one: of which view, and how that is called there.
const FEW: [(&str, &str); 4] = [
    ("open by privacy, checked by both families", "privacy, proven"),
    ("open by residential", "the house's own line, proven"),
    ("no cable", "working on it"),
    ("sealed as wished", "paused"),
];

fn first_page(scene: &str, caption: &str) -> (String, Frame) {
    let (_, reach) = SCENES.iter().find(|(name, _)| *name == scene).expect("a scene of that name");
    let (_, page) = &pages(reach().core.view(), Size::Whole)[0];
    (caption.to_owned(), paint(page, Size::Whole))
}

#[test]
fn nothing_is_cut_off_however_far_it_is_moved() {
    for size in [Size::Whole, Size::Half] {
        for shown in every_page(size) {
            let at = |shift| lit(&paint(&Scene { shift, ..shown.page.clone() }, size));
            let unmoved = at(Shift::default());
            for (x, y) in [(1, 0), (2, 0), (0, 1), (1, 1), (2, 1)] {
                assert_eq!(at(Shift { x, y }), unmoved, "{} by {x} and {y}: {:?}", shown.scene, shown.page);
            }
        }
    }
}

fn lit(frame: &Frame) -> u32 {
    frame.strips().iter().flatten().map(|column| column.count_ones()).sum()
}

/// Each page once.
fn every_page(size: Size) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    for (scene, reach) in SCENES {
        for (light, page) in pages(reach().core.view(), size) {
            if !all.iter().any(|shown| shown.page == page) {
                all.push(Shown { scene, light: light.clone(), page });
            }
        }
    }
    let still = |scene, picture| Shown {
        scene,
        light: String::from("a test"),
        page: Scene { picture, ..all[0].page.clone() },
    };
    let tests = [still("test: frame", Picture::Frame), still("test: every dot", Picture::Full)];
    all.extend(tests);
    all
}

fn pages(view: View, size: Size) -> Vec<(String, Scene)> {
    let start = house::at(100_000);
    let mut panel =
        Panel::new(start, Settings { room: size.room(), off_hours: None }, Box::new(view.clone()));
    let start = busy(&mut panel, start);
    let view = View { clients: Some(crowd::clients(3, start)), ..view };
    panel.hear(start, Heard::View(Box::new(view)));
    // After a test the first page is shown first.
    for test in [Some(Test::Full), None] {
        panel.hear(start, Heard::Test(test));
    }
    let mut pages: Vec<(String, Scene)> = Vec::new();
    for turn in 0..50 {
        let now = start + TURN * turn;
        panel.hear(now, Heard::Pulse(now));
        let told = panel.told(now);
        let page = Scene { shift: Shift::default(), ..told.scene };
        // A code stays for longer, and a page alone for ever.
        match pages.iter().position(|(_, before)| *before == page) {
            Some(nth) if nth + 1 == pages.len() => {}
            Some(_) => break,
            None => pages.push((told.light.to_string(), page)),
        }
    }
    pages
}

/// Until when an evening's traffic went through: nothing, a few pages, a film, a download.
fn busy(panel: &mut Panel, start: Uptime) -> Uptime {
    let mut counter = 0;
    let mut now = start;
    for column in 0..=COLUMNS as u64 {
        panel.hear(now, Heard::Pulse(now));
        panel.hear(now, Heard::Bytes(Some(counter)));
        counter += match column {
            0..10 => 3_000,
            10..20 => [40_000, 900_000, 150_000][usize::try_from(column % 3).expect("small")],
            20..34 => 3_500_000,
            34..42 => 30_000_000 + column * 300_000,
            _ => 20_000,
        };
        now = now + COLUMN;
    }
    panel.hear(now, Heard::Bytes(Some(counter)));
    panel.hear(now, Heard::Pulse(now));
    now
}
