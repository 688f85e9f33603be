//! Who goes out by the box: whom tailscaled knows behind which address, and what the kernel has counted of each.

mod ledger;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use self::ledger::{Account, Count, Ledger, Used};
use crate::Uptime;
use crate::posture::Refused;

/// Somebody else on the tailnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The control server's, which stays through every change of name and address.
    pub id: String,
    pub name: String,
    pub addresses: Vec<IpAddr>,
    pub path: Option<Path>,
}

/// Everybody else, and by which ports tailscaled answers their questions for names (TCP, `PeerAPI`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roll {
    pub peers: Vec<Peer>,
    pub name_ports: Vec<u16>,
}

/// One for whom nothing is carried, by the owner's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PausedClient {
    pub id: String,
    /// Both as they were last known: at a boot the door may open before tailscaled knows anybody.
    pub name: String,
    pub addresses: Vec<IpAddr>,
}

/// By which way somebody is reached who is spoken with at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    Direct,
    /// By this region's relay server (DERP), by its short name.
    Relayed(String),
}

/// One who has gone out in this boot, or is kept from it. Unknown is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientView {
    /// Of a tailnet peer.
    pub id: Option<String>,
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
    pub paused: bool,
    /// What each of its addresses may take in each direction.
    pub limit_mbit: Option<u16>,
}

/// What was last told of them.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    roll: Roll,
    pub(crate) ledger: Option<Ledger>,
    paused: Vec<PausedClient>,
}

impl Clients {
    pub(crate) fn new(paused: Vec<PausedClient>) -> Self {
        Self { paused, ..Self::default() }
    }

    /// Whether something of it is to be remembered of those who are paused.
    pub(crate) fn learn_peers(&mut self, roll: Roll) -> bool {
        let before = self.paused.clone();
        for paused in &mut self.paused {
            match roll.peers.iter().find(|peer| peer.id == paused.id) {
                Some(peer) => {
                    paused.name.clone_from(&peer.name);
                    paused.addresses.clone_from(&peer.addresses);
                }
                // Whoever has left the tailnet takes nobody along who has got his address.
                None => paused
                    .addresses
                    .retain(|address| !roll.peers.iter().any(|peer| peer.addresses.contains(address))),
            }
        }
        self.roll = roll;
        self.paused != before
    }

    pub(crate) fn pause(&mut self, client: PausedClient) {
        self.resume(&client.id);
        self.paused.push(client);
        self.paused.sort_by(|one, other| one.id.cmp(&other.id));
    }

    pub(crate) fn resume(&mut self, id: &str) {
        self.paused.retain(|paused| paused.id != id);
    }

    pub(crate) fn paused(&self) -> &[PausedClient] {
        &self.paused
    }

    /// What the kernel is to do about them.
    pub(crate) fn refused(&self) -> Refused {
        let mut clients: Vec<IpAddr> =
            self.paused.iter().flat_map(|paused| paused.addresses.iter().copied()).collect();
        clients.sort();
        // While nobody is refused, nobody's questions are either.
        let name_ports = if clients.is_empty() { Vec::new() } else { self.roll.name_ports.clone() };
        Refused { clients, name_ports }
    }

    /// By name; `None` before the first look. `refused`: as it was read back.
    pub(crate) fn views(&self, refused: Option<&Refused>) -> Option<Vec<ClientView>> {
        let mut accounts: BTreeMap<IpAddr, &Account> = self.ledger.as_ref()?.accounts().collect();
        let gone =
            self.paused.iter().filter(|paused| self.roll.peers.iter().all(|peer| peer.id != paused.id));
        let known = self.roll.peers.iter().cloned().chain(gone.cloned().map(Peer::from));
        let of_peer = |peer: Peer| {
            let own: Vec<&Account> =
                peer.addresses.iter().filter_map(|address| accounts.remove(address)).collect();
            let paused = self.is_paused(&peer, refused);
            (paused || !own.is_empty()).then(|| ClientView {
                id: Some(peer.id),
                name: Some(peer.name),
                path: peer.path,
                paused,
                ..ClientView::new(peer.addresses, &own)
            })
        };
        let mut views: Vec<ClientView> = known.filter_map(of_peer).collect();
        views.sort_by(|one, other| one.name.cmp(&other.name));
        let nameless = |(address, account)| ClientView::new(Vec::from([address]), &[account]);
        views.extend(accounts.into_iter().map(nameless));
        Some(views)
    }

    /// As the kernel holds it, where that is known.
    fn is_paused(&self, peer: &Peer, refused: Option<&Refused>) -> bool {
        match refused.filter(|_| !peer.addresses.is_empty()) {
            Some(refused) => peer.addresses.iter().any(|address| refused.clients.contains(address)),
            None => self.paused.iter().any(|paused| paused.id == peer.id),
        }
    }
}

impl From<PausedClient> for Peer {
    fn from(PausedClient { id, name, addresses }: PausedClient) -> Self {
        Self { id, name, addresses, path: None }
    }
}

impl From<Peer> for PausedClient {
    fn from(Peer { id, name, addresses, path: _ }: Peer) -> Self {
        Self { id, name, addresses }
    }
}

impl ClientView {
    fn new(addresses: Vec<IpAddr>, accounts: &[&Account]) -> Self {
        Self {
            id: None,
            name: None,
            addresses,
            tx_bytes: accounts.iter().map(|account| account.sent()).sum(),
            rx_bytes: accounts.iter().map(|account| account.got()).sum(),
            since: accounts.iter().filter_map(|account| account.since()).min(),
            last_seen: accounts.iter().filter_map(|account| account.last_seen()).max(),
            path: None,
            paused: false,
            limit_mbit: None,
        }
    }

    pub(crate) fn without_ages(&self) -> Self {
        Self { tx_bytes: 0, rx_bytes: 0, last_seen: None, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString as _;
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
        let mut clients = Clients { ledger: Some(ledger), ..Clients::default() };
        clients.learn_peers(Roll { peers: Vec::from([phone, idle]), name_ports: Vec::new() });
        let stranger = ClientView {
            id: None,
            name: None,
            addresses: Vec::from(["100.64.0.9".parse().unwrap()]),
            tx_bytes: 5,
            rx_bytes: 5,
            since: Some(at(7)),
            last_seen: Some(at(7)),
            path: None,
            paused: false,
            limit_mbit: None,
        };
        let phone = ClientView {
            id: Some(String::from("n1")),
            name: Some(String::from("phone")),
            addresses,
            tx_bytes: 11,
            rx_bytes: 22,
            since: Some(at(2)),
            last_seen: Some(at(7)),
            path: Some(Path::Direct),
            paused: false,
            limit_mbit: None,
        };
        assert_eq!(clients.views(None), Some(Vec::from([phone, stranger])));
    }

    #[test]
    fn before_the_first_look_nobody_is_known() {
        assert_eq!(Clients::default().views(None), None);
    }

    fn peer(id: &str, addresses: &[&str]) -> Peer {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Peer { id: String::from(id), name: format!("{id}'s"), addresses, path: None }
    }

    fn roll(peers: &[Peer]) -> Roll {
        Roll { peers: peers.to_vec(), name_ports: Vec::from([40_000]) }
    }

    #[test]
    fn a_pause_follows_the_node_through_names_and_addresses_and_hits_nobody_else() {
        let mut clients = Clients::new(Vec::from([peer("n1", &["100.64.0.1"]).into()]));
        let refused = |clients: &Clients| {
            let Refused { clients: addresses, name_ports } = clients.refused();
            (addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" "), name_ports.len())
        };
        assert_eq!(refused(&clients), (String::from("100.64.0.1"), 0), "before tailscaled tells anybody");
        assert!(
            clients.learn_peers(roll(&[peer("n1", &["fd7a::5", "100.64.0.5"]), peer("n2", &["100.64.0.1"])]))
        );
        assert_eq!(refused(&clients), (String::from("100.64.0.5 fd7a::5"), 1));
        assert!(!clients.learn_peers(roll(&[])), "a tailscaled that knows nobody yet");
        assert_eq!(refused(&clients), (String::from("100.64.0.5 fd7a::5"), 1));
        assert!(clients.learn_peers(roll(&[peer("n2", &["100.64.0.5"])])), "the node is gone");
        assert_eq!(refused(&clients), (String::from("fd7a::5"), 1));
        clients.resume("n1");
        assert_eq!(clients.refused(), Refused::default());
    }

    #[test]
    fn a_pause_is_told_as_the_kernel_holds_it_and_of_who_has_never_gone_out_too() {
        let phone = peer("n1", &["100.64.0.1"]);
        let mut clients = Clients { ledger: Some(Ledger::default()), ..Clients::default() };
        clients.learn_peers(roll(core::slice::from_ref(&phone)));
        let told = |clients: &Clients, refused: Option<&Refused>| {
            clients.views(refused).unwrap().iter().map(|view| view.paused).collect::<Vec<_>>()
        };
        let (none, one) =
            (Refused::default(), Refused { clients: phone.addresses.clone(), ..Refused::default() });
        assert_eq!(told(&clients, Some(&none)), []);
        clients.pause(phone.into());
        assert_eq!(told(&clients, Some(&none)), [], "ordered, not read back");
        assert_eq!(told(&clients, Some(&one)), [true]);
        assert_eq!(told(&clients, None), [true], "an order is on its way");
        clients.resume("n1");
        assert_eq!(told(&clients, Some(&one)), [true], "it still holds");
    }
}
