//! A core and its clock, driven by hand: every call is one input, ten milliseconds after the one before.

use core::time::Duration;

use byway_core::clients::{Count, Ledger};
use byway_core::relays::{Attempt, Verdict};
use byway_core::{
    Core, Effect, Egress, ExitReport, Generation, Input, Offload, PingReport, Settings, TunnelReport,
    Unapplied, Uptime, Wish,
};

use crate::house;

pub(crate) struct Drive {
    pub(crate) core: Core,
    /// Since boot, in milliseconds.
    pub(crate) clock: u64,
    /// Of the last input.
    pub(crate) effects: Vec<Effect>,
    /// The newest order.
    pub(crate) ordered: Generation,
    /// The newest attempt at a relay, and when it began.
    pub(crate) attempt: Option<(Attempt, Uptime)>,
}

impl Drive {
    /// Sealing for the first time, one second after boot.
    pub(crate) fn start(settings: Settings, wish: Wish) -> Self {
        let (core, effects) = Core::start(house::at(1000), settings, wish, None);
        let ordered = Generation::default();
        let mut drive = Self { core, clock: 1000, effects: Vec::new(), ordered, attempt: None };
        drive.take(effects);
        drive
    }

    /// Sealed by a rule set that knows the house's line; on the way to the wish. The first relay is being proven.
    pub(crate) fn attached(settings: Settings, wish: Wish) -> Self {
        let mut drive = Self::start(settings, wish);
        drive.feed(Input::Uplink(Some(house::uplink())));
        drive.applied();
        drive.applied();
        drive
    }

    /// The tunnel leads to the first relay, which has not answered there; the second one is being proven.
    pub(crate) fn at_home(wish: Wish) -> Self {
        Self::at_home_with(house::settings(), wish)
    }

    fn at_home_with(settings: Settings, wish: Wish) -> Self {
        let mut drive = Self::attached(settings, wish);
        drive.proves(Ok(house::proof(true)));
        drive
    }

    /// So many bytes in this boot by the house's line.
    pub(crate) fn moves(&mut self, house_bytes: u64, today: Option<u32>) {
        let mut ledger = Ledger::default();
        ledger.enter(self.now(), &Count { house_bytes, ..Count::default() });
        self.feed(Input::Counted(ledger, today));
    }

    pub(crate) fn now(&self) -> Uptime {
        house::at(self.clock)
    }

    pub(crate) fn feed(&mut self, input: Input) {
        self.clock += 10;
        let effects = self.core.step(self.now(), input);
        self.take(effects);
    }

    /// The kernel looks as the newest order says.
    pub(crate) fn applied(&mut self) {
        self.feed(Input::Applied(self.ordered, Ok(())));
    }

    pub(crate) fn refused(&mut self, error: &str) {
        self.feed(Input::Applied(self.ordered, Err(Unapplied(String::from(error)))));
    }

    /// The relay made a session with us just now.
    pub(crate) fn handshake(&mut self) {
        let now = Some(self.now());
        let offloads = vec![Offload::Tso, Offload::UdpGso];
        let report = TunnelReport {
            handshake: now,
            heard: now,
            unanswered: None,
            rx_bytes: 92,
            tx_bytes: 148,
            offloads,
        };
        self.feed(Input::Tunnel(report));
    }

    pub(crate) fn pong(&mut self) {
        let round_trip = Some(Duration::from_millis(20));
        self.feed(Input::Ping(PingReport { sent: self.now(), round_trip }));
    }

    /// Five seconds of a session in which nothing that is sent is answered. Meanwhile the next relay is proven, or not.
    pub(crate) fn relay_falls_silent(&mut self, next: Verdict) {
        let made = Some(self.now());
        let unanswered =
            TunnelReport { handshake: made, heard: made, unanswered: made, ..TunnelReport::default() };
        self.feed(Input::Tunnel(unanswered));
        self.clock += 2_000;
        self.feed(Input::Tick);
        self.proves(next);
        self.clock += 3_000;
        for _ in 0..8 {
            self.feed(Input::Ping(PingReport { sent: self.now(), round_trip: None }));
        }
    }

    /// What came of the newest attempt.
    pub(crate) fn proves(&mut self, verdict: Verdict) {
        let (attempt, began) = self.attempt.expect("a relay that is being proven");
        self.feed(Input::Proved(attempt, began, verdict));
    }

    /// The tunnel's relay, if it has one, and whoever is tried after it.
    pub(crate) fn proves_nobody(&mut self) {
        self.proves(Err(house::gone()));
    }

    pub(crate) fn checked(&mut self, by: Egress, mullvad: bool) {
        let asked = self.now();
        self.feed(Input::Exit(ExitReport { by, asked, result: Ok(vec![house::exit(mullvad)]) }));
    }

    pub(crate) fn unchecked(&mut self, by: Egress) {
        let asked = self.now();
        self.feed(Input::Exit(ExitReport { by, asked, result: Err(String::from("timed out")) }));
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in &effects {
            if let Effect::Apply(generation, _) | Effect::Amend(generation, _) = effect {
                self.ordered = *generation;
            }
            if let Effect::Prove(attempt) = effect {
                self.attempt = Some((*attempt, self.now()));
            }
        }
        self.effects = effects;
    }
}

/// Open by what was proven.
pub(crate) fn open(egress: Egress) -> Drive {
    open_with(house::settings(), egress)
}

pub(crate) fn open_with(settings: Settings, egress: Egress) -> Drive {
    let mut drive = Drive::at_home_with(settings, egress.into());
    match egress {
        Egress::Privacy => {
            drive.handshake();
            drive.pong();
        }
        Egress::Residential => drive.feed(Input::Gateway(true)),
    }
    drive.applied();
    drive
}
