//! Remembers, in a folder in memory, what was counted of clients in this boot.

use byway_core::clients::Ledger;
use byway_core::stamps::Boot;
use serde::{Deserialize, Serialize};

use super::{Recalled, Store, StoreError};

const CLIENTS: &str = "clients";

#[derive(Serialize, Deserialize)]
struct Kept {
    boot: String,
    ledger: Ledger,
}

impl Store {
    /// As the agent before this one left it in the same boot.
    pub fn ledger(&self, Boot(boot): Boot) -> Recalled<Option<Ledger>> {
        let none = Kept { boot: String::new(), ledger: Ledger::default() };
        self.recall(CLIENTS, none)
            .map(|kept| (kept.boot == boot.to_string()).then(|| kept.ledger.taken_over()))
    }

    pub fn remember_ledger(&self, Boot(boot): Boot, ledger: &Ledger) -> Result<(), StoreError> {
        self.remember(CLIENTS, Kept { boot: boot.to_string(), ledger: ledger.clone() })
    }
}
