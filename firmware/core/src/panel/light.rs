//! The light's language: what each thing it says looks like, in colour, or in rhythm where there is one lamp alone.
//!
//! | it says | two lamps | one lamp |
//! |---|---|---|
//! | privacy | green, a wink every 4 s | on, a wink every 4 s |
//! | residential | amber (both), a wink every 4 s | on, two winks every 4 s |
//! | working | the wished door's colour, slowly on and off | slowly on and off |
//! | paused | red, a wink every 4 s | dark, a flash every 4 s |
//! | needs the owner | red, two flashes | two flashes |
//! | a press | the opposite, for a quick flicker | the same |
//!
//! At night it flashes where it would wink. Each wink is made by the agent: a light that does not wink is a dead one.

use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Egress, Wish};

/// What the light says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Light {
    Privacy,
    Residential,
    /// On the way to what is wished.
    Working(Wish),
    Paused,
    NeedsOwner,
    /// What letting go of the button will do.
    Offer(Offer),
    /// For somebody who compares what they see.
    Test(Lamps),
}

/// What a long press has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    Pause,
    Resume,
    Restart,
}

/// The two lamps of the panel; both together are amber.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lamps {
    pub red: bool,
    pub green: bool,
}

impl Lamps {
    pub const DARK: Self = Self { red: false, green: false };
    pub const RED: Self = Self { red: true, green: false };
    pub const GREEN: Self = Self { red: false, green: true };
    pub const AMBER: Self = Self { red: true, green: true };
}

/// Whether people sleep beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Time {
    #[default]
    Day,
    Night,
}

/// What is lit at a moment, and how long it stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lit<T> {
    pub now: T,
    pub lasts: Duration,
}

const WINK: u16 = 120;
const ROUND: u16 = 4_000;
const SLOW: u16 = 1_000;
const QUICK: u16 = 125;
/// Shorter than anybody takes for an offer's blinking.
const HASTY: u16 = 60;
const FLASH: u16 = 150;
/// Of a press: so many changes, each so long.
const FLICKER: Duration = Duration::from_millis(50);
const FLICKERS: u32 = 6;

/// What is lit and for how many milliseconds, one step after the other, for ever; a step may last no time at all.
type Steps<T> = [(T, u16); 4];

impl Light {
    /// `elapsed`: since it began to say this.
    pub fn lamps(self, time: Time, elapsed: Duration) -> Lit<Lamps> {
        lit(&self.colours(time), elapsed)
    }

    /// The same by one lamp alone, which is too small to disturb anybody.
    pub fn lamp(self, elapsed: Duration) -> Lit<bool> {
        lit(&self.rhythm(), elapsed)
    }

    fn colours(self, time: Time) -> Steps<Lamps> {
        let dark = Lamps::DARK;
        match self {
            Self::Privacy => steady(Lamps::GREEN, dark, time),
            Self::Residential => steady(Lamps::AMBER, dark, time),
            Self::Paused => steady(Lamps::RED, dark, time),
            Self::Working(wish) => slow(colour(wish), dark, time),
            Self::NeedsOwner => flashes(Lamps::RED, dark, time),
            Self::Offer(Offer::Pause) => even(Lamps::RED, dark, QUICK),
            Self::Offer(Offer::Resume) => even(Lamps::GREEN, dark, QUICK),
            Self::Offer(Offer::Restart) => even(Lamps::RED, Lamps::GREEN, QUICK),
            Self::Test(lamps) => even(lamps, lamps, SLOW),
        }
    }

    fn rhythm(self) -> Steps<bool> {
        match self {
            Self::Privacy => steady(true, false, Time::Day),
            Self::Residential => winks(true, false),
            Self::Paused => steady(false, true, Time::Day),
            Self::Working(_) => even(true, false, SLOW),
            Self::NeedsOwner => flashes(true, false, Time::Day),
            Self::Offer(Offer::Pause | Offer::Resume) => even(true, false, QUICK),
            Self::Offer(Offer::Restart) => even(true, false, HASTY),
            Self::Test(lamps) => even(lamps != Lamps::DARK, lamps != Lamps::DARK, SLOW),
        }
    }
}

/// The opposite of what would be lit, again and again, from the very moment of the press.
pub(super) fn flicker<T>(lit: Lit<T>, pressed: Duration, opposite: impl FnOnce(T) -> T) -> Lit<T> {
    let step = u32::try_from(pressed.as_millis() / FLICKER.as_millis()).unwrap_or(FLICKERS);
    if step >= FLICKERS {
        return lit;
    }
    let lasts = (FLICKER * (step + 1)).saturating_sub(pressed).min(lit.lasts);
    Lit { now: if step % 2 == 0 { opposite(lit.now) } else { lit.now }, lasts }
}

pub(super) fn opposite(lamps: Lamps) -> Lamps {
    if lamps == Lamps::DARK { Lamps::AMBER } else { Lamps::DARK }
}

const fn colour(wish: Wish) -> Lamps {
    match wish {
        Wish::Privacy => Lamps::GREEN,
        Wish::Residential => Lamps::AMBER,
        Wish::Sealed => Lamps::RED,
    }
}

/// A wink a round; at night a flash.
fn steady<T: Copy>(lit: T, dark: T, time: Time) -> Steps<T> {
    let (long, short) = by_time(lit, dark, time);
    [(long, ROUND - WINK), (short, WINK), (long, 0), (long, 0)]
}

/// Two of them a round.
const fn winks<T: Copy>(lit: T, dark: T) -> Steps<T> {
    [(lit, ROUND - 3 * WINK), (dark, WINK), (lit, WINK), (dark, WINK)]
}

fn slow<T: Copy>(lit: T, dark: T, time: Time) -> Steps<T> {
    match time {
        Time::Day => even(lit, dark, SLOW),
        Time::Night => [(lit, WINK), (dark, 2 * SLOW - WINK), (dark, 0), (dark, 0)],
    }
}

fn flashes<T: Copy>(lit: T, dark: T, time: Time) -> Steps<T> {
    let round = match time {
        Time::Day => ROUND / 2,
        Time::Night => ROUND,
    };
    [(lit, FLASH), (dark, FLASH), (lit, FLASH), (dark, round - 3 * FLASH)]
}

fn even<T: Copy>(one: T, other: T, each: u16) -> Steps<T> {
    [(one, each), (other, each), (one, each), (other, each)]
}

fn by_time<T>(lit: T, dark: T, time: Time) -> (T, T) {
    match time {
        Time::Day => (lit, dark),
        Time::Night => (dark, lit),
    }
}

fn lit<T: Copy>(steps: &Steps<T>, elapsed: Duration) -> Lit<T> {
    let round: u128 = steps.iter().map(|(_, ms)| u128::from(*ms)).sum();
    let mut into = elapsed.as_micros() % (round * 1_000);
    for (now, ms) in steps {
        let span = u128::from(*ms) * 1_000;
        if into < span {
            let left = u64::try_from(span - into).unwrap_or(u64::MAX);
            return Lit { now: *now, lasts: Duration::from_micros(left) };
        }
        into -= span;
    }
    Lit { now: steps[0].0, lasts: Duration::ZERO }
}

impl From<Egress> for Light {
    fn from(door: Egress) -> Self {
        match door {
            Egress::Privacy => Self::Privacy,
            Egress::Residential => Self::Residential,
        }
    }
}

impl fmt::Display for Light {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Privacy => "privacy",
            Self::Residential => "residential",
            Self::Working(_) => "working",
            Self::Paused => "paused",
            Self::NeedsOwner => "needs the owner",
            Self::Offer(Offer::Pause) => "let go to pause",
            Self::Offer(Offer::Resume) => "let go to go on",
            Self::Offer(Offer::Restart) => "let go to restart",
            Self::Test(_) => "a test",
        })
    }
}

impl fmt::Display for Lamps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.red, self.green) {
            (false, false) => "dark",
            (true, false) => "red",
            (false, true) => "green",
            (true, true) => "amber",
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;

    const ALL: [Light; 11] = [
        Light::Privacy,
        Light::Residential,
        Light::Working(Wish::Privacy),
        Light::Working(Wish::Residential),
        Light::Working(Wish::Sealed),
        Light::Paused,
        Light::NeedsOwner,
        Light::Offer(Offer::Pause),
        Light::Offer(Offer::Resume),
        Light::Offer(Offer::Restart),
        Light::Test(Lamps::RED),
    ];

    /// A letter each 60 ms of what is lit, for eight seconds.
    fn seen<T>(lit: impl Fn(Duration) -> Lit<T>, letter: impl Fn(T) -> char) -> String {
        (0..133).map(|step| letter(lit(Duration::from_millis(step * 60)).now)).collect()
    }

    fn by_two(light: Light, time: Time) -> String {
        seen(
            |elapsed| light.lamps(time, elapsed),
            |lamps| match (lamps.red, lamps.green) {
                (false, false) => '.',
                (true, false) => 'r',
                (false, true) => 'g',
                (true, true) => 'a',
            },
        )
    }

    fn by_one(light: Light) -> String {
        seen(|elapsed| light.lamp(elapsed), |on| if on { '#' } else { '.' })
    }

    #[test]
    fn nothing_looks_like_anything_else() {
        for time in [Time::Day, Time::Night] {
            all_differ(&ALL.map(|light| by_two(light, time)));
        }
        // One lamp has no colours for the wished door, nor for what a pause would end.
        let alone = [ALL[0], ALL[1], ALL[2], Light::Paused, Light::NeedsOwner, ALL[7], ALL[9], ALL[10]];
        all_differ(&alone.map(by_one));
    }

    fn all_differ(seen: &[String]) {
        for (nth, one) in seen.iter().enumerate() {
            assert!(!seen[..nth].contains(one), "{one}");
        }
    }

    #[test]
    fn what_is_told_changes_when_it_says_it_does() {
        for light in ALL {
            for time in [Time::Day, Time::Night] {
                let mut at = Duration::ZERO;
                while at < Duration::from_secs(9) {
                    let Lit { now, lasts } = light.lamps(time, at);
                    assert!(!lasts.is_zero(), "{light:?} at {at:?}");
                    let just_before = at + lasts.saturating_sub(Duration::from_micros(1));
                    assert_eq!(light.lamps(time, just_before).now, now, "{light:?} at {at:?}");
                    at += lasts;
                }
            }
        }
    }

    #[test]
    fn every_light_is_alive_within_four_seconds() {
        for light in ALL.into_iter().filter(|light| !matches!(light, Light::Test(_))) {
            for time in [Time::Day, Time::Night] {
                let changes: Vec<char> = by_two(light, time).chars().take(67).collect();
                assert!(changes.iter().any(|letter| *letter != changes[0]), "{light:?} {time:?}");
            }
        }
    }

    #[test]
    fn a_press_is_acknowledged_from_its_first_moment_and_for_a_short_while() {
        let after = |ms| {
            let lit = Light::Privacy.lamps(Time::Day, Duration::ZERO);
            flicker(lit, Duration::from_millis(ms), opposite).now
        };
        assert_eq!(
            [0, 49, 50, 99, 100, 250, 299, 300].map(after),
            [
                Lamps::DARK,
                Lamps::DARK,
                Lamps::GREEN,
                Lamps::GREEN,
                Lamps::DARK,
                Lamps::GREEN,
                Lamps::GREEN,
                Lamps::GREEN
            ]
        );
    }
}
