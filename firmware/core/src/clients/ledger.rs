//! What the kernel has counted, summed up over one boot: its counters begin anew with every rule set that is loaded.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::Uptime;

/// As many as the kernel counts at once.
const MOST: usize = 4096;

/// What the kernel's counters show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Which of the rule sets that this agent has loaded counts; 0: one that it found.
    pub load: u64,
    pub clients: Vec<Used>,
    /// Tries at port 25 that the residential door has refused.
    pub smtp_tries: u64,
    /// Clients' bytes by the residential door, either way.
    pub house_bytes: u64,
}

/// What one address sent through a door and got through one, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    pub address: IpAddr,
    pub sent: u64,
    pub got: u64,
}

/// All that was counted since the boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    load: u64,
    /// Whether anybody has looked: what is found first may be older.
    looked: bool,
    accounts: BTreeMap<IpAddr, Account>,
    smtp_tries: Meter,
    house_bytes: Meter,
}

/// One address's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    sent: Meter,
    got: Meter,
    since: Option<Uptime>,
    last_seen: Option<Uptime>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Meter {
    total: u64,
    /// What the counter showed last.
    shown: u64,
}

impl Ledger {
    /// As an agent before this one left it: what that one has loaded counts on until this one loads another.
    #[must_use]
    pub fn taken_over(self) -> Self {
        Self { load: 0, ..self }
    }

    pub fn enter(&mut self, now: Uptime, count: &Count) {
        if self.load != count.load {
            self.load = count.load;
            self.accounts.values_mut().for_each(Account::begin_anew);
            (self.smtp_tries.shown, self.house_bytes.shown) = (0, 0);
        }
        for used in &count.clients {
            if self.accounts.len() < MOST || self.accounts.contains_key(&used.address) {
                let account = self.accounts.entry(used.address).or_default();
                account.enter(self.looked.then_some(now), used);
            }
        }
        self.smtp_tries.show(count.smtp_tries);
        self.house_bytes.show(count.house_bytes);
        self.looked = true;
    }

    pub const fn smtp_tries(&self) -> u64 {
        self.smtp_tries.total
    }

    pub const fn house_bytes(&self) -> u64 {
        self.house_bytes.total
    }

    pub fn accounts(&self) -> impl Iterator<Item = (IpAddr, &Account)> {
        self.accounts.iter().map(|(address, account)| (*address, account))
    }
}

impl Account {
    /// Bytes to the internet.
    pub const fn sent(&self) -> u64 {
        self.sent.total
    }

    /// Bytes from the internet.
    pub const fn got(&self) -> u64 {
        self.got.total
    }

    pub const fn since(&self) -> Option<Uptime> {
        self.since
    }

    pub const fn last_seen(&self) -> Option<Uptime> {
        self.last_seen
    }

    /// `now`: none of a first look.
    fn enter(&mut self, now: Option<Uptime>, used: &Used) {
        let is_new = self.sent == Meter::default();
        let has_sent = self.sent.show(used.sent);
        self.got.show(used.got);
        if is_new {
            self.since = now;
        }
        if has_sent {
            self.last_seen = now;
        }
    }

    fn begin_anew(&mut self) {
        (self.sent.shown, self.got.shown) = (0, 0);
    }
}

impl Meter {
    /// Whether it shows more than before.
    fn show(&mut self, shown: u64) -> bool {
        // One that goes back began anew.
        let more = shown.checked_sub(self.shown).unwrap_or(shown);
        (self.total, self.shown) = (self.total.saturating_add(more), shown);
        more > 0
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Uptime {
        Uptime::since_boot(Duration::from_secs(seconds))
    }

    fn count(load: u64, sent: u64) -> Count {
        let address = IpAddr::from([100, 64, 0, 1]);
        Count {
            load,
            clients: Vec::from([Used { address, sent, got: 2 * sent }]),
            smtp_tries: sent,
            house_bytes: sent,
        }
    }

    fn only(ledger: &Ledger) -> Account {
        ledger.accounts().next().map(|(_, account)| account.clone()).unwrap()
    }

    #[test]
    fn sums_up_over_every_rule_set_that_was_loaded() {
        let mut ledger = Ledger::default();
        for (seconds, load, sent) in [(1, 0, 0), (2, 1, 100), (3, 1, 150), (4, 2, 200), (5, 2, 200)] {
            ledger.enter(at(seconds), &count(load, sent));
        }
        let account = only(&ledger);
        assert_eq!((account.sent(), account.got()), (350, 700), "the third one was loaded before the 200");
        assert_eq!((ledger.smtp_tries(), ledger.house_bytes()), (350, 350));
        assert_eq!(account.last_seen(), Some(at(4)), "nothing was sent after that");
    }

    #[test]
    fn what_the_agent_before_counted_goes_on() {
        let mut ledger = Ledger::default();
        ledger.enter(at(1), &Count::default());
        ledger.enter(at(2), &count(7, 100));
        let mut ledger = ledger.taken_over();
        ledger.enter(at(3), &count(0, 130));
        ledger.enter(at(4), &count(1, 5));
        assert_eq!((only(&ledger).sent(), only(&ledger).since()), (135, Some(at(2))));
    }

    #[test]
    fn a_rule_set_that_somebody_else_has_loaded_counts_from_nothing() {
        let mut ledger = Ledger::default();
        ledger.enter(at(1), &count(1, 100));
        ledger.enter(at(2), &count(1, 30));
        assert_eq!(only(&ledger).sent(), 130);
    }

    #[test]
    fn since_when_is_not_guessed_of_what_was_there_before_the_first_look() {
        let mut ledger = Ledger::default();
        ledger.enter(at(1), &count(0, 100));
        assert_eq!((only(&ledger).since(), only(&ledger).last_seen()), (None, None));
        ledger.enter(at(2), &count(0, 101));
        assert_eq!((only(&ledger).since(), only(&ledger).last_seen()), (None, Some(at(2))));
    }

    #[test]
    fn holds_no_more_than_the_kernel_counts() {
        let mut ledger = Ledger::default();
        for number in 0..u32::try_from(2 * MOST).unwrap() {
            let used = Used { address: IpAddr::from(number.to_be_bytes()), sent: 1, got: 1 };
            ledger.enter(at(1), &Count { clients: Vec::from([used]), ..Count::default() });
        }
        assert_eq!(ledger.accounts().count(), MOST);
    }
}
