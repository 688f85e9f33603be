//! The owner's account with Mullvad, and the list of its relays.
//!
//! `api` asks Mullvad, by the house's line · `relay_list` reads the list of relays, `list_file` keeps the last good one ·
//! `key_ring` keeps the device's record with the private halves of its keys · `wire` is what Mullvad's JSON is made of.
//! When something is asked, and what follows from an answer, is decided in [`byway_core::account`]; `keeper` carries it out.

mod api;
mod keeper;
mod key_ring;
mod list_file;
pub mod relay_list;
mod wire;

use std::sync::Arc;

use byway_core::account::{Catalogue, Choice};
use tokio::sync::{mpsc, watch};

pub use self::api::Api;
pub use self::keeper::{Means, Safe};
pub use self::key_ring::KeyRing;
pub use self::list_file::{KeptList, ListFile};

/// Where people ask about relays, and for others.
#[derive(Clone, Debug)]
pub struct Counter {
    /// The newest list; `None`: there was none yet.
    pub catalogue: watch::Receiver<Option<Arc<Catalogue>>>,
    pub choices: mpsc::Sender<Choice>,
}
