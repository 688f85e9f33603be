//! The world around one core, simulated: an agent that carries out effects, and what it meets. It decides nothing
//! about right and wrong: `judge.rs` does.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use byway_core::clients::{Count, Ledger, PausedClient};
use byway_core::relays::{Attempt, Obstacle, Proof, RelayId};
use byway_core::{
    Core, Effect, Egress, ExitReport, Generation, Input, PingReport, Posture, Settings, TunnelReport,
    Unapplied, Uplink, Used, Wish,
};

use crate::deed::{Answer, Deed, Relay, Takes, Weather};
use crate::house::{self, at};
use crate::judge::Judge;

const ROUND_TRIP: u64 = 20;
const PING_TIMEOUT: u64 = 1_000;
const CHECK: u64 = 150;
const CHECK_TIMEOUT: u64 = 5_000;
const POLL: u64 = 250;
/// Of a relay that answers, and of one that does not.
const PROOF: u64 = 300;
const PROOF_TIMEOUT: u64 = 4_000;
const REKEY: u64 = 120_000;

/// What comes without anybody's doing.
#[derive(Clone, Debug)]
enum Event {
    Report(Input),
    Ordered(Generation, Posture),
    /// Of an order that changes who is refused.
    Amended(Generation, Posture),
    /// The agent looks at the engine's counters.
    Poll,
    /// Something of the relay that was called then comes in.
    Heard(RelayId),
    /// Somebody changes the kernel, and it is noticed, unless an order is on its way.
    Drift,
}

#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) takes: Takes,
    slow: u64,
    /// What it does with packets; the boot's until the first order.
    pub(crate) posture: Posture,
    pub(crate) forwarding: bool,
    /// What was read back and reported; nothing from the next order on.
    pub(crate) verified: Option<Posture>,
    pub(crate) under_way: Option<Generation>,
    /// By which door names are asked for, beside the kernel.
    pub(crate) names: Option<Egress>,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) core: Core,
    pub(crate) kernel: Kernel,
    clock: u64,
    queue: BTreeMap<(u64, u64), Event>,
    queued: u64,
    relays: [Relay; 2],
    /// Whom the tunnel leads to.
    called: Option<RelayId>,
    exit: Answer,
    weather: Weather,
    uplink: Option<Uplink>,
    gateway: bool,
    traffic: bool,
    tunnel: TunnelReport,
    remembered: Wish,
    paused: Vec<PausedClient>,
    /// Bytes by the house's line in this boot, what of them was remembered, and what day it is.
    moved: u64,
    used: Used,
    today: u32,
    newest: Generation,
    judge: Judge,
}

impl World {
    /// All is well.
    pub(crate) fn boot(wish: Wish) -> Self {
        let (core, effects) = Core::start(at(1_000), settings(), wish, None);
        let kernel = Kernel {
            takes: Takes::All,
            slow: 16,
            posture: Posture::default(),
            forwarding: false,
            verified: None,
            under_way: None,
            names: None,
        };
        let mut world = Self {
            core,
            kernel,
            clock: 1_000,
            queue: BTreeMap::new(),
            queued: 0,
            relays: [Relay::Answers; 2],
            called: None,
            exit: Answer::Mullvad,
            weather: Weather::default(),
            uplink: Some(house::uplink()),
            gateway: true,
            traffic: false,
            tunnel: TunnelReport::default(),
            remembered: wish,
            paused: Vec::new(),
            moved: 0,
            used: Used::default(),
            today: 1,
            newest: Generation::default(),
            judge: Judge::new(1_000, wish),
        };
        world.starts(effects);
        world
    }

    pub(crate) fn does(&mut self, deed: Deed) {
        self.judge.sees(self.clock, &deed);
        match deed {
            Deed::Wish(wish) => self.hears(Input::Wished(wish)),
            Deed::Toggle => self.hears(Input::Toggled),
            Deed::Pause => self.hears(Input::Paused),
            Deed::Relay(which, relay) => self.relays[which] = relay,
            Deed::UseRelay(which) => self.hears(Input::UseRelay(RelayId(which))),
            Deed::Moves(tenths) => self.counts(u64::from(tenths) * 100_000_000, 0),
            Deed::Midnight => self.counts(0, 1),
            Deed::PauseClient(which, true) => self.hears(Input::ClientPaused(client(which))),
            Deed::PauseClient(which, false) => self.hears(Input::ClientResumed(client(which).id)),
            Deed::TestRelays => self.hears(Input::TestRelays),
            Deed::Exit(answer) => self.exit = answer,
            Deed::Uplink(which) => self.plugs(which),
            Deed::Gateway(there) => {
                self.gateway = there;
                self.hears(Input::Gateway(there && self.uplink.is_some()));
            }
            Deed::Kernel(takes, slow) => (self.kernel.takes, self.kernel.slow) = (takes, slow),
            Deed::Traffic(flows) => self.traffic = flows,
            Deed::Weather(weather) => self.weather = weather,
            Deed::Drift => {
                self.kernel.verified = None;
                self.hears(Input::Drifted(String::from("a rule is gone")));
            }
            Deed::Fight(drifts) => (0..drifts).for_each(|nth| self.after(500 * u64::from(nth), Event::Drift)),
            Deed::StaleOutcome { ago, ok } => {
                let generation = Generation(self.newest.0.saturating_sub(ago));
                let result = if ok { Ok(()) } else { Err(Unapplied(String::from("nft crashed"))) };
                self.hears(Input::Applied(generation, result));
            }
            Deed::Restart => self.restarts(),
        }
        self.judge.looks_at_the_relay(self.clock, self.relay());
    }

    pub(crate) fn is_mended(&mut self) {
        for deed in [
            Deed::Relay(0, Relay::Answers),
            Deed::Relay(1, Relay::Answers),
            Deed::Exit(Answer::Mullvad),
            Deed::Kernel(Takes::All, 16),
            Deed::Uplink(1),
            Deed::Gateway(true),
            Deed::Weather(Weather::default()),
            Deed::Midnight,
        ] {
            self.does(deed);
        }
    }

    /// From event to event and deadline to deadline.
    pub(crate) fn runs(&mut self, ms: u64) {
        let end = self.clock + ms;
        loop {
            let event = self.queue.first_key_value().map(|((when, _), _)| *when);
            let deadline = self.core.deadline().map(|(when, _)| ms_of(when));
            let Some(next) = event.into_iter().chain(deadline).min().filter(|next| *next <= end) else {
                break;
            };
            self.clock = next;
            if deadline == Some(next) {
                self.judge.counts_a_deadline(next);
                self.hears(Input::Tick);
            } else if let Some((_, event)) = self.queue.pop_first() {
                self.happens(event);
            }
        }
        self.clock = end;
    }

    pub(crate) fn hears(&mut self, input: Input) {
        let before = self.core.view();
        self.judge.hears(self.clock, &input);
        let effects = self.core.step(at(self.clock), input);
        if self.core.view().drift.healed > before.drift.healed {
            self.judge.heals(self.clock);
        }
        self.judge.judges_effects(self.clock, &before, &effects, &self.kernel);
        self.carries_out(effects);
        self.judge.judges_claims(self.clock, &self.core, &self.kernel);
    }

    /// At rest.
    pub(crate) fn judges_pauses(&self) {
        self.judge.judges_refused(&self.kernel.posture);
    }

    pub(crate) fn orders(&self) -> u64 {
        self.judge.orders
    }

    /// How often the tunnel was given to a relay.
    pub(crate) fn relays_taken(&self) -> u64 {
        self.judge.taken
    }

    pub(crate) fn ticks(&self) -> u64 {
        self.judge.ticks
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Report(input) => self.hears(input),
            Event::Ordered(generation, posture) => self.finishes(generation, posture),
            Event::Heard(relay) if self.called == Some(relay) => self.is_spoken_to(),
            Event::Drift if self.kernel.verified.is_some() => self.does(Deed::Drift),
            Event::Heard(_) | Event::Drift => {}
            Event::Amended(generation, posture) => self.amends(generation, posture),
            Event::Poll => {
                self.after(POLL, Event::Poll);
                if self.relay() == Some(Relay::Deaf) {
                    self.is_spoken_to();
                }
                if self.traffic {
                    self.sends();
                }
                self.hears(Input::Tunnel(self.tunnel.clone()));
            }
        }
    }

    fn carries_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Apply(generation, posture) => {
                    self.newest = generation;
                    self.kernel.under_way = Some(generation);
                    self.kernel.verified = None;
                    self.after(self.kernel.slow, Event::Ordered(generation, *posture));
                }
                Effect::Amend(generation, posture) => {
                    self.newest = generation;
                    self.after(self.kernel.slow, Event::Amended(generation, *posture));
                }
                Effect::Remember(wish) => self.remembered = wish,
                Effect::RememberPaused(paused) => self.paused = paused,
                Effect::RememberUsed(used) => self.used = used,
                Effect::Ping => self.pings(),
                Effect::CheckExit(by) => self.checks(by),
                Effect::Prove(attempt) => self.proves(attempt),
                Effect::Handshake(relay, _) => self.calls(relay),
                Effect::HangUp => (self.called, self.tunnel) = (None, TunnelReport::default()),
                Effect::LookForPortal | Effect::Forget(_) | Effect::RememberRelay(_) => {}
                Effect::ShutNames => self.kernel.names = None,
                Effect::OpenNames(egress) => self.kernel.names = Some(egress),
                Effect::StopForwarding => self.kernel.forwarding = false,
            }
        }
    }

    fn finishes(&mut self, generation: Generation, posture: Posture) {
        let (taken, ok) = match self.kernel.takes {
            Takes::All => (true, true),
            Takes::NoDoor => (posture.door.is_none(), posture.door.is_none()),
            Takes::Nothing => (false, false),
            Takes::ButFails => (true, posture.door.is_none()),
        };
        if taken {
            self.kernel.posture = posture.clone();
            self.kernel.forwarding = true;
        }
        self.kernel.under_way = None;
        self.kernel.verified = ok.then_some(posture);
        self.judge.confirms(self.clock);
        let refused = || Unapplied(String::from("nft crashed"));
        self.hears(Input::Applied(generation, ok.then_some(()).ok_or_else(refused)));
    }

    /// One order after the other: an amendment that another order has overtaken here was carried out before that one.
    fn amends(&mut self, generation: Generation, posture: Posture) {
        if generation != self.newest {
            return;
        }
        let ok = match self.kernel.takes {
            Takes::All => true,
            Takes::NoDoor | Takes::ButFails => posture.door.is_none(),
            Takes::Nothing => false,
        };
        if ok {
            self.kernel.posture = posture.clone();
        }
        self.kernel.verified = ok.then_some(posture);
        let refused = || Unapplied(String::from("nft crashed"));
        self.hears(Input::Applied(generation, ok.then_some(()).ok_or_else(refused)));
    }

    fn counts(&mut self, more: u64, days: u32) {
        (self.moved, self.today) = (self.moved + more, self.today + days);
        let mut ledger = Ledger::default();
        ledger.enter(at(self.clock), &Count { house_bytes: self.moved, ..Count::default() });
        self.hears(Input::Counted(ledger, Some(self.today)));
    }

    fn pings(&mut self) {
        let sent = at(self.clock);
        let answer = self.sends();
        let late = answer.is_none_or(|wait| wait > PING_TIMEOUT).then_some((PING_TIMEOUT, None));
        let answer = answer.map(|wait| (wait, Some(Duration::from_millis(wait))));
        for (wait, round_trip) in late.into_iter().chain(answer) {
            self.after(wait, Event::Report(Input::Ping(PingReport { sent, round_trip })));
        }
    }

    /// A session at once, if the relay answers.
    fn calls(&mut self, relay: RelayId) {
        if self.called != Some(relay) {
            (self.called, self.tunnel) = (Some(relay), TunnelReport::default());
        }
        self.judge.looks_at_the_relay(self.clock, self.relay());
        self.sends();
    }

    fn proves(&mut self, attempt: Attempt) {
        let began = at(self.clock);
        let reachable = self.relays[attempt.relay.0] == Relay::Answers && self.uplink.is_some();
        let (wait, verdict) = match self.exit {
            Answer::Nothing if reachable => {
                (CHECK_TIMEOUT, Err(Obstacle::ExitCheck(String::from("timed out"))))
            }
            Answer::Mullvad | Answer::Foreign if reachable => {
                (PROOF, Ok(Proof { mtu: attempt.mtu, ..house::proof(self.exit == Answer::Mullvad) }))
            }
            Answer::Nothing | Answer::Mullvad | Answer::Foreign => (PROOF_TIMEOUT, Err(house::gone())),
        };
        self.after(wait, Event::Report(Input::Proved(attempt, began, verdict)));
    }

    fn checks(&mut self, by: Egress) {
        let asked = at(self.clock);
        let reachable = match by {
            Egress::Privacy => self.relay_answers() && self.exit != Answer::Nothing,
            Egress::Residential => self.gateway && self.uplink.is_some(),
        };
        let mullvad = by == Egress::Privacy && self.exit == Answer::Mullvad;
        let result = if reachable { Ok(vec![house::exit(mullvad)]) } else { Err(String::from("timed out")) };
        let wait = if reachable { CHECK } else { CHECK_TIMEOUT };
        self.after(wait, Event::Report(Input::Exit(ExitReport { by, asked, result })));
    }

    /// A packet into the tunnel, and the relay's answer if it has one: how long that takes.
    fn sends(&mut self) -> Option<u64> {
        let (now, relay) = (at(self.clock), self.called?);
        self.tunnel.unanswered.get_or_insert(now);
        let is_lost = [(); 2].map(|()| self.luck() % 100 < self.weather.lost).contains(&true);
        let late = [(); 2].map(|()| self.luck() % (self.weather.late_ms + 1)).into_iter().sum::<u64>();
        (self.relay_answers() && !is_lost).then(|| {
            self.after(ROUND_TRIP + late, Event::Heard(relay));
            let old = self.tunnel.handshake.is_none_or(|made| self.clock - ms_of(made) > REKEY);
            self.tunnel.handshake = if old { Some(now) } else { self.tunnel.handshake };
            ROUND_TRIP + late
        })
    }

    /// The next number of a linear congruential generator (Knuth's MMIX).
    fn luck(&mut self) -> u64 {
        let next =
            self.weather.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.weather.seed = next;
        next >> 33
    }

    /// By the relay, through the tunnel.
    fn is_spoken_to(&mut self) {
        (self.tunnel.heard, self.tunnel.unanswered) = (Some(at(self.clock)), None);
    }

    fn relay_answers(&self) -> bool {
        self.relay() == Some(Relay::Answers)
    }

    /// What the relay does that the tunnel leads to.
    fn relay(&self) -> Option<Relay> {
        let by_cable = |relay| if self.uplink.is_some() { relay } else { Relay::Silent };
        self.called.map(|called| by_cable(self.relays[called.0]))
    }

    fn plugs(&mut self, which: u8) {
        let addresses = vec![format!("192.168.{which}.2/24").parse().expect("an address")];
        self.uplink = (which > 0).then(|| Uplink { addresses, ..house::uplink() });
        self.hears(Input::Uplink(self.uplink.clone()));
        self.hears(Input::Gateway(self.gateway && self.uplink.is_some()));
    }

    /// The kernel keeps what it has, an order under way included or not; the agent knows nothing any more.
    fn restarts(&mut self) {
        self.queue.clear();
        self.clock += 50;
        (self.called, self.tunnel) = (None, TunnelReport::default());
        self.kernel.under_way = None;
        self.kernel.verified = None;
        let settings = Settings { paused: self.paused.clone(), used: self.used, ..settings() };
        let (core, effects) = Core::start(at(self.clock), settings, self.remembered, None);
        self.core = core;
        self.starts(effects);
    }

    fn starts(&mut self, effects: Vec<Effect>) {
        self.judge.restarts(self.clock, self.remembered);
        self.judge.judges_effects(self.clock, &self.core.view(), &effects, &self.kernel);
        self.carries_out(effects);
        self.after(0, Event::Poll);
        self.counts(0, 0);
        self.hears(Input::Uplink(self.uplink.clone()));
        self.hears(Input::Gateway(self.gateway && self.uplink.is_some()));
    }

    fn after(&mut self, ms: u64, event: Event) {
        self.queued += 1;
        self.queue.insert((self.clock + ms, self.queued), event);
    }
}

fn settings() -> Settings {
    Settings { daily_gb: Some(1), ..house::settings() }
}

/// Known by its address alone.
fn client(which: u8) -> PausedClient {
    let address = IpAddr::from([100, 64, 0, which]);
    PausedClient { id: address.to_string(), name: format!("client {which}"), addresses: vec![address] }
}

pub(crate) fn ms_of(when: byway_core::Uptime) -> u64 {
    u64::try_from(when.elapsed_since_boot().as_millis()).expect("this year")
}
