//! What the panel says and what a press of its button means: one projection of the [`View`] for light and screen. Draws
//! nothing, and touches no lamp; time is an argument, as everywhere here.

mod button;
mod clients;
mod hours;
mod light;
mod page;
mod scene;
mod traffic;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

pub use button::{Edge, Gesture};
pub use hours::OffHours;
pub use light::{Lamps, Light, Lit, Offer, Time};
pub use page::{Page, Room};
pub use scene::{Level, Picture, Scene, Shift};
pub use traffic::{COLUMN, COLUMNS};

use self::button::Button;
use self::traffic::Traffic;
use crate::{Phase, Uptime, View, Wish};

/// The agent's loop goes round a few times a second; this long without it, what the panel would say is worth nothing.
const STALE: Duration = Duration::from_secs(10);
/// A person who compares what they see has gone away.
const LONGEST_TEST: Duration = Duration::from_mins(2);

/// What is configured of it.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub room: Room,
    pub off_hours: Option<OffHours>,
}

/// What the panel is told.
#[derive(Clone, Debug)]
pub enum Heard {
    View(Box<View>),
    /// The agent's loop went round then.
    Pulse(Uptime),
    /// The button, by the kernel's time.
    Button(Uptime, Edge),
    /// Bytes that went through the tailnet's interface since whenever, if there is one.
    Bytes(Option<u64>),
    /// The minute of the day on the house's wall, as the box's clock has it.
    Minute(u16),
    /// What to show in place of the truth, or the end of that.
    Test(Option<Test>),
}

/// What a person is asked to compare. A press means nothing meanwhile, and is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    Light(Lamps),
    /// Every dot lit.
    Full,
    /// A frame along the very edge, and a word that shows which way is up.
    Frame,
    Button,
}

/// One panel.
#[derive(Clone, Debug)]
pub struct Panel {
    settings: Settings,
    view: Box<View>,
    pulse: Uptime,
    button: Button,
    /// The last press, which wakes the screen and makes the light flicker.
    pressed: Option<Uptime>,
    presses: u32,
    /// What nobody has taken yet.
    wanted: Option<Gesture>,
    light: Light,
    /// Since when it says that.
    lit: Uptime,
    pages: Vec<Page>,
    /// When the first of them was shown.
    turned: Uptime,
    traffic: Traffic,
    minute: Option<u16>,
    test: Option<(Test, Uptime)>,
}

/// What may be told of it: to whom asks for its picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub light: Light,
    pub lamps: Lamps,
    pub scene: Scene,
    /// Since when the button is held.
    pub held: Option<Uptime>,
    /// Something lies on it.
    pub stuck: bool,
    /// So far.
    pub presses: u32,
}

impl Panel {
    pub fn new(now: Uptime, settings: Settings, view: Box<View>) -> Self {
        let light = light_of(&view);
        let pages = page::pages(&view, clients::lately(&view, now), settings.room);
        Self {
            settings,
            view,
            pulse: now,
            button: Button::default(),
            pressed: None,
            presses: 0,
            wanted: None,
            light,
            lit: now,
            pages,
            turned: now,
            traffic: Traffic::default(),
            minute: None,
            test: None,
        }
    }

    pub fn hear(&mut self, now: Uptime, heard: Heard) {
        let is_told = match heard {
            Heard::Pulse(_) | Heard::Bytes(_) | Heard::Minute(_) => false,
            Heard::View(_) | Heard::Button(..) | Heard::Test(_) => true,
        };
        match heard {
            Heard::View(view) => self.view = view,
            Heard::Pulse(at) => self.pulse = self.pulse.max(at),
            Heard::Button(at, edge) => self.on_button(at.min(now), edge),
            Heard::Bytes(counter) => self.traffic.count(now, counter),
            Heard::Minute(minute) => self.minute = Some(minute),
            Heard::Test(test) => self.test = test.map(|test| (test, now)),
        }
        self.turn(now, is_told);
    }

    /// To be called when [`Panel::deadline`] has passed.
    pub fn tick(&mut self, now: Uptime) {
        self.turn(now, false);
    }

    /// `is_told`: what was heard may be on the pages, which are written anew for nothing else.
    fn turn(&mut self, now: Uptime, is_told: bool) {
        let was_held = self.button.held_since().is_some();
        let gesture = self.button.on_tick(now);
        self.want(gesture);
        let had_test = self.test.is_some();
        self.test = self.test.filter(|(_, began)| now.since(*began) < LONGEST_TEST);
        let light = self.light_at(now);
        let is_another = light != self.light;
        if is_another {
            (self.light, self.lit, self.turned) = (light, now, now);
        }
        if is_told || is_another || was_held || had_test {
            let before = self.pages.len();
            self.pages = self.pages_at(now);
            self.turned = if self.pages.len() == before { self.turned } else { now };
        }
    }

    /// Whether somebody wants something by the button.
    pub const fn wants(&self) -> bool {
        self.wanted.is_some()
    }

    /// What it is, once.
    pub fn take(&mut self) -> Option<Gesture> {
        self.wanted.take()
    }

    /// When something of what it says changes by itself.
    pub fn deadline(&self, now: Uptime) -> Uptime {
        let lamps = self.lamps(now).lasts.min(self.lamp(now).lasts);
        let by_light = now + lamps.max(Duration::from_millis(1));
        let stale = self.pulse + STALE;
        let test = self.test.map(|(_, began)| began + LONGEST_TEST);
        [Some(by_light), self.button.deadline(now), Some(stale), test, Some(self.next_scene(now))]
            .into_iter()
            .flatten()
            .filter(|at| *at > now)
            .min()
            .unwrap_or(by_light)
    }

    /// What is lit, by two lamps.
    pub fn lamps(&self, now: Uptime) -> Lit<Lamps> {
        let lit = self.light.lamps(self.time(now), now.since(self.lit));
        self.flickering(now, lit, light::opposite)
    }

    /// The same, by one.
    pub fn lamp(&self, now: Uptime) -> Lit<bool> {
        self.flickering(now, self.light.lamp(now.since(self.lit)), |lit| !lit)
    }

    pub fn told(&self, now: Uptime) -> Told {
        Told {
            light: self.light,
            lamps: self.lamps(now).now,
            scene: self.scene(now),
            held: self.button.held_since(),
            stuck: self.button.is_stuck(),
            presses: self.presses,
        }
    }

    fn on_button(&mut self, at: Uptime, edge: Edge) {
        let was_held = self.button.held_since();
        let gesture = self.button.on_edge(at, edge);
        self.want(gesture);
        let held = self.button.held_since();
        if held.is_some() && held != was_held && edge == Edge::Down {
            self.pressed = Some(at);
            self.presses = self.presses.saturating_add(1);
        }
    }

    fn want(&mut self, gesture: Option<Gesture>) {
        if let (Some(gesture), None) = (gesture, self.test) {
            self.wanted = gesture.after(self.wanted);
        }
    }

    fn light_at(&self, now: Uptime) -> Light {
        let offer = match self.button.held(now) {
            Some(Gesture::Pause) if self.view.wish == Wish::Sealed => Some(Offer::Resume),
            Some(Gesture::Pause) => Some(Offer::Pause),
            Some(Gesture::Restart) => Some(Offer::Restart),
            Some(Gesture::Toggle) | None => None,
        };
        match (self.test, offer) {
            (Some((Test::Light(lamps), _)), _) => Light::Test(lamps),
            (Some((Test::Full | Test::Frame | Test::Button, _)), _) => Light::Test(Lamps::DARK),
            (None, Some(offer)) => Light::Offer(offer),
            (None, None) if self.is_stale(now) => Light::NeedsOwner,
            (None, None) => light_of(&self.view),
        }
    }

    fn is_stale(&self, now: Uptime) -> bool {
        now.since(self.pulse) >= STALE
    }

    fn flickering<T>(&self, now: Uptime, lit: Lit<T>, opposite: impl FnOnce(T) -> T) -> Lit<T> {
        match self.pressed {
            Some(pressed) => light::flicker(lit, now.since(pressed), opposite),
            None => lit,
        }
    }
}

/// What the light says of a view.
pub fn light_of(view: &View) -> Light {
    let wished = view.wish != Wish::Sealed;
    match (view.phase, view.door) {
        _ if wished && view.tailnet.waits_for_owner() => Light::NeedsOwner,
        (Phase::Open, Some(door)) => door.into(),
        (Phase::Sealed, _) if wished => Light::NeedsOwner,
        (Phase::Sealed, _) => Light::Paused,
        (Phase::Open, None) | (Phase::Proving, _) => Light::Working(view.wish),
    }
}
