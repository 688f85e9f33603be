//! The machine's watchdog, fed by a thread of its own while every part of the agent ticks: what hangs is ended by a
//! restart. Which part is silent, and what follows, is decided in [`byway_core::watchdog`].

mod dog;
mod pulse;

use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use byway_core::watchdog::{FEED_EVERY, Part, Silence, Verdict, Watchdog};

use self::dog::Dog;
pub use self::pulse::{Pulse, Pulses};
use crate::clock::uptime;
use crate::last_words;

/// Whom the parts tick for, and what becomes of it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    pub pulses: Pulses,
    food: Food,
}

#[derive(Clone, Debug, Default)]
enum Food {
    /// Without it the machine is restarted after so many seconds, where that is known.
    Given(Option<u16>),
    /// There is to be no watchdog.
    #[default]
    None,
    /// There is to be one, and why there is not.
    Refused(String),
}

/// Begins to feed the watchdog that is inherited, if one is. Each part is expected to tick from where it begins: before the loop
/// does, a slow card and a dying stick may take their time.
pub fn start() -> Watch {
    let pulses = Pulses::default();
    let food = match Dog::inherited() {
        Ok(None) => Food::None,
        Ok(Some(dog)) => feed(dog, &pulses, FEED_EVERY),
        Err(error) => Food::Refused(error.to_string()),
    };
    match &food {
        Food::Given(bites_after_s) => tracing::info!(bites_after_s, "the watchdog is fed"),
        Food::None => {}
        Food::Refused(why) => tracing::warn!("no watchdog: {why}"),
    }
    Watch { pulses, food }
}

/// Lets the agent that takes this one's place have the watchdog.
pub fn hand_on() {
    if let Ok(Some(dog)) = Dog::inherited()
        && let Err(error) = dog.inherit(true)
    {
        tracing::warn!("the next agent has no watchdog: {error}");
    }
}

fn feed(dog: Dog, pulses: &Pulses, every: Duration) -> Food {
    let bites_after = dog.set_timeout().map_err(|error| {
        tracing::warn!("the watchdog takes no other time than its own: {error}");
    });
    let beats = Arc::downgrade(&pulses.0);
    let thread =
        thread::Builder::new().name("watchdog".to_owned()).spawn(move || keep_fed(dog, &beats, every));
    match thread {
        Ok(_) => Food::Given(bites_after.ok()),
        Err(error) => Food::Refused(format!("no thread to feed it: {error}")),
    }
}

/// For as long as anybody has a pulse.
fn keep_fed(dog: Dog, beats: &Weak<[pulse::Beats; Part::ALL.len()]>, every: Duration) {
    let mut watchdog = Watchdog::default();
    while let Some(beats) = beats.upgrade() {
        let pulses = Pulses(beats);
        match watchdog.look(uptime(), |part| pulses.last_tick(part)) {
            Verdict::Feed => give(dog),
            Verdict::FeedAgain(part) => {
                tracing::warn!("{} ticks again: the watchdog is fed again", part.name());
                last_words::take_back();
                give(dog);
            }
            Verdict::Starve(silence) => about_to_bite(silence),
            Verdict::StillStarve => {}
        }
        drop(pulses);
        thread::sleep(every);
    }
}

fn give(dog: Dog) {
    if let Err(error) = dog.feed() {
        tracing::error!("the watchdog cannot be fed: {error}");
    }
}

fn about_to_bite(silence: Silence) {
    tracing::error!("{silence}: the watchdog is not fed any more, and restarts the box");
    last_words::about_to_bite(silence.part.name(), silence.lasting);
}

impl Watch {
    /// For the doctor: whether somebody restarts this machine when the agent hangs. An error is a part that does.
    pub fn told(&self) -> Result<String, String> {
        if let Some(silence) = Silence::find(uptime(), |part| self.pulses.last_tick(part)) {
            return Err(silence.to_string());
        }
        let fed = match &self.food {
            Food::Given(bites_after_s) => {
                let bites =
                    bites_after_s.map_or_else(String::new, |seconds| format!(", bites after {seconds} s"));
                format!("fed every {} s{bites}", FEED_EVERY.as_secs())
            }
            Food::None => "off: nobody restarts this machine when the agent hangs".to_owned(),
            Food::Refused(why) => return Err(why.clone()),
        };
        Ok(match self.pulses.longest_pause() {
            Some((part, pause)) => {
                format!("{fed}; longest pause {:.1} s, of {}", pause.as_secs_f32(), part.name())
            }
            None => fed,
        })
    }
}

#[cfg(test)]
mod tests;
