//! Keeps on the disk what people chose: the last wish, the relay that is to carry, and whom nothing is carried for. A disk that does not take it is
//! tried again until it does, since somebody may empty it one day; the choice counts meanwhile.

use std::time::Duration;

use byway_core::clients::PausedClient;
use byway_core::{Uptime, Used};

use crate::store::{LastWish, Store, StoreError, UsedFile};

const TRY_AGAIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct WishKeeper {
    store: Store,
    used: UsedFile,
    unsaved: Unsaved,
    tried: Uptime,
}

/// The newest of each, until the disk has it.
#[derive(Debug, Default)]
struct Unsaved {
    wish: Option<LastWish>,
    relay: Option<String>,
    paused: Option<Vec<PausedClient>>,
}

impl WishKeeper {
    pub(super) fn new(store: Store, used: UsedFile) -> Self {
        Self { store, used, unsaved: Unsaved::default(), tried: Uptime::default() }
    }

    /// An error says that something chosen is forgotten at the next boot, be it this or what came before.
    pub(super) fn remember(&mut self, now: Uptime, wish: LastWish) -> Result<(), String> {
        self.unsaved.wish = Some(wish);
        self.save(now)
    }

    /// The same, of the relay that is to carry, by its name.
    pub(super) fn remember_relay(&mut self, now: Uptime, name: &str) -> Result<(), String> {
        self.unsaved.relay = Some(name.to_owned());
        self.save(now)
    }

    /// The same, of those for whom nothing is carried.
    pub(super) fn remember_paused(&mut self, now: Uptime, paused: Vec<PausedClient>) -> Result<(), String> {
        self.unsaved.paused = Some(paused);
        self.save(now)
    }

    /// What is not kept now is kept with the next step: it grows.
    pub(super) fn remember_used(&mut self, used: Used) {
        if let Err(error) = self.used.write(used) {
            tracing::warn!("what was used of the house's line is forgotten at the next boot: {error}");
        }
    }

    /// To be called now and then; says how it went if it was time to try again.
    pub(super) fn look(&mut self, now: Uptime) -> Option<Result<(), String>> {
        let Unsaved { wish, relay, paused } = &self.unsaved;
        let all_saved = wish.is_none() && relay.is_none() && paused.is_none();
        (!all_saved && now.since(self.tried) >= TRY_AGAIN).then(|| self.save(now))
    }

    /// What one refuses does not keep the others from being saved.
    fn save(&mut self, now: Uptime) -> Result<(), String> {
        self.tried = now;
        let Self { store, unsaved: Unsaved { wish, relay, paused }, .. } = self;
        let kept_wish = keep(wish, |wish| store.remember_wish(*wish));
        let kept_relay = keep(relay, |name| store.remember_relay(name));
        let kept_paused = keep(paused, |paused| store.remember_paused(paused));
        kept_wish.and(kept_relay).and(kept_paused).map_err(|error| error.to_string())
    }
}

fn keep<T>(
    unsaved: &mut Option<T>,
    save: impl FnOnce(&T) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    unsaved.as_ref().map_or(Ok(()), save)?;
    *unsaved = None;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use byway_core::Egress;
    use byway_core::stamps::Boot;

    use super::*;

    fn keeper(state: &Path) -> WishKeeper {
        let used = UsedFile::open(Store::new(state), Boot(1)).0;
        WishKeeper::new(Store::new(state), used)
    }

    #[test]
    fn a_wish_that_the_disk_refused_is_saved_once_it_takes_it_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        fs::write(&state, "no folder").unwrap();
        let mut keeper = keeper(&state);
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

    #[test]
    fn wish_and_relay_that_the_disk_refused_are_both_saved_once_it_takes_them_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        fs::write(&state, "no folder").unwrap();
        let mut keeper = keeper(&state);
        let wish = LastWish::first(Egress::Residential);
        let at = |seconds| Uptime::since_boot(Duration::from_secs(seconds));
        assert!(keeper.remember(at(1), wish).is_err());
        assert!(keeper.remember_relay(at(2), "a").is_err());
        assert!(keeper.remember_relay(at(3), "b").is_err());
        fs::remove_file(&state).unwrap();
        assert_eq!((keeper.look(at(12)), keeper.look(at(13))), (None, Some(Ok(()))));
        let store = Store::new(&state);
        assert_eq!(store.relay().value.as_deref(), Some("b"), "the newest");
        assert_eq!(store.wish(Egress::Privacy).value, wish);

        // Nothing but a folder in its place keeps root from writing a file.
        fs::create_dir(state.join("relay.new")).unwrap();
        assert!(keeper.remember_relay(at(20), "c").is_err());
        let other = wish.then(Egress::Privacy.into());
        assert!(keeper.remember(at(21), other).is_err_and(|error| error.contains("relay.new")));
        assert_eq!(store.wish(Egress::Privacy).value, other, "saved all the same");
        fs::remove_dir(state.join("relay.new")).unwrap();
        assert_eq!(keeper.look(at(31)), Some(Ok(())));
        assert_eq!(store.relay().value.as_deref(), Some("c"));
        assert_eq!(keeper.look(at(99)), None);
    }
}
