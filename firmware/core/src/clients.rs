//! Who goes out by the box: whom tailscaled knows behind which address, and what the kernel has counted of each.

mod ledger;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

pub use self::ledger::{Account, Count, Ledger, Used};
use crate::Uptime;

/// Somebody else on the tailnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The control server's, which stays through every change of name and address.
    pub id: String,
    pub name: String,
    pub addresses: Vec<IpAddr>,
    pub path: Option<Path>,
}

/// By which way somebody is reached who is spoken with at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    Direct,
    /// By this region's relay server (DERP), by its short name.
    Relayed(String),
}

/// One who has gone out in this boot. Unknown is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientView {
    /// `None`: tailscaled does not know the address.
    pub name: Option<String>,
    pub addresses: Vec<IpAddr>,
    /// From the client to the internet.
    pub tx_bytes: u64,
    /// From the internet to the client.
    pub rx_bytes: u64,
    /// When its first packet went through a door.
    pub since: Option<Uptime>,
    /// When its last one did.
    pub last_seen: Option<Uptime>,
    pub path: Option<Path>,
}

/// What was last told of them.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    pub(crate) peers: Vec<Peer>,
    pub(crate) ledger: Option<Ledger>,
}

impl Clients {
    /// By name; `None` before the first look.
    pub(crate) fn views(&self) -> Option<Vec<ClientView>> {
        let mut accounts: BTreeMap<IpAddr, &Account> = self.ledger.as_ref()?.accounts().collect();
        let of_peer = |peer: &Peer| {
            let own: Vec<&Account> =
                peer.addresses.iter().filter_map(|address| accounts.remove(address)).collect();
            (!own.is_empty()).then(|| ClientView {
                name: Some(peer.name.clone()),
                path: peer.path.clone(),
                ..ClientView::new(peer.addresses.clone(), &own)
            })
        };
        let mut views: Vec<ClientView> = self.peers.iter().filter_map(of_peer).collect();
        views.sort_by(|one, other| one.name.cmp(&other.name));
        let nameless = |(address, account)| ClientView::new(Vec::from([address]), &[account]);
        views.extend(accounts.into_iter().map(nameless));
        Some(views)
    }
}

impl ClientView {
    fn new(addresses: Vec<IpAddr>, accounts: &[&Account]) -> Self {
        Self {
            name: None,
            addresses,
            tx_bytes: accounts.iter().map(|account| account.sent()).sum(),
            rx_bytes: accounts.iter().map(|account| account.got()).sum(),
            since: accounts.iter().filter_map(|account| account.since()).min(),
            last_seen: accounts.iter().filter_map(|account| account.last_seen()).max(),
            path: None,
        }
    }

    pub(crate) fn without_ages(&self) -> Self {
        Self { tx_bytes: 0, rx_bytes: 0, last_seen: None, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Uptime {
        Uptime::since_boot(Duration::from_secs(seconds))
    }

    fn used(address: &str, sent: u64, got: u64) -> Used {
        Used { address: address.parse().unwrap(), sent, got }
    }

    #[test]
    fn both_addresses_of_a_peer_are_one_client_and_a_stranger_is_nameless() {
        let mut ledger = Ledger::default();
        ledger.enter(at(1), &Count::default());
        ledger.enter(at(2), &Count { clients: Vec::from([used("100.64.0.1", 1, 2)]), ..Count::default() });
        let later = [used("100.64.0.1", 1, 2), used("fd7a::1", 10, 20), used("100.64.0.9", 5, 5)];
        ledger.enter(at(7), &Count { clients: later.to_vec(), ..Count::default() });
        let addresses: Vec<IpAddr> = ["100.64.0.1", "fd7a::1"].map(|it| it.parse().unwrap()).to_vec();
        let phone = Peer {
            id: String::from("n1"),
            name: String::from("phone"),
            addresses: addresses.clone(),
            path: Some(Path::Direct),
        };
        let idle =
            Peer { id: String::from("n2"), name: String::from("idle"), addresses: Vec::new(), path: None };
        let clients = Clients { peers: Vec::from([phone, idle]), ledger: Some(ledger) };
        let stranger = ClientView {
            name: None,
            addresses: Vec::from(["100.64.0.9".parse().unwrap()]),
            tx_bytes: 5,
            rx_bytes: 5,
            since: Some(at(7)),
            last_seen: Some(at(7)),
            path: None,
        };
        let phone = ClientView {
            name: Some(String::from("phone")),
            addresses,
            tx_bytes: 11,
            rx_bytes: 22,
            since: Some(at(2)),
            last_seen: Some(at(7)),
            path: Some(Path::Direct),
        };
        assert_eq!(clients.views(), Some(Vec::from([phone, stranger])));
    }

    #[test]
    fn before_the_first_look_nobody_is_known() {
        assert_eq!(Clients::default().views(), None);
    }
}
