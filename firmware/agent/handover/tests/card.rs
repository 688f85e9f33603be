//! A card's first partition and the box's own memory, each a folder, through first boots, joins, edits and power cuts.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;

use super::super::files::power;
use super::super::{Home, STATUS, Verdict, look, settle, take_over};
use super::{CONF, toml};
use crate::{config, tailnet};

const PRIVATE_KEY: &str = "YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
const SECRETS: &str = "[uplink.wifi]   # upstairs\nssid = \"Home\"\npsk = \"correct horse\"   # the router's\n\
                       country = \"SE\"\n[tailnet]\nauth_key = \"hskey-1\"   # Anna's\n";

/// A card and a box.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(home.card("")).unwrap();
        home
    }

    /// With everything on its card that an owner puts there.
    fn first() -> Self {
        let home = Self::new();
        home.put("byway.toml", &toml("first", SECRETS));
        home.put("a.conf", CONF);
        home
    }

    fn card(&self, name: &str) -> PathBuf {
        self.folder.path().join("card").join(name)
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("data/byway/config/byway.toml")
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.card(name), text).unwrap();
    }

    fn on_card(&self, name: &str) -> String {
        fs::read_to_string(self.card(name)).unwrap_or_default()
    }

    fn in_box(&self, name: &str) -> String {
        fs::read_to_string(self.config().with_file_name(name)).unwrap_or_default()
    }

    fn start(&self) -> Verdict {
        look(&self.card(""), &self.config())
    }

    /// As the agent does it.
    fn join(&self) {
        if self.config().exists() {
            tailnet::wipe_auth_key(&self.config()).unwrap();
        }
        self.settle();
    }

    fn settle(&self) {
        let address: IpAddr = "100.64.0.2".parse().unwrap();
        let home = Home { name: "first".to_owned(), addresses: vec![address] };
        settle(&self.card(""), &self.config(), &home);
    }

    fn name(&self) -> String {
        config::load(&self.config()).unwrap().name.as_str().to_owned()
    }

    fn says(&self, words: &str) {
        let said = self.on_card(STATUS);
        assert!(said.contains(words), "no {words:?} in {said}");
    }

    /// Every file of both, with its text.
    fn all(&self) -> Vec<(PathBuf, String)> {
        let folders = [self.card(""), self.config().parent().unwrap().to_owned()];
        let files = folders.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
        let mut all: Vec<(PathBuf, String)> =
            files.map(|file| (file.path(), fs::read_to_string(file.path()).unwrap())).collect();
        all.sort();
        all
    }
}

#[test]
fn a_first_boot_takes_over_joins_and_wipes() {
    let home = Bench::first();
    assert!(matches!(home.start(), Verdict::TakenOver { files, .. } if files == ["byway.toml", "a.conf"]));
    home.says("The new configuration was taken over.\r\n");
    assert_eq!(home.in_box("byway.toml"), toml("first", SECRETS));
    assert_eq!(home.in_box("a.conf"), CONF);
    for name in ["", "byway.toml", "a.conf"] {
        let path = home.config().with_file_name(name);
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if name.is_empty() { 0o700 } else { 0o600 }, "{name}");
    }
    home.settle();
    assert!(home.on_card("byway.toml").contains("hskey-1"), "the key has not served yet");

    home.join();
    home.says("has joined its tailnet with it.\r\nThere it is first: 100.64.0.2.\r\n");
    let wiped = SECRETS.replace("\"correct horse\"", "\"kept\"").replace("auth_key = \"hskey-1\"", "");
    assert_eq!(home.on_card("byway.toml"), toml("first", &wiped));
    assert_eq!(home.on_card("a.conf"), CONF.replace(PRIVATE_KEY, "kept"));
    let without_key = SECRETS.replace("auth_key = \"hskey-1\"", "");
    assert_eq!(home.in_box("byway.toml"), toml("first", &without_key));
    assert_eq!(home.in_box("a.conf"), CONF);
}

#[test]
fn later_boots_write_nothing() {
    let home = Bench::first();
    home.start();
    home.join();
    let before = home.all();
    let untouched = fs::metadata(home.card(STATUS)).unwrap().modified().unwrap();
    for _ in 0..2 {
        assert_eq!(home.start(), Verdict::Same);
        home.settle();
    }
    assert_eq!(home.all(), before);
    assert_eq!(fs::metadata(home.card(STATUS)).unwrap().modified().unwrap(), untouched);
}

#[test]
fn an_edit_a_year_later_needs_no_secret() {
    let home = Bench::first();
    home.start();
    home.join();
    home.put("byway.toml", &home.on_card("byway.toml").replace("\"first\"", "\"second\""));
    assert!(matches!(home.start(), Verdict::TakenOver { .. }));
    assert_eq!(home.name(), "second");
    assert!(
        home.in_box("byway.toml").contains("correct horse") && home.in_box("a.conf").contains(PRIVATE_KEY)
    );
    home.join();
    home.says("has joined");
    assert_eq!(home.start(), Verdict::Same);

    let other_network = home.on_card("byway.toml").replace("\"Home\"", "\"Cottage\"");
    home.put("byway.toml", &other_network);
    let Verdict::Mistakes(error) = home.start() else { panic!() };
    assert!(error.to_string().contains("psk of \"Cottage\": the box does not have it any more"), "{error}");
    home.says("goes on with the last good configuration");
    home.settle();
    home.says("goes on with the last good configuration");
    home.put("byway.toml", &other_network.replace("\"kept\"", "'battery staple'"));
    assert!(matches!(home.start(), Verdict::TakenOver { .. }));
    home.join();
    assert_eq!(home.on_card("byway.toml"), other_network);
    assert!(home.in_box("byway.toml").contains("battery staple"));
}

#[test]
fn a_key_in_a_file_of_its_own_is_emptied_in_both_places() {
    let home = Bench::new();
    home.put("byway.toml", &toml("first", "[tailnet]\nauth_key_file = \"auth.key\"\n"));
    home.put("auth.key", "hskey-1\n");
    home.put("a.conf", CONF);
    assert!(matches!(home.start(), Verdict::TakenOver { .. }));
    home.settle();
    assert_eq!(home.on_card("auth.key"), "hskey-1\n");
    home.join();
    assert_eq!((home.on_card("auth.key"), home.in_box("auth.key")), (String::new(), String::new()));
    assert_eq!(home.start(), Verdict::Same);
    home.put("auth.key", "hskey-2\n");
    assert!(matches!(home.start(), Verdict::TakenOver { .. }));
}

#[test]
fn what_a_stick_brings_stands_until_the_card_is_edited() {
    let home = Bench::first();
    home.start();
    home.join();
    let stick = tempfile::tempdir().unwrap();
    let other_network = SECRETS.replace("Home", "Cottage").replace("hskey-1", "hskey-9");
    fs::write(stick.path().join("byway.toml"), toml("by-stick", &other_network)).unwrap();
    assert!(matches!(take_over(stick.path(), &home.config()), Verdict::TakenOver { .. }));
    assert_eq!(home.start(), Verdict::Overruled);
    assert_eq!(home.name(), "by-stick");
    home.says("which a USB stick has brought since");
    home.join();
    home.says("which a USB stick has brought since");
    assert_eq!(home.start(), Verdict::Overruled);

    home.put("byway.toml", &home.on_card("byway.toml").replace("kept", "correct horse"));
    assert!(matches!(home.start(), Verdict::TakenOver { .. }));
    assert_eq!(home.name(), "first");
}

#[test]
fn without_a_good_one_it_says_what_to_do() {
    let home = Bench::new();
    assert_eq!(home.start(), Verdict::Nothing);
    home.says("There is no byway.toml on this card.\r\n");
    home.says("nothing goes out by the box");
    home.put("byway.toml.txt", &toml("first", ""));
    assert_eq!(home.start(), Verdict::Misnamed);
    home.says("let the Explorer show it");
    home.put("byway.toml", &toml("My Box", ""));
    assert!(matches!(home.start(), Verdict::Mistakes(_)));
    home.says("byway.toml, line 2, column 8: a host name is");
    home.says("line 6, column 11: \"a.conf\" is not there");
    home.says("nothing goes out by the box");
    home.put("byway.toml", &toml("first", ""));
    home.put("a.conf", CONF);
    assert!(matches!(home.start(), Verdict::TakenOver { .. }));

    // A card that lost what was on it, or has half of it.
    let whole = home.on_card("byway.toml");
    for lost in [None, Some(String::new()), Some("\0".repeat(99)), Some(whole[..30].to_owned())] {
        match lost {
            Some(text) => home.put("byway.toml", &text),
            None => fs::remove_file(home.card("byway.toml")).unwrap(),
        }
        home.start();
        assert_eq!(home.name(), "first");
        home.says("goes on with the last good configuration");
    }
}

#[test]
fn a_box_that_lost_its_memory_asks_for_what_was_kept() {
    let home = Bench::first();
    home.start();
    home.join();
    fs::remove_dir_all(home.config().parent().unwrap()).unwrap();
    let Verdict::Mistakes(error) = home.start() else { panic!() };
    assert!(error.to_string().contains("PrivateKey: the box does not have it any more"), "{error}");
    home.says("nothing goes out by the box");
}

/// From the first boot to the wiped card, cut after each of its steps: the next start comes up with what the owner wrote,
/// no secret is lost, and in the end none is left on the card.
#[test]
fn a_power_cut_at_any_moment_loses_nothing() {
    let mut cuts = 0;
    loop {
        let home = Bench::first();
        let life = || {
            home.start();
            if power::is_on() {
                home.join();
            }
        };
        if power::cut_after(cuts, life) {
            break;
        }
        let verdict = home.start();
        let is_torn = home.on_card("byway.toml").contains('\0') || home.on_card("a.conf").contains('\0');
        assert_eq!(matches!(verdict, Verdict::Mistakes(_)), is_torn, "{cuts}: {verdict:?}");
        assert_eq!(home.name(), "first", "{cuts}");
        assert!(home.in_box("byway.toml").contains("correct horse"), "{cuts}");
        assert!(home.in_box("a.conf").contains(PRIVATE_KEY), "{cuts}");
        home.join();
        let wiped = [home.on_card("byway.toml"), home.on_card("a.conf")].concat();
        if is_torn {
            home.says("goes on with the last good configuration");
        } else {
            for secret in ["hskey-1", "correct horse", PRIVATE_KEY] {
                assert!(!wiped.contains(secret), "{cuts}: {secret}");
            }
            home.says("has joined");
        }
        cuts += 1;
    }
    assert!(cuts > 20, "{cuts} steps: not every write is one");
}

/// The same of another configuration in the place of one that serves, which stays in use or is replaced whole.
#[test]
fn a_power_cut_while_another_is_taken_over_leaves_one_of_the_two() {
    let mut cuts = 0;
    loop {
        let home = Bench::first();
        home.start();
        home.join();
        home.put("byway.toml", &home.on_card("byway.toml").replace("\"first\"", "\"second\""));
        home.put("a.conf", &home.on_card("a.conf").replace("10.64.5.5", "10.64.6.6"));
        if power::cut_after(cuts, || _ = home.start()) {
            break;
        }
        assert!(["first", "second"].contains(&home.name().as_str()), "{cuts}");
        home.start();
        assert_eq!(home.name(), "second", "{cuts}");
        assert!(home.in_box("a.conf").contains("10.64.6.6") && home.in_box("a.conf").contains(PRIVATE_KEY));
        assert!(home.in_box("byway.toml").contains("correct horse"), "{cuts}");
        cuts += 1;
    }
    assert!(cuts > 15, "{cuts} steps: not every write is one");
}
