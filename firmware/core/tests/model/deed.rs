//! What a test does to the world around the box.

use byway_core::Wish;

/// What somebody or something does to the box.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed {
    Wish(Wish),
    Toggle,
    Pause,
    Relay(usize, Relay),
    UseRelay(usize),
    /// So many tenths of a day's allowance go by the house's line.
    Moves(u8),
    Midnight,
    /// The owner's word about this client.
    PauseClient(u8, bool),
    TestRelays,
    Exit(Answer),
    /// 0 is a pulled cable.
    Uplink(u8),
    Gateway(bool),
    /// What the kernel takes, and how many milliseconds that takes.
    Kernel(Takes, u64),
    Traffic(bool),
    Weather(Weather),
    Drift,
    /// So many drifts, one every half second.
    Fight(u8),
    StaleOutcome {
        ago: u64,
        ok: bool,
    },
    /// kill -9 and a new start.
    Restart,
}

/// What a relay does with what is sent to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Relay {
    Answers,
    Silent,
    /// It gets none of it, and what servers say again and again comes from it.
    Deaf,
}

/// What the way to a relay that answers is like.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Of a hundred packets, each way.
    pub(crate) lost: u64,
    /// The most, each way.
    pub(crate) late_ms: u64,
    /// Of the luck.
    pub(crate) seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Answer {
    Mullvad,
    Foreign,
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Takes {
    All,
    /// Seals only.
    NoDoor,
    Nothing,
    /// Opens doors, but the read-back fails.
    ButFails,
}
