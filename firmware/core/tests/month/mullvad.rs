//! Mullvad, as far as its customer sees it: an account with devices, a list of relays, and relays that serve the keys they
//! have heard of.

use std::time::Duration;

use byway_core::account::{Answer, Call, Catalogue, Device, Listed, PublicKey, Refusal};

/// Until the relays have heard of a change.
pub(crate) const SPREAD: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Fine,
    /// Nobody answers.
    Away,
    /// It does what it is asked, and the answer gets lost.
    LosesAnswers,
    /// What it is told of keys does not get to the relays.
    KeepsKeysToItself,
}

pub(crate) struct Mullvad {
    pub(crate) mood: Mood,
    pub(crate) expiry: Duration,
    pub(crate) devices: Vec<Device>,
    pub(crate) list: Catalogue,
    is_new: bool,
    /// Those that work.
    pub(crate) relays: Vec<&'static str>,
    /// Whose keys the relays have heard of, the newest last, and since when.
    heard: Vec<(Vec<PublicKey>, Duration)>,
    pub(crate) calls: Vec<Call>,
}

impl Mullvad {
    pub(crate) fn new(expiry: Duration) -> Self {
        let relays = Vec::from(["se-got-wg-001", "se-got-wg-002", "se-mma-wg-001", "se-sto-wg-001"]);
        Self {
            mood: Mood::Fine,
            expiry,
            devices: Vec::new(),
            list: list(&relays),
            is_new: true,
            relays,
            heard: Vec::from([(Vec::new(), Duration::ZERO)]),
            calls: Vec::new(),
        }
    }

    pub(crate) fn lists(&mut self, relays: &[&'static str]) {
        (self.list, self.is_new) = (list(relays), true);
    }

    pub(crate) fn removes_devices(&mut self, now: Duration) {
        self.devices.clear();
        self.spreads(now);
    }

    pub(crate) fn serves(&self, relay: &str, key: PublicKey, now: Duration, wall: Duration) -> bool {
        let heard = self.heard.iter().rev().find(|(_, since)| *since + SPREAD <= now);
        let knows = heard.is_some_and(|(keys, _)| keys.contains(&key));
        knows && wall < self.expiry && self.relays.contains(&relay)
    }

    pub(crate) fn hears(&mut self, call: Call, now: Duration) -> Result<Answer, Refusal> {
        self.calls.push(call.clone());
        if self.mood == Mood::Away {
            return Err(Refusal::Unreachable(String::from("nobody answers")));
        }
        let answer = self.does(call, now)?;
        if self.mood == Mood::LosesAnswers {
            Err(Refusal::Unreachable(String::from("cut")))
        } else {
            Ok(answer)
        }
    }

    fn does(&mut self, call: Call, now: Duration) -> Result<Answer, Refusal> {
        Ok(match call {
            Call::Relays => {
                let list = self.is_new.then(|| self.list.clone());
                self.is_new = self.is_new && self.mood == Mood::LosesAnswers;
                Answer::Relays(list)
            }
            Call::Expiry => Answer::Expiry(self.expiry),
            Call::Devices => Answer::Devices(self.devices.clone()),
            Call::Register(key) => {
                if self.devices.iter().any(|device| device.key == key) {
                    return Err(Refusal::KeyInUse);
                }
                let id = self.calls.len().to_string();
                let addresses = Vec::from([[10, 64, 5, 5].into()]);
                self.devices.push(Device { id, name: String::from("happy seal"), key, addresses });
                self.spreads(now);
                Answer::Device(self.devices.last().expect("it is there").clone())
            }
            Call::Replace { device, key } => {
                let known = self.devices.iter_mut().find(|known| known.id == device);
                let known = known.ok_or(Refusal::NoSuchDevice)?;
                known.key = key;
                let answer = Answer::Device(known.clone());
                self.spreads(now);
                answer
            }
        })
    }

    fn spreads(&mut self, now: Duration) {
        if self.mood != Mood::KeepsKeysToItself {
            self.heard.push((self.devices.iter().map(|device| device.key).collect(), now));
        }
    }
}

fn list(relays: &[&str]) -> Catalogue {
    let listed = |(number, host): (usize, &&str)| Listed {
        host: (*host).to_owned(),
        place: host[..6].to_owned(),
        active: true,
        owned: true,
        provider: String::from("31173"),
        weight: 100,
        in_country: true,
        v4: [192, 0, 2, u8::try_from(number).expect("a few")].into(),
        v6: None,
        key: PublicKey([u8::try_from(number).expect("a few"); 32]),
    };
    let relays = relays.iter().enumerate().map(listed).collect();
    Catalogue { relays, ports: Vec::from([51820..=51820, 443..=443]), ..Catalogue::default() }
}
