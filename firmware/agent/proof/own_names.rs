//! The box's own names, kept in `/etc/hosts`: looked up by the ISP, remembered across reboots, so that a box with a
//! dead tunnel or a house without working resolvers still reaches its owner.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::hosts;
use super::names::Names;
use crate::config::Host;
use crate::store::{Addresses, Store};

/// tailscaled's resolver reads it, its clients' does not (research: tailnet 1.8).
const HOSTS: &str = "/etc/hosts";

#[derive(Debug)]
pub struct OwnNames {
    names: Arc<Names>,
    store: Store,
    hosts: PathBuf,
    known: Addresses,
}

impl OwnNames {
    /// Starts from what the last boot knew.
    pub fn recall(names: Arc<Names>, store: Store) -> Self {
        Self::recall_into(Path::new(HOSTS), names, store)
    }

    fn recall_into(hosts: &Path, names: Arc<Names>, store: Store) -> Self {
        let recalled = store.names();
        if let Some(note) = recalled.note {
            tracing::warn!("{note}");
        }
        let own = Self { names, store, hosts: hosts.to_owned(), known: recalled.value };
        own.write_hosts();
        own
    }

    /// Looks every name up; whatever is not found, or not asked for this time, keeps its last addresses. True when
    /// all were found.
    pub async fn refresh(&mut self, wanted: &BTreeSet<String>) -> bool {
        let mut known = self.known.clone();
        let mut all_found = true;
        for name in wanted {
            match self.names.resolve(&Host::Name(name.clone())).await {
                Ok(addresses) => _ = known.insert(name.clone(), addresses),
                Err(error) => {
                    tracing::debug!("{error}");
                    all_found = false;
                }
            }
        }
        self.keep(known);
        all_found
    }

    fn keep(&mut self, known: Addresses) {
        if known != self.known {
            self.known = known;
            if let Err(error) = self.store.remember_names(&self.known) {
                tracing::warn!("{error}");
            }
        }
        // Also when nothing changed: somebody else may have written the file.
        self.write_hosts();
    }

    fn write_hosts(&self) {
        match hosts::update(&self.hosts, &self.known) {
            Ok(true) => tracing::info!(names = self.known.len(), "{HOSTS} written"),
            Ok(false) => {}
            Err(error) => {
                tracing::error!("{HOSTS} cannot be written: {error}: tailscaled finds no control server");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_of_the_last_boot_outlive_look_ups_that_fail_or_do_not_ask_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let (state, hosts) = (folder.path().join("state"), folder.path().join("hosts"));
        std::fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();
        let last: Addresses = ["derp.example", "hs.example"]
            .map(|name| (name.to_owned(), Vec::from(["192.0.2.1".parse().unwrap()])))
            .into();
        Store::open(&state).unwrap().remember_names(&last).unwrap();

        let nobody = Arc::new(Names::by_tunnel("lo", &["127.0.0.1".parse().unwrap()]));
        let mut own = OwnNames::recall_into(&hosts, nobody, Store::open(&state).unwrap());
        assert!(!own.refresh(&["hs.example".to_owned()].into()).await);

        assert_eq!(Store::open(&state).unwrap().names().value, last);
        let written = std::fs::read_to_string(&hosts).unwrap();
        assert!(written.contains("derp.example") && written.contains("hs.example"), "{written}");
    }
}
