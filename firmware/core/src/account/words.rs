//! What passes between the account's machine and who carries its calls to Mullvad.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use super::catalogue::{Catalogue, Choice};
use crate::clock::Source;
use crate::machine::has_ipv4;
use crate::relays::{Keys, RelayView, Role};
use crate::view::UplinkView;
use crate::{RelaySettings, Uptime, View};

/// Half of a `WireGuard` key (Curve25519) that everybody may know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Debug for PublicKey {
    /// Enough to tell one from another.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("..)")
    }
}

/// The box as Mullvad knows it: one of the account's five.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub id: String,
    /// Two words that the website shows: `happy seal`.
    pub name: String,
    pub key: PublicKey,
    /// What the tunnel's interface is to have.
    pub addresses: Vec<IpAddr>,
}

/// What is kept across boots, beside the keys' other halves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub device: Option<Device>,
    /// When the device's key was made, as time since 1970; `None`: at a time when nobody knew the time.
    pub made: Option<Duration>,
    /// A key that is to become the device's, and may be that by now.
    pub next: Option<PublicKey>,
    /// The device's before its newest one, of which it is not known yet whether it is good.
    pub before: Option<PublicKey>,
    /// When the account runs out, as it was heard last, as time since 1970.
    pub expiry: Option<Duration>,
}

/// Something that is asked of Mullvad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// The list of all relays. Nobody has to say who he is for it.
    Relays,
    /// When the account runs out.
    Expiry,
    /// All devices of the account.
    Devices,
    /// A new device with this key.
    Register(PublicKey),
    /// This key in the place of the device's: the one before is worth nothing from then on.
    Replace { device: String, key: PublicKey },
}

/// What Mullvad says to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `None`: it has not changed.
    Relays(Option<Catalogue>),
    /// As time since 1970.
    Expiry(Duration),
    Devices(Vec<Device>),
    /// To [`Call::Register`] and to [`Call::Replace`].
    Device(Device),
}

/// Why there is no such answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody answers, or somebody who cannot show that he is Mullvad; a sentence.
    Unreachable(String),
    /// It wants to be left alone for so long.
    Later(Duration),
    /// The number is no account's.
    NoSuchAccount,
    /// Five there are, and the box would be the sixth.
    TooManyDevices,
    /// Another device has it, or had it lately.
    KeyInUse,
    /// It was removed.
    NoSuchDevice,
    /// Something that nobody expected; a sentence.
    Odd(String),
}

/// What the machine hears.
#[derive(Clone, Debug)]
pub enum Input {
    /// The newest of what is around.
    Surroundings(Surroundings),
    /// A key that was asked for; the disk has its other half. Or in words why there is none.
    Key(Result<PublicKey, String>),
    Answered(Call, Result<Answer, Refusal>),
    /// Somebody wants relays of this place to carry, from now on.
    Choose(Choice),
    Tick,
}

/// What the machine asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make a key, keep its other half on the disk, report [`Input::Key`].
    MakeKey,
    /// Report [`Input::Answered`].
    Call(Call),
    /// Keep across boots, with the other halves of the keys that it names and of no others.
    Keep(Record),
    /// Keep across boots that relays of this place are wanted.
    Remember(Choice),
    /// These relays may carry, the preferred one first; so many at the beginning have just been chosen by the owner.
    Offer(Vec<RelaySettings>, usize),
    /// What may be told has changed.
    Tell(Report),
}

/// What a line speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Perhaps IPv6 too.
    Ipv4,
    Ipv6Alone,
}

/// What of the box the machine needs to know. Told again whenever something of it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The house's, if it has one.
    pub line: Option<Line>,
    /// Whether the wall clock is right, by somebody's word.
    pub knows_time: bool,
    /// The relay that the tunnel leads to, by its name.
    pub relay: Option<String>,
    /// Some of the relays that may carry are spoken to by the device's keys. None is where the owner's files have them all.
    pub uses_keys: bool,
    /// By which of the device's keys relays were proven, and when last.
    pub proven: Vec<(PublicKey, Uptime)>,
    /// When a client last moved anything.
    pub moved: Option<Uptime>,
}

impl Surroundings {
    pub fn of(view: &View) -> Self {
        let key = |relay: &RelayView| match relay.keys {
            Keys::File(_) => None,
            Keys::Device { ours, .. } => Some((ours, relay.proven?)),
        };
        let active = view.relays.iter().find(|relay| relay.role == Role::Active);
        Self {
            line: view.uplink.as_ref().map(Line::of),
            knows_time: view.clock.source.is_some_and(Source::is_known),
            relay: active.map(|relay| relay.name.clone()),
            uses_keys: view.relays.iter().any(|relay| matches!(relay.keys, Keys::Device { .. })),
            proven: view.relays.iter().filter_map(key).collect(),
            moved: view.clients.iter().flatten().filter_map(|client| client.last_seen).max(),
        }
    }
}

impl Line {
    fn of(uplink: &UplinkView) -> Self {
        if has_ipv4(&uplink.addresses) { Self::Ipv4 } else { Self::Ipv6Alone }
    }
}

/// What may be told of the account. Times are since 1970; unknown is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What the website calls the box.
    pub device: Option<String>,
    /// When the account runs out.
    pub expiry: Option<Duration>,
    /// Until then; 0: it has.
    pub days_left: Option<u64>,
    pub key_made: Option<Duration>,
    /// Where relays are wanted: `se-got`.
    pub location: String,
    /// What the owner has to know or to do; a sentence.
    pub trouble: Option<String>,
    /// What has happened and is mended; a sentence, for a day.
    pub note: Option<String>,
}
