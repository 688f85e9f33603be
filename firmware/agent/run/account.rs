//! The account with Mullvad, where the owner's configuration names one.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use byway_core::account::Settings;
use byway_core::{Input, View};
use tokio::sync::{mpsc, watch};

use super::Paths;
use crate::config::{Config, Mullvad};
use crate::dns::own::Names;
use crate::mullvad::{Counter, Means, Safe};
use crate::tls::Trust;

/// What networks let through for web pages, for other tunnels and for the time; which of them relays listen at is told by
/// Mullvad's list. Not 53, where many answer themselves.
const PORTS: [u16; 3] = [443, 4500, 123];

/// What is kept of it; opened before anybody speaks to a relay with its keys.
pub(super) fn open(config: &Config, paths: &Paths) -> Option<Safe> {
    config.mullvad.account.as_ref().map(|account| Safe::open(account, &paths.state_dir))
}

/// `names`: by the house's line.
pub(super) fn keep(
    mullvad: &Mullvad,
    safe: Option<Safe>,
    (trust, names): (&Trust, &Arc<Names>),
    (views, core): (&watch::Receiver<View>, &mpsc::Sender<Input>),
) -> Option<Counter> {
    let (account, safe) = mullvad.account.as_ref().zip(safe)?;
    let (trust, names) = (trust.clone(), Arc::clone(names));
    let means = Means { trust, names, views: views.clone(), core: core.clone() };
    let settings = Settings {
        location: account.location.clone(),
        owned: account.owned,
        rotate: account.rotate,
        mtu: mullvad.mtu,
        ports: Vec::from(PORTS),
        seed: RandomState::new().hash_one(()),
    };
    Some(safe.keep(account, settings, means))
}
