//! The core's deadlines: when it wants to be called, and why.

use core::fmt;

use crate::Uptime;

/// A reason to wake up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Ask the relay's gateway for a sign of life.
    Ping,
    /// Prove a relay, or judge the one that carries.
    Relays,
    /// Ask a host out there who we seem to be.
    CheckExit,
    /// The other door has stayed open long enough while this one is proven.
    Patience,
    /// Look whether the house's network wants somebody to log in.
    LookForPortal,
    /// Order again what the kernel refused.
    Retry,
    /// Drop what is left of the flows of older epochs.
    Forget,
}

impl Why {
    const ALL: [Self; 7] = [
        Self::Ping,
        Self::Relays,
        Self::CheckExit,
        Self::Patience,
        Self::LookForPortal,
        Self::Retry,
        Self::Forget,
    ];
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ping => "ping the gateway",
            Self::Relays => "look after the relays",
            Self::CheckExit => "check the exit",
            Self::Patience => "patience with the other door is over",
            Self::LookForPortal => "look for a login page",
            Self::Retry => "order again what the kernel refused",
            Self::Forget => "forget older epochs",
        })
    }
}

/// One slot a reason.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agenda {
    slots: [Option<Uptime>; Why::ALL.len()],
}

impl Agenda {
    pub(crate) fn set(&mut self, why: Why, at: Uptime) {
        self.slots[why as usize] = Some(at);
    }

    /// Not later than `at`, and not earlier than it would have been anyway.
    pub(crate) fn hasten(&mut self, why: Why, at: Uptime) {
        let planned = self.slots[why as usize];
        self.slots[why as usize] = Some(planned.map_or(at, |planned| planned.min(at)));
    }

    /// Unless it is planned already.
    pub(crate) fn begin(&mut self, why: Why, at: Uptime) {
        self.slots[why as usize].get_or_insert(at);
    }

    pub(crate) fn stop(&mut self, why: Why) {
        self.slots[why as usize] = None;
    }

    pub(crate) fn next(&self) -> Option<(Uptime, Why)> {
        Why::ALL.into_iter().filter_map(|why| Some((self.slots[why as usize]?, why))).min()
    }

    /// Takes one entry that is due off the agenda.
    pub(crate) fn take_due(&mut self, now: Uptime) -> Option<Why> {
        let (at, why) = self.next()?;
        (at <= now).then(|| {
            self.stop(why);
            why
        })
    }
}
