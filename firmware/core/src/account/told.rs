//! What is told of the account, in sentences for the owner.

use alloc::format;
use alloc::string::{String, ToString as _};
use core::time::Duration;

use super::catalogue::Listed;
use super::words::{Effect, Refusal, Report};
use super::{Account, Turn};
use crate::Uptime;

/// From here on the owner is told.
const WARN_DAYS: u64 = 14;
const DAY: Duration = Duration::from_hours(24);
const REMOVED: &str = "the box was removed from the mullvad account's devices";

/// What happened that the owner may wonder about.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// The device is not among the account's any more.
    pub(super) is_removed: bool,
    /// The name that it has since, and since when.
    pub(super) registered_anew: Option<(String, Uptime)>,
    /// No relay has served the new key.
    pub(super) taken_back: bool,
}

impl Account {
    /// If there is something new.
    pub(super) fn tell(&mut self, turn: &mut Turn) {
        let report = self.report(turn);
        if self.told.as_ref() != Some(&report) {
            self.told = Some(report.clone());
            turn.effects.push(Effect::Tell(report));
        }
    }

    fn report(&self, turn: &Turn) -> Report {
        let days_left = self.days_left(turn);
        let troubles = [
            self.stranger(),
            self.without_a_list(),
            paid(days_left),
            self.offered.elsewhere.clone(),
            self.setback(),
        ];
        let troubles: alloc::vec::Vec<String> = troubles.into_iter().flatten().collect();
        Report {
            device: self.record.device.as_ref().map(|device| device.name.clone()),
            expiry: self.record.expiry,
            days_left,
            key_made: self.record.made,
            location: self.settings.location.to_string(),
            trouble: (!troubles.is_empty()).then(|| troubles.join("; ")),
            note: self.note(turn),
        }
    }

    fn days_left(&self, turn: &Turn) -> Option<u64> {
        let left = self.record.expiry?.saturating_sub(self.wall(turn.now)?);
        Some(left.as_secs().div_ceil(DAY.as_secs()))
    }

    /// Why the box is no device of the account's.
    fn stranger(&self) -> Option<String> {
        let refusal = self.refused.as_ref()?;
        match refusal {
            Refusal::NoSuchAccount => Some(String::from(
                "mullvad knows no account with this number: correct account below [mullvad]",
            )),
            Refusal::TooManyDevices => Some(String::from(
                "the mullvad account has all the devices that it may have: remove one at mullvad.net, the box takes its place",
            )),
            Refusal::Unreachable(why) => Some(format!(
                "the box is no device of the mullvad account yet: mullvad's API is not reached: {why}"
            )),
            Refusal::Odd(why) => Some(format!("the box is no device of the mullvad account yet: {why}")),
            // It passes.
            Refusal::Later(_) | Refusal::KeyInUse | Refusal::NoSuchDevice => None,
        }
    }

    fn without_a_list(&self) -> Option<String> {
        match self.no_list.as_ref()? {
            Refusal::Unreachable(why) => {
                Some(format!("mullvad's list of relays is not there yet: its API is not reached: {why}"))
            }
            Refusal::Odd(why) => Some(format!("mullvad's list of relays is not there yet: {why}")),
            // It passes, or is none of the list's.
            Refusal::Later(_)
            | Refusal::NoSuchAccount
            | Refusal::TooManyDevices
            | Refusal::KeyInUse
            | Refusal::NoSuchDevice => None,
        }
    }

    /// Relays that are not quite what was asked for, or none.
    pub(super) fn elsewhere(&self, first: Option<&Listed>) -> Option<String> {
        let (location, catalogue) = (&self.settings.location, self.catalogue.as_ref()?);
        let owned = if self.settings.owned { " that mullvad owns" } else { "" };
        match first {
            Some(first) if location.is_met_by(first) => None,
            Some(_) => {
                Some(format!("no relay of {location}{owned} works now: others of its country are used"))
            }
            None if catalogue.knows(location) => Some(format!(
                "no relay of {location}{owned} works now: choose another place with `byway relays use`"
            )),
            None => Some(format!(
                "mullvad has no relay in {location}: choose another place with `byway relays use`"
            )),
        }
    }

    fn setback(&self) -> Option<String> {
        let taken_back =
            "no relay has taken the box's new key, so the one before is used: tried again in a day";
        match (self.notes.is_removed, self.notes.taken_back) {
            (true, _) => Some(String::from(REMOVED)),
            (false, true) => Some(String::from(taken_back)),
            (false, false) => None,
        }
    }

    fn note(&self, turn: &Turn) -> Option<String> {
        let (name, since) = self.notes.registered_anew.as_ref()?;
        let lately = turn.now.uptime.since(*since) < DAY;
        lately.then(|| format!("{REMOVED}, and is there anew as {name}"))
    }
}

fn paid(days_left: Option<u64>) -> Option<String> {
    match days_left? {
        0 => Some(String::from("the mullvad account has run out: add time to it")),
        1 => Some(String::from("the mullvad account runs out within a day: add time to it")),
        days if days <= WARN_DAYS => {
            Some(format!("the mullvad account runs out in {days} days: add time to it"))
        }
        _ => None,
    }
}
