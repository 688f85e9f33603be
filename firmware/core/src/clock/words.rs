//! What the clock is made of: where its time comes from, what happens to it, and what it asks of the agent.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Date, Offset, Sample};
use crate::Uptime;
use crate::stamps::Boot;

/// Where the time comes from; the greater is the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The clock cannot be right and cannot be set.
    None,
    /// When this agent was made.
    Build,
    /// What was on the disk: a stamp, or when something was last written.
    Saved,
    /// A clock with a battery.
    Rtc,
    /// The dates of hosts with good certificates.
    Tls,
    /// Time servers that agree.
    Ntp,
}

impl Source {
    /// What the clock shows by it is the time.
    pub const fn is_known(self) -> bool {
        match self {
            Self::Rtc | Self::Tls | Self::Ntp => true,
            Self::None | Self::Build | Self::Saved => false,
        }
    }
}

/// Who keeps the clock: `[clock] keep`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// This machine, by NTP; unless somebody else does it already.
    #[default]
    Ntp,
    /// Somebody else: it is asked and told, and nothing is set.
    None,
}

/// One moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    pub uptime: Uptime,
    /// What the wall clock shows, as time since 1970.
    pub wall: Duration,
    /// The kernel says that somebody keeps the clock in step.
    pub in_step: bool,
}

/// What the disk remembers of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub wall: Duration,
    pub uptime: Uptime,
    pub boot: Boot,
    pub source: Source,
}

/// What happens to the clock.
#[derive(Clone, Debug)]
pub enum Input {
    /// Whether the house's line is there.
    Uplink(bool),
    /// What came of [`Effect::Ask`].
    Answers(Vec<Sample>),
    /// What came of [`Effect::Refer`].
    Dates(Vec<Date>),
    /// What came of [`Effect::Set`].
    Set(Result<(), String>),
    /// The deadline has passed.
    Tick,
}

/// What the agent is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask every time server once; report [`Input::Answers`].
    Ask,
    /// Ask hosts with certificates for the date; report [`Input::Dates`].
    Refer,
    /// Set the clock; report [`Input::Set`].
    Set(Adjustment),
    /// Tell the kernel that somebody keeps its clock.
    InStep,
    /// Keep across reboots.
    Save(Stamp),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adjustment {
    /// Go faster or slower until this is made up for.
    Slew(Offset),
    /// To what the clock would have shown at the boot.
    Step(Duration),
}

impl Now {
    /// What the clock would have shown at the boot, had it gone as it goes now.
    pub const fn at_boot(self) -> Duration {
        self.wall.saturating_sub(self.uptime.elapsed_since_boot())
    }
}
