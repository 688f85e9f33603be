//! Whom Mullvad tells a relay to serve, beside the one device that cards are for. A relay that has died asks again when it
//! comes back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;

use crate::namespace::Namespace;

/// Public keys, each with its addresses inside the tunnel as `wg` takes them.
pub(crate) type Devices = BTreeMap<String, String>;

/// What one relay was told; clones are the same relay's.
#[derive(Debug, Clone)]
pub(crate) struct Customers {
    namespace: Namespace,
    device: String,
    told: Arc<Mutex<Devices>>,
}

impl Customers {
    pub(super) fn none(namespace: &Namespace, device: &str) -> Self {
        let (namespace, device) = (namespace.clone(), device.to_owned());
        Self { namespace, device, told: Arc::default() }
    }

    /// From now on these and no others.
    pub(crate) fn become_these(&self, devices: &Devices) -> Result<()> {
        let mut told = self.told();
        let words = changes(&told, devices);
        told.clone_from(devices);
        self.set(&words)
    }

    /// Whoever was told of them has forgotten.
    pub(super) fn tell_again(&self) -> Result<()> {
        self.set(&changes(&Devices::new(), &self.told()))
    }

    fn set(&self, changes: &[String]) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let words: Vec<&str> =
            ["wg", "set", &self.device].into_iter().chain(changes.iter().map(String::as_str)).collect();
        match self.namespace.run(&words) {
            Err(_) if self.is_dead() => Ok(()),
            done => done.map(drop),
        }
    }

    fn is_dead(&self) -> bool {
        self.namespace.run(&["wg", "show", &self.device]).is_err()
    }

    /// Whole at every moment, also when a thread died holding it.
    fn told(&self) -> MutexGuard<'_, Devices> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The words of `wg set` that lead from one to the other: who goes comes first, since an address has one owner.
fn changes(from: &Devices, to: &Devices) -> Vec<String> {
    let gone = from.keys().filter(|key| !to.contains_key(*key));
    let gone = gone.flat_map(|key| ["peer", key, "remove"]);
    let new = to.iter().filter(|(key, addresses)| from.get(*key) != Some(*addresses));
    let new = new.flat_map(|(key, addresses)| ["peer", key, "allowed-ips", addresses]);
    gone.chain(new).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_is_said_and_who_goes_comes_first() {
        let peers = |list: &[(&str, &str)]| -> Devices {
            list.iter().map(|(key, addresses)| ((*key).to_owned(), (*addresses).to_owned())).collect()
        };
        let before =
            peers(&[("old", "10.64.16.1/32"), ("same", "10.64.16.2/32"), ("moved", "10.64.16.3/32")]);
        let after = peers(&[("new", "10.64.16.1/32"), ("same", "10.64.16.2/32"), ("moved", "10.64.16.4/32")]);
        assert_eq!(
            changes(&before, &after).join(" "),
            "peer old remove peer moved allowed-ips 10.64.16.4/32 peer new allowed-ips 10.64.16.1/32"
        );
        assert_eq!(changes(&after, &after), Vec::<String>::new());
    }
}
