//! The account's key ring: what the box is at Mullvad, with the private halves of its keys, across power cuts. Which keys
//! there are, and which of them is in use, is decided in byway-core.

mod file;

use std::collections::BTreeMap;
use std::fmt;

use byway_core::account::{PublicKey, Record};
use ring::rand::{SecureRandom as _, SystemRandom};

use self::file::{Kept, Mark};
use crate::config::Secret;
use crate::store::{Recalled, Store, StoreError};
use crate::tunnel::{self, StaticSecret};

const RING: &str = "mullvad";

/// The record of one account, and the keys that it names or will name.
pub struct KeyRing {
    store: Store,
    mark: Mark,
    record: Record,
    keys: BTreeMap<PublicKey, StaticSecret>,
}

impl KeyRing {
    /// The ring, and the record in it; an empty one where there was none of this account.
    pub fn open(store: Store, account: &Secret) -> (Self, Recalled<Record>) {
        let Recalled { value: kept, note } = store.recall(RING, Kept::default());
        let other = kept.is_of_another(account).then(|| {
            "the mullvad account in byway.toml is another one than before: the box becomes a new device there, and the old \
             account keeps the old device until somebody removes it on the website"
                .to_owned()
        });
        let (mark, record, keys) = kept.unpack(account);
        let ring = Self { store, mark, record: record.clone(), keys };
        (ring, Recalled { value: record, note: note.or(other) })
    }

    /// A new key. The disk has its private half when this returns; a refusal makes none.
    pub fn make_key(&mut self) -> Result<PublicKey, StoreError> {
        let secret = StaticSecret::from(random());
        let key = public_half(&secret);
        self.keys.insert(key, secret);
        if let Err(error) = self.write(&self.record, &self.keys) {
            self.keys.remove(&key);
            return Err(error);
        }
        Ok(key)
    }

    /// Keeps this record and the keys that it names, and forgets all others. After a refusal no key is forgotten: the disk
    /// may still name it.
    pub fn keep(&mut self, record: &Record) -> Result<(), StoreError> {
        self.record = record.clone();
        let mut named = self.keys.clone();
        named.retain(|key, _| names(record, key));
        self.write(record, &named)?;
        self.keys = named;
        Ok(())
    }

    /// The private half of a key.
    pub fn private(&self, key: &PublicKey) -> Option<StaticSecret> {
        self.keys.get(key).cloned()
    }

    fn write(&self, record: &Record, keys: &BTreeMap<PublicKey, StaticSecret>) -> Result<(), StoreError> {
        self.store.remember(RING, Kept::pack(&self.mark, record, keys))
    }
}

impl fmt::Debug for KeyRing {
    /// Leaves the private halves out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("keys", &self.keys.keys()).finish_non_exhaustive()
    }
}

fn names(record: &Record, key: &PublicKey) -> bool {
    let device = record.device.as_ref().map(|device| device.key);
    [device, record.next, record.before].contains(&Some(*key))
}

fn public_half(secret: &StaticSecret) -> PublicKey {
    PublicKey(tunnel::PublicKey::from(secret).to_bytes())
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).expect("a kernel that runs agents has random numbers");
    bytes
}

#[cfg(test)]
mod tests;
