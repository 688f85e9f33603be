//! A card's first partition and the box's own memory, each a folder, through first boots, joins, edits and power cuts.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use tempfile::TempDir;

use super::super::files::power;
use super::super::{Home, STATUS, Verdict, look, settle, take_over};
use super::{CONF, toml};
use crate::{config, tailnet};

const PRIVATE_KEY: &str = "YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
const SECRETS: &str = "account = \"1234 5678 9012 3456\"   # paid in cash\nlocation = \"se\"\n\
                       [uplink.wifi]   # upstairs\nssid = \"Home\"\npsk = \"correct horse\"   # the router's\n\
                       country = \"SE\"\n[tailnet]\nauth_key = \"hskey-1\"   # Anna's\n";
/// What of them is left on no card.
const WIPED: [&str; 4] = ["hskey-1", "correct horse", "1234 5678 9012 3456", PRIVATE_KEY];

/// A card and a box.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(bench.card("")).unwrap();
        bench
    }

    /// With everything on its card that an owner puts there.
    fn first() -> Self {
        let bench = Self::new();
        bench.put("byway.toml", &toml("first", SECRETS));
        bench.put("a.conf", CONF);
        bench
    }

    /// The same, with the auth key in a file of its own.
    fn first_with_key_file() -> Self {
        let bench = Self::first();
        let named = SECRETS.replace("auth_key = \"hskey-1\"", "auth_key_file = \"auth.key\"");
        bench.put("byway.toml", &toml("first", &named));
        bench.put("auth.key", "hskey-1\n");
        bench
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

/// Nobody has them elsewhere, so they stay; but nobody is told that they are gone.
#[test]
fn what_is_not_named_stays_and_is_told() {
    let bench = Bench::first();
    bench.put("byway.toml.txt", "auth_key = \"hskey-1\"");
    bench.put("B.conf", CONF);
    bench.put("notes.txt", "of no interest");
    assert!(matches!(bench.start(), Verdict::TakenOver { .. }));
    bench.join();
    assert_eq!((bench.on_card("B.conf").as_str(), bench.on_card("byway.toml.txt").is_empty()), (CONF, false));
    let told = bench.on_card(STATUS);
    assert!(told.contains("does not name") && told.contains("- B.conf"), "{told}");
    assert!(
        told.contains("- byway.toml.txt") && !told.contains("a.conf") && !told.contains("notes"),
        "{told}"
    );
}

#[test]
fn a_first_boot_takes_over_joins_and_wipes() {
    let bench = Bench::first();
    assert!(matches!(bench.start(), Verdict::TakenOver { files, .. } if files == ["byway.toml", "a.conf"]));
    bench.says("The new configuration was taken over.\r\n");
    assert_eq!(bench.in_box("byway.toml"), toml("first", SECRETS));
    assert_eq!(bench.in_box("a.conf"), CONF);
    for name in ["", "byway.toml", "a.conf"] {
        let path = bench.config().with_file_name(name);
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if name.is_empty() { 0o700 } else { 0o600 }, "{name}");
    }
    bench.settle();
    assert!(bench.on_card("byway.toml").contains("hskey-1"), "the key has not served yet");

    bench.join();
    bench.says("has joined its tailnet with it.\r\nThere it is first: 100.64.0.2.\r\n");
    let wiped = SECRETS
        .replace("\"correct horse\"", "\"kept\"")
        .replace("\"1234 5678 9012 3456\"", "\"kept\"")
        .replace("auth_key = \"hskey-1\"", "");
    assert_eq!(bench.on_card("byway.toml"), toml("first", &wiped));
    assert_eq!(bench.on_card("a.conf"), CONF.replace(PRIVATE_KEY, "kept"));
    let without_key = SECRETS.replace("auth_key = \"hskey-1\"", "");
    assert_eq!(bench.in_box("byway.toml"), toml("first", &without_key));
    assert_eq!(bench.in_box("a.conf"), CONF);
}

#[test]
fn later_boots_write_nothing() {
    let bench = Bench::first();
    bench.start();
    bench.join();
    let before = bench.all();
    let untouched = fs::metadata(bench.card(STATUS)).unwrap().modified().unwrap();
    for _ in 0..2 {
        assert_eq!(bench.start(), Verdict::Same);
        bench.settle();
    }
    assert_eq!(bench.all(), before);
    assert_eq!(fs::metadata(bench.card(STATUS)).unwrap().modified().unwrap(), untouched);
}

#[test]
fn an_edit_a_year_later_needs_no_secret() {
    let bench = Bench::first();
    bench.start();
    bench.join();
    bench.put("byway.toml", &bench.on_card("byway.toml").replace("\"first\"", "\"second\""));
    assert!(matches!(bench.start(), Verdict::TakenOver { .. }));
    assert_eq!(bench.name(), "second");
    let held = bench.in_box("byway.toml") + &bench.in_box("a.conf");
    assert!(WIPED[1..].iter().all(|secret| held.contains(secret)), "{held}");
    bench.join();
    bench.says("has joined");
    assert_eq!(bench.start(), Verdict::Same);

    let other_network = bench.on_card("byway.toml").replace("\"Home\"", "\"Cottage\"");
    bench.put("byway.toml", &other_network);
    let Verdict::Mistakes(error) = bench.start() else { panic!() };
    assert!(error.to_string().contains("psk of \"Cottage\": the box does not have it any more"), "{error}");
    bench.says("goes on with the last good configuration");
    bench.settle();
    bench.says("goes on with the last good configuration");
    bench.put("byway.toml", &other_network.replace("psk = \"kept\"", "psk = 'battery staple'"));
    assert!(matches!(bench.start(), Verdict::TakenOver { .. }));
    bench.join();
    assert_eq!(bench.on_card("byway.toml"), other_network);
    assert!(bench.in_box("byway.toml").contains("battery staple"));
}

#[test]
fn a_key_in_a_file_of_its_own_is_emptied_in_both_places() {
    let bench = Bench::new();
    bench.put("byway.toml", &toml("first", "[tailnet]\nauth_key_file = \"auth.key\"\n"));
    bench.put("auth.key", "hskey-1\n");
    bench.put("a.conf", CONF);
    assert!(matches!(bench.start(), Verdict::TakenOver { .. }));
    bench.settle();
    assert_eq!(bench.on_card("auth.key"), "hskey-1\n");
    bench.join();
    assert_eq!((bench.on_card("auth.key"), bench.in_box("auth.key")), (String::new(), String::new()));
    assert_eq!(bench.start(), Verdict::Same);
    bench.put("auth.key", "hskey-2\n");
    assert!(matches!(bench.start(), Verdict::TakenOver { .. }));
}

#[test]
fn what_a_stick_brings_stands_until_the_card_is_edited() {
    let bench = Bench::first();
    bench.start();
    bench.join();
    let stick = tempfile::tempdir().unwrap();
    let other_network = SECRETS.replace("Home", "Cottage").replace("hskey-1", "hskey-9");
    fs::write(stick.path().join("byway.toml"), toml("by-stick", &other_network)).unwrap();
    assert!(matches!(take_over(stick.path(), &bench.config()), Verdict::TakenOver { .. }));
    assert_eq!(bench.start(), Verdict::Overruled);
    assert_eq!(bench.name(), "by-stick");
    bench.says("which a USB stick has brought since");
    bench.join();
    bench.says("which a USB stick has brought since");
    assert_eq!(bench.start(), Verdict::Overruled);

    bench
        .put("byway.toml", &bench.on_card("byway.toml").replace("psk = \"kept\"", "psk = \"correct horse\""));
    assert!(matches!(bench.start(), Verdict::TakenOver { .. }));
    assert_eq!(bench.name(), "first");
}

#[test]
fn what_the_box_does_not_hold_is_wiped_nowhere() {
    let bench = Bench::first();
    bench.start();
    let stick = tempfile::tempdir().unwrap();
    fs::write(stick.path().join("byway.toml"), toml("by-stick", "")).unwrap();
    assert!(matches!(take_over(stick.path(), &bench.config()), Verdict::TakenOver { .. }));
    assert_eq!(bench.start(), Verdict::Overruled);
    bench.join();
    assert_eq!(bench.on_card("byway.toml"), toml("first", SECRETS));
    assert!(bench.on_card("a.conf").contains(PRIVATE_KEY));
    bench.says("which a USB stick has brought since");
}

/// Init puts memory in the place of a partition that is lost.
#[test]
fn what_the_box_forgets_with_the_power_is_wiped_nowhere() {
    for (disk, is_wiped) in [("/var/tmp", true), ("/dev/shm", false)] {
        let (card, disk) = (tempfile::tempdir_in("/var/tmp").unwrap(), tempfile::tempdir_in(disk).unwrap());
        let bench = Bench { folder: tempfile::tempdir().unwrap() };
        symlink(card.path(), bench.folder.path().join("card")).unwrap();
        symlink(disk.path(), bench.folder.path().join("data")).unwrap();
        bench.put("byway.toml", &toml("first", SECRETS));
        bench.put("a.conf", CONF);
        assert!(matches!(bench.start(), Verdict::TakenOver { .. }));
        bench.join();
        let card = [bench.on_card("byway.toml"), bench.on_card("a.conf")].concat();
        for secret in WIPED {
            assert_eq!(card.contains(secret), !is_wiped, "{secret}");
        }
        assert_eq!(bench.start(), Verdict::Same);
    }
}

#[test]
fn without_a_good_one_it_says_what_to_do() {
    let bench = Bench::new();
    assert_eq!(bench.start(), Verdict::Nothing);
    bench.says("There is no byway.toml on this card.\r\n");
    bench.says("nothing goes out by the box");
    bench.put("byway.toml.txt", &toml("first", ""));
    assert_eq!(bench.start(), Verdict::Misnamed);
    bench.says("let the Explorer show it");
    bench.put("byway.toml", &toml("My Box", ""));
    assert!(matches!(bench.start(), Verdict::Mistakes(_)));
    bench.says("byway.toml, line 2, column 8: a host name is");
    bench.says("line 6, column 11: \"a.conf\" is not there");
    bench.says("nothing goes out by the box");
    bench.put("byway.toml", &toml("first", ""));
    bench.put("a.conf", CONF);
    assert!(matches!(bench.start(), Verdict::TakenOver { .. }));

    // A card that lost what was on it, or has half of it.
    let whole = bench.on_card("byway.toml");
    for lost in [None, Some(String::new()), Some("\0".repeat(99)), Some(whole[..30].to_owned())] {
        match lost {
            Some(text) => bench.put("byway.toml", &text),
            None => fs::remove_file(bench.card("byway.toml")).unwrap(),
        }
        bench.start();
        assert_eq!(bench.name(), "first");
        bench.says("goes on with the last good configuration");
    }
}

#[test]
fn a_box_that_lost_its_memory_asks_for_what_was_kept() {
    let bench = Bench::first();
    bench.start();
    bench.join();
    fs::remove_dir_all(bench.config().parent().unwrap()).unwrap();
    let Verdict::Mistakes(error) = bench.start() else { panic!() };
    assert!(error.to_string().contains("PrivateKey: the box does not have it any more"), "{error}");
    bench.says("nothing goes out by the box");
}

/// From the first boot to the wiped card, cut after each of its steps: the next start comes up with what the owner wrote,
/// no secret is lost, and in the end none is left on the card. Where one of its files was torn, those before it are wiped.
#[test]
fn a_power_cut_at_any_moment_loses_nothing() {
    for first in [Bench::first, Bench::first_with_key_file] {
        let mut cuts = 0;
        while !is_lived_through(&first(), cuts) {
            cuts += 1;
        }
        assert!(cuts > 20, "{cuts} steps: not every write is one");
    }
}

/// Whether the power outlasts it.
fn is_lived_through(bench: &Bench, cut: u32) -> bool {
    let life = || {
        bench.start();
        if power::is_on() {
            bench.join();
        }
    };
    if power::cut_after(cut, life) {
        return true;
    }
    let verdict = bench.start();
    let on_card = || ["byway.toml", "auth.key", "a.conf"].map(|name| bench.on_card(name));
    let torn = on_card().iter().position(|text| text.contains('\0'));
    assert_eq!(matches!(verdict, Verdict::Mistakes(_)), torn.is_some(), "{cut}: {verdict:?}");
    assert_eq!(bench.name(), "first", "{cut}");
    assert!(bench.in_box("byway.toml").contains("correct horse"), "{cut}");
    assert!(bench.in_box("a.conf").contains(PRIVATE_KEY), "{cut}");
    bench.join();
    bench.says(if torn.is_some() { "goes on with the last good configuration" } else { "has joined" });
    let wiped = on_card()[..torn.unwrap_or(3)].concat();
    for secret in WIPED {
        assert!(!wiped.contains(secret), "{cut}: {secret}");
    }
    false
}

/// The same of another configuration in the place of one that serves, which stays in use or is replaced whole.
#[test]
fn a_power_cut_while_another_is_taken_over_leaves_one_of_the_two() {
    let mut cuts = 0;
    loop {
        let bench = Bench::first();
        bench.start();
        bench.join();
        bench.put("byway.toml", &bench.on_card("byway.toml").replace("\"first\"", "\"second\""));
        bench.put("a.conf", &bench.on_card("a.conf").replace("10.64.5.5", "10.64.6.6"));
        if power::cut_after(cuts, || _ = bench.start()) {
            break;
        }
        assert!(["first", "second"].contains(&bench.name().as_str()), "{cuts}");
        bench.start();
        assert_eq!(bench.name(), "second", "{cuts}");
        assert!(bench.in_box("a.conf").contains("10.64.6.6") && bench.in_box("a.conf").contains(PRIVATE_KEY));
        assert!(bench.in_box("byway.toml").contains("correct horse"), "{cuts}");
        cuts += 1;
    }
    assert!(cuts > 15, "{cuts} steps: not every write is one");
}
