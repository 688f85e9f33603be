use std::fs;

use tempfile::TempDir;

use super::gap::tests::card;
use super::*;

struct Home {
    folder: TempDir,
    card: PathBuf,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let card = card(&folder);
        let home = Self { folder, card };
        home.write("config/byway.toml", "[box]");
        home.write("tailscale/tailscaled.state", r#"{"profile-1":""}"#);
        home
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("data/byway")
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.state().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn keeper(&self) -> Keeper {
        Keeper {
            device: self.card.clone(),
            state_dir: self.state(),
            config: self.state().join("config/byway.toml"),
            last: None,
            outcome: Arc::new(Mutex::new(Ok(0))),
        }
    }

    fn turn(&self) -> Option<u64> {
        Gap::open(&self.card).unwrap().newest().unwrap().map(|copy| copy.turn)
    }
}

#[test]
fn a_copy_is_written_when_something_has_changed_and_only_then() {
    let home = Home::new();
    let mut keeper = home.keeper();
    assert_eq!((home.turn(), keeper.look(), home.turn()), (None, Ok(2), Some(1)));
    home.write("names.json", "found again");
    assert_eq!((keeper.look(), home.turn()), (Ok(2), Some(1)));
    assert_eq!((home.keeper().look(), home.turn()), (Ok(2), Some(1)), "nor by the next agent");
    home.write("wish.json", "residential");
    assert_eq!((keeper.look(), home.turn()), (Ok(3), Some(2)));
}

#[test]
fn what_was_lost_is_put_back_from_the_newest_and_never_copied() {
    let home = Home::new();
    home.keeper().look().unwrap();
    home.write("wish.json", "residential");
    home.keeper().look().unwrap();

    fs::remove_dir_all(home.state()).unwrap();
    assert!(home.keeper().look().is_err());
    fs::create_dir_all(home.state().join("config")).unwrap();
    assert_eq!((home.keeper().look(), home.turn()), (Ok(0), Some(2)), "an empty one is no better");
    assert_eq!(restore(&home.card, &home.state()).unwrap(), Some((3, 2)));
    assert_eq!(fs::read_to_string(home.state().join("wish.json")).unwrap(), "residential");
    assert_eq!(restore(&home.card, &home.state()).unwrap(), Some((0, 2)));

    wipe(&home.card).unwrap();
    assert_eq!(restore(&home.card, &home.state()).unwrap(), None);
}

#[test]
fn whoever_asks_has_it_when_the_answer_comes() {
    let home = Home::new();
    let spare = keep(&home.card, &home.state(), &home.state().join("config/byway.toml")).unwrap();
    for wish in ["residential", "privacy"] {
        home.write("wish.json", wish);
        spare.keep_now();
        let copy = Gap::open(&home.card).unwrap().newest().unwrap().unwrap();
        assert_eq!(files::unpack(&copy.content).unwrap()["wish.json"], wish.as_bytes());
    }
    assert!(spare.told().is_ok_and(|told| told.starts_with("3 files have a second copy on ")));
}

#[test]
fn a_card_without_a_gap_is_told_and_left_alone() {
    let home = Home::new();
    fs::write(&home.card, [1; 8192]).unwrap();
    let spare = keep(&home.card, &home.state(), &home.state().join("config/byway.toml")).unwrap();
    spare.keep_now();
    let told = spare.told().unwrap_err();
    assert!(told.contains("has no free gap below 4 MiB: it has no partition table"), "{told}");
    assert_eq!(fs::read(&home.card).unwrap(), [1; 8192]);
    assert!(restore(&home.card, &home.state()).is_err());
}
