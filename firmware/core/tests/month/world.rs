//! A box in account mode, in a house where everything but Mullvad works: core and account beside each other as the agent
//! runs them, and a clock that jumps from event to event.

use std::collections::BTreeMap;
use std::time::Duration;

use byway_core::account::{self, Account, PublicKey, Record, Surroundings};
use byway_core::clock::Source;
use byway_core::relays::{Attempt, Keys, Proof, RelayId};
use byway_core::{
    ClockReport, Core, Effect, ExitReport, Input, PingReport, Settings, TunnelReport, Uptime, Wish,
};

use crate::house;
use crate::mullvad::{Mullvad, SPREAD};

/// What the wall clock shows at the boot.
pub(crate) const BOOT: Duration = Duration::from_hours(500_000);
pub(crate) const DAY: Duration = Duration::from_hours(24);

const API: Duration = Duration::from_millis(300);
const ROUND_TRIP: Duration = Duration::from_millis(20);
const KERNEL: Duration = Duration::from_millis(16);
const PROOF: Duration = Duration::from_millis(300);
/// When initiations are sent, from the beginning of an attempt on; the last one is waited for like the others.
const INITIATIONS: [u64; 6] = [0, 500, 1_000, 2_000, 3_000, 4_000];
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// The agent looks at the tunnel far more often; here every ping does it.
const POLL: Duration = Duration::from_secs(30);
const REKEY: Duration = Duration::from_mins(2);

enum Event {
    Core(Input),
    Call(account::Call),
    /// The nth initiation of an attempt, and when that began.
    Initiation(Attempt, Uptime, usize),
    Poll,
    /// Somebody looks whether clients are served.
    Look,
}

pub(crate) struct World {
    pub(crate) core: Core,
    account: Account,
    pub(crate) mullvad: Mullvad,
    pub(crate) now: Duration,
    queue: BTreeMap<(Duration, u64), Event>,
    queued: u64,
    around: Surroundings,
    pub(crate) record: Record,
    keys: u8,
    called: Option<RelayId>,
    tunnel: TunnelReport,
    /// How long clients were not served since they were first, and the longest time at a stretch.
    pub(crate) shut: Duration,
    pub(crate) longest: Duration,
    shut_since: Option<Duration>,
    was_open: bool,
}

impl World {
    /// Fresh from the card, with everything well.
    pub(crate) fn boot(rotate: Duration) -> Self {
        let settings = account::Settings {
            location: "se-got".parse().expect("a city"),
            owned: false,
            rotate,
            mtu: 1380,
            ports: Vec::from([443]),
            seed: 7,
        };
        let now = Duration::ZERO;
        let (account, account_asks) =
            Account::start(account::Now { uptime: at(now), wall: BOOT }, settings, Record::default(), None);
        let house = Settings { relays: Vec::new(), ..house::settings() };
        let (core, effects) = Core::start(at(now), house, Wish::Privacy, Some(house::uplink()));
        let mut world = Self {
            core,
            account,
            mullvad: Mullvad::new(BOOT + DAY * 365),
            now,
            queue: BTreeMap::new(),
            queued: 0,
            around: Surroundings::default(),
            record: Record::default(),
            keys: 0,
            called: None,
            tunnel: TunnelReport::default(),
            shut: Duration::ZERO,
            longest: Duration::ZERO,
            shut_since: None,
            was_open: false,
        };
        world.carries_out(effects);
        world.obeys(account_asks);
        world.hears(Input::Uplink(Some(house::uplink())));
        world.hears(Input::Gateway(true));
        world.hears(Input::Clock(ClockReport { source: Some(Source::Ntp), ..ClockReport::default() }));
        world.after(POLL, Event::Poll);
        world
    }

    pub(crate) fn runs(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let event = self.queue.first_key_value().map(|((when, _), _)| *when);
            let core = self.core.deadline().map(|(when, _)| when.elapsed_since_boot());
            let account = self.account.deadline().map(Uptime::elapsed_since_boot);
            let next = event.into_iter().chain(core).chain(account).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            if core == Some(next) {
                self.hears(Input::Tick);
            } else if account == Some(next) {
                self.account_hears(account::Input::Tick);
            } else if let Some((_, event)) = self.queue.pop_first() {
                self.happens(event);
            }
        }
        self.now = end;
    }

    pub(crate) fn is_open(&self) -> bool {
        self.core.view().is_as_wished()
    }

    /// Who carries.
    pub(crate) fn relay(&self) -> String {
        self.core.view().tunnel.relay
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Core(input) => self.hears(input),
            Event::Call(call) => {
                let result = self.mullvad.hears(call.clone(), self.now);
                self.after(SPREAD, Event::Look);
                self.account_hears(account::Input::Answered(call, result));
            }
            Event::Initiation(attempt, began, nth) => self.initiates(attempt, began, nth),
            Event::Look => self.looks(),
            Event::Poll => {
                self.after(POLL, Event::Poll);
                self.hears(Input::Tunnel(self.tunnel.clone()));
                self.looks();
            }
        }
    }

    pub(crate) fn hears(&mut self, input: Input) {
        let matters = !matches!(input, Input::Tunnel(_) | Input::Ping(_) | Input::Tick);
        let effects = self.core.step(at(self.now), input);
        self.carries_out(effects);
        if matters {
            self.looks();
        }
    }

    /// At the box, as the agent does whenever its view changes.
    fn looks(&mut self) {
        let view = self.core.view();
        match (view.is_as_wished() && self.answers(), self.shut_since) {
            (true, Some(since)) => {
                let lasted = self.now.saturating_sub(since);
                (self.shut, self.longest) = (self.shut + lasted, self.longest.max(lasted));
                self.shut_since = None;
            }
            (false, None) if self.was_open => self.shut_since = Some(self.now),
            (true, None) => self.was_open = true,
            (false, _) => {}
        }
        let around = Surroundings::of(&view);
        if around != self.around {
            self.around = around.clone();
            self.account_hears(account::Input::Surroundings(around));
        }
    }

    fn account_hears(&mut self, input: account::Input) {
        let now = account::Now { uptime: at(self.now), wall: BOOT + self.now };
        let effects = self.account.step(now, input);
        self.obeys(effects);
    }

    fn obeys(&mut self, effects: Vec<account::Effect>) {
        for effect in effects {
            match effect {
                account::Effect::MakeKey => {
                    self.keys += 1;
                    self.account_hears(account::Input::Key(Ok(PublicKey([self.keys; 32]))));
                }
                account::Effect::Call(call) => self.after(API, Event::Call(call)),
                account::Effect::Keep(record) => self.record = record,
                account::Effect::Remember(_) => {}
                account::Effect::Offer(list, wanted) => self.hears(Input::Relays(list, wanted)),
                account::Effect::Tell(report) => self.hears(Input::Account(report)),
            }
        }
    }

    fn carries_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Apply(generation, _) | Effect::Amend(generation, _) => {
                    self.after(KERNEL, Event::Core(Input::Applied(generation, Ok(()))));
                }
                Effect::Prove(attempt) => {
                    self.after(Duration::ZERO, Event::Initiation(attempt, at(self.now), 0));
                }
                Effect::Handshake(relay, _) => {
                    if self.called.replace(relay) != Some(relay) {
                        self.tunnel = TunnelReport::default();
                    }
                    self.sends();
                }
                Effect::HangUp => (self.called, self.tunnel) = (None, TunnelReport::default()),
                Effect::Ping => self.pings(),
                Effect::CheckExit(by) => {
                    let result =
                        if self.answers() { Ok(vec![house::exit(true)]) } else { Err(String::from("late")) };
                    let report = ExitReport { by, asked: at(self.now), result };
                    self.after(PROOF, Event::Core(Input::Exit(report)));
                }
                Effect::Remember(_)
                | Effect::RememberRelay(_)
                | Effect::RememberUsed(_)
                | Effect::RememberPaused(_)
                | Effect::LookForPortal
                | Effect::ShutNames
                | Effect::OpenNames(_)
                | Effect::Forget(_)
                | Effect::StopForwarding => {}
            }
        }
    }

    fn initiates(&mut self, attempt: Attempt, began: Uptime, nth: usize) {
        if self.serves(attempt.relay) {
            let proof = Proof { mtu: attempt.mtu, ..house::proof(true) };
            self.after(PROOF, Event::Core(Input::Proved(attempt, began, Ok(proof))));
        } else if let Some(next) = INITIATIONS.get(nth + 1) {
            let wait = Duration::from_millis(next - INITIATIONS[nth]);
            self.after(wait, Event::Initiation(attempt, began, nth + 1));
        } else {
            self.hears(Input::Proved(attempt, began, Err(house::gone())));
        }
    }

    fn pings(&mut self) {
        let sent = at(self.now);
        let is_answered = self.sends();
        let (wait, round_trip) =
            if is_answered { (ROUND_TRIP, Some(ROUND_TRIP)) } else { (PING_TIMEOUT, None) };
        self.after(wait.min(ROUND_TRIP), Event::Core(Input::Tunnel(self.tunnel.clone())));
        self.after(wait, Event::Core(Input::Ping(PingReport { sent, round_trip })));
    }

    /// A packet into the tunnel; whether something comes back.
    fn sends(&mut self) -> bool {
        let now = at(self.now);
        if self.answers() {
            let old = self.tunnel.handshake.is_none_or(|made| now.since(made) > REKEY);
            self.tunnel.handshake = if old { Some(now) } else { self.tunnel.handshake };
            (self.tunnel.heard, self.tunnel.unanswered) = (Some(now), None);
            true
        } else {
            self.tunnel.unanswered.get_or_insert(now);
            false
        }
    }

    fn answers(&self) -> bool {
        self.called.is_some_and(|relay| self.serves(relay))
    }

    fn serves(&self, relay: RelayId) -> bool {
        self.core.relay(relay).is_some_and(|settings| match settings.keys {
            Keys::Device { ours, .. } => self.mullvad.serves(&settings.name, ours, self.now, BOOT + self.now),
            Keys::File(_) => false,
        })
    }

    fn after(&mut self, wait: Duration, event: Event) {
        self.queued += 1;
        self.queue.insert((self.now + wait, self.queued), event);
    }
}

fn at(since_boot: Duration) -> Uptime {
    house::at(u64::try_from(since_boot.as_millis()).expect("this year"))
}
