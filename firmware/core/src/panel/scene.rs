//! What the screen shows at a moment: which page, how bright, and moved how far, so that no dot is lit for years.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::light::Time;
use super::page::{self, Page};
use super::{Gesture, Light, Panel, Test};
use crate::{Uptime, Wish};

/// Each page in turn; a code takes a telephone longer to find than a sentence takes a person to read.
const PAGE: Duration = Duration::from_secs(6);
const CODE: Duration = Duration::from_secs(20);
/// A picture stands in one place.
const STAND: Duration = Duration::from_mins(1);
/// After a press or another light; then the screen is dim.
const BRIGHT: Duration = Duration::from_mins(2);
/// A press at night.
const AWAKE: Duration = Duration::from_mins(1);
/// Held for longer than a short press takes.
const HOLDING: Duration = Duration::from_millis(700);

/// What is to be drawn, whatever the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scene {
    pub picture: Picture,
    /// Bytes a column, the newest last; only where the page has a graph.
    pub graph: Vec<u64>,
    pub level: Level,
    pub shift: Shift,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Picture {
    Page(Page),
    /// Every dot lit.
    Full,
    /// A frame along the very edge, and a word that shows which way is up.
    Frame,
}

/// How bright.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Off,
    Dim,
    Bright,
}

/// To the right and down, in dots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    pub x: u8,
    pub y: u8,
}

impl Shift {
    /// As far as anything is ever moved.
    pub const FARTHEST: Self = Self { x: 2, y: 1 };
}

const PATH: [Shift; 6] = [
    Shift { x: 0, y: 0 },
    Shift { x: 1, y: 0 },
    Shift { x: 2, y: 0 },
    Shift { x: 2, y: 1 },
    Shift { x: 1, y: 1 },
    Shift { x: 0, y: 1 },
];

impl Panel {
    pub fn scene(&self, now: Uptime) -> Scene {
        match self.test {
            Some((Test::Full, _)) => still(Picture::Full),
            Some((Test::Frame, _)) => still(Picture::Frame),
            Some((Test::Light(_) | Test::Button, _)) | None => self.page_scene(now),
        }
    }

    pub(super) fn time(&self, now: Uptime) -> Time {
        let is_off =
            self.settings.off_hours.zip(self.minute).is_some_and(|(hours, minute)| hours.contains(minute));
        let is_off = is_off && self.view.clock.tells_the_hour();
        let awake = self.pressed.is_some_and(|pressed| now.since(pressed) < AWAKE) || self.test.is_some();
        if is_off && !awake { Time::Night } else { Time::Day }
    }

    pub(super) fn pages_at(&self, now: Uptime) -> Vec<Page> {
        let room = self.settings.room;
        let text = |text: &str| page::text_pages(page::headline(self.light), text, None, room);
        match self.button.held(now) {
            _ if self.test.is_some() => text("press the button"),
            Some(gesture) if self.holding(now).is_some() => Vec::from([self.offer(gesture)]),
            Some(_) | None if self.is_stale(now) => {
                text("the box hangs: unplug it, wait ten seconds, plug it in")
            }
            Some(_) | None => page::pages(&self.view, super::clients::lately(&self.view, now), room),
        }
    }

    /// When another page, another place or another brightness is due, or an offer.
    pub(super) fn next_scene(&self, now: Uptime) -> Uptime {
        let page = (self.pages.len() > 1).then(|| now + self.page_at(now).1);
        let minutes = now.elapsed_since_boot().as_secs() / STAND.as_secs();
        let place = Uptime::since_boot(STAND * u32::try_from(minutes + 1).unwrap_or(u32::MAX));
        let offer = self.button.held_since().map(|since| since + HOLDING);
        let dim = self.woken() + BRIGHT;
        let asleep = self.pressed.map(|pressed| pressed + AWAKE);
        let moments = [page, Some(place), offer, Some(dim), asleep];
        moments.into_iter().flatten().filter(|at| *at > now).min().unwrap_or(place)
    }

    fn page_scene(&self, now: Uptime) -> Scene {
        let page = self.page_at(now).0.clone();
        let graph = if page.graph { self.traffic.columns() } else { Vec::new() };
        let minutes = now.elapsed_since_boot().as_secs() / STAND.as_secs();
        let place = usize::try_from(minutes).unwrap_or(0) % PATH.len();
        Scene { picture: Picture::Page(page), graph, level: self.level(now), shift: PATH[place] }
    }

    /// With how long it stays.
    fn page_at(&self, now: Uptime) -> (&Page, Duration) {
        let span = |page: &Page| if page.link.is_some() { CODE } else { PAGE };
        let round: u128 = self.pages.iter().map(|page| span(page).as_millis()).sum();
        let mut into = now.since(self.turned).as_millis() % round;
        for page in &self.pages {
            let stays = span(page).as_millis();
            if into < stays {
                let left = u64::try_from(stays - into).unwrap_or(u64::MAX);
                return (page, Duration::from_millis(left));
            }
            into -= stays;
        }
        (&self.pages[0], PAGE)
    }

    fn level(&self, now: Uptime) -> Level {
        match self.time(now) {
            Time::Night => Level::Off,
            Time::Day if now.since(self.woken()) < BRIGHT => Level::Bright,
            Time::Day => Level::Dim,
        }
    }

    /// The last time that somebody may have had a reason to look.
    fn woken(&self) -> Uptime {
        self.pressed.map_or(self.lit, |pressed| pressed.max(self.lit))
    }

    fn holding(&self, now: Uptime) -> Option<Uptime> {
        self.button.held_since().filter(|since| now.since(*since) >= HOLDING)
    }

    /// What letting go does now, and what holding on will come to.
    fn offer(&self, gesture: Gesture) -> Page {
        let paused = self.view.wish == Wish::Sealed;
        let lines: &[&str] = match (gesture, paused) {
            (Gesture::Toggle, true) => &["to go on", "3 s: the same", "10 s: restart"],
            (Gesture::Toggle, false) => &["for the other door", "3 s: pause", "10 s: restart"],
            (Gesture::Pause, true) => &["to go on", "10 s: restart"],
            (Gesture::Pause, false) => &["to pause", "10 s: restart"],
            (Gesture::Restart, _) => &["to restart the box", "20 s: nothing"],
        };
        let rows = lines.iter().take(self.settings.room.rows).map(|line| String::from(*line));
        Page {
            headline: page::headline(Light::Offer(super::Offer::Pause)),
            lines: rows.collect(),
            ..Page::default()
        }
    }
}

fn still(picture: Picture) -> Scene {
    Scene { picture, graph: Vec::new(), level: Level::Bright, shift: Shift::default() }
}
