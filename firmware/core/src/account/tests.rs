//! The account's machine, answered by hand.

mod renewal;

use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::*;
use crate::RelaySettings;
use crate::relays::Keys;

/// What the wall clock shows at the boot.
const BOOT: Duration = Duration::from_hours(500_000);
const DAY: Duration = Duration::from_hours(24);

struct Drive {
    account: Account,
    at: Duration,
    around: Surroundings,
    effects: Vec<Effect>,
    keys: u8,
    kept: Record,
}

impl Drive {
    fn start() -> Self {
        Self::with(Record::default(), None)
    }

    fn with(record: Record, catalogue: Option<Catalogue>) -> Self {
        let (account, effects) = Account::start(now(Duration::ZERO), settings(), record.clone(), catalogue);
        let around = Surroundings {
            line: Some(Line::Ipv4),
            knows_time: true,
            uses_keys: true,
            ..Surroundings::default()
        };
        let mut drive = Self { account, at: Duration::ZERO, around, effects, keys: 0, kept: record };
        drive.looks();
        drive
    }

    /// A box with a device that carries.
    fn settled() -> Self {
        let record = Record { device: Some(device("1", 1)), made: Some(BOOT), ..Record::default() };
        let mut drive = Self::with(record, Some(catalogue()));
        drive.around.relay = Some(String::from("se-got-wg-001"));
        drive.looks();
        drive.answers_the_routine();
        drive
    }

    fn feed(&mut self, input: Input) {
        let effects = self.account.step(now(self.at), input);
        for effect in &effects {
            if let Effect::Keep(record) = effect {
                self.kept = record.clone();
            }
        }
        self.effects.extend(effects);
    }

    fn looks(&mut self) {
        self.feed(Input::Surroundings(self.around.clone()));
    }

    /// By deadlines, as the agent does it; keys are made at once, calls are not answered.
    fn runs(&mut self, span: Duration) {
        let end = self.at + span;
        self.makes_keys();
        while let Some(due) =
            self.account.deadline().map(Uptime::elapsed_since_boot).filter(|due| *due <= end)
        {
            assert!(due >= self.at || self.account.asked.is_none(), "a deadline that is over");
            self.at = self.at.max(due);
            self.feed(Input::Tick);
            self.makes_keys();
            if self.account.asked.is_some() {
                return;
            }
        }
        self.at = end;
    }

    fn makes_keys(&mut self) {
        while let Some(place) = self.effects.iter().position(|effect| *effect == Effect::MakeKey) {
            self.effects.remove(place);
            self.keys += 1;
            self.feed(Input::Key(Ok(key(100 + self.keys))));
        }
    }

    /// What is asked of Mullvad at this moment.
    fn asked(&self) -> Call {
        self.account.asked.clone().expect("a call under way")
    }

    fn answers(&mut self, result: Result<Answer, Refusal>) {
        let call = self.asked();
        self.feed(Input::Answered(call, result));
        self.makes_keys();
    }

    fn answers_the_routine(&mut self) {
        while let Some(call) = self.account.asked.clone() {
            let answer = match call {
                Call::Relays => Answer::Relays(Some(catalogue())),
                Call::Expiry => Answer::Expiry(BOOT + DAY * 100),
                Call::Devices => Answer::Devices(vec![self.account.record.device.clone().expect("a device")]),
                Call::Register(_) | Call::Replace { .. } => return,
            };
            self.answers(Ok(answer));
            self.runs(Duration::from_secs(2));
        }
    }

    fn trouble(&self) -> String {
        self.account.told.clone().and_then(|told| told.trouble).unwrap_or_default()
    }

    /// Of the last offer.
    fn offered(&self) -> Vec<RelaySettings> {
        let offers = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::Offer(list, _) => Some(list.clone()),
            Effect::MakeKey | Effect::Call(_) | Effect::Keep(_) | Effect::Remember(_) | Effect::Tell(_) => {
                None
            }
        });
        offers.unwrap_or_default()
    }

    fn proves(&mut self, with: PublicKey) {
        self.around.proven = vec![(with, Uptime::since_boot(self.at))];
        self.looks();
    }
}

fn settings() -> Settings {
    Settings {
        location: "se-got".parse().unwrap(),
        owned: false,
        rotate: DAY * 30,
        mtu: 1380,
        ports: vec![443, 4500, 22],
        seed: 7,
    }
}

fn now(at: Duration) -> Now {
    Now { uptime: Uptime::since_boot(at), wall: BOOT + at }
}

fn key(number: u8) -> PublicKey {
    PublicKey([number; 32])
}

fn device(id: &str, number: u8) -> Device {
    let address: IpAddr = "10.64.5.5".parse().unwrap();
    Device {
        id: id.to_string(),
        name: String::from("happy seal"),
        key: key(number),
        addresses: vec![address],
    }
}

fn listed(host: &str, number: u8) -> Listed {
    Listed {
        host: host.to_string(),
        place: host[..6].to_string(),
        active: true,
        owned: false,
        provider: String::from("somebody"),
        weight: 100,
        in_country: true,
        v4: [192, 0, 2, number].into(),
        v6: Some([0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()].into()),
        key: key(200 + number),
    }
}

fn catalogue() -> Catalogue {
    let hosts = ["se-got-wg-001", "se-got-wg-002", "se-mma-wg-001", "de-fra-wg-001"];
    let relays = hosts.iter().zip(1..).map(|(host, number)| listed(host, number)).collect();
    Catalogue { relays, ports: vec![443..=443, 4000..=33433, 51820..=51820], ..Catalogue::default() }
}

#[test]
fn a_new_box_registers_itself_once_and_offers_the_relays_of_its_place_first() {
    let mut drive = Drive::start();
    drive.runs(Duration::from_secs(1));
    assert_eq!(drive.asked(), Call::Register(key(101)), "with a key that is on the disk");
    assert_eq!(drive.kept.next, Some(key(101)));
    drive.answers(Ok(Answer::Device(device("1", 101))));
    assert_eq!(
        drive.kept,
        Record { device: Some(device("1", 101)), made: Some(BOOT + drive.at), ..Record::default() }
    );
    assert_eq!(drive.asked(), Call::Relays);
    drive.answers_the_routine();
    let offered = drive.offered();
    let names: Vec<&str> = offered.iter().map(|relay| relay.name.as_str()).collect();
    let mut first = names[..2].to_vec();
    first.sort_unstable();
    assert_eq!((&first[..], &names[2..]), (&["se-got-wg-001", "se-got-wg-002"][..], &["se-mma-wg-001"][..]));
    assert_eq!((offered[0].end.relay.port(), &offered[0].ports[..]), (51820, &[443, 4500][..]));
    assert!(matches!(offered[0].keys, Keys::Device { ours, .. } if ours == key(101)));
    assert_eq!(drive.account.told.as_ref().unwrap().days_left, Some(100));
    assert_eq!(drive.trouble(), "");
}

#[test]
fn a_registration_whose_answer_was_lost_is_found_and_not_repeated() {
    let mut drive = Drive::start();
    drive.runs(Duration::from_secs(1));
    drive.answers(Err(Refusal::Unreachable(String::from("cut"))));
    assert!(drive.trouble().contains("API is not reached: cut"), "{}", drive.trouble());
    // The relays are not waited for.
    while drive.asked() == Call::Relays {
        drive.answers(Err(Refusal::Unreachable(String::from("cut"))));
        drive.runs(Duration::from_mins(1));
    }
    assert_eq!(drive.asked(), Call::Register(key(101)), "with the same key");
    drive.answers(Err(Refusal::KeyInUse));
    assert_eq!(drive.asked(), Call::Devices);
    drive.answers(Ok(Answer::Devices(vec![device("8", 8), device("1", 101)])));
    assert_eq!(drive.kept.device, Some(device("1", 101)));
}

#[test]
fn a_key_that_somebody_else_has_is_made_anew() {
    let mut drive = Drive::start();
    drive.runs(Duration::from_secs(1));
    drive.answers(Err(Refusal::KeyInUse));
    drive.answers(Ok(Answer::Devices(vec![device("8", 8)])));
    drive.answers_the_routine();
    drive.runs(Duration::from_mins(1));
    assert_eq!(drive.asked(), Call::Register(key(102)));
}

#[test]
fn what_keeps_a_box_from_being_registered_is_told_and_tried_again() {
    for (refusal, told) in [
        (Refusal::TooManyDevices, "remove one at mullvad.net"),
        (Refusal::NoSuchAccount, "correct account below [mullvad]"),
        (Refusal::Odd(String::from("a riddle")), "a riddle"),
    ] {
        let mut drive = Drive::start();
        drive.runs(Duration::from_secs(1));
        drive.answers(Err(refusal));
        assert!(drive.trouble().contains(told), "{}", drive.trouble());
        drive.answers_the_routine();
        drive.runs(Duration::from_mins(10));
        assert_eq!(drive.asked(), Call::Register(key(101)));
        drive.answers(Ok(Answer::Device(device("1", 101))));
        assert_eq!(drive.trouble(), "");
    }
}

#[test]
fn once_a_relay_carries_again_it_is_asked_whether_the_account_was_paid() {
    let mut drive = Drive::settled();
    drive.around.relay = None;
    drive.looks();
    drive.runs(Duration::from_secs(30));
    drive.answers_the_routine();
    drive.at += Duration::from_mins(2);
    drive.around.relay = Some(String::from("se-got-wg-001"));
    drive.looks();
    assert_eq!(drive.asked(), Call::Expiry);
    drive.answers_the_routine();
    drive.at += Duration::from_mins(2);
    // Twenty times an hour: nothing of it has to do with the account.
    for relay in [None, Some(String::from("se-got-wg-002"))] {
        drive.around.relay = relay;
        drive.looks();
        drive.runs(Duration::from_secs(6));
        assert_eq!(drive.account.asked, None);
    }
}

#[test]
fn a_list_that_never_came_is_told() {
    let mut drive = Drive::start();
    drive.runs(Duration::from_secs(1));
    drive.answers(Ok(Answer::Device(device("1", 101))));
    assert_eq!(drive.asked(), Call::Relays);
    let riddle = || Err(Refusal::Odd(String::from("a riddle")));
    let list = || Ok(Answer::Relays(Some(catalogue())));
    let told = "mullvad's list of relays is not there yet: a riddle";
    for (answer, told) in [(riddle(), told), (list(), ""), (riddle(), "")] {
        drive.feed(Input::Answered(Call::Relays, answer));
        assert_eq!(drive.trouble(), told, "the last good one stands");
    }
}

#[test]
fn the_owner_is_told_in_time_that_the_account_runs_out() {
    let mut drive = Drive::settled();
    for (left, told) in [
        (15, ""),
        (14, "the mullvad account runs out in 14 days: add time to it"),
        (1, "the mullvad account runs out within a day: add time to it"),
        (0, "the mullvad account has run out: add time to it"),
    ] {
        drive.at = DAY * (100 - left);
        drive.feed(Input::Tick);
        assert_eq!(drive.trouble(), told);
        drive.account.asked = None;
    }
    drive.around.knows_time = false;
    drive.looks();
    assert_eq!(drive.account.told.as_ref().unwrap().days_left, None, "nobody knows");
}

#[test]
fn without_a_relay_of_the_place_the_country_s_are_offered_and_no_other_country_s() {
    let mut drive = Drive::settled();
    let mut list = catalogue();
    list.relays.retain(|relay| relay.place != "se-got");
    drive.feed(Input::Answered(Call::Relays, Ok(Answer::Relays(Some(list.clone())))));
    assert_eq!(drive.offered().len(), 1);
    assert_eq!(drive.trouble(), "no relay of se-got works now: others of its country are used");
    drive.account.settings.owned = true;
    list.relays.iter_mut().for_each(|relay| relay.owned = relay.place == "se-mma");
    drive.feed(Input::Answered(Call::Relays, Ok(Answer::Relays(Some(list.clone())))));
    assert!(drive.trouble().starts_with("no relay of se-got that mullvad owns works"), "{}", drive.trouble());
    list.relays.retain(|relay| !relay.place.starts_with("se"));
    drive.feed(Input::Answered(Call::Relays, Ok(Answer::Relays(Some(list)))));
    assert_eq!(drive.offered().len(), 0);
    assert!(drive.trouble().starts_with("mullvad has no relay in se-got"), "{}", drive.trouble());
}

#[test]
fn another_place_is_remembered_and_wanted_at_once() {
    let mut drive = Drive::settled();
    drive.effects.clear();
    drive.feed(Input::Choose("se-mma-wg-001".parse().unwrap()));
    assert!(drive.effects.contains(&Effect::Remember("se-mma-wg-001".parse().unwrap())));
    let Some(Effect::Offer(list, 1)) = drive.effects.iter().find(|it| matches!(it, Effect::Offer(..))) else {
        panic!("{:?}", drive.effects)
    };
    assert_eq!(list[0].name, "se-mma-wg-001");
}

#[test]
fn a_key_that_the_disk_refuses_is_asked_for_again_later() {
    let mut drive = Drive::start();
    assert_eq!(drive.effects.iter().filter(|it| **it == Effect::MakeKey).count(), 1);
    drive.effects.clear();
    drive.feed(Input::Key(Err(String::from("the disk is full"))));
    assert!(drive.trouble().contains("the disk is full"), "{}", drive.trouble());
    drive.answers_the_routine();
    drive.runs(Duration::from_secs(10));
    assert_eq!(drive.kept.next, Some(key(101)));
}

#[test]
fn who_carries_is_offered_as_long_as_it_works_whatever_is_liked_better() {
    let mut drive = Drive::settled();
    let mut list = catalogue();
    list.relays.extend((10..20).map(|number| listed(&alloc::format!("se-got-wg-0{number}"), number)));
    drive.feed(Input::Answered(Call::Relays, Ok(Answer::Relays(Some(list.clone())))));
    let offered = |drive: &Drive| drive.offered().into_iter().map(|relay| relay.name).collect::<Vec<_>>();
    let first = offered(&drive);
    let other = list.relays.iter().find(|relay| relay.place == "se-got" && !first.contains(&relay.host));
    let other = other.expect("there are more than six").host.clone();
    drive.around.relay = Some(other.clone());
    drive.looks();
    assert_eq!(offered(&drive), [&first[..], core::slice::from_ref(&other)].concat());
    for relay in list.relays.iter_mut().filter(|relay| relay.host == other) {
        relay.active = false;
    }
    drive.feed(Input::Answered(Call::Relays, Ok(Answer::Relays(Some(list)))));
    assert_eq!(offered(&drive), first);
}

#[test]
fn a_house_of_ipv6_alone_calls_relays_by_that_once_nothing_else_has_led_to_one() {
    let by_ipv6 = |drive: &Drive| {
        let offered = drive.offered();
        assert_eq!(offered.len(), 3, "{offered:?}");
        let kinds: Vec<bool> = offered.iter().map(|relay| relay.end.relay.is_ipv6()).collect();
        assert!(kinds.iter().all(|kind| *kind == kinds[0]), "{offered:?}");
        kinds[0]
    };
    let mut usual = Drive::settled();
    usual.around.relay = None;
    usual.looks();
    usual.runs(Duration::from_secs(21));
    assert!(!by_ipv6(&usual), "the house has IPv4");
    let mut drive = Drive::settled();
    drive.around.line = Some(Line::Ipv6Alone);
    drive.looks();
    assert!(!by_ipv6(&drive), "by the house's NAT64");
    drive.around.relay = None;
    drive.looks();
    drive.runs(Duration::from_secs(19));
    assert!(!by_ipv6(&drive), "it may come yet");
    drive.runs(Duration::from_secs(2));
    assert!(by_ipv6(&drive));
    drive.around.relay = Some(String::from("se-got-wg-001"));
    drive.looks();
    assert!(by_ipv6(&drive), "it carries so");
    drive.around.line = Some(Line::Ipv4);
    drive.looks();
    assert!(!by_ipv6(&drive));
}
