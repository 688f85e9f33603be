//! What is left to do with the owner's secrets once the box is on its tailnet: the auth key goes from the box's own
//! configuration, and everything secret from the card. Beside the loop: a card may take its time.

use byway_core::tailnet::{BackendState, TailnetFacts};
use tokio::sync::watch;

use super::Paths;
use crate::handover::{self, Home};
use crate::tailnet::{self, Wiped};

/// How far the box is in.
#[derive(Clone, Debug, Default)]
pub(super) struct Membership {
    pub(super) key_has_served: bool,
    /// `None`: it was not in since the agent's start.
    home: Option<Home>,
}

impl Membership {
    /// Whether something is new.
    pub(super) fn learn(&mut self, facts: &TailnetFacts) -> bool {
        if facts.state != Some(BackendState::Running) {
            return false;
        }
        let home = Some(Home { name: facts.name.clone(), addresses: facts.addresses.clone() });
        let is_new = self.home != home;
        self.home = home;
        is_new
    }
}

/// As long as somebody tells how far it is.
pub(super) fn start(paths: &Paths) -> watch::Sender<Membership> {
    let (tell, mut told) = watch::channel(Membership::default());
    let paths = paths.clone();
    tokio::spawn(async move {
        while told.changed().await.is_ok() {
            let membership = told.borrow_and_update().clone();
            let paths = paths.clone();
            // One that panics has ended the agent.
            _ = tokio::task::spawn_blocking(move || settle(&paths, &membership)).await;
        }
    });
    tell
}

/// The box's own first: only what it has is wiped on the card.
fn settle(paths: &Paths, Membership { key_has_served, home }: &Membership) {
    if *key_has_served {
        match tailnet::wipe_auth_key(&paths.config) {
            Ok(Wiped::Now) => tracing::info!("joined: the auth key has done its work"),
            Ok(Wiped::Before) => {}
            Err(error) => tracing::warn!("the auth key is still in {}: {error:#}", paths.config.display()),
        }
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
        let mut facts = TailnetFacts { name: Some("cottage".to_owned()), ..TailnetFacts::default() };
        assert!(!membership.learn(&facts));
        facts.state = Some(BackendState::NeedsLogin);
        assert!(!membership.learn(&facts) && membership.home.is_none());
        facts.state = Some(BackendState::Running);
        assert!(membership.learn(&facts) && !membership.learn(&facts));
        facts.addresses.push("100.64.0.2".parse().unwrap());
        assert!(membership.learn(&facts));
        let home = membership.home.clone().unwrap();
        assert_eq!((home.name.as_deref(), home.addresses.len()), (Some("cottage"), 1));
        facts.state = Some(BackendState::Starting);
        assert!(!membership.learn(&facts) && membership.home == Some(home));
    }
}
