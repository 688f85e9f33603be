//! A core and its clock, driven by hand: every call is one input, ten milliseconds after the one before.

use core::net::IpAddr;

use byway_core::{
    Core, Effect, Egress, Exit, ExitReport, Generation, Input, Offload, PingReport, Settings, TunnelReport,
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
}

impl Drive {
    /// Sealing for the first time, one second after boot.
    pub(crate) fn start(settings: Settings, wish: Wish) -> Self {
        let (core, effects) = Core::start(house::at(1000), settings, wish, None);
        let mut drive = Self { core, clock: 1000, effects: Vec::new(), ordered: Generation::default() };
        drive.take(effects);
        drive
    }

    /// Sealed by a rule set that knows the house's line; on the way to the wish, of which nothing is proven.
    pub(crate) fn at_home(wish: Wish) -> Self {
        let mut drive = Self::start(house::settings(), wish);
        drive.feed(Input::Uplink(Some(house::uplink())));
        drive.applied();
        drive.applied();
        drive
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
        let report =
            TunnelReport { handshake: now, heard: now, sent: now, rx_bytes: 92, tx_bytes: 148, offloads };
        self.feed(Input::Tunnel(report));
    }

    pub(crate) fn pong(&mut self) {
        self.feed(Input::Ping(PingReport { sent: self.now(), answered: true }));
    }

    pub(crate) fn checked(&mut self, by: Egress, mullvad: bool) {
        let asked = self.now();
        self.feed(Input::Exit(ExitReport { by, asked, result: Ok(vec![exit(mullvad)]) }));
    }

    pub(crate) fn unchecked(&mut self, by: Egress) {
        let asked = self.now();
        self.feed(Input::Exit(ExitReport { by, asked, result: Err(String::from("timed out")) }));
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in &effects {
            if let Effect::Apply(generation, _) = effect {
                self.ordered = *generation;
            }
        }
        self.effects = effects;
    }
}

/// Open by what was proven.
pub(crate) fn open(egress: Egress) -> Drive {
    let mut drive = Drive::at_home(egress.into());
    match egress {
        Egress::Privacy => {
            drive.handshake();
            drive.checked(Egress::Privacy, true);
            drive.pong();
        }
        Egress::Residential => drive.feed(Input::Gateway(true)),
    }
    drive.applied();
    drive
}

fn exit(mullvad: bool) -> Exit {
    let address = if mullvad { [192, 0, 2, 130] } else { [203, 0, 113, 77] };
    Exit { address: IpAddr::from(address), mullvad: Some(mullvad), place: None }
}
