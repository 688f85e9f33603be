//! `LocalAPI`'s JSON as tailscaled 1.102 writes it, down to the fields that byway uses, and what they mean.
//!
//! Unknown keys are passed over and a missing or null list is an empty one (Go writes nil slices as null).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use byway_core::clients::{self, Path, Roll};
use byway_core::tailnet::{Node, Preference, Prefs, Status, UnknownState, Ways};
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Somebody else on the tailnet. `LocalAPI` cannot tell whether they use this exit node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The control server's, which stays.
    pub id: String,
    pub name: String,
    pub addresses: Vec<IpAddr>,
    /// Since tailscaled started, at this end.
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    /// Connected to the control server.
    pub online: bool,
    /// A packet was sent to it within about the last two minutes.
    pub active: bool,
    /// Reached without a relay server, at this moment.
    pub direct: bool,
    /// The relay server that is its home, by its short name.
    pub relay: Option<String>,
}

impl From<Peer> for clients::Peer {
    fn from(peer: Peer) -> Self {
        let relayed = peer.relay.filter(|_| peer.active).map(Path::Relayed);
        let path = if peer.direct { Some(Path::Direct) } else { relayed };
        Self { id: peer.id, name: peer.name, addresses: peer.addresses, path }
    }
}

/// Who is calling, as `whois` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub node: String,
    pub user: String,
}

/// `ipnstate.Status`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct StatusReply {
    backend_state: String,
    have_node_key: bool,
    #[serde(rename = "AuthURL")]
    auth_url: Option<String>,
    health: Option<Vec<String>>,
    #[serde(rename = "Self")]
    me: Option<PeerReply>,
    peer: Option<BTreeMap<String, PeerReply>>,
    current_tailnet: Option<TailnetReply>,
}

/// `apitype.DNSQueryResponse`, without the resolvers that tailscaled would ask.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DnsReply {
    bytes: String,
}

impl DnsReply {
    pub(super) fn message(&self) -> Result<Vec<u8>, base64::DecodeError> {
        BASE64_STANDARD.decode(&self.bytes)
    }
}

/// `ipnstate.TailnetStatus`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TailnetReply {
    #[serde(rename = "MagicDNSSuffix")]
    suffix: String,
}

/// `ipnstate.PeerStatus`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct PeerReply {
    #[serde(rename = "ID")]
    id: Option<String>,
    host_name: String,
    #[serde(rename = "DNSName")]
    dns_name: String,
    #[serde(rename = "TailscaleIPs")]
    addresses: Option<Vec<IpAddr>>,
    #[serde(rename = "AllowedIPs")]
    allowed: Option<Vec<String>>,
    /// Of the box itself; a string each.
    addrs: Option<Vec<String>>,
    cur_addr: String,
    relay: String,
    rx_bytes: u64,
    tx_bytes: u64,
    online: bool,
    active: bool,
    expired: bool,
    key_expiry: Option<String>,
    #[serde(rename = "PeerAPIURL")]
    peer_api: Option<Vec<String>>,
}

impl StatusReply {
    pub(super) fn status(self) -> Result<Status, UnknownState> {
        Ok(Status {
            state: self.backend_state.parse()?,
            have_node_key: self.have_node_key,
            login_url: self.auth_url.and_then(told),
            health: self.health.unwrap_or_default(),
            node: self.me.and_then(PeerReply::node),
            domain: self.current_tailnet.and_then(TailnetReply::domain),
        })
    }

    pub(super) fn roll(mut self) -> Roll {
        let urls = self.me.as_mut().and_then(|me| me.peer_api.take()).unwrap_or_default();
        let mut name_ports: Vec<u16> = urls.iter().filter_map(|url| port_of(url)).collect();
        name_ports.sort_unstable();
        name_ports.dedup();
        Roll { peers: self.peers().into_iter().map(clients::Peer::from).collect(), name_ports }
    }

    pub(super) fn peers(self) -> Vec<Peer> {
        let mut peers: Vec<Peer> = self.peer.unwrap_or_default().into_values().map(PeerReply::peer).collect();
        peers.sort_by(|a, b| (&a.name, &a.addresses).cmp(&(&b.name, &b.addresses)));
        peers
    }
}

impl StatusReply {
    /// Whoever has not spoken lately has no way.
    pub(super) fn ways(self) -> Ways {
        let me = self.me.unwrap_or_default();
        let peers: Vec<PeerReply> =
            self.peer.unwrap_or_default().into_values().filter(|peer| peer.active).collect();
        let direct = peers.iter().filter(|peer| !peer.cur_addr.is_empty()).count();
        Ways {
            relay: told(me.relay),
            endpoints: me
                .addrs
                .unwrap_or_default()
                .iter()
                .filter_map(|address| address.parse().ok())
                .collect(),
            router: None,
            direct,
            relayed: peers.len() - direct,
        }
    }
}

impl TailnetReply {
    fn domain(self) -> Option<String> {
        told(self.suffix.trim_matches('.').to_ascii_lowercase())
    }
}

impl PeerReply {
    /// Without an identity the control server has told nothing yet.
    fn node(self) -> Option<Node> {
        Some(Node {
            name: told(self.name()),
            id: Some(self.id.and_then(told)?),
            addresses: self.addresses.unwrap_or_default(),
            allowed: routes(self.allowed),
            key_expiry: self.key_expiry,
            expired: self.expired,
            online: self.online,
        })
    }

    fn peer(self) -> Peer {
        Peer {
            name: self.name(),
            id: self.id.unwrap_or_default(),
            addresses: self.addresses.unwrap_or_default(),
            rx_bytes: self.rx_bytes,
            tx_bytes: self.tx_bytes,
            online: self.online,
            active: self.active,
            direct: !self.cur_addr.is_empty(),
            relay: told(self.relay),
        }
    }

    /// The control server's name for it, which is unique; the machine's own where it has none.
    fn name(&self) -> String {
        let label = self.dns_name.split('.').next().unwrap_or_default();
        if label.is_empty() { self.host_name.clone() } else { label.into() }
    }
}

/// `ipn.Prefs`, whole, because `start` takes them whole.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct TailscaledPrefs(Map<String, Value>);

impl TailscaledPrefs {
    pub fn prefs(&self) -> Prefs {
        Prefs {
            control: told(self.text("ControlURL")),
            hostname: self.text("Hostname"),
            advertise_routes: routes(self.list("AdvertiseRoutes")),
            netfilter_mode: self.0.get("NetfilterMode").and_then(Value::as_u64).map_or(0, saturated),
            want_running: self.is_on("WantRunning"),
            logged_out: self.is_on("LoggedOut"),
            route_all: self.is_on("RouteAll"),
            corp_dns: self.is_on("CorpDNS"),
            run_ssh: self.is_on("RunSSH"),
            shields_up: self.is_on("ShieldsUp"),
            no_snat: self.is_on("NoSNAT"),
            auto_update: self.0.get("AutoUpdate").is_some_and(updates_itself),
            uses_exit_node: EXIT_NODE.iter().any(|name| !self.text(name).is_empty()),
        }
    }

    pub(super) fn changed(&self, changes: &[Preference]) -> Value {
        let mut prefs = self.0.clone();
        // The node's identity: never a client's to send.
        prefs.remove("Config");
        prefs.extend(changes.iter().flat_map(fields).map(|(name, value)| (name.into(), value)));
        Value::Object(prefs)
    }

    fn text(&self, name: &str) -> String {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default().into()
    }

    fn is_on(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    fn list(&self, name: &str) -> Option<Vec<String>> {
        let items = self.0.get(name)?.as_array()?;
        Some(items.iter().filter_map(Value::as_str).map(String::from).collect())
    }
}

/// `ipn.MaskedPrefs`: each field with a second one that says that it is meant.
pub(super) fn masked(changes: &[Preference]) -> Value {
    let mut prefs = Map::new();
    for (name, value) in changes.iter().flat_map(fields) {
        let mask =
            if name == AUTO_UPDATE { json!({"CheckSet": true, "ApplySet": true}) } else { json!(true) };
        prefs.insert(format!("{name}Set"), mask);
        prefs.insert(name.into(), value);
    }
    Value::Object(prefs)
}

const AUTO_UPDATE: &str = "AutoUpdate";
const EXIT_NODE: [&str; 3] = ["ExitNodeID", "ExitNodeIP", "AutoExitNode"];

fn fields(preference: &Preference) -> Vec<(&'static str, Value)> {
    let field = match preference {
        Preference::Control(url) => ("ControlURL", json!(url)),
        Preference::Hostname(name) => ("Hostname", json!(name)),
        Preference::AdvertiseRoutes(routes) => {
            ("AdvertiseRoutes", routes.iter().map(IpNet::to_string).collect())
        }
        Preference::NetfilterMode(mode) => ("NetfilterMode", json!(mode)),
        Preference::WantRunning(on) => ("WantRunning", json!(on)),
        Preference::LoggedOut(on) => ("LoggedOut", json!(on)),
        Preference::RouteAll(on) => ("RouteAll", json!(on)),
        Preference::CorpDns(on) => ("CorpDNS", json!(on)),
        Preference::RunSsh(on) => ("RunSSH", json!(on)),
        Preference::ShieldsUp(on) => ("ShieldsUp", json!(on)),
        Preference::NoSnat(on) => ("NoSNAT", json!(on)),
        Preference::AutoUpdate(on) => (AUTO_UPDATE, json!({"Check": on, "Apply": on})),
        Preference::NoExitNode => return EXIT_NODE.map(|name| (name, json!(""))).to_vec(),
    };
    vec![field]
}

/// `tailcfg.DERPMap`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DerpMapReply {
    regions: Option<BTreeMap<String, Option<RegionReply>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RegionReply {
    nodes: Option<Vec<RelayReply>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RelayReply {
    host_name: Option<String>,
}

impl DerpMapReply {
    pub(super) fn hosts(self) -> BTreeSet<String> {
        let regions = self.regions.unwrap_or_default().into_values().flatten();
        let relays = regions.flat_map(|region| region.nodes.unwrap_or_default());
        relays.filter_map(|relay| relay.host_name.and_then(told)).collect()
    }
}

/// `apitype.WhoIsResponse`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WhoIsReply {
    node: WhoIsNode,
    user_profile: WhoIsUser,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WhoIsNode {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WhoIsUser {
    login_name: String,
}

impl WhoIsReply {
    pub(super) fn caller(self) -> Caller {
        Caller { node: self.node.name.trim_end_matches('.').into(), user: self.user_profile.login_name }
    }
}

/// Of `http://100.64.0.2:40123`, `http://[fd7a:115c:a1e0::2]:40123`.
fn port_of(url: &str) -> Option<u16> {
    url.rsplit_once(':')?.1.parse().ok()
}

/// What cannot be read is not counted as approved.
fn routes(list: Option<Vec<String>>) -> Vec<IpNet> {
    list.unwrap_or_default().iter().filter_map(|route| route.parse().ok()).collect()
}

/// Go writes what it does not know as "".
fn told(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn saturated(number: u64) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

/// `Check` is a bool, `Apply` an `opt.Bool`, which may be null.
fn updates_itself(auto_update: &Value) -> bool {
    ["Check", "Apply"].iter().any(|name| auto_update.get(name).and_then(Value::as_bool) == Some(true))
}
