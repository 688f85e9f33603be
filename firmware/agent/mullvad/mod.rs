//! The owner's account with Mullvad, and the list of its relays.

use std::sync::Arc;

use byway_core::account::{Catalogue, Choice};
use tokio::sync::{mpsc, watch};

/// Where people ask about relays, and for others.
#[derive(Clone, Debug)]
pub struct Counter {
    /// The newest list; `None`: there was none yet.
    pub catalogue: watch::Receiver<Option<Arc<Catalogue>>>,
    pub choices: mpsc::Sender<Choice>,
}
