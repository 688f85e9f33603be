//! The key ring as it is kept.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use byway_core::account::{Device, PublicKey, Record};
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::super::wire::is_name;
use super::{public_half, random};
use crate::config::Secret;
use crate::tunnel::StaticSecret;

/// A record, whose it is, and private halves of keys.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Kept {
    account: Option<Mark>,
    device: Option<KeptDevice>,
    /// In seconds since 1970, as all times here.
    made: Option<u64>,
    next: Option<Bytes>,
    before: Option<Bytes>,
    expiry: Option<u64>,
    keys: Vec<Bytes>,
}

/// Tells an account from others without its number. Whoever has all of the card has the number too, in byway.toml.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Mark {
    salt: Bytes,
    sha256: Bytes,
}

#[derive(Serialize, Deserialize)]
struct KeptDevice {
    id: String,
    name: String,
    key: Bytes,
    addresses: Vec<IpAddr>,
}

/// In base64.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Bytes([u8; 32]);

impl Kept {
    pub(super) fn pack(mark: &Mark, record: &Record, keys: &BTreeMap<PublicKey, StaticSecret>) -> Self {
        let device = record.device.as_ref().map(|device| KeptDevice {
            id: device.id.clone(),
            name: device.name.clone(),
            key: Bytes(device.key.0),
            addresses: device.addresses.clone(),
        });
        Self {
            account: Some(mark.clone()),
            device,
            made: record.made.as_ref().map(Duration::as_secs),
            next: record.next.map(|PublicKey(key)| Bytes(key)),
            before: record.before.map(|PublicKey(key)| Bytes(key)),
            expiry: record.expiry.as_ref().map(Duration::as_secs),
            keys: keys.values().map(|secret| Bytes(secret.to_bytes())).collect(),
        }
    }

    pub(super) fn is_of_another(&self, account: &Secret) -> bool {
        self.account.as_ref().is_some_and(|mark| !mark.is_of(account))
    }

    /// What counts of it for this account.
    pub(super) fn unpack(self, account: &Secret) -> (Mark, Record, BTreeMap<PublicKey, StaticSecret>) {
        let Some(mark) = self.account.filter(|mark| mark.is_of(account)) else {
            return (Mark::of(account), Record::default(), BTreeMap::new());
        };
        let secrets = self.keys.into_iter().map(|Bytes(key)| StaticSecret::from(key));
        let keys: BTreeMap<_, _> = secrets.map(|secret| (public_half(&secret), secret)).collect();
        let has_secret = |Bytes(key)| Some(PublicKey(key)).filter(|key| keys.contains_key(key));
        // A device whose key has no private half cannot shake hands.
        let device = self.device.map(KeptDevice::unpack);
        let record = Record {
            device: device.filter(|device| is_name(&device.id) && keys.contains_key(&device.key)),
            made: self.made.map(Duration::from_secs),
            next: self.next.and_then(has_secret),
            before: self.before.and_then(has_secret),
            expiry: self.expiry.map(Duration::from_secs),
        };
        (mark, record, keys)
    }
}

impl KeptDevice {
    fn unpack(self) -> Device {
        let Self { id, name, key: Bytes(key), addresses } = self;
        Device { id, name, key: PublicKey(key), addresses }
    }
}

impl Mark {
    fn of(account: &Secret) -> Self {
        let salt = Bytes(random());
        Self { salt, sha256: digest(salt, account) }
    }

    fn is_of(&self, account: &Secret) -> bool {
        self.sha256 == digest(self.salt, account)
    }
}

fn digest(Bytes(salt): Bytes, account: &Secret) -> Bytes {
    let mut context = Context::new(&SHA256);
    context.update(&salt);
    context.update(account.reveal().as_bytes());
    Bytes(context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

impl TryFrom<String> for Bytes {
    type Error = &'static str;

    /// The error says nothing of the text, which may be a key.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("not 32 bytes in base64")
    }
}

impl From<Bytes> for String {
    fn from(Bytes(bytes): Bytes) -> Self {
        STANDARD.encode(bytes)
    }
}
