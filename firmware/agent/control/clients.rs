//! Clients as other people's scripts read them: the core's view with its moments turned into ages.

use std::cmp::Reverse;
use std::net::IpAddr;

use byway_core::clients::{ClientView, Path, PausedClient};
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
    /// Whether nothing is carried for it, by the owner's word.
    pub paused: bool,
    /// What each of its addresses may take in each direction; null: whatever the line gives.
    pub limit_mbit: Option<u16>,
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
            paused: view.paused,
            limit_mbit: view.limit_mbit,
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

/// So many names are told to whoever has written another.
const NAMED: usize = 20;

/// Whom a person means: by a name, by the beginning of one alone, or by an address.
pub(crate) fn find<'a>(word: &str, known: &'a [PausedClient]) -> Result<&'a PausedClient, String> {
    let address = word.parse::<IpAddr>().ok();
    let is_it = |client: &&PausedClient| {
        client.name.eq_ignore_ascii_case(word) || address.is_some_and(|it| client.addresses.contains(&it))
    };
    if let Some(found) = known.iter().find(is_it) {
        return Ok(found);
    }
    let begins = |client: &&PausedClient| {
        client.name.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    let meant: Vec<&PausedClient> = known.iter().filter(begins).filter(|_| !word.is_empty()).collect();
    match meant[..] {
        [one] => Ok(one),
        [] => Err(format!("{}: there are {}", unknown(word), names(&known.iter().collect::<Vec<_>>()))),
        _ => Err(format!("{word:?} begins more than one name: there are {}", names(&meant))),
    }
}

fn unknown(word: &str) -> String {
    match word.parse::<IpAddr>() {
        Ok(address) => {
            format!("nobody of the tailnet has {address}, and machines of the house are not paused")
        }
        Err(_) => format!("there is no client {word:?}"),
    }
}

fn names(clients: &[&PausedClient]) -> String {
    let mut names: Vec<&str> = clients.iter().map(|client| client.name.as_str()).collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    match (names.is_empty(), more) {
        (true, _) => "none yet".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{}, and {more} more", names.join(", ")),
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
            id: None,
            name: None,
            addresses: Vec::from(["100.64.0.9".parse().unwrap()]),
            tx_bytes: 1,
            rx_bytes: 2,
            since: None,
            last_seen: None,
            path: None,
            paused: false,
            limit_mbit: None,
        };
        let busy = ClientView {
            id: Some("n1".to_owned()),
            name: Some("phone".to_owned()),
            addresses: ["100.64.0.1", "fd7a:115c:a1e0::1"].map(|it| it.parse().unwrap()).to_vec(),
            tx_bytes: 10,
            rx_bytes: 20,
            since: Some(at(2)),
            last_seen: Some(at(40)),
            path: Some(Path::Relayed("nue".to_owned())),
            paused: true,
            limit_mbit: Some(20),
        };
        let now = Now { uptime: at(42), wall: SystemTime::UNIX_EPOCH };
        assert_eq!(
            serde_json::to_value(Client::list(&[idle, busy], now)).unwrap(),
            serde_json::json!([
                {"name": "phone", "addresses": ["100.64.0.1", "fd7a:115c:a1e0::1"], "tx_bytes": 10, "rx_bytes": 20,
                 "first_seen_s_ago": 40, "last_seen_s_ago": 2, "path": "relayed", "relay": "nue", "paused": true,
                 "limit_mbit": 20},
                {"name": null, "addresses": ["100.64.0.9"], "tx_bytes": 1, "rx_bytes": 2,
                 "first_seen_s_ago": null, "last_seen_s_ago": null, "path": null, "relay": null, "paused": false,
                 "limit_mbit": null},
            ])
        );
    }

    fn known() -> [PausedClient; 3] {
        [("phone", "100.64.0.1"), ("laptop", "100.64.0.2"), ("Lapdog", "fd7a::3")].map(|(name, address)| {
            PausedClient {
                id: name.to_owned(),
                name: name.to_owned(),
                addresses: Vec::from([address.parse().unwrap()]),
            }
        })
    }

    #[test]
    fn a_client_is_meant_by_its_name_its_beginning_or_an_address() {
        let known = known();
        let found = |word| find(word, &known).map(|client| client.name.as_str());
        for (word, name) in [
            ("phone", "phone"),
            ("PHONE", "phone"),
            ("p", "phone"),
            ("lapd", "Lapdog"),
            ("100.64.0.2", "laptop"),
            ("fd7a:0::3", "Lapdog"),
        ] {
            assert_eq!(found(word), Ok(name), "{word}");
        }
    }

    #[test]
    fn who_is_not_known_is_told_with_those_who_are() {
        let known = known();
        let error = |word, known: &[PausedClient]| find(word, known).unwrap_err();
        assert_eq!(error("tv", &known), "there is no client \"tv\": there are Lapdog, laptop, phone");
        assert_eq!(
            error("192.168.1.9", &known),
            "nobody of the tailnet has 192.168.1.9, and machines of the house are not paused: \
             there are Lapdog, laptop, phone"
        );
        assert_eq!(error("", &known), "there is no client \"\": there are Lapdog, laptop, phone");
        assert_eq!(error("lap", &known), "\"lap\" begins more than one name: there are Lapdog, laptop");
        assert_eq!(error("phone", &[]), "there is no client \"phone\": there are none yet");
        let many: Vec<PausedClient> = (10..40)
            .map(|nth| PausedClient { id: String::new(), name: format!("n{nth}"), addresses: Vec::new() })
            .collect();
        assert!(error("tv", &many).ends_with("n28, n29, and 10 more"), "{}", error("tv", &many));
    }
}
