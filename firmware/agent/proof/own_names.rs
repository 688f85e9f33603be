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
        let recalled = store.names();
        if let Some(note) = recalled.note {
            tracing::warn!("{note}");
        }
        let own = Self { names, store, hosts: Path::new(HOSTS).to_owned(), known: recalled.value };
        own.write_hosts();
        own
    }

    /// Looks every name up; one that is not found keeps its last addresses. True when all were found.
    pub async fn refresh(&mut self, wanted: &BTreeSet<String>) -> bool {
        let mut known = Addresses::new();
        let mut all_found = true;
        for name in wanted {
            match self.names.resolve(&Host::Name(name.clone())).await {
                Ok(addresses) => {
                    known.insert(name.clone(), addresses);
                }
                Err(error) => {
                    tracing::debug!("{error}");
                    all_found = false;
                    if let Some(addresses) = self.known.get(name) {
                        known.insert(name.clone(), addresses.clone());
                    }
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
