//! The panel: light, screen and button, in a thread of its own, so that no busy moment of the agent's keeps a press
//! waiting. Carries out what [`byway_core::panel`] decides; a part that is not there costs nothing, and comes back by itself.

mod ask;
mod button;
mod light;
pub mod screen;

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use byway_core::last_stop::Farewell;
use byway_core::panel::{COLUMN, Gesture, Heard, Panel, Scene, Settings};
use byway_core::watchdog::Part;
use byway_core::{Input, Uptime, View};
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};

use crate::clock;
use crate::config::{self, Night};
use crate::last_words;
use crate::net::tailnet_bytes;
use crate::reset;
use crate::watchdog::{Pulse, Pulses};
pub use ask::{On, Request, Shown, Wanted};
use button::{Button, Places};
use light::Light;
use screen::{Health, Screen, Size, paint};

const LEDS: &str = "/sys/class/leds";
const INPUTS: &str = "/sys/class/input";
const DEVICES: &str = "/dev/input";
/// For the last things that it shows, at the agent's end, and for the card to take why it restarts.
const FAREWELL: Duration = Duration::from_secs(1);

/// What the panel hears of the rest of the agent, and to whom it tells what is pressed.
#[derive(Debug)]
pub struct Wires {
    pub views: watch::Receiver<View>,
    /// Of the agent's loop: nothing is shown of one that hangs.
    pub agent: Pulse,
    /// For those of the panel's threads.
    pub pulses: Pulses,
    pub requests: mpsc::Receiver<Request>,
    /// With room for one: nothing queues up.
    pub presses: mpsc::Sender<Input>,
}

/// At work until there are no views any more. Dropping it waits for the lamps to be dark, and the screen: what they said is
/// true no longer.
#[derive(Debug)]
pub struct Thread {
    ended: Receiver<()>,
}

/// Begins to show.
pub fn start(config: config::Panel, wires: Wires) -> anyhow::Result<Thread> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (end, ended) = channel();
    let show = move || {
        runtime.block_on(async { Face::new(config, wires).live().await });
        // Nobody waits for it where the agent ends otherwise.
        _ = end.send(());
    };
    thread::Builder::new().name("panel".to_owned()).spawn(show).context("no thread for the panel")?;
    Ok(Thread { ended })
}

impl Drop for Thread {
    fn drop(&mut self) {
        if self.ended.recv_timeout(FAREWELL).is_err() {
            tracing::warn!("the panel may still show what was");
        }
    }
}

/// The panel with its hands.
struct Face {
    panel: Panel,
    night: Option<Night>,
    light: Light,
    /// `None`: there is to be none.
    screen: Option<Screen>,
    /// What it was told last.
    scene: Option<Scene>,
    /// What is drawn, for whoever asks.
    size: Size,
    button: Button,
    wires: Wires,
}

/// Why the thread goes on.
enum News {
    Heard(Heard),
    Asked(Request),
    /// Something that it shows changes by itself.
    None,
}

impl Face {
    fn new(config: config::Panel, mut wires: Wires) -> Self {
        let config::Panel { screen, night } = config;
        let size = screen.as_ref().map_or(Size::Whole, |screen| screen.size);
        let settings = Settings { room: size.room(), off_hours: night.as_ref().map(|night| night.hours) };
        let view = Box::new(wires.views.borrow_and_update().clone());
        let places = Places { class: INPUTS.into(), devices: DEVICES.into() };
        Self {
            panel: Panel::new(clock::uptime(), settings, view),
            night,
            light: Light::below(Path::new(LEDS)),
            screen: screen.and_then(|screen| start_screen(screen, wires.pulses.begin(Part::Screen))),
            scene: None,
            size,
            button: Button::at(places),
            wires,
        }
    }

    /// Until the agent is gone.
    async fn live(mut self) {
        let mut columns = rounds();
        let pulse = self.wires.pulses.begin(Part::Panel);
        loop {
            pulse.tick();
            self.show();
            let nap = self.panel.deadline(clock::uptime()).since(clock::uptime());
            let news = tokio::select! {
                changed = self.wires.views.changed() => match changed {
                    Ok(()) => News::Heard(Heard::View(Box::new(self.wires.views.borrow_and_update().clone()))),
                    Err(_) => break,
                },
                (at, edge) = self.button.next() => News::Heard(Heard::Button(at, edge)),
                _ = columns.tick() => News::Heard(Heard::Bytes(tailnet_bytes())),
                Some(request) = self.wires.requests.recv() => News::Asked(request),
                room = self.wires.presses.reserve(), if self.panel.wants() => match room {
                    Ok(room) => {
                        if let Some(gesture) = self.panel.take() {
                            carry_out(gesture, room);
                        }
                        continue;
                    }
                    Err(_) => break,
                },
                () = sleep(nap) => News::None,
            };
            match news {
                News::Heard(heard) => self.hear(heard),
                News::Asked(request) => self.answer(request),
                News::None => self.catch_up(clock::uptime()),
            }
        }
        self.light.go_out();
    }

    fn hear(&mut self, heard: Heard) {
        let now = clock::uptime();
        self.catch_up(now);
        self.panel.hear(now, heard);
    }

    /// With what nobody wakes us for.
    fn catch_up(&mut self, now: Uptime) {
        if let Some(pulse) = self.wires.agent.last() {
            self.panel.hear(now, Heard::Pulse(pulse));
        }
        if let Some(night) = &self.night {
            self.panel.hear(now, Heard::Minute(night.zone.minute_of_day(SystemTime::now())));
        }
    }

    /// The lamps first: they answer a press.
    fn show(&mut self) {
        let now = clock::uptime();
        self.light.show(now, &self.panel);
        let scene = self.panel.scene(now);
        if let Some(screen) = self.screen.as_ref().filter(|_| self.scene.as_ref() != Some(&scene)) {
            screen.show(scene.clone());
            self.scene = Some(scene);
        }
    }

    fn answer(&mut self, Request { wanted, answer }: Request) {
        match wanted {
            Wanted::Show => {}
            Wanted::Test(test) => self.hear(Heard::Test(test)),
        }
        let now = clock::uptime();
        let told = self.panel.told(now);
        let shown = Shown {
            frame: paint(&told.scene, self.size),
            told,
            lamps: self.light.on(),
            button: self.button.is_there(),
            screen: self.screen.as_ref().map_or_else(Health::default, Screen::health),
            now,
        };
        // Whoever asked may have gone away.
        _ = answer.send(shown);
    }
}

fn start_screen(settings: screen::ScreenSettings, pulse: Pulse) -> Option<Screen> {
    match Screen::start(settings, pulse) {
        Ok(screen) => Some(screen),
        Err(error) => {
            tracing::error!("no thread for the screen: {error}");
            None
        }
    }
}

/// A press reaches the core as any wish does.
fn carry_out(gesture: Gesture, room: mpsc::Permit<'_, Input>) {
    match gesture {
        Gesture::Toggle => room.send(Input::Toggled),
        Gesture::Pause => room.send(Input::Paused),
        Gesture::Restart => restart(),
    }
}

/// Also when the agent's own loop hangs. The init system ends everything in order.
fn restart() {
    tracing::info!("somebody restarts the box by its button");
    tokio::spawn(async {
        let said = spawn_blocking(|| last_words::farewell(Farewell::Button));
        // A card that hangs is a reason more.
        _ = timeout(FAREWELL, said).await;
        if let Err(error) = reset::reboot().await {
            tracing::error!("the box cannot be restarted: {error:#}");
            spawn_blocking(last_words::take_back);
        }
    });
}

fn rounds() -> Interval {
    let mut rounds = interval(COLUMN);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    rounds
}

#[cfg(test)]
mod fake {
    use std::time::Duration;

    use byway_core::panel::{Panel, Room, Settings};
    use byway_core::{Core, Uptime, Wish};

    use crate::sample;

    pub(super) fn at(ms: u64) -> Uptime {
        Uptime::since_boot(Duration::from_millis(ms))
    }

    /// Of a box that has just been started.
    pub(super) fn panel() -> Panel {
        let view = Core::start(at(0), sample::settings(), Wish::Privacy, None).0.view();
        Panel::new(at(0), Settings { room: Room::WHOLE, off_hours: None }, Box::new(view))
    }
}
