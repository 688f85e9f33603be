//! Accounts, their devices and who has logged in. Knows the rules, and no connection: the time is the caller's.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::answer::Refusal;
use super::list::made_up_key;
use crate::relay::Devices;

/// Of one account.
pub const MOST_DEVICES: usize = 5;
/// All addresses inside the tunnel that devices of accounts are ever given.
pub const POOL: [&str; 2] = ["10.64.16.0/20", "fc00:bbbb:bbbb:bb01::10:0/112"];
/// A token is good for so long.
const TOKEN_LIFE: Duration = Duration::from_hours(24);
/// So long nobody else may have a removed device's key.
const GRACE: Duration = Duration::from_mins(5);
/// What the website calls devices.
const NAMES: [&str; 8] = [
    "happy seal",
    "cuddly otter",
    "quiet moose",
    "brave finch",
    "warm kiwi",
    "clever toad",
    "tidy lynx",
    "jolly newt",
];

#[derive(Debug, Default)]
pub(super) struct Accounts {
    by_number: BTreeMap<String, Account>,
    /// Whose each is, and until when.
    tokens: BTreeMap<String, (String, SystemTime)>,
    /// The keys of removed devices, and since when they are nobody's.
    given_up: BTreeMap<String, SystemTime>,
    /// So many numbers were given out, to devices, addresses and tokens.
    issued: u16,
}

#[derive(Debug)]
struct Account {
    expiry: SystemTime,
    devices: Vec<Device>,
}

/// As the API tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    pub id: String,
    pub name: String,
    pub pubkey: String,
    pub hijack_dns: bool,
    pub created: String,
    pub ipv4_address: String,
    pub ipv6_address: String,
}

/// As the API tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Token {
    pub(super) access_token: String,
    pub(super) expiry: String,
}

/// As the API tells an account to who has logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Me {
    id: String,
    expiry: String,
    max_ports: u8,
    can_add_ports: bool,
    max_devices: usize,
    can_add_devices: bool,
}

impl Accounts {
    /// There is such an account, and it runs out then.
    pub(super) fn grant(&mut self, account: &str, expiry: SystemTime) {
        let new = || Account { expiry, devices: Vec::new() };
        self.by_number.entry(account.to_owned()).or_insert_with(new).expiry = expiry;
    }

    pub(super) fn devices(&self, account: &str) -> &[Device] {
        self.by_number.get(account).map(|account| account.devices.as_slice()).unwrap_or_default()
    }

    pub(super) fn log_in(&mut self, account: &str, now: SystemTime) -> Result<Token, Refusal> {
        if !self.by_number.contains_key(account) {
            return Err(Refusal::NoSuchAccount);
        }
        let (token, expiry) = (format!("lab-token-{}", self.next_number()), now + TOKEN_LIFE);
        self.tokens.insert(token.clone(), (account.to_owned(), expiry));
        Ok(Token { access_token: token, expiry: rfc3339(expiry) })
    }

    pub(super) fn forget_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Whose token that is.
    pub(super) fn owner(&self, token: Option<&str>, now: SystemTime) -> Result<String, Refusal> {
        let known = token.and_then(|token| self.tokens.get(token));
        let (account, _) = known.filter(|(_, expiry)| now < *expiry).ok_or(Refusal::BadToken)?;
        Ok(account.clone())
    }

    pub(super) fn me(&self, account: &str) -> Result<Me, Refusal> {
        let Account { expiry, devices } = self.by_number.get(account).ok_or(Refusal::NoSuchAccount)?;
        Ok(Me {
            id: "00000000-0000-4000-8000-000000000001".to_owned(),
            expiry: rfc3339(*expiry),
            max_ports: 0,
            can_add_ports: false,
            max_devices: MOST_DEVICES,
            can_add_devices: devices.len() < MOST_DEVICES,
        })
    }

    pub(super) fn device(&self, account: &str, id: &str) -> Result<Device, Refusal> {
        let device = self.devices(account).iter().find(|device| device.id == id);
        device.cloned().ok_or(Refusal::NoSuchDevice)
    }

    pub(super) fn register(
        &mut self,
        account: &str,
        (pubkey, hijack_dns): (&str, bool),
        now: SystemTime,
    ) -> Result<Device, Refusal> {
        if self.devices(account).len() >= MOST_DEVICES {
            return Err(Refusal::TooManyDevices);
        }
        self.require_free(pubkey, None, now)?;
        let number = self.next_number();
        let [ipv4_address, ipv6_address] = tunnel_addresses(number);
        let device = Device {
            id: format!("{number:08x}-0000-4000-8000-000000000000"),
            name: NAMES[usize::from(number) % NAMES.len()].to_owned(),
            pubkey: pubkey.to_owned(),
            hijack_dns,
            created: rfc3339(now),
            ipv4_address,
            ipv6_address,
        };
        let account = self.by_number.get_mut(account).ok_or(Refusal::NoSuchAccount)?;
        account.devices.push(device.clone());
        Ok(device)
    }

    /// With other addresses too, if told so.
    pub(super) fn replace(
        &mut self,
        account: &str,
        id: &str,
        (pubkey, elsewhere): (&str, bool),
        now: SystemTime,
    ) -> Result<Device, Refusal> {
        let before = self.device(account, id)?;
        self.require_free(pubkey, Some(id), now)?;
        let addresses = if elsewhere {
            tunnel_addresses(self.next_number())
        } else {
            [before.ipv4_address, before.ipv6_address]
        };
        let devices = self.by_number.get_mut(account).map(|account| &mut account.devices);
        let mut devices = devices.into_iter().flatten();
        let device = devices.find(|device| device.id == id).ok_or(Refusal::NoSuchDevice)?;
        pubkey.clone_into(&mut device.pubkey);
        [device.ipv4_address, device.ipv6_address] = addresses;
        Ok(device.clone())
    }

    pub(super) fn remove(&mut self, account: &str, id: &str, now: SystemTime) -> Result<(), Refusal> {
        let device = self.device(account, id)?;
        self.given_up.insert(device.pubkey, now);
        if let Some(account) = self.by_number.get_mut(account) {
            account.devices.retain(|device| device.id != id);
        }
        Ok(())
    }

    pub(super) fn remove_all(&mut self, account: &str, now: SystemTime) {
        for Device { id, .. } in self.devices(account).to_vec() {
            // It is there.
            let _ = self.remove(account, &id, now);
        }
    }

    /// With devices of somebody else's, until there is no room for one more.
    pub(super) fn fill(&mut self, account: &str, now: SystemTime) {
        while self.register(account, (&made_up_key(&format!("filler{}", self.issued)), false), now).is_ok() {}
    }

    /// Every device that has paid, by its key.
    pub(super) fn served(&self, now: SystemTime) -> Devices {
        let paid = self.by_number.values().filter(|account| now < account.expiry);
        let devices = paid.flat_map(|account| &account.devices);
        devices
            .map(|device| (device.pubkey.clone(), format!("{},{}", device.ipv4_address, device.ipv6_address)))
            .collect()
    }

    /// No other device has it, nor had it just now.
    fn require_free(&self, pubkey: &str, but_for: Option<&str>, now: SystemTime) -> Result<(), Refusal> {
        let mut others = self.by_number.values().flat_map(|account| &account.devices);
        let is_anothers = others.any(|device| device.pubkey == pubkey && Some(device.id.as_str()) != but_for);
        let is_still_warm = self.given_up.get(pubkey).is_some_and(|since| now < *since + GRACE);
        if is_anothers || is_still_warm { Err(Refusal::KeyInUse) } else { Ok(()) }
    }

    fn next_number(&mut self) -> u16 {
        self.issued += 1;
        self.issued
    }
}

/// The next ones of [`POOL`].
fn tunnel_addresses(number: u16) -> [String; 2] {
    let [high, low] = number.to_be_bytes();
    [format!("10.64.{}.{low}/32", 16 + high), format!("fc00:bbbb:bbbb:bb01::10:{number:x}/128")]
}

/// As the API writes times.
fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string().replace('Z', "+00:00")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mullvad_api::ACCOUNT;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn a_key_belongs_to_one_device_and_is_nobodys_for_a_while() {
        let (mut accounts, now) = (paid(), SystemTime::now());
        let first = accounts.register(ACCOUNT, ("a", false), now).unwrap();
        assert_eq!(accounts.register(ACCOUNT, ("a", false), now), Err(Refusal::KeyInUse));
        let second = accounts.register(ACCOUNT, ("b", false), now).unwrap();
        assert_eq!(accounts.replace(ACCOUNT, &second.id, ("a", false), now), Err(Refusal::KeyInUse));
        // Its own one, before and now.
        for key in ["c", "a", "a"] {
            let device = accounts.replace(ACCOUNT, &first.id, (key, false), now).unwrap();
            assert_eq!(device, Device { pubkey: key.to_owned(), ..first.clone() });
        }
        accounts.remove(ACCOUNT, &first.id, now).unwrap();
        assert_eq!(accounts.remove(ACCOUNT, &first.id, now), Err(Refusal::NoSuchDevice));
        assert_eq!(accounts.register(ACCOUNT, ("a", false), now), Err(Refusal::KeyInUse));
        assert!(accounts.register(ACCOUNT, ("a", false), now + GRACE).is_ok());
    }

    #[test]
    fn a_full_account_takes_no_more_until_one_is_removed() {
        let (mut accounts, now) = (paid(), SystemTime::now());
        accounts.fill(ACCOUNT, now);
        assert_eq!(accounts.devices(ACCOUNT).len(), MOST_DEVICES);
        assert_eq!(accounts.register(ACCOUNT, ("a", false), now), Err(Refusal::TooManyDevices));
        accounts.remove_all(ACCOUNT, now);
        assert!(accounts.register(ACCOUNT, ("a", false), now).is_ok());
    }

    #[test]
    fn only_who_has_paid_is_served_and_each_by_addresses_of_its_own() {
        let (mut accounts, now) = (paid(), SystemTime::now());
        accounts.fill(ACCOUNT, now);
        let served = accounts.served(now);
        let all: std::collections::BTreeSet<&String> = served.values().collect();
        assert_eq!((served.len(), all.len()), (MOST_DEVICES, MOST_DEVICES));
        assert!(served.values().any(|addresses| addresses == "10.64.16.1/32,fc00:bbbb:bbbb:bb01::10:1/128"));
        let [device, ..] = accounts.devices(ACCOUNT) else { panic!("no device") };
        let device = device.clone();
        let moved = accounts.replace(ACCOUNT, &device.id, ("a", true), now).unwrap();
        assert!(moved.ipv4_address != device.ipv4_address && moved.ipv6_address != device.ipv6_address);
        assert_eq!(accounts.served(now + DAY), Devices::new());
    }

    #[test]
    fn a_token_is_its_accounts_for_as_long_as_it_says() {
        let (mut accounts, now) = (paid(), SystemTime::now());
        assert_eq!(accounts.log_in("1234123412341234", now), Err(Refusal::NoSuchAccount));
        let token = accounts.log_in(ACCOUNT, now).unwrap().access_token;
        let owner = |accounts: &Accounts, at| accounts.owner(Some(&token), at);
        assert_eq!(owner(&accounts, now), Ok(ACCOUNT.to_owned()));
        assert_eq!(owner(&accounts, now + TOKEN_LIFE), Err(Refusal::BadToken));
        assert_eq!(accounts.owner(None, now), Err(Refusal::BadToken));
        accounts.forget_tokens();
        assert_eq!(owner(&accounts, now), Err(Refusal::BadToken));
    }

    fn paid() -> Accounts {
        let mut accounts = Accounts::default();
        accounts.grant(ACCOUNT, SystemTime::now() + DAY);
        accounts
    }
}
