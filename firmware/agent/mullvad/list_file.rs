//! The last good list of relays, kept for as long as nobody answers, and to ask whether there is a newer one.

use std::borrow::Cow;
use std::time::Duration;

use byway_core::Uptime;
use byway_core::account::Catalogue;
use serde::{Deserialize, Serialize};

use super::relay_list::Condensed;
use crate::store::{Recalled, Store, StoreError};

const LIST: &str = "mullvad-relays";
/// Relays come, go and rest all the time, and each list that is kept is 150 KB on the card.
const A_DAY: Duration = Duration::from_hours(24);

/// A list, and by what the API knows it.
#[derive(Debug, PartialEq, Eq)]
pub struct KeptList {
    pub catalogue: Catalogue,
    pub etag: Option<String>,
}

/// Where it is kept.
#[derive(Debug)]
pub struct ListFile {
    store: Store,
    saved: Option<Uptime>,
}

#[derive(Default, Serialize, Deserialize)]
struct Kept<'a> {
    etag: Option<Cow<'a, str>>,
    list: Condensed<'a>,
}

impl ListFile {
    /// The file, and the list in it; none where there is none that is of use.
    pub fn open(store: Store) -> (Self, Recalled<Option<KeptList>>) {
        let Recalled { value: Kept { etag, list }, note } = store.recall(LIST, Kept::default());
        let catalogue = list.catalogue();
        let is_of_use = !catalogue.relays.is_empty() && !catalogue.ports.is_empty();
        let kept = KeptList { catalogue, etag: etag.map(Cow::into_owned) };
        (Self { store, saved: None }, Recalled { value: is_of_use.then_some(kept), note })
    }

    /// On the disk when this returns, unless one was saved within the day. A refusal leaves the last one.
    pub fn save(&mut self, catalogue: &Catalogue, etag: Option<&str>, now: Uptime) -> Result<(), StoreError> {
        if self.saved.is_some_and(|saved| now.since(saved) < A_DAY) {
            return Ok(());
        }
        let kept = Kept { etag: etag.map(Cow::from), list: Condensed::from(catalogue) };
        self.store.remember(LIST, kept)?;
        self.saved = Some(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use byway_core::account::PublicKey;

    use super::super::relay_list;
    use super::super::wire::in_base64;
    use super::*;

    const NOON: Uptime = Uptime::since_boot(Duration::from_hours(12));

    fn catalogue() -> Catalogue {
        relay_list::read(relay_list::SAMPLE.as_bytes()).unwrap()
    }

    fn open(folder: &Path) -> (ListFile, Option<KeptList>) {
        let (file, recalled) = ListFile::open(Store::new(folder));
        assert_eq!(recalled.note, None);
        (file, recalled.value)
    }

    #[test]
    fn keeps_all_of_a_list_that_is_ours_for_root_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(open(folder.path()).1, None);
        for etag in [None, Some("W/\"abc\"")] {
            open(folder.path()).0.save(&catalogue(), etag, NOON).unwrap();
            let kept = KeptList { catalogue: catalogue(), etag: etag.map(str::to_owned) };
            assert_eq!(open(folder.path()).1, Some(kept));
        }
        let path = folder.path().join("mullvad-relays.json");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(path).unwrap();
        assert!(!text.contains("latitude") && !text.contains("daita"), "{text}");
    }

    #[test]
    fn saves_once_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, _) = open(folder.path());
        let kept = || open(folder.path()).1.unwrap().etag;
        let mut save = |etag, now| file.save(&catalogue(), Some(etag), now).unwrap();
        save("first", NOON);
        assert_eq!(kept().as_deref(), Some("first"), "there was none");
        save("soon", NOON + A_DAY * 9 / 10);
        assert_eq!(kept().as_deref(), Some("first"));
        save("day", NOON + A_DAY);
        assert_eq!(kept().as_deref(), Some("day"));
    }

    #[test]
    fn a_disk_that_takes_nothing_is_tried_again_and_keeps_the_last_list() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, _) = open(folder.path());
        file.save(&catalogue(), Some("old"), NOON).unwrap();
        let in_the_way = folder.path().join("mullvad-relays.new");
        fs::create_dir(&in_the_way).unwrap();
        let tomorrow = NOON + A_DAY;
        let error = file.save(&catalogue(), Some("new"), tomorrow).unwrap_err();
        assert!(error.to_string().contains("mullvad-relays.new"), "{error}");
        assert_eq!(open(folder.path()).1.unwrap().etag.as_deref(), Some("old"));
        fs::remove_dir(in_the_way).unwrap();
        file.save(&catalogue(), Some("new"), tomorrow).unwrap();
        assert_eq!(open(folder.path()).1.unwrap().etag.as_deref(), Some("new"));
    }

    #[test]
    fn believes_no_list_that_is_torn_or_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mullvad-relays.json");
        open(folder.path()).0.save(&catalogue(), None, NOON).unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let Recalled { value, note } = ListFile::open(Store::new(folder.path())).1;
        assert_eq!(value, None);
        assert!(note.unwrap().contains("mullvad-relays.json is not what was saved"));
        open(folder.path()).0.save(&Catalogue::default(), None, NOON).unwrap();
        assert_eq!(open(folder.path()).1, None);
    }

    /// The list's bounds and the store's: what was saved can be read again.
    #[test]
    fn the_longest_list_fits() {
        let folder = tempfile::tempdir().unwrap();
        let (text, code) = ("\u{1f9e6}".repeat(64), "p".repeat(60));
        let places: Vec<String> = (0..500)
            .map(|number| format!(r#""{code}{number:0>3}":{{"country":"{text}","city":"{text}"}}"#))
            .collect();
        let relays: Vec<String> = (0..3_000)
            .map(|number| {
                format!(
                    r#"{{"hostname":"{number:0>63}","location":"{code}000","active":false,"owned":false,
                        "provider":"{text}","weight":{weight},"include_in_country":false,
                        "ipv4_addr_in":"203.255.255.255","public_key":"{key}",
                        "ipv6_addr_in":"2a03:1b20:1234:5678:1234:5678:1234:5678"}}"#,
                    weight = u64::MAX,
                    key = in_base64(&PublicKey([0xff; 32])),
                )
            })
            .collect();
        let list = format!(
            r#"{{"locations":{{{}}},"wireguard":{{"port_ranges":[{}],"relays":[{}]}}}}"#,
            places.join(","),
            vec!["[60000,65535]"; 100].join(","),
            relays.join(","),
        );
        let longest = relay_list::read(list.as_bytes()).unwrap();
        assert_eq!((longest.places.len(), longest.ports.len(), longest.relays.len()), (400, 64, 1_600));
        open(folder.path()).0.save(&longest, Some(&"e".repeat(200)), NOON).unwrap();
        assert_eq!(open(folder.path()).1.unwrap().catalogue, longest);
    }
}
