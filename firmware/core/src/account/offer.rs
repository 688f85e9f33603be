//! Which of Mullvad's relays may carry.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::catalogue::{Catalogue, Listed};
use super::words::{Device, Effect, PublicKey};
use super::{Account, State, Turn};
use crate::relays::Keys;
use crate::{RelaySettings, TunnelEnd};

/// Where every relay listens, unless the list says otherwise.
const PORT: u16 = 51820;

/// What was offered last.
#[derive(Debug, Default)]
pub(super) struct Offered {
    list: Vec<RelaySettings>,
    /// In what way they are not what was asked for; a sentence.
    pub(super) elsewhere: Option<String>,
}

impl Account {
    pub(super) fn on_catalogue(&mut self, newer: Option<Catalogue>, turn: &mut Turn) {
        if newer.is_some() {
            (self.catalogue, self.no_list) = (newer, None);
            self.offer(false, turn);
        }
    }

    /// `chosen`: the owner has just said which are wanted.
    pub(super) fn offer(&mut self, chosen: bool, turn: &mut Turn) {
        let relays = self.chosen();
        let met = relays.iter().filter(|relay| self.settings.location.is_met_by(relay)).count();
        let elsewhere = self.elsewhere(relays.first().copied());
        let list = self.list(relays);
        if list != self.offered.list || chosen {
            turn.effects.push(Effect::Offer(list.clone(), if chosen { met } else { 0 }));
        }
        self.offered = Offered { list, elsewhere };
    }

    fn list<'a>(&'a self, mut relays: Vec<&'a Listed>) -> Vec<RelaySettings> {
        let (Some(device), Some(catalogue)) = (&self.record.device, &self.catalogue) else {
            return Vec::new();
        };
        relays.extend(self.goes_on(&relays));
        let ports = catalogue.ports_among(&self.settings.ports);
        let of = |key: PublicKey, relay: &Listed| RelaySettings {
            name: relay.host.clone(),
            keys: Keys::Device { ours: key, relay: relay.key },
            end: TunnelEnd {
                addresses: device.addresses.clone(),
                relay: SocketAddr::new(self.address(relay), catalogue.port(PORT)),
                mtu: self.settings.mtu,
            },
            ports: ports.clone(),
        };
        self.keys(device)
            .flat_map(|key| relays.iter().map(move |relay| (key, relay)))
            .map(|(key, relay)| of(key, relay))
            .collect()
    }

    fn address(&self, relay: &Listed) -> IpAddr {
        relay.v6.filter(|_| self.by_ipv6).map_or(relay.v4.into(), IpAddr::from)
    }

    fn chosen(&self) -> Vec<&Listed> {
        let dice = self.record.device.as_ref().map_or(0, |device| number(&device.id));
        self.catalogue
            .as_ref()
            .map(|catalogue| catalogue.choose(&self.settings.location, self.settings.owned, dice))
            .unwrap_or_default()
    }

    /// Who carries is not left because others are liked better now.
    fn goes_on(&self, chosen: &[&Listed]) -> Option<&Listed> {
        let carries = self.around.relay.as_ref()?;
        let is_chosen = chosen.iter().any(|relay| relay.host == *carries);
        let listed = self.catalogue.as_ref()?.relays.iter().filter(|relay| relay.active && !is_chosen);
        listed.into_iter().find(|relay| relay.host == *carries)
    }

    /// Those that may be the device's at this moment, the likelier one first.
    fn keys(&self, device: &Device) -> impl Iterator<Item = PublicKey> + use<> {
        let other = match self.state {
            State::Doubtful => self.record.next,
            State::Returning { .. } => self.record.before,
            State::Stranger | State::Settled | State::Renewing | State::Trying { .. } => None,
        };
        core::iter::once(device.key).chain(other)
    }
}

/// Always the same for the same device.
fn number(id: &str) -> u64 {
    id.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(0x0000_0100_0000_01b3) ^ u64::from(byte))
}
