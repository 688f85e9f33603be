//! Keeps the last wish on the disk. A disk that does not take it is tried again until it does, since somebody may empty
//! it one day; the wish counts meanwhile.

use std::time::Duration;

use byway_core::Uptime;

use crate::store::{LastWish, Store};

const TRY_AGAIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct WishKeeper {
    store: Store,
    unsaved: Option<(LastWish, Uptime)>,
}

impl WishKeeper {
    pub(super) fn new(store: Store) -> Self {
        Self { store, unsaved: None }
    }

    pub(super) fn remember(&mut self, now: Uptime, wish: LastWish) -> Result<(), String> {
        let outcome = self.store.remember_wish(wish);
        self.unsaved = outcome.is_err().then_some((wish, now));
        outcome.map_err(|error| error.to_string())
    }

    /// To be called now and then; says how it went if it was time to try again.
    pub(super) fn look(&mut self, now: Uptime) -> Option<Result<(), String>> {
        let (wish, tried) = self.unsaved?;
        (now.since(tried) >= TRY_AGAIN).then(|| self.remember(now, wish))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use byway_core::Egress;

    use super::*;

    #[test]
    fn a_wish_that_the_disk_refused_is_saved_once_it_takes_it_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        fs::write(&state, "no folder").unwrap();
        let mut keeper = WishKeeper::new(Store::new(&state));
        let wish = LastWish::first(Egress::Residential);
        let at = |seconds| Uptime::since_boot(Duration::from_secs(seconds));
        assert!(keeper.remember(at(1), wish).is_err());
        fs::remove_file(&state).unwrap();

        let recalled = || Store::new(&state).wish(Egress::Privacy).value;
        assert_eq!(keeper.look(at(10)), None);
        assert_eq!(recalled(), LastWish::first(Egress::Privacy), "it is not the time yet");
        assert_eq!(keeper.look(at(11)), Some(Ok(())));
        assert_eq!(recalled(), wish);

        fs::remove_dir_all(&state).unwrap();
        assert_eq!(keeper.look(at(60)), None);
        assert!(!state.exists(), "what is saved is not saved again and again");
    }
}
