//! What the tailnet's node is known to be, and what follows from it; speaks to nobody and starts nothing.
//!
//! [`TailnetFacts`] is what byway claims about its node, made only from what tailscaled and the control
//! server said. [`plan()`] decides what to ask of tailscaled next, [`sentence()`] what the owner has to do, [`Ways`] how the
//! box is reached.

mod plan;
mod reach;
mod sentence;

use alloc::{string::String, vec::Vec};
use core::{fmt, net::IpAddr, str::FromStr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

pub use plan::{Action, Login, Preference, Prefs, Progress, Wanted, plan};
pub use reach::{By, PortMapping, Protocol, Reach, Ways};
pub use sentence::sentence;

/// What tailscaled says about itself (`ipn.State`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendState {
    /// Started, and nothing heard from the control server yet.
    NoState,
    /// Another user of this machine holds tailscaled; unheard of on Linux.
    InUseOtherUser,
    /// No valid node key: never joined, logged out, expired, or removed by the owner.
    NeedsLogin,
    /// Joined, but an administrator has to let the machine in.
    NeedsMachineAuth,
    /// Joined, and told not to run.
    Stopped,
    /// Joined, no connection to a relay server or a peer yet.
    Starting,
    /// Part of the tailnet.
    Running,
}

const STATE_NAMES: [(&str, BackendState); 7] = [
    ("NoState", BackendState::NoState),
    ("InUseOtherUser", BackendState::InUseOtherUser),
    ("NeedsLogin", BackendState::NeedsLogin),
    ("NeedsMachineAuth", BackendState::NeedsMachineAuth),
    ("Stopped", BackendState::Stopped),
    ("Starting", BackendState::Starting),
    ("Running", BackendState::Running),
];

impl FromStr for BackendState {
    type Err = UnknownState;

    fn from_str(name: &str) -> Result<Self, UnknownState> {
        STATE_NAMES.iter().find(|(known, _)| *known == name).map(|(_, state)| *state).ok_or(UnknownState)
    }
}

impl fmt::Display for BackendState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = STATE_NAMES.iter().find(|(_, state)| state == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

/// tailscaled told a state that this byway has never heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownState;

impl fmt::Display for UnknownState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a state that byway does not know: run the tailscaled that this byway was built with")
    }
}

impl core::error::Error for UnknownState {}

/// How far the exit node has come. `None` beside it means that it is not even offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitNode {
    /// tailscaled advertises both default routes; the control server has not approved both.
    Offered,
    /// The control server lets peers use both default routes.
    Approved,
}

/// What is known about the node at this moment. Unknown is `None` or empty, never a guess.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TailnetFacts {
    /// `None`: tailscaled does not answer.
    pub state: Option<BackendState>,
    /// The name that the control server gave it; it may differ from the wished one when that was taken.
    pub name: Option<String>,
    pub addresses: Vec<IpAddr>,
    /// Below which its peers have their names.
    pub domain: Option<String>,
    pub exit_node: Option<ExitNode>,
    /// The house's own prefixes that the node offers, and those of them that wait for approval.
    pub lan: Vec<IpNet>,
    pub unapproved: Vec<IpNet>,
    /// RFC 3339, as the control server told it; `None`: never expires, or unknown.
    pub key_expiry: Option<String>,
    pub expired: bool,
    /// The control server is being listened to; if not, the tailnet goes on as it was.
    pub online: bool,
    /// Whoever opens this page and signs in makes the box join.
    pub login_url: Option<String>,
    /// As the control server counts it: what `headscale nodes` takes as `-i`.
    pub node_id: Option<String>,
    /// The control server that tailscaled uses; `None`: Tailscale's own, or unknown.
    pub control: Option<String>,
    /// A login with an auth key has been started and has not ended.
    pub joining: bool,
    /// tailscaled's own complaints, without those about what byway does on purpose.
    pub health: Vec<String>,
    /// The last thing that failed, while it still matters.
    pub error: Option<String>,
}

/// tailscaled's status, as far as byway uses it (`ipnstate.Status`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub state: BackendState,
    pub have_node_key: bool,
    pub login_url: Option<String>,
    pub health: Vec<String>,
    /// `None` until the control server has told it.
    pub node: Option<Node>,
    /// Below which its peers have their names; lower case, no dot at either end.
    pub domain: Option<String>,
}

/// This box, as the control server describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    pub id: Option<String>,
    pub name: Option<String>,
    pub addresses: Vec<IpAddr>,
    /// What peers may send it: its addresses and the routes that were approved.
    pub allowed: Vec<IpNet>,
    /// RFC 3339.
    pub key_expiry: Option<String>,
    pub expired: bool,
    /// The control server is being listened to at this moment.
    pub online: bool,
}

impl Status {
    /// The control server was asked and wants a new login of a node that runs on what it was told before: the node
    /// was deleted there.
    fn is_disowned(&self) -> bool {
        matches!(self.state, BackendState::Starting | BackendState::Running)
            && self.login_url.is_some()
            && !self.node.as_ref().is_some_and(|node| node.online)
    }
}

impl TailnetFacts {
    /// `told`: the last `ErrMessage` of the bus since the login was started.
    pub fn new(status: &Status, prefs: &Prefs, wanted: &Wanted, told: Option<&str>) -> Self {
        let node = status.node.clone().unwrap_or_default();
        Self {
            state: Some(status.state),
            exit_node: exit_node(status, prefs),
            lan: lan(prefs),
            unapproved: unapproved(status, prefs),
            name: node.name,
            addresses: node.addresses,
            domain: status.domain.clone(),
            key_expiry: node.key_expiry,
            expired: node.expired,
            online: node.online,
            login_url: status.login_url.clone(),
            node_id: node.id,
            control: prefs.control.clone(),
            joining: wanted.have_auth_key && status.state != BackendState::Running,
            health: complaints(&status.health),
            error: login_error(status, told),
        }
    }

    /// Nobody is carried before the owner has done something at the control server.
    pub fn waits_for_owner(&self) -> bool {
        match self.state {
            Some(BackendState::NeedsLogin) => !self.joining || self.error.is_some(),
            Some(BackendState::NeedsMachineAuth) => true,
            Some(BackendState::Running) => self.exit_node == Some(ExitNode::Offered),
            Some(
                BackendState::NoState
                | BackendState::InUseOtherUser
                | BackendState::Stopped
                | BackendState::Starting,
            )
            | None => false,
        }
    }

    /// tailscaled does not answer, and this is why.
    pub fn silent(error: String) -> Self {
        Self { error: Some(error), ..Self::default() }
    }
}

/// Both families: an exit node that carries only one of them is none.
pub fn default_routes() -> [IpNet; 2] {
    [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())]
}

/// Only a member of the tailnet has one, whatever was approved before.
fn exit_node(status: &Status, prefs: &Prefs) -> Option<ExitNode> {
    if !matches!(status.state, BackendState::Starting | BackendState::Running) || status.is_disowned() {
        return None;
    }
    let node = status.node.as_ref()?;
    let all_in = |routes: &[IpNet]| default_routes().iter().all(|route| routes.contains(route));
    if all_in(&node.allowed) {
        return Some(ExitNode::Approved);
    }
    all_in(&prefs.advertise_routes).then_some(ExitNode::Offered)
}

/// What a node offers beside the internet.
fn lan(prefs: &Prefs) -> Vec<IpNet> {
    prefs.advertise_routes.iter().filter(|route| !default_routes().contains(route)).copied().collect()
}

fn unapproved(status: &Status, prefs: &Prefs) -> Vec<IpNet> {
    let allowed: &[IpNet] = status.node.as_ref().map_or(&[], |node| &node.allowed);
    lan(prefs).into_iter().filter(|route| !allowed.contains(route)).collect()
}

/// How tailscaled's health begins when there is no login, and how it goes on when one failed: an answer with
/// an HTTP error is told nowhere else.
const LOGGED_OUT: &str = "You are logged out.";
const LOGIN_ERROR: &str = " The last login error was: ";
/// What is left when one login gives way to the next.
const CANCELED: &str = "context canceled";

fn login_error(status: &Status, told: Option<&str>) -> Option<String> {
    if status.state == BackendState::Running {
        return None;
    }
    let complained =
        || status.health.iter().find_map(|line| line.strip_prefix(LOGGED_OUT)?.strip_prefix(LOGIN_ERROR));
    let error = told.or_else(complained).filter(|error| !error.ends_with(CANCELED))?;
    Some(without_node_keys(error))
}

/// Each try has a new key: told, it would make every error a new one.
fn without_node_keys(error: &str) -> String {
    let words = error.split(' ').map(|word| if word.starts_with("nodekey:") { "(node key)" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// byway leaves the peers' subnet routes alone on purpose (`RouteAll` is false), and a sealed box answers no names.
const BY_DESIGN: [&str; 2] = ["--accept-routes is false", "can't reach the configured DNS servers"];

/// In one order, since tailscaled has none, and without what the state and the error say already.
fn complaints(health: &[String]) -> Vec<String> {
    let is_news = |line: &&String| {
        !BY_DESIGN.iter().any(|complaint| line.contains(complaint)) && !line.starts_with(LOGGED_OUT)
    };
    let mut complaints: Vec<String> = health.iter().filter(is_news).cloned().collect();
    complaints.sort();
    complaints
}

#[cfg(test)]
mod tests {
    use alloc::{string::ToString, vec};

    use super::*;

    #[test]
    fn reads_and_names_every_state() {
        for (name, state) in STATE_NAMES {
            assert_eq!(name.parse(), Ok(state));
            assert_eq!(state.to_string(), name);
        }
        assert_eq!("Dreaming".parse::<BackendState>(), Err(UnknownState));
    }

    #[test]
    fn an_exit_node_is_approved_only_for_both_families() {
        let [v4, v6] = default_routes();
        let own: IpNet = "100.64.0.2/32".parse().unwrap();
        let both = vec![v4, v6];
        // advertised, allowed -> what it is
        let table = [
            (both.clone(), vec![own, v4, v6], Some(ExitNode::Approved)),
            (both.clone(), vec![own, v4], Some(ExitNode::Offered)),
            (both.clone(), vec![own], Some(ExitNode::Offered)),
            (vec![v4], vec![own, v4], None),
            (vec![], vec![own], None),
        ];
        for (advertise_routes, allowed, expected) in table {
            let node = Node { allowed: allowed.clone(), ..Node::default() };
            let facts = facts(Some(node), &Prefs { advertise_routes, ..Prefs::default() });
            assert_eq!(facts.exit_node, expected, "{allowed:?}");
        }
        let offered_to_nobody = facts(None, &Prefs { advertise_routes: both, ..Prefs::default() });
        assert_eq!(offered_to_nobody.exit_node, None);
    }

    #[test]
    fn tells_a_login_error_from_the_bus_or_else_from_the_health_until_it_runs() {
        let health = vec!["You are logged out. The last login error was: http 401".into()];
        let mut status = Status {
            state: BackendState::NeedsLogin,
            have_node_key: false,
            login_url: None,
            health,
            node: None,
            domain: None,
        };
        let error =
            |status: &Status, told| TailnetFacts::new(status, &Prefs::default(), &wanted(), told).error;
        assert_eq!(error(&status, None).as_deref(), Some("http 401"));
        assert_eq!(error(&status, Some("no such key")).as_deref(), Some("no such key"));
        assert_eq!(error(&status, Some("weird: nodekey:12ab")).as_deref(), Some("weird: (node key)"));
        assert_eq!(error(&status, Some("fetch control key: context canceled")), None);
        status.state = BackendState::Running;
        assert_eq!(error(&status, Some("no such key")), None);
    }

    #[test]
    fn an_exit_node_is_none_without_a_valid_login() {
        let node = Some(Node { allowed: default_routes().to_vec(), ..Node::default() });
        let mut status = status_of(node);
        status.state = BackendState::NeedsLogin;
        assert_eq!(exit_node(&status, &Prefs::default()), None);
    }

    #[test]
    fn an_exit_node_is_none_where_the_control_server_has_forgotten_the_node() {
        let allowed = default_routes().to_vec();
        let mut status = status_of(Some(Node { allowed, ..Node::default() }));
        assert_eq!(exit_node(&status, &Prefs::default()), Some(ExitNode::Approved), "out of reach only");
        status.login_url = Some("https://hs.example.net/register/x".into());
        assert_eq!(exit_node(&status, &Prefs::default()), None);
    }

    #[test]
    fn tells_complaints_in_one_order_and_leaves_out_what_is_said_elsewhere_or_on_purpose() {
        let told = [
            "no DERP home",
            "You are logged out. The last login error was: x",
            "Some peers are advertising routes but --accept-routes is false",
            "IP forwarding is disabled",
        ];
        let complaints = complaints(&told.map(String::from));
        assert_eq!(complaints, ["IP forwarding is disabled", "no DERP home"]);
    }

    fn facts(node: Option<Node>, prefs: &Prefs) -> TailnetFacts {
        TailnetFacts::new(&status_of(node), prefs, &wanted(), None)
    }

    fn status_of(node: Option<Node>) -> Status {
        Status {
            state: BackendState::Running,
            have_node_key: true,
            login_url: None,
            health: vec![],
            node,
            domain: None,
        }
    }

    fn wanted() -> Wanted {
        Wanted { control: None, hostname: "byway".into(), have_auth_key: false, lan: Some(Vec::new()) }
    }
}
