//! The box's own names, kept in `/etc/hosts`: looked up by the ISP, remembered across reboots, so that a box with a
//! dead tunnel or a house without working resolvers still reaches its owner.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use byway_core::Uptime;

use super::hosts;
use super::names::Names;
use crate::clock;
use crate::config::Host;
use crate::store::{Addresses, Store};

/// tailscaled's resolver reads it, its clients' does not (research: tailnet 1.8).
const HOSTS: &str = "/etc/hosts";
/// Control servers may change their relay servers for years: beyond as many, names not asked for are forgotten.
const MOST: usize = 512;
/// A name whose addresses change with every answer does not wear the card out.
const SAVE_AFTER: Duration = Duration::from_hours(6);

#[derive(Debug)]
pub struct OwnNames {
    names: Arc<Names>,
    store: Store,
    hosts: PathBuf,
    known: Addresses,
    /// What is on the disk, since then; none before the first look-up.
    saved: Option<(Addresses, Uptime)>,
    /// What was wrong at the last try to keep them; told once.
    trouble: Vec<String>,
}

impl OwnNames {
    /// Starts from what the last boot knew.
    pub fn recall(names: Arc<Names>, store: Store) -> Self {
        Self::recall_into(Path::new(HOSTS), names, store)
    }

    fn recall_into(hosts: &Path, names: Arc<Names>, store: Store) -> Self {
        let trouble = Vec::new();
        let (hosts, known) = (hosts.to_owned(), store.names().told());
        let mut own = Self { names, store, hosts, known, saved: None, trouble };
        own.keep(own.known.clone());
        // What is found first is saved at once.
        own.saved = None;
        own
    }

    /// Looks every name up; whatever is not found, or not asked for this time, keeps its last addresses, unless there
    /// are too many. True when all were found.
    pub async fn refresh(&mut self, wanted: &BTreeSet<String>) -> bool {
        let mut known = self.known.clone();
        let mut all_found = true;
        for name in wanted {
            match self.names.resolve(&Host::Name(name.clone())).await {
                Ok(addresses) => _ = known.insert(name.clone(), addresses),
                Err(error) => {
                    tracing::debug!("{error}");
                    all_found = false;
                }
            }
        }
        if known.len() > MOST {
            known.retain(|name, _| wanted.contains(name));
        }
        self.keep(known);
        all_found
    }

    /// Also when nothing changed: the disk may have been full, and somebody else may have written the hosts.
    fn keep(&mut self, known: Addresses) {
        self.known = known;
        let saved = self.save(clock::uptime());
        let trouble: Vec<String> = saved.err().into_iter().chain(self.write_hosts().err()).collect();
        if trouble != self.trouble {
            for error in &trouble {
                tracing::warn!("{error}");
            }
            if trouble.is_empty() {
                tracing::info!("the box's own names are kept again");
            }
            self.trouble = trouble;
        }
    }

    fn save(&mut self, now: Uptime) -> Result<(), String> {
        let is_due = self.saved.as_ref().is_none_or(|(saved, since)| {
            !saved.keys().eq(self.known.keys()) || now.since(*since) >= SAVE_AFTER
        });
        if is_due {
            self.store.remember_names(&self.known).map_err(|error| error.to_string())?;
            self.saved = Some((self.known.clone(), now));
        }
        Ok(())
    }

    fn write_hosts(&self) -> Result<(), String> {
        match hosts::update(&self.hosts, &self.known) {
            Ok(true) => tracing::info!(names = self.known.len(), "{HOSTS} written"),
            Ok(false) => {}
            Err(error) => {
                return Err(format!(
                    "{HOSTS} cannot be written: {error}: tailscaled finds no control server"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Stage {
        folder: tempfile::TempDir,
    }

    impl Stage {
        fn new() -> Self {
            let stage = Self { folder: tempfile::tempdir().unwrap() };
            fs::write(stage.hosts(), "127.0.0.1 localhost\n").unwrap();
            stage
        }

        fn hosts(&self) -> PathBuf {
            self.folder.path().join("hosts")
        }

        fn store(&self) -> Store {
            Store::new(self.folder.path().join("state"))
        }

        /// Nobody answers.
        fn own(&self) -> OwnNames {
            let nobody = Arc::new(Names::by_tunnel("lo", &["127.0.0.1".parse().unwrap()]));
            OwnNames::recall_into(&self.hosts(), nobody, self.store())
        }

        fn written(&self) -> String {
            fs::read_to_string(self.hosts()).unwrap()
        }
    }

    fn at_one_place(names: impl IntoIterator<Item = String>) -> Addresses {
        names.into_iter().map(|name| (name, Vec::from(["192.0.2.1".parse().unwrap()]))).collect()
    }

    #[tokio::test]
    async fn names_of_the_last_boot_outlive_look_ups_that_fail_or_do_not_ask_for_them() {
        let stage = Stage::new();
        let last = at_one_place(["derp.example", "hs.example"].map(String::from));
        stage.store().remember_names(&last).unwrap();

        let mut own = stage.own();
        assert!(!own.refresh(&["hs.example".to_owned()].into()).await);

        assert_eq!(stage.store().names().value, last);
        let written = stage.written();
        assert!(written.contains("derp.example") && written.contains("hs.example"), "{written}");
    }

    #[test]
    fn addresses_that_change_with_every_answer_are_saved_a_few_times_a_day() {
        let stage = Stage::new();
        let at = |hours| Uptime::since_boot(Duration::from_hours(hours));
        let places = |last: u8, names: &[&str]| -> Addresses {
            names.iter().map(|name| ((*name).to_owned(), Vec::from([[192, 0, 2, last].into()]))).collect()
        };
        let mut own = stage.own();
        for (now, last, names, saved) in [
            (1, 1, &["hs.example"][..], 1),
            (2, 2, &["hs.example"], 1),
            (6, 3, &["hs.example"], 1),
            (7, 4, &["hs.example"], 4),
            (8, 5, &["hs.example"], 4),
            (8, 6, &["derp.example", "hs.example"], 6),
        ] {
            own.known = places(last, names);
            own.save(at(now)).unwrap();
            assert_eq!(
                stage.store().names().value["hs.example"],
                places(saved, &["hs.example"])["hs.example"]
            );
        }
    }

    #[tokio::test]
    async fn does_not_gather_names_for_ever() {
        let stage = Stage::new();
        let derp = (0..=MOST).map(|number| format!("derp-{number}.example"));
        stage.store().remember_names(&at_one_place(derp)).unwrap();
        let mut own = stage.own();
        own.refresh(&["derp-7.example".to_owned()].into()).await;
        assert_eq!(stage.store().names().value, at_one_place(["derp-7.example".to_owned()]));
    }

    #[tokio::test]
    async fn saves_the_names_as_soon_as_the_disk_takes_them() {
        let stage = Stage::new();
        let mut own = stage.own();
        let folder = stage.folder.path().join("state");
        fs::remove_dir_all(&folder).unwrap();
        fs::write(&folder, "no folder").unwrap();
        let known = at_one_place(["hs.example".to_owned()]);
        own.keep(known.clone());
        assert!(own.trouble[0].contains("could not save"), "{:?}", own.trouble);
        assert!(stage.written().contains("hs.example"), "the hosts need no disk");

        fs::remove_file(&folder).unwrap();
        own.keep(known.clone());
        assert_eq!((own.trouble.len(), stage.store().names().value), (0, known));
    }
}
