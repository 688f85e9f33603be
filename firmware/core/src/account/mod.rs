//! The owner's account with Mullvad: which device the box is there, with which key, and which of Mullvad's relays may
//! carry. Decides what is asked of Mullvad and when, and what follows from the answers; speaks to nobody itself.
//!
//! ```text
//!          ┌────────── removed at Mullvad ──────────┐
//!          ▼                                        │
//!     Stranger ── a key, registered ──────────► Settled ◄──────────── proven ─────────────┐
//!                                                │    ▲  the old key is back,             │
//!                    old, and nobody goes out    │    └── or proven after all ── Returning│
//!                                                ▼                                  ▲     │
//!                                            Renewing ── taken ──► Trying ─ not proven ───┘
//!                                                │                    ▲
//!                                   no clear     ▼                    │ it was taken
//!                                   answer    Doubtful ───────────────┘
//! ```
//!
//! - The key before is worth nothing as soon as Mullvad takes the new one ([`Call::Replace`]), so the box has both on the
//!   disk until a relay was proven with the new one.
//! - Nothing that fails here shuts a door: what is known of device and relays is used for ever.

mod catalogue;
mod offer;
mod renew;
mod schedule;
mod told;
mod words;

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

pub use catalogue::{Catalogue, Choice, Listed, Place, country_of};
pub use words::{
    Answer, Call, Device, Effect, Input, Line, PublicKey, Record, Refusal, Report, Surroundings,
};

use self::offer::Offered;
use self::schedule::{Kind, Schedule};
use crate::Uptime;

/// What the owner's configuration tells of the account.
#[derive(Clone, Debug)]
pub struct Settings {
    pub location: Choice,
    /// Only machines of Mullvad's own.
    pub owned: bool,
    /// How old a key may become.
    pub rotate: Duration,
    /// Of the tunnel's interface, in bytes.
    pub mtu: u16,
    /// Where relays may be tried beside their usual port, the best one first.
    pub ports: Vec<u16>,
    /// Different for each box and start.
    pub seed: u64,
}

/// The account, from the agent's start on.
#[derive(Debug)]
pub struct Account {
    settings: Settings,
    record: Record,
    catalogue: Option<Catalogue>,
    around: Surroundings,
    state: State,
    schedule: Schedule,
    /// The call that is under way: there is one at a time.
    asked: Option<Call>,
    /// A key was asked for, and is not there yet.
    makes_key: bool,
    helpless: Option<Helpless>,
    /// Relays are called by IPv6: the house has nothing else, and no way from it to IPv4 (NAT64) either.
    by_ipv6: bool,
    /// The key is not made anew before.
    renew_after: Uptime,
    /// When the box was registered, in this boot.
    registered: Option<Uptime>,
    /// What keeps it from being registered.
    refused: Option<Refusal>,
    /// What keeps the first list of relays away.
    no_list: Option<Refusal>,
    notes: told::Notes,
    offered: Offered,
    told: Option<Report>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Mullvad knows no device that is this box.
    Stranger,
    /// The device's key is known to be good.
    Settled,
    /// Another key was made, and is being registered in the place of the device's.
    Renewing,
    /// One of two keys is the device's.
    Doubtful,
    /// The device has the new key; since when it should be good.
    Trying { since: Uptime },
    /// No relay has taken it: the one before is being registered again. Since when that is known not to have been done.
    Returning { since: Uptime },
}

/// The tunnel leads to nobody though there is a line.
#[derive(Debug)]
struct Helpless {
    since: Uptime,
    /// It has lasted, and what follows from that is under way.
    is_seen: bool,
}

/// When something happens: since the boot, and by the wall clock since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub uptime: Uptime,
    pub wall: Duration,
}

/// One call of `step`: the time, and what came of it.
struct Turn {
    now: Now,
    effects: Vec<Effect>,
}

impl Account {
    /// `record` and `catalogue` as they were kept.
    pub fn start(
        now: Now,
        settings: Settings,
        record: Record,
        catalogue: Option<Catalogue>,
    ) -> (Self, Vec<Effect>) {
        // The power may have gone in the middle of it.
        let state = match (&record.device, record.next, record.before) {
            (None, _, _) => State::Stranger,
            (Some(_), None, None) => State::Settled,
            (Some(_), Some(_), _) => State::Doubtful,
            (Some(_), None, Some(_)) => State::Trying { since: now.uptime },
        };
        let mut account = Self {
            schedule: Schedule::new(now.uptime, settings.seed),
            settings,
            record,
            catalogue,
            around: Surroundings::default(),
            state,
            asked: None,
            makes_key: false,
            helpless: None,
            by_ipv6: false,
            renew_after: Uptime::default(),
            registered: None,
            refused: None,
            no_list: None,
            notes: told::Notes::default(),
            offered: Offered::default(),
            told: None,
        };
        let mut turn = Turn { now, effects: Vec::new() };
        account.offer(false, &mut turn);
        account.tell(&mut turn);
        (account, turn.effects)
    }

    pub fn step(&mut self, now: Now, input: Input) -> Vec<Effect> {
        let mut turn = Turn { now, effects: Vec::new() };
        match input {
            Input::Surroundings(around) => self.on_surroundings(around, &mut turn),
            Input::Key(key) => self.on_key(key, &mut turn),
            Input::Answered(call, result) => self.on_answered(call, result, &mut turn),
            Input::Choose(choice) => self.on_choose(choice, &mut turn),
            Input::Tick => {}
        }
        self.pursue(&mut turn);
        self.call(&mut turn);
        self.tell(&mut turn);
        turn.effects
    }

    /// When `step` wants to be called though nothing happened.
    pub fn deadline(&self) -> Option<Uptime> {
        let call =
            if self.may_call() { self.wanted().map(|kind| self.schedule.due(kind)).min() } else { None };
        call.into_iter().chain(self.judged_at()).min()
    }

    /// What time it is, if anybody knows.
    fn wall(&self, now: Now) -> Option<Duration> {
        self.around.knows_time.then_some(now.wall)
    }

    fn on_surroundings(&mut self, around: Surroundings, turn: &mut Turn) {
        let now = turn.now.uptime;
        let is_back = around.line.is_some() && self.around.line.is_none();
        let knows = around.knows_time && !self.around.knows_time;
        if is_back || knows {
            self.schedule.try_again(now);
        }
        let was_helpless = self.helpless.as_ref().is_some_and(|helpless| helpless.is_seen);
        self.helpless = match (around.line.is_some(), around.relay.is_some()) {
            (true, false) => self.helpless.take().or(Some(Helpless { since: now, is_seen: false })),
            (_, true) | (false, _) => None,
        };
        let was_by_ipv6 = self.by_ipv6;
        self.by_ipv6 &= around.line != Some(Line::Ipv4);
        let carries = core::mem::replace(&mut self.around, around).relay;
        if let (State::Trying { .. }, true) = (&self.state, is_back) {
            self.to_trying_from(now);
        }
        if carries != self.around.relay || was_by_ipv6 != self.by_ipv6 {
            self.offer(false, turn);
        }
        // Perhaps it was paid.
        if was_helpless && self.around.relay.is_some() {
            self.schedule.hasten(Kind::Expiry, now);
        }
    }

    fn on_choose(&mut self, choice: Choice, turn: &mut Turn) {
        self.settings.location = choice.clone();
        turn.effects.push(Effect::Remember(choice));
        self.offer(true, turn);
    }

    fn on_answered(&mut self, call: Call, result: Result<Answer, Refusal>, turn: &mut Turn) {
        self.asked = None;
        self.schedule.learn(Kind::of(&call), result.as_ref().err(), self.needs(&call), turn.now.uptime);
        match (call, result) {
            (Call::Relays, Ok(Answer::Relays(catalogue))) => self.on_catalogue(catalogue, turn),
            (Call::Expiry, Ok(Answer::Expiry(expiry))) => self.on_expiry(expiry, turn),
            (Call::Devices, Ok(Answer::Devices(devices))) => self.on_devices(&devices, turn),
            (Call::Register(key), Ok(Answer::Device(device))) if device.key == key => {
                self.to_registered(device, turn);
            }
            (Call::Replace { key, .. }, Ok(Answer::Device(device))) if device.key == key => {
                self.on_replaced(device, turn);
            }
            (Call::Register(_), Err(refusal)) => self.on_not_registered(refusal, turn),
            (Call::Replace { .. }, Err(refusal)) => self.on_not_replaced(&refusal, turn),
            (Call::Expiry | Call::Devices, Err(Refusal::NoSuchAccount)) => {
                self.refused = Some(Refusal::NoSuchAccount);
            }
            (Call::Replace { .. }, Ok(_)) => {
                self.on_not_replaced(&Refusal::Odd(String::from("an answer to another question")), turn);
            }
            (Call::Relays, Err(refusal)) if self.catalogue.is_none() => self.no_list = Some(refusal),
            // The last good answer stands.
            (Call::Relays | Call::Expiry | Call::Devices, _) | (Call::Register(_), Ok(_)) => {}
        }
    }

    fn on_expiry(&mut self, expiry: Duration, turn: &mut Turn) {
        self.refused = None;
        if self.record.expiry != Some(expiry) {
            self.record.expiry = Some(expiry);
            self.keep(turn);
        }
    }

    /// Whether a box without an answer to it is no good.
    fn needs(&self, call: &Call) -> bool {
        match call {
            Call::Relays => self.catalogue.is_none() || self.helpless.is_some(),
            Call::Expiry => false,
            Call::Devices => self.doubts_device() || self.helpless.is_some(),
            Call::Register(_) | Call::Replace { .. } => true,
        }
    }

    fn keep(&self, turn: &mut Turn) {
        turn.effects.push(Effect::Keep(self.record.clone()));
    }
}

/// Which call is made next.
impl Account {
    fn may_call(&self) -> bool {
        self.around.line.is_some() && self.asked.is_none() && !self.makes_key
    }

    /// The most urgent of those that are due.
    fn call(&mut self, turn: &mut Turn) {
        let now = turn.now.uptime;
        let due = self.wanted().filter(|kind| self.schedule.due(*kind) <= now).min();
        let Some(kind) = due.filter(|_| self.may_call()) else { return };
        if let Some(call) = self.call_of(kind) {
            self.schedule.begin(kind, now);
            self.asked = Some(call.clone());
            turn.effects.push(Effect::Call(call));
        } else {
            self.makes_key = true;
            turn.effects.push(Effect::MakeKey);
        }
    }

    fn wanted(&self) -> impl Iterator<Item = Kind> + '_ {
        Kind::ALL.into_iter().filter(|kind| match (kind, &self.state) {
            (Kind::Change, State::Stranger) => !self.doubts_key(),
            (Kind::Change, State::Renewing | State::Returning { .. }) | (Kind::Relays, _) => true,
            (Kind::Change, State::Settled | State::Doubtful | State::Trying { .. }) => false,
            (Kind::Devices, _) => self.record.device.is_some() || self.doubts_key(),
            (Kind::Expiry, _) => self.record.device.is_some(),
        })
    }

    /// `None`: a key comes first.
    fn call_of(&self, kind: Kind) -> Option<Call> {
        match kind {
            Kind::Change => {
                let key = match self.state {
                    State::Returning { .. } => self.record.before?,
                    State::Stranger
                    | State::Settled
                    | State::Renewing
                    | State::Doubtful
                    | State::Trying { .. } => self.record.next?,
                };
                Some(match &self.record.device {
                    None => Call::Register(key),
                    Some(device) => Call::Replace { device: device.id.clone(), key },
                })
            }
            Kind::Relays => Some(Call::Relays),
            Kind::Devices => Some(Call::Devices),
            Kind::Expiry => Some(Call::Expiry),
        }
    }

    /// Which key it has.
    const fn doubts_device(&self) -> bool {
        matches!(self.state, State::Doubtful | State::Returning { .. })
    }

    /// The device may have been registered, and the answer lost.
    fn doubts_key(&self) -> bool {
        self.refused == Some(Refusal::KeyInUse)
    }
}

#[cfg(test)]
mod tests;
