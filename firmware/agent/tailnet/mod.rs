//! Supervises tailscaled and tells what it knows: makes it run, reads it, asks what core has planned, reports.
//!
//! What to ask is decided by [`byway_core::tailnet::plan()`], what it means by
//! [`byway_core::tailnet::sentence`]. Dropping [`supervise`] leaves tailscaled running, on purpose.

mod bus;
#[cfg(test)]
mod fake;
mod localapi;
mod process;
mod session;
mod way;
mod ways;
mod wipe;
mod wire;

use std::{fmt, future::pending, path::PathBuf, time::Duration};

use byway_core::View;
use byway_core::tailnet::{TailnetFacts, Wanted};
use ipnet::IpNet;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};
use tracing::{info, warn};

pub use bus::{Bus, Notice};
pub use localapi::{Error as LocalApiError, LocalApi};
pub use process::{Error as ProcessError, INTERFACE, Origin, Tailscaled, log, socket, stop};
pub use ways::watch as watch_ways;
pub use wipe::{Error as WipeError, Wiped, wipe_auth_key, without_auth_key};
pub use wire::{Caller, Peer, TailscaledPrefs};

use crate::watchdog::Pulse;
use session::{Ended, Session};

/// A life at least this long shows that starting again helps: the next death is answered at once.
const LONG_LIFE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The part of byway.toml that concerns the tailnet, and where things are kept.
#[derive(Debug)]
pub struct Settings {
    pub tailscaled: PathBuf,
    pub state_dir: PathBuf,
    pub run_dir: PathBuf,
    /// `None`: Tailscale's own.
    pub control: Option<String>,
    pub auth_key: Option<AuthKey>,
    pub hostname: String,
    /// What of the house the tailnet's peers can reach, as the core tells it.
    pub views: watch::Receiver<View>,
    pub pulse: Pulse,
}

/// What makes a stranger's machine part of the tailnet. Never shown: it has no `Display`, and `Debug` hides it.
pub struct AuthKey(String);

/// What the caller is told.
#[derive(Debug, PartialEq, Eq)]
pub enum Report {
    /// The facts as they are now; sent when they differ from the last ones.
    Facts(Box<TailnetFacts>),
    /// The auth key has done its work: wipe it from byway.toml ([`wipe_auth_key`]).
    Joined,
}

/// Runs until nobody receives the reports any more.
pub async fn supervise(mut settings: Settings, reports: mpsc::Sender<Report>) {
    let tailscaled = Tailscaled::new(&settings.tailscaled, &settings.state_dir, &settings.run_dir);
    let mut short_lives = 0;
    while !reports.is_closed() {
        settings.pulse.tick();
        let born = Instant::now();
        let Err(error) = live(&tailscaled, &mut settings, &reports).await else {
            return; // nobody receives the reports
        };
        warn!(%error, "tailscaled does not serve");
        let _ = reports.send(Report::Facts(Box::new(TailnetFacts::silent(error.to_string())))).await;
        short_lives = if born.elapsed() < LONG_LIFE { short_lives + 1 } else { 0 };
        sleep(pause_after(short_lives)).await;
    }
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    LocalApi(#[from] LocalApiError),
    #[error("somebody deleted its routes")]
    Astray,
}

/// One life of tailscaled, from its first answer to its last; well ended when the reports are not received.
async fn live(
    tailscaled: &Tailscaled,
    settings: &mut Settings,
    reports: &mpsc::Sender<Report>,
) -> Result<(), Trouble> {
    let origin = tailscaled.ensure_running().await?;
    let pid = tailscaled.api().pid().await?;
    info!(?origin, pid, "tailscaled answers");
    match Session::new(tailscaled, settings, reports).run().await? {
        Ended::Unheard => Ok(()),
        Ended::Astray => {
            tailscaled.end().await?;
            Err(Trouble::Astray)
        }
    }
}

/// 0 s after a long life, then 1, 2, 4 .. 30 s.
fn pause_after(short_lives: u32) -> Duration {
    match short_lives.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => Duration::from_secs(1 << doublings.min(5)).min(LONGEST_PAUSE),
    }
}

fn wanted_of(view: &View) -> Option<Vec<IpNet>> {
    match (&view.lan, &view.uplink) {
        (None, _) => Some(Vec::new()),
        (Some(_), None) => None,
        (Some(lan), Some(_)) => Some(lan.reach.clone()),
    }
}

impl Settings {
    fn wanted(&self) -> Wanted {
        Wanted {
            control: self.control.clone(),
            hostname: self.hostname.clone(),
            have_auth_key: self.auth_key.is_some(),
            lan: wanted_of(&self.views.borrow()),
        }
    }

    /// Returns when the house is another than was wanted.
    async fn house_changed(&mut self) {
        let wanted = wanted_of(&self.views.borrow());
        if self.views.wait_for(|view| wanted_of(view) != wanted).await.is_err() {
            // The agent ends.
            pending::<()>().await;
        }
    }
}

impl AuthKey {
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// For the one request that needs it.
    fn reveal(&self) -> &str {
        &self.0
    }

    /// The text without the key, should somebody have quoted it.
    fn hidden_in(&self, text: &str) -> String {
        if self.0.is_empty() { text.into() } else { text.replace(&self.0, "(auth key)") }
    }
}

impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_again_at_once_after_a_long_life_and_ever_slower_after_short_ones() {
        let seconds: Vec<u64> = (0..8).map(|deaths| pause_after(deaths).as_secs()).collect();
        assert_eq!(seconds, [0, 1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn never_shows_the_auth_key() {
        let key = AuthKey::new("hskey-auth-secret");
        assert_eq!(format!("{key:?}"), "AuthKey(hidden)");
        assert_eq!(key.hidden_in("no such key: hskey-auth-secret"), "no such key: (auth key)");
    }
}
