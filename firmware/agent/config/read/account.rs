//! Reads `[mullvad] account`, and the keys that mean something beside it alone.

use std::ops::RangeInclusive;
use std::time::Duration;

use byway_core::Expect;
use byway_core::account::Choice;

use super::super::Account;
use super::super::reader::{At, Reader, Section};
use super::super::value::AccountNumber;

/// As in Mullvad's own app, which takes the longest of these if nobody says otherwise.
const DAYS: RangeInclusive<u16> = 1..=30;
const DAY: Duration = Duration::from_hours(24);

/// `None` where there is none, or beside a mistake.
pub(super) fn read<'a>(reader: &mut Reader<'a>, section: &Section<'a>, expect: Expect) -> Option<Account> {
    let location = reader.text(section, "location");
    let owned = reader.flag(section, "owned");
    let days = reader.number(section, "rotate_days", &DAYS);
    if !section.has("account") {
        let relays = [location.map(|it| it.at), owned.map(|it| it.at)].into_iter().flatten();
        relays.for_each(|at| reader.mistake(at, without_account("relays are chosen")));
        if let Some(At { at, .. }) = days {
            reader.mistake(at, without_account("key is made anew"));
        }
        return None;
    }
    let number: Option<AccountNumber> = reader.parsed(section, "account");
    if expect == Expect::Any {
        refuse_others(reader, section);
    }
    if !section.has("location") {
        let message = "the account is to have relays of a place: write location = \"se-got\" below [mullvad], or a country \
                       as \"se\", or a relay as \"se-got-wg-001\"";
        reader.missing(section, message);
    }
    let location = choice(reader, location?);
    Some(Account {
        number: number?.into(),
        location: location?,
        owned: owned.is_some_and(|owned| owned.value),
        rotate: DAY * u32::from(days.map_or(*DAYS.end(), |days| days.value)),
    })
}

fn without_account(deed: &str) -> String {
    format!("only an account's {deed} by it: write account = \"1234567890123456\" beside it, or leave it out")
}

fn choice(reader: &mut Reader<'_>, text: At<&str>) -> Option<Choice> {
    let complain = |advice| reader.mistake(text.at, format!("location cannot be {:?}: {advice}", text.value));
    text.value.parse().map_err(complain).ok()
}

/// Another provider has no such account.
fn refuse_others<'a>(reader: &mut Reader<'a>, section: &Section<'a>) {
    let at = reader.text(section, "expect").map_or(0, |text| text.at);
    reader.mistake(at, "there is an account, whose relays are Mullvad's: write \"mullvad\", or leave it out");
}
