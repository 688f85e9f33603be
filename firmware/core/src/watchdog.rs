//! Whether the watchdog is fed: only while every part of the agent ticks. One that is not fed restarts the machine, so no
//! load may make a part look dead: each has many times as long as it ever needs.

use core::fmt;
use core::time::Duration;

use crate::Uptime;

/// Without food it bites after this, in seconds: the Pi's own can wait no longer.
pub const BITES_AFTER_S: u16 = 15;
/// Four meals may fail.
pub const FEED_EVERY: Duration = Duration::from_secs(3);

/// What goes round by itself in the agent, idle or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// It may wait for the card; down to `Prober` the others share its thread.
    Loop,
    Kernel,
    Uplink,
    Clock,
    Tailnet,
    /// Only while it proves a relay.
    Prober,
    Outwards,
    Inwards,
    Names,
    Panel,
    Screen,
}

impl Part {
    pub const ALL: [Self; 11] = [
        Self::Loop,
        Self::Kernel,
        Self::Uplink,
        Self::Clock,
        Self::Tailnet,
        Self::Prober,
        Self::Outwards,
        Self::Inwards,
        Self::Names,
        Self::Panel,
        Self::Screen,
    ];

    /// How long it may be silent. Where the loop hangs, so does all that shares its thread: it is blamed first.
    pub const fn patience(self) -> Duration {
        match self {
            // Threads of their own that wait for nobody.
            Self::Outwards | Self::Inwards | Self::Names | Self::Panel => Duration::from_secs(30),
            Self::Loop => Duration::from_secs(50),
            Self::Kernel | Self::Uplink | Self::Clock | Self::Prober | Self::Screen => Duration::from_mins(1),
            // A tailscaled that does not start is waited for, ended, and started again after a pause.
            Self::Tailnet => Duration::from_mins(3),
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Loop => "the main loop",
            Self::Kernel => "the keeper of the kernel's rules",
            Self::Uplink => "the keeper of the uplink",
            Self::Clock => "the keeper of the clock",
            Self::Tailnet => "the supervisor of tailscaled",
            Self::Prober => "the prober of relays",
            Self::Outwards => "the tunnel's outward thread",
            Self::Inwards => "the tunnel's inward thread",
            Self::Names => "the thread for names",
            Self::Panel => "the panel's thread",
            Self::Screen => "the screen's thread",
        }
    }
}

/// A part that should have ticked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    pub part: Part,
    pub lasting: Duration,
}

impl Silence {
    /// The first part that has been silent for too long. Of a part that does nothing there is no last tick.
    pub fn find(now: Uptime, last_tick: impl Fn(Part) -> Option<Uptime>) -> Option<Self> {
        Part::ALL.into_iter().find_map(|part| {
            let lasting = now.since(last_tick(part)?);
            (lasting >= part.patience()).then_some(Self { part, lasting })
        })
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has not ticked for {} s", self.part.name(), self.lasting.as_secs())
    }
}

/// From one look to the next.
#[derive(Debug, Default)]
pub struct Watchdog {
    silent: Option<Part>,
}

/// What follows from a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Feed,
    /// It was silent, and all tick again before it was too late.
    FeedAgain(Part),
    /// Since this look.
    Starve(Silence),
    StillStarve,
}

impl Watchdog {
    pub fn look(&mut self, now: Uptime, last_tick: impl Fn(Part) -> Option<Uptime>) -> Verdict {
        let silence = Silence::find(now, last_tick);
        let before = self.silent.take();
        match (silence, before) {
            (None, None) => Verdict::Feed,
            (None, Some(part)) => Verdict::FeedAgain(part),
            (Some(silence), None) => {
                self.silent = Some(silence.part);
                Verdict::Starve(silence)
            }
            (Some(_), Some(part)) => {
                self.silent = Some(part);
                Verdict::StillStarve
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString as _;

    use super::*;

    const fn at(seconds: u64) -> Uptime {
        Uptime::since_boot(Duration::from_secs(seconds))
    }

    #[test]
    fn is_fed_while_all_tick_that_do_anything() {
        let mut dog = Watchdog::default();
        assert_eq!(dog.look(at(1000), |_| None), Verdict::Feed);
        assert_eq!(dog.look(at(1000), |_| Some(at(1000))), Verdict::Feed);
        let just_in_time = |part: Part| Some(at(1001 - part.patience().as_secs()));
        assert_eq!(dog.look(at(1000), just_in_time), Verdict::Feed);
    }

    #[test]
    fn each_part_alone_keeps_the_food_away_and_is_named_once() {
        for silent in Part::ALL {
            let patience = silent.patience().as_secs();
            let last = |part| Some(at(if part == silent { 1000 } else { 1000 + patience }));
            let mut dog = Watchdog::default();
            assert_eq!(dog.look(at(999 + patience), last), Verdict::Feed);
            let silence = Silence { part: silent, lasting: silent.patience() };
            assert_eq!(dog.look(at(1000 + patience), last), Verdict::Starve(silence));
            assert_eq!(dog.look(at(1003 + patience), last), Verdict::StillStarve);
            assert_eq!(
                dog.look(at(1004 + patience), |_| Some(at(1004 + patience))),
                Verdict::FeedAgain(silent)
            );
            assert_eq!(dog.look(at(1004 + patience), |_| Some(at(1004 + patience))), Verdict::Feed);
        }
    }

    #[test]
    fn a_loop_that_hangs_is_blamed_before_what_shares_its_thread() {
        let hang = |part: Part| match part {
            Part::Outwards | Part::Inwards | Part::Names | Part::Panel | Part::Screen => None,
            Part::Loop | Part::Kernel | Part::Uplink | Part::Clock | Part::Tailnet | Part::Prober => {
                Some(at(100))
            }
        };
        let first = (100..).find_map(|now| Silence::find(at(now), hang)).unwrap();
        assert_eq!(first.to_string(), "the main loop has not ticked for 50 s");
    }

    #[test]
    fn all_are_there_and_none_bites_sooner_than_a_busy_box_needs() {
        for (nth, part) in Part::ALL.into_iter().enumerate() {
            assert_eq!(part as usize, nth);
            assert!(part.patience() >= Duration::from_secs(10), "{part:?}");
        }
    }
}
