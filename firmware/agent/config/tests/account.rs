//! `[mullvad] account`: what it means, and what the owner reads about each mistake, word for word.

use byway_core::account::Choice;

use super::*;

const NUMBER: &str = "account = \"1234 5678 9012 3456\"";

fn mullvad(lines: &str) -> String {
    format!("{}[mullvad]\n{lines}\n", LEAST[0])
}

#[test]
fn an_account_needs_a_place_and_nothing_else() {
    let read = |lines: &str| read(&mullvad(&format!("{NUMBER}\n{lines}"))).unwrap().mullvad;
    let least = read("location = \"SE-got\"");
    assert_eq!(least.relays.len(), 0);
    assert_eq!((least.expect, least.notes().len()), (Expect::Mullvad, 0));
    let account = least.account.unwrap();
    assert_eq!(account.number.reveal(), "1234567890123456");
    assert_eq!(account.location, Choice::City { country: "se".to_owned(), city: "se-got".to_owned() });
    assert_eq!((account.owned, account.rotate), (false, Duration::from_hours(30 * 24)));

    let most =
        read("location = \"se\"\nowned = true\nrotate_days = 1\nexpect = \"mullvad\"").account.unwrap();
    assert_eq!(most.location, Choice::Country("se".to_owned()));
    assert_eq!((most.owned, most.rotate), (true, Duration::from_hours(24)));
}

#[test]
fn an_account_s_relays_may_stand_beside_files() {
    let mullvad =
        read(&mullvad(&format!("config = [\"b.conf\"]\n{NUMBER}\nlocation = \"se\""))).unwrap().mullvad;
    assert_eq!(mullvad.relays.iter().map(MullvadFile::relay_name).collect::<Vec<_>>(), ["b"]);
    assert!(mullvad.account.is_some());
}

/// Lines below `[mullvad]`, and where and what the answer is.
const WRONG_ACCOUNTS: &[(&str, &str)] = &[
    (
        "account = \"1234\"\nlocation = \"se\"",
        "4:11: an account's number is 16 digits, and this one has 4: write it as mullvad.net shows it",
    ),
    (
        "account = \"kept\"\nlocation = \"se\"",
        "4:11: an account's number is 16 digits, and this one has something else: write it as mullvad.net shows it",
    ),
    (
        "account = 1234567890123456\nlocation = \"se\"",
        "4:11: account is a text in quotes, not a number: write account = \"1234567890123456\"",
    ),
    (
        "account = \"1234567890123456\"",
        "3:2: the account is to have relays of a place: write location = \"se-got\" below [mullvad], or a country as \"se\", or a relay as \"se-got-wg-001\"",
    ),
    (
        "account = \"1234567890123456\"\nlocation = \"Sweden\"",
        "5:12: location cannot be \"Sweden\": write a country (\"se\"), a city (\"se-got\") or a relay (\"se-got-wg-001\"), as `byway relays list` tells them",
    ),
    (
        "account = \"1234567890123456\"\nlocation = [\"se\"]",
        "5:12: location is a text in quotes, not a list: write location = \"se-got\"",
    ),
    (
        "account = \"1234567890123456\"\nlocation = \"se\"\nrotate_days = 31",
        "6:15: rotate_days cannot be 31: write a number from 1 to 30",
    ),
    (
        "account = \"1234567890123456\"\nlocation = \"se\"\nexpect = \"any\"",
        "6:10: there is an account, whose relays are Mullvad's: write \"mullvad\", or leave it out",
    ),
    (
        "account = \"1234567890123456\"\nlocation = \"se\"\nexpect = 1",
        "6:10: expect is a text in quotes, not a number: write expect = \"mullvad\"",
    ),
    (
        "account = \"1234567890123456\"\nlocation = \"se\"\nconfig = [\"gone.conf\"]",
        "6:11: \"gone.conf\" is not there: put it beside byway.toml, or correct its name",
    ),
    (
        "config = [\"a.conf\"]\nlocation = \"se\"",
        "5:12: only an account's relays are chosen by it: write account = \"1234567890123456\" beside it, or leave it out",
    ),
    (
        "config = [\"a.conf\"]\nowned = false",
        "5:9: only an account's relays are chosen by it: write account = \"1234567890123456\" beside it, or leave it out",
    ),
    (
        "config = [\"a.conf\"]\nrotate_days = 7",
        "5:15: only an account's key is made anew by it: write account = \"1234567890123456\" beside it, or leave it out",
    ),
    (
        "config = [\"a.conf\"]\nacount = \"1234567890123456\"",
        "5:1: [mullvad] knows no key \"acount\": write account",
    ),
];

#[test]
fn says_what_is_wrong_with_an_account_and_never_its_number() {
    for (lines, complaint) in WRONG_ACCOUNTS {
        assert_eq!(complaints(&mullvad(lines)), [*complaint], "{lines}");
    }
    let long = complaints(&mullvad("account = \"98765432109876543\"\nlocation = 1")).concat();
    assert!(!long.contains("9876"), "{long}");
    assert!(
        !format!("{:?}", read(&mullvad(&format!("{NUMBER}\nlocation = \"se\""))).unwrap()).contains("9012")
    );
}
