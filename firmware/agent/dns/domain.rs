//! The tailnet's base domain, as it was told last: also while tailscaled says nothing, and at the next start, so that a
//! peer's name never travels by a door for want of knowing better.

use std::sync::{Mutex, PoisonError};

use crate::store::Store;

#[derive(Debug)]
pub(super) struct Domain {
    store: Store,
    last: Mutex<Option<String>>,
}

impl Domain {
    pub(super) fn recall(store: Store) -> Self {
        let last = Mutex::new(store.domain().told());
        Self { store, last }
    }

    /// `told` is what tailscaled says now.
    pub(super) fn last(&self, told: Option<&str>) -> Option<String> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = told.filter(|told| last.as_deref() != Some(told)) {
            *last = Some(told.to_owned());
            if let Err(error) = self.store.remember_domain(told) {
                tracing::warn!("{error}");
            }
        }
        last.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_known_while_nobody_tells_it_and_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let domain = Domain::recall(Store::new(folder.path()));
        assert_eq!(domain.last(None), None);
        assert_eq!(domain.last(Some("tail.example.net")).as_deref(), Some("tail.example.net"));
        assert_eq!(domain.last(None).as_deref(), Some("tail.example.net"));
        let next = Domain::recall(Store::new(folder.path()));
        assert_eq!(next.last(None).as_deref(), Some("tail.example.net"));
        assert_eq!(next.last(Some("other.example")).as_deref(), Some("other.example"));
    }
}
