//! What the panel says of every view, word for word: the light, and each page in turn.
//! `UPDATE_EXPECT=1` writes them anew: read the difference.

mod crowd;
mod drive;
mod house;
mod scenes;

use std::fmt::Write as _;
use std::time::Duration;

use byway_core::View;
use byway_core::panel::{Heard, Panel, Picture, Room, Settings};
use expect_test::expect_file;
use scenes::SCENES;

#[test]
fn the_panel_says_this_of_every_view() {
    for (room, file) in [
        (Room::WHOLE, expect_file!["golden/pages.txt"]),
        (Room::HALF, expect_file!["golden/pages_on_half_a_screen.txt"]),
    ] {
        let mut text = String::new();
        for (name, reach) in SCENES {
            _ = writeln!(text, "# {name}\n{}", shown(reach().core.view(), room));
        }
        let why = "no configuration: byway.toml, line 2, column 8: name is a text in quotes, not a number: write name = \"byway\"";
        let waiting = View::without_configuration(house::at(0), String::from(why));
        _ = writeln!(text, "# without_configuration\n{}", shown(waiting, room));
        file.assert_eq(&text);
    }
}

fn shown(view: View, room: Room) -> String {
    let start = house::at(100_000);
    let view = View { clients: Some(crowd::clients(3, start)), ..view };
    let mut panel = Panel::new(start, Settings { room, off_hours: None }, Box::new(view));
    let (mut text, mut seen) = (format!("light: {}\n", panel.told(start).light), Vec::new());
    for turn in 0..50 {
        let now = start + Duration::from_secs(6) * turn;
        panel.hear(now, Heard::Pulse(now));
        let Picture::Page(page) = panel.scene(now).picture else { panic!("no page") };
        if seen.last() == Some(&page) {
            continue; // a code stays for longer, and a page alone for ever
        }
        if seen.contains(&page) {
            break;
        }
        assert!(page.headline.len() <= 7 && page.lines.len() <= 4, "{page:?}");
        assert!(page.lines.iter().all(|line| line.chars().count() <= room.columns), "{page:?}");
        let graph = if page.graph { " (graph)" } else { "" };
        let link = page.link.as_ref().map_or_else(String::new, |link| format!(" QR {link}"));
        _ = writeln!(text, "[{:^7}] {}{graph}{link}", page.headline, page.lines.join(" | "));
        seen.push(page);
    }
    text
}
