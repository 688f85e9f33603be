//! What is left to do with the owner's secrets once the box is on its tailnet: the auth key goes from the box's own
//! configuration, and everything secret from the card. Beside the loop: a card may take its time.

use std::sync::Arc;
use std::time::Duration;

use byway_core::tailnet::{BackendState, TailnetFacts};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Paths;
use crate::handover::{self, Home};
use crate::spare::Spare;
use crate::tailnet::{self, Wiped};

/// For what is being written when the agent ends: half of it would be of no use to anybody.
const LAST_PATIENCE: Duration = Duration::from_secs(3);

/// Who does it.
pub(super) struct Settler {
    membership: watch::Sender<Membership>,
    work: JoinHandle<()>,
}

/// How far the box is in.
#[derive(Clone, Debug, Default)]
struct Membership {
    key_has_served: bool,
    /// `None`: it was not in since the agent's start.
    home: Option<Home>,
}

impl Settler {
    pub(super) fn start(paths: &Paths, spare: Option<Arc<Spare>>) -> Self {
        let (membership, mut told) = watch::channel(Membership::default());
        let paths = paths.clone();
        let work = tokio::spawn(async move {
            while told.changed().await.is_ok() {
                let membership = told.borrow_and_update().clone();
                let (paths, spare) = (paths.clone(), spare.clone());
                // One that panics has ended the agent.
                _ = tokio::task::spawn_blocking(move || settle(&paths, spare.as_deref(), &membership)).await;
            }
        });
        Self { membership, work }
    }

    pub(super) fn learn(&self, facts: &TailnetFacts) {
        self.membership.send_if_modified(|membership| membership.learn(facts));
    }

    pub(super) fn key_has_served(&self) {
        self.membership.send_modify(|membership| membership.key_has_served = true);
    }

    pub(super) async fn finish(self) {
        drop(self.membership);
        _ = timeout(LAST_PATIENCE, self.work).await;
    }
}

impl Membership {
    /// Whether something is new.
    fn learn(&mut self, facts: &TailnetFacts) -> bool {
        let home = match (&facts.state, &facts.name) {
            (Some(BackendState::Running), Some(name)) if !facts.addresses.is_empty() => {
                Some(Home { name: name.clone(), addresses: facts.addresses.clone() })
            }
            _ => return false,
        };
        let is_new = self.home != home;
        self.home = home;
        is_new
    }
}

/// The box's own first: only what it has is wiped on the card.
fn settle(paths: &Paths, spare: Option<&Spare>, Membership { key_has_served, home }: &Membership) {
    if *key_has_served {
        match tailnet::wipe_auth_key(&paths.config) {
            Ok(Wiped::Now) => tracing::info!("joined: the auth key has done its work"),
            Ok(Wiped::Before) => {}
            Err(error) => tracing::warn!("the auth key is still in {}: {error:#}", paths.config.display()),
        }
    }
    if let Some(spare) = spare {
        spare.keep_now();
    }
    if let (Some(card), Some(home)) = (&paths.card, home) {
        handover::settle(card, &paths.config, home);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_box_that_is_in_has_a_home_and_each_is_told_once() {
        let mut membership = Membership::default();
        let mut facts = TailnetFacts {
            name: Some("cottage".to_owned()),
            addresses: vec!["100.64.0.2".parse().unwrap()],
            ..TailnetFacts::default()
        };
        assert!(!membership.learn(&facts));
        facts.state = Some(BackendState::NeedsLogin);
        assert!(!membership.learn(&facts) && membership.home.is_none());
        facts.state = Some(BackendState::Running);
        assert!(membership.learn(&facts) && !membership.learn(&facts));
        facts.addresses.push("fd7a:115c:a1e0::2".parse().unwrap());
        assert!(membership.learn(&facts));
        let home = membership.home.clone().unwrap();
        assert_eq!((home.name.as_str(), home.addresses.len()), ("cottage", 2));
        for unknown in [
            TailnetFacts { state: Some(BackendState::Starting), ..facts.clone() },
            TailnetFacts { name: None, ..facts.clone() },
            TailnetFacts { addresses: Vec::new(), ..facts },
        ] {
            assert!(!membership.learn(&unknown) && membership.home.as_ref() == Some(&home));
        }
    }

    #[tokio::test]
    async fn the_end_waits_for_what_is_being_done() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("byway.toml");
        std::fs::write(&config, "[tailnet]\nauth_key = \"hskey-1\"\n").unwrap();
        let run_dir = folder.path().to_owned();
        let paths =
            Paths { config: config.clone(), card: None, state_dir: run_dir.clone(), spare: None, run_dir };
        let settler = Settler::start(&paths, None);
        settler.key_has_served();
        settler.finish().await;
        assert_eq!(std::fs::read_to_string(config).unwrap(), "[tailnet]\n\n");
    }
}
