//! Clients as other people's scripts read them: the core's view with its moments turned into ages.

use std::cmp::Reverse;
use std::net::IpAddr;

use byway_core::clients::{ClientView, Path};
use serde::{Deserialize, Serialize};

use super::Now;

/// A tailnet peer that has gone out in this boot. Unknown is null, never a guess.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its name on the tailnet; null when tailscaled does not know the address.
    pub name: Option<String>,
    pub addresses: Vec<IpAddr>,
    /// From the client to the internet, since the boot.
    pub tx_bytes: u64,
    /// From the internet to the client.
    pub rx_bytes: u64,
    /// Since its first packet through a door.
    pub first_seen_s_ago: Option<u64>,
    /// Since its last one.
    pub last_seen_s_ago: Option<u64>,
    /// `"direct"`, `"relayed"`; null: nothing is sent to it at the moment.
    pub path: Option<String>,
    /// The region of the relay server (DERP) that it is reached by.
    pub relay: Option<String>,
}

impl Client {
    /// Busiest first.
    pub fn list(views: &[ClientView], now: Now) -> Vec<Self> {
        let mut clients: Vec<Self> = views.iter().map(|view| Self::new(view, now)).collect();
        clients.sort_by_key(|client| Reverse(client.bytes()));
        clients
    }

    fn new(view: &ClientView, now: Now) -> Self {
        let age = |then| now.uptime.since(then).as_secs();
        let (path, relay) = match &view.path {
            Some(Path::Direct) => (Some("direct"), None),
            Some(Path::Relayed(by)) => (Some("relayed"), Some(by.clone())),
            None => (None, None),
        };
        Self {
            name: view.name.clone(),
            addresses: view.addresses.clone(),
            tx_bytes: view.tx_bytes,
            rx_bytes: view.rx_bytes,
            first_seen_s_ago: view.since.map(age),
            last_seen_s_ago: view.last_seen.map(age),
            path: path.map(str::to_owned),
            relay,
        }
    }

    /// What people call it.
    pub fn called(&self) -> String {
        let address = || self.addresses.first().map(IpAddr::to_string).unwrap_or_default();
        self.name.clone().unwrap_or_else(address)
    }

    const fn bytes(&self) -> u64 {
        self.tx_bytes.saturating_add(self.rx_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use byway_core::Uptime;

    use super::*;

    #[test]
    fn tells_clients_as_scripts_read_them_the_busiest_first() {
        let at = |seconds| Uptime::since_boot(Duration::from_secs(seconds));
        let idle = ClientView {
            name: None,
            addresses: Vec::from(["100.64.0.9".parse().unwrap()]),
            tx_bytes: 1,
            rx_bytes: 2,
            since: None,
            last_seen: None,
            path: None,
        };
        let busy = ClientView {
            name: Some("phone".to_owned()),
            addresses: ["100.64.0.1", "fd7a:115c:a1e0::1"].map(|it| it.parse().unwrap()).to_vec(),
            tx_bytes: 10,
            rx_bytes: 20,
            since: Some(at(2)),
            last_seen: Some(at(40)),
            path: Some(Path::Relayed("nue".to_owned())),
        };
        let now = Now { uptime: at(42), wall: SystemTime::UNIX_EPOCH };
        assert_eq!(
            serde_json::to_value(Client::list(&[idle, busy], now)).unwrap(),
            serde_json::json!([
                {"name": "phone", "addresses": ["100.64.0.1", "fd7a:115c:a1e0::1"], "tx_bytes": 10, "rx_bytes": 20,
                 "first_seen_s_ago": 40, "last_seen_s_ago": 2, "path": "relayed", "relay": "nue"},
                {"name": null, "addresses": ["100.64.0.9"], "tx_bytes": 1, "rx_bytes": 2,
                 "first_seen_s_ago": null, "last_seen_s_ago": null, "path": null, "relay": null},
            ])
        );
    }
}
