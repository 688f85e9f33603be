//! A panel from outside, by its own clock: what it shows when somebody presses, waits, sleeps or tests, and when it wants
//! to be called again.

mod drive;
mod house;
mod scenes;

use std::time::Duration;

use byway_core::account::Report;
use byway_core::clock::{ClockReport, Source};
use byway_core::panel::{
    Edge, Gesture, Heard, Lamps, Level, Light, OffHours, Offer, Page, Panel, Picture, Room, Settings, Test,
};
use byway_core::{Egress, Input, Uptime, View, Wish};
use drive::{Drive, open};
use proptest::prelude::*;
use scenes::SCENES;

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).expect("a span of this year")
}

/// One with its clock, in milliseconds, and an agent that lives.
struct Wall {
    panel: Panel,
    clock: u64,
}

impl Wall {
    fn with(view: View) -> Self {
        Self::of(view, None)
    }

    fn of(view: View, off_hours: Option<OffHours>) -> Self {
        let clock = 100_000;
        let settings = Settings { room: Room::WHOLE, off_hours };
        Self { panel: Panel::new(house::at(clock), settings, Box::new(view)), clock }
    }

    fn now(&self) -> Uptime {
        house::at(self.clock)
    }

    fn hear(&mut self, heard: Heard) {
        self.panel.hear(self.now(), heard);
    }

    /// The agent's loop goes round all the while.
    fn wait(&mut self, span: Duration) {
        let until = self.clock + ms(span);
        while self.clock < until {
            self.clock = until.min(self.clock + 250);
            self.hear(Heard::Pulse(self.now()));
        }
    }

    fn edge(&mut self, edge: Edge) {
        self.hear(Heard::Button(self.now(), edge));
    }

    fn press_for(&mut self, span: Duration) {
        self.edge(Edge::Down);
        self.wait(span);
        self.edge(Edge::Up);
        self.wait(Duration::from_millis(50));
    }

    fn light(&self) -> Light {
        self.panel.told(self.now()).light
    }

    fn page(&self) -> Page {
        match self.panel.scene(self.now()).picture {
            Picture::Page(page) => page,
            picture @ (Picture::Full | Picture::Frame) => panic!("{picture:?}"),
        }
    }

    fn level(&self) -> Level {
        self.panel.scene(self.now()).level
    }
}

const MOMENT: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);

fn by(egress: Egress) -> View {
    open(egress).core.view()
}

fn paused() -> View {
    Drive::at_home(Wish::Sealed).core.view()
}

#[test]
fn a_press_is_seen_at_once_and_means_something_when_it_is_let_go() {
    let mut wall = Wall::with(by(Egress::Privacy));
    assert_eq!(wall.panel.lamps(wall.now()).now, Lamps::GREEN);
    wall.edge(Edge::Down);
    assert_eq!(wall.panel.lamps(wall.now()).now, Lamps::DARK);
    assert!(!wall.panel.lamp(wall.now()).now);
    wall.wait(MOMENT);
    assert_eq!(wall.panel.take(), None, "it may be held for longer");
    wall.edge(Edge::Up);
    wall.wait(MOMENT);
    assert_eq!((wall.panel.take(), wall.panel.take()), (Some(Gesture::Toggle), None));
    wall.wait(SECOND);
    assert_eq!(wall.panel.lamps(wall.now()).now, Lamps::GREEN);
}

#[test]
fn while_it_is_held_light_and_screen_show_what_letting_go_will_do() {
    let spans = [Duration::from_millis(2_950), Duration::from_secs(7), Duration::from_secs(10)];
    let seen = |view: View| {
        let plain = Wall::with(view.clone()).light();
        let mut wall = Wall::with(view);
        wall.edge(Edge::Down);
        wall.wait(MOMENT);
        let mut seen = Vec::new();
        for span in spans {
            wall.wait(span);
            seen.push((wall.light(), wall.page().lines[0].clone()));
        }
        assert_eq!(seen.pop().map(|(light, _)| light), Some(plain), "nothing, after twenty seconds");
        seen
    };
    let restart = (Light::Offer(Offer::Restart), String::from("to restart the box"));
    let pause = (Light::Offer(Offer::Pause), String::from("to pause"));
    assert_eq!(seen(by(Egress::Residential)), [pause, restart.clone()]);
    let go_on = (Light::Offer(Offer::Resume), String::from("to go on"));
    assert_eq!(seen(paused()), [go_on, restart]);

    let mut wall = Wall::with(by(Egress::Privacy));
    wall.edge(Edge::Down);
    wall.wait(SECOND);
    assert_eq!((wall.page().headline, wall.page().lines[0].as_str()), ("LET GO", "for the other door"));
    wall.edge(Edge::Up);
    wall.wait(MOMENT);
    assert_eq!(wall.page().headline, "PRIVACY", "not before the door is another");
}

#[test]
fn presses_that_nobody_has_answered_yet_do_not_queue_up() {
    let mut wall = Wall::with(by(Egress::Privacy));
    for _ in 0..7 {
        wall.press_for(Duration::from_millis(50));
    }
    assert_eq!((wall.panel.take(), wall.panel.take()), (Some(Gesture::Toggle), None));
    for _ in 0..8 {
        wall.press_for(Duration::from_millis(50));
    }
    assert_eq!(wall.panel.take(), None, "eight are as good as none");
    wall.press_for(Duration::from_secs(4));
    assert_eq!(wall.panel.take(), Some(Gesture::Pause));
}

#[test]
fn another_door_is_shown_at_once_whatever_page_was_shown() {
    let mut drive = open(Egress::Privacy);
    let mut wall = Wall::with(drive.core.view());
    wall.wait(Duration::from_secs(7));
    assert!(wall.page().lines[0].starts_with("by mullvad"), "{:?}", wall.page());
    drive.feed(Input::Wished(Wish::Residential));
    wall.hear(Heard::View(Box::new(drive.core.view())));
    assert_eq!((wall.light(), wall.page().headline), (Light::Working(Wish::Residential), "WAIT"));
    wall.wait(Duration::from_secs(7));
    drive.feed(Input::Gateway(true));
    drive.applied();
    wall.hear(Heard::View(Box::new(drive.core.view())));
    assert_eq!((wall.light(), wall.page().headline), (Light::Residential, "HOME"));
    assert!(wall.page().lines.contains(&String::from("this house's line")), "{:?}", wall.page());
}

#[test]
fn a_code_stays_until_a_telephone_has_found_it() {
    let (_, reach) = SCENES.iter().find(|(name, _)| *name == "a login page").expect("a scene of that name");
    let mut wall = Wall::with(reach().core.view());
    let shows_code = |wall: &Wall| wall.page().link.is_some();
    while !shows_code(&wall) {
        wall.wait(SECOND);
    }
    wall.wait(Duration::from_secs(18));
    assert!(shows_code(&wall));
    wall.wait(Duration::from_secs(3));
    assert!(!shows_code(&wall));
}

#[test]
fn the_screen_is_dim_after_two_minutes_and_a_press_wakes_it() {
    let mut wall = Wall::with(by(Egress::Privacy));
    wall.wait(Duration::from_secs(119));
    assert_eq!(wall.level(), Level::Bright);
    wall.wait(Duration::from_secs(2));
    assert_eq!(wall.level(), Level::Dim);
    wall.edge(Edge::Down);
    assert_eq!(wall.level(), Level::Bright);
}

#[test]
fn a_picture_stands_nowhere_for_longer_than_a_minute() {
    let mut wall = Wall::with(by(Egress::Privacy));
    let mut shift = wall.panel.scene(wall.now()).shift;
    for _ in 0..12 {
        wall.wait(Duration::from_mins(1));
        let next = wall.panel.scene(wall.now()).shift;
        assert_ne!(next, shift);
        shift = next;
    }
}

#[test]
fn in_off_hours_the_screen_is_dark_and_the_light_flashes_until_somebody_presses() {
    let night = Some("23:00-07:00".parse().unwrap());
    let mut wall = Wall::of(by(Egress::Residential), night);
    wall.hear(Heard::Minute(23 * 60));
    assert_eq!(wall.level(), Level::Bright, "nobody knows whether that is right");
    wall.hear(Heard::View(Box::new(in_time(by(Egress::Residential)))));
    assert_eq!((wall.level(), wall.panel.lamps(wall.now()).now), (Level::Off, Lamps::DARK));
    let flash = wall.now() + wall.panel.lamps(wall.now()).lasts;
    assert_eq!(wall.panel.lamps(flash).now, Lamps::AMBER);

    wall.press_for(MOMENT);
    wall.wait(SECOND);
    assert_eq!((wall.level(), wall.panel.lamps(wall.now()).now), (Level::Bright, Lamps::AMBER));
    wall.wait(Duration::from_mins(1));
    assert_eq!(wall.level(), Level::Off);
    wall.hear(Heard::Minute(7 * 60));
    assert_ne!(wall.level(), Level::Off);
}

fn in_time(view: View) -> View {
    let clock = ClockReport { source: Some(Source::Ntp), ..ClockReport::default() };
    View { clock, ..view }
}

#[test]
fn an_agent_that_hangs_is_not_shown_as_one_that_carries() {
    let mut wall = Wall::with(by(Egress::Privacy));
    wall.clock += 9_999;
    wall.panel.tick(wall.now());
    assert_eq!(wall.light(), Light::Privacy);
    wall.clock += 1;
    wall.panel.tick(wall.now());
    assert_eq!((wall.light(), wall.page().headline), (Light::NeedsOwner, "CLOSED"));
    assert!(wall.page().lines[0].starts_with("the box hangs"), "{:?}", wall.page());
    wall.hear(Heard::Pulse(wall.now()));
    assert_eq!((wall.light(), wall.page().headline), (Light::Privacy, "PRIVACY"));
}

#[test]
fn trouble_with_the_account_has_a_page_of_its_own() {
    let headlines = |trouble: Option<&str>| {
        let account = Some(Report { trouble: trouble.map(String::from), ..Report::default() });
        let mut wall = Wall::with(View { account, ..by(Egress::Privacy) });
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push((wall.page().headline, wall.page().lines.join(" ")));
            wall.wait(6 * SECOND);
        }
        seen
    };
    let trouble = "the account runs out in 3 days: pay at mullvad.net";
    assert!(headlines(Some(trouble)).contains(&("ACCOUNT", String::from(trouble))));
    assert!(headlines(None).iter().all(|(headline, _)| *headline == "PRIVACY"));
}

#[test]
fn a_test_shows_what_it_is_told_to_and_presses_are_counted_and_mean_nothing() {
    let mut wall = Wall::with(by(Egress::Privacy));
    wall.hear(Heard::Test(Some(Test::Light(Lamps::RED))));
    assert_eq!(wall.panel.lamps(wall.now()).now, Lamps::RED);
    wall.hear(Heard::Test(Some(Test::Frame)));
    assert_eq!(wall.panel.scene(wall.now()).picture, Picture::Frame);
    wall.hear(Heard::Test(Some(Test::Button)));
    for span in [MOMENT, Duration::from_secs(4), Duration::from_secs(11)] {
        wall.press_for(span);
    }
    assert_eq!((wall.panel.take(), wall.panel.told(wall.now()).presses), (None, 3));

    wall.hear(Heard::Test(None));
    assert_eq!(wall.light(), Light::Privacy);
    wall.press_for(MOMENT);
    assert_eq!(wall.panel.take(), Some(Gesture::Toggle));
    wall.hear(Heard::Test(Some(Test::Full)));
    wall.wait(Duration::from_mins(2));
    assert_eq!(wall.light(), Light::Privacy, "whoever tested has gone away");
}

#[test]
fn a_panel_that_nobody_touches_wakes_the_box_about_once_a_second() {
    for (name, reach) in SCENES {
        let mut wall = Wall::with(reach().core.view());
        let until = wall.clock + 600_000;
        let mut calls = 0;
        while wall.clock < until {
            let next = wall.panel.deadline(wall.now());
            assert!(next > wall.now(), "{name}");
            wall.clock = ms(next.elapsed_since_boot()) + 1;
            wall.hear(Heard::Pulse(wall.now()));
            calls += 1;
        }
        assert!(calls < 1_500, "{name}: {calls} times in ten minutes");
    }
}

/// What may happen on a wall, with how many milliseconds later.
fn deeds() -> impl Strategy<Value = Vec<(u64, u8)>> {
    prop::collection::vec((prop_oneof![0..60_u64, 60..4_000_u64, 4_000..70_000_u64], 0..12_u8), 1..60)
}

fn heard(deed: u8, now: Uptime) -> Heard {
    match deed {
        0 => Heard::View(Box::new(in_time(by(Egress::Residential)))),
        1 => Heard::View(Box::new(paused())),
        2 => Heard::View(Box::new(by(Egress::Privacy))),
        3 => Heard::Button(now, Edge::Down),
        4 => Heard::Button(now, Edge::Up),
        5 => Heard::Minute(60),
        6 => Heard::Minute(800),
        7 => Heard::Test(Some(Test::Full)),
        8 => Heard::Test(None),
        9 => Heard::Button(now, Edge::Lost),
        10 => Heard::Button(now, Edge::Found { down: true }),
        _ => Heard::Pulse(now),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Who sleeps until then misses nothing, and before then there is nothing to do.
    #[test]
    fn nothing_that_is_shown_changes_before_the_panel_wants_to_be_called(deeds in deeds()) {
        let night = Some("23:00-07:00".parse().unwrap());
        let mut wall = Wall::of(by(Egress::Privacy), night);
        for (later, deed) in deeds {
            let until = wall.clock + later;
            loop {
                let next = wall.panel.deadline(wall.now());
                prop_assert!(next > wall.now());
                let next = ms(next.elapsed_since_boot() + Duration::from_micros(999));
                let last = next.min(until).saturating_sub(1).max(wall.clock);
                let mut called = wall.panel.clone();
                called.tick(house::at(last));
                let at = |panel: &Panel, ms: u64| {
                    let now = house::at(ms);
                    (panel.lamps(now).now, panel.lamp(now).now, panel.scene(now), panel.told(now).light)
                };
                prop_assert_eq!(at(&wall.panel, last), at(&wall.panel, wall.clock));
                prop_assert_eq!(at(&called, last), at(&wall.panel, wall.clock));
                if next >= until {
                    break;
                }
                wall.clock = next;
                wall.panel.tick(wall.now());
            }
            wall.clock = until;
            wall.hear(heard(deed, wall.now()));
        }
    }
}
