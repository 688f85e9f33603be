//! Decides what to ask of tailscaled next, from what it is and what is wanted; asks nothing itself.
//!
//! A login is started only where there is no other way to a valid node key: each one is a new registration
//! at the control server, and two in a row have left nodes without relay servers (hass-addons #149).

use alloc::{string::String, vec, vec::Vec};
use core::time::Duration;

use ipnet::IpNet;

use super::{BackendState, ExitNode, Status, default_routes, exit_node, lan, unapproved};

/// While the exit node waits for approval, the control server is asked this often whether it was given:
/// Headscale 0.29 tells everybody else of it, but not the node itself.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(30);
/// And afterwards this often whether all is as it was: nor does Headscale tell a node that its approval was
/// withdrawn, or that it was deleted.
const MAKE_SURE_AFTER: Duration = Duration::from_mins(5);

/// tailscaled's preferences, as far as byway decides them (`ipn.Prefs`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "tailscaled's own list of switches")]
pub struct Prefs {
    /// `None`: not set, which means Tailscale's own.
    pub control: Option<String>,
    pub hostname: String,
    pub advertise_routes: Vec<IpNet>,
    /// 0 off, 1 chains without hooks, 2 on.
    pub netfilter_mode: u8,
    pub want_running: bool,
    pub logged_out: bool,
    pub route_all: bool,
    pub corp_dns: bool,
    pub run_ssh: bool,
    pub shields_up: bool,
    pub no_snat: bool,
    pub auto_update: bool,
    /// It sends its own traffic through another exit node.
    pub uses_exit_node: bool,
}

/// What byway.toml asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// `None`: Tailscale's own.
    pub control: Option<String>,
    pub hostname: String,
    pub have_auth_key: bool,
    /// The house's own prefixes, for tailnet peers to reach; none where that is not wanted. `None`: the box is in no house
    /// at the moment, and offers what it has offered.
    pub lan: Option<Vec<IpNet>>,
}

impl Wanted {
    /// What the node offers its tailnet.
    fn routes(&self, have: &Prefs) -> Vec<IpNet> {
        let lan = self.lan.clone().unwrap_or_else(|| lan(have));
        default_routes().into_iter().chain(lan).collect()
    }
}

/// Whether this agent has already started a login in the running tailscaled, which repeats it by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    NotStarted,
    UnderWay,
}

/// What only the caller remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub login: Login,
    /// Since this agent found tailscaled, or last had it ask the control server for everything.
    pub since_asked: Duration,
}

/// One request to tailscaled, or to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `PATCH prefs` with exactly these.
    Change(Vec<Preference>),
    /// `POST start` with all preferences, these among them, and the auth key if there is one.
    Start(Vec<Preference>),
    /// `POST login-interactive`: makes a new node key; needed with an auth key too.
    LogIn,
    /// `POST start` with the preferences as they are: fetches everything from the control server again. Costs
    /// no packet (137 connections in 14 s through two of them, none lost).
    AskAgain,
    /// The join is done: the auth key has served and has to leave the card.
    ForgetAuthKey,
}

/// A preference and the value it shall have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preference {
    /// Takes effect only in [`Action::Start`].
    Control(String),
    Hostname(String),
    AdvertiseRoutes(Vec<IpNet>),
    NetfilterMode(u8),
    WantRunning(bool),
    LoggedOut(bool),
    RouteAll(bool),
    CorpDns(bool),
    RunSsh(bool),
    ShieldsUp(bool),
    NoSnat(bool),
    AutoUpdate(bool),
    NoExitNode,
}

/// What to do now, in this order. Empty: nothing, until something changes.
pub fn plan(status: &Status, have: &Prefs, want: &Wanted, progress: Progress) -> Vec<Action> {
    match (needs_login(status, have, want), progress.login) {
        (true, Login::UnderWay) => Vec::new(),
        (true, Login::NotStarted) => vec![Action::Start(login_preferences(have, want)), Action::LogIn],
        (false, Login::NotStarted | Login::UnderWay) => upkeep(status, have, want, progress),
    }
}

/// Whether two spellings mean the same control server; `None` is Tailscale's own.
pub(super) fn same_control(one: Option<&str>, other: Option<&str>) -> bool {
    match (own_server(one), own_server(other)) {
        (None, None) => true,
        (Some(one), Some(other)) => one == other,
        (None, Some(_)) | (Some(_), None) => false,
    }
}

const TAILSCALE_OWN: [&str; 2] = ["https://controlplane.tailscale.com", "https://login.tailscale.com"];

/// `None`: Tailscale's own.
pub(super) fn own_server(control: Option<&str>) -> Option<&str> {
    let control = control?.trim_end_matches('/');
    (!control.is_empty() && !TAILSCALE_OWN.contains(&control)).then_some(control)
}

/// A box that has a node key keeps it, and keeps its control server, until a new auth key is there too: the
/// owner must be able to get back in after a mistyped `control`. An expired key is not given up for a login
/// page either: extended at the control server, it works again by itself.
fn needs_login(status: &Status, have: &Prefs, want: &Wanted) -> bool {
    let key_lost = status.state == BackendState::NeedsLogin || status.is_disowned();
    let elsewhere = !same_control(have.control.as_deref(), want.control.as_deref());
    !status.have_node_key || (want.have_auth_key && (key_lost || elsewhere))
}

fn upkeep(status: &Status, have: &Prefs, want: &Wanted, progress: Progress) -> Vec<Action> {
    let mut actions = Vec::new();
    let changes = differences(have, want);
    if !changes.is_empty() {
        actions.push(Action::Change(changes));
    }
    if want.have_auth_key && is_member(status) {
        actions.push(Action::ForgetAuthKey);
    }
    if ask_again_after(status, have).is_some_and(|pause| progress.since_asked >= pause) {
        actions.push(Action::AskAgain);
    }
    actions
}

/// `None`: never, since it would not help.
fn ask_again_after(status: &Status, have: &Prefs) -> Option<Duration> {
    match exit_node(status, have) {
        Some(ExitNode::Offered) => Some(ASK_AGAIN_AFTER),
        Some(ExitNode::Approved) if !unapproved(status, have).is_empty() => Some(ASK_AGAIN_AFTER),
        Some(ExitNode::Approved) => is_member(status).then_some(MAKE_SURE_AFTER),
        None => None,
    }
}

/// Running alone may rest on what the control server said some time ago.
fn is_member(status: &Status) -> bool {
    status.state == BackendState::Running && status.node.as_ref().is_some_and(|node| node.online)
}

fn login_preferences(have: &Prefs, want: &Wanted) -> Vec<Preference> {
    let control = want.control.clone().unwrap_or_else(|| TAILSCALE_OWN[0].into());
    let mut preferences = vec![Preference::Control(control), Preference::LoggedOut(false)];
    preferences.extend(differences(have, want));
    preferences
}

/// All but the control server. netfilter off, its DNS off and its NAT moot: byway's own rule set does that.
/// Shields up would refuse the exit traffic itself.
fn differences(have: &Prefs, want: &Wanted) -> Vec<Preference> {
    let routes = want.routes(have);
    let checks = [
        (have.hostname == want.hostname, Preference::Hostname(want.hostname.clone())),
        (same_routes(&have.advertise_routes, &routes), Preference::AdvertiseRoutes(routes)),
        (have.netfilter_mode == 0, Preference::NetfilterMode(0)),
        (have.want_running, Preference::WantRunning(true)),
        (!have.route_all, Preference::RouteAll(false)),
        (!have.corp_dns, Preference::CorpDns(false)),
        (!have.run_ssh, Preference::RunSsh(false)),
        (!have.shields_up, Preference::ShieldsUp(false)),
        (!have.no_snat, Preference::NoSnat(false)),
        (!have.auto_update, Preference::AutoUpdate(false)),
        (!have.uses_exit_node, Preference::NoExitNode),
    ];
    checks.into_iter().filter(|(is_so, _)| !is_so).map(|(_, wanted)| wanted).collect()
}

fn same_routes(have: &[IpNet], want: &[IpNet]) -> bool {
    have.len() == want.len() && want.iter().all(|route| have.contains(route))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::tailnet::Node;

    const HEADSCALE: &str = "https://hs.example.net";
    const NOT_STARTED: Progress = Progress { login: Login::NotStarted, since_asked: Duration::ZERO };
    const UNDER_WAY: Progress = Progress { login: Login::UnderWay, ..NOT_STARTED };

    #[test]
    fn joins_a_fresh_tailscaled_once_with_everything_that_differs() {
        let fresh = Prefs {
            netfilter_mode: 2,
            route_all: true,
            corp_dns: true,
            auto_update: true,
            logged_out: true,
            ..Prefs::default()
        };
        let status = status(BackendState::NeedsLogin, false);
        let actions = plan(&status, &fresh, &wanted(true), NOT_STARTED);
        let preferences = vec![
            Preference::Control(HEADSCALE.into()),
            Preference::LoggedOut(false),
            Preference::Hostname("byway".into()),
            Preference::AdvertiseRoutes(default_routes().to_vec()),
            Preference::NetfilterMode(0),
            Preference::WantRunning(true),
            Preference::RouteAll(false),
            Preference::CorpDns(false),
            Preference::AutoUpdate(false),
        ];
        assert_eq!(actions, [Action::Start(preferences), Action::LogIn]);
        assert_eq!(plan(&status, &fresh, &wanted(true), UNDER_WAY), []);
    }

    #[test]
    fn starts_a_login_only_where_there_is_no_other_way_to_a_node_key() {
        use BackendState::{NeedsLogin, NeedsMachineAuth, NoState, Running, Starting, Stopped};
        let start = |control: Option<&str>| {
            Action::Start(vec![
                Preference::Control(control.unwrap_or("https://controlplane.tailscale.com").into()),
                Preference::LoggedOut(false),
            ])
        };
        // state, node key, auth key, control of tailscaled, login started already -> a login is started
        let table = [
            (NeedsLogin, false, true, HEADSCALE, false, true),
            (NeedsLogin, false, false, HEADSCALE, false, true),
            (NeedsLogin, false, true, HEADSCALE, true, false),
            (NoState, false, true, HEADSCALE, false, true),
            (NoState, true, true, HEADSCALE, false, false),
            (Starting, true, true, HEADSCALE, false, false),
            (Stopped, true, true, HEADSCALE, false, false),
            (NeedsMachineAuth, true, true, HEADSCALE, false, false),
            (Running, true, false, HEADSCALE, false, false),
            // expired or removed: only a new auth key is worth giving up the old node key
            (NeedsLogin, true, false, HEADSCALE, false, false),
            (NeedsLogin, true, true, HEADSCALE, false, true),
            (NeedsLogin, true, true, HEADSCALE, true, false),
            // another control server is asked for: never without the key to it
            (Running, true, false, "https://old.example.net", false, false),
            (Running, true, true, "https://old.example.net", false, true),
            (Running, true, true, "https://hs.example.net/", false, false),
        ];
        for (state, node_key, auth_key, control, started, expected) in table {
            let progress = if started { UNDER_WAY } else { NOT_STARTED };
            let have = Prefs { control: Some(control.into()), ..in_order() };
            let actions = plan(&status(state, node_key), &have, &wanted(auth_key), progress);
            let case = (state, node_key, auth_key, control, started);
            assert_eq!(actions.starts_with(&[start(Some(HEADSCALE)), Action::LogIn]), expected, "{case:?}");
        }
    }

    #[test]
    fn logs_in_again_with_a_new_key_where_the_node_was_deleted() {
        let running = status(BackendState::Running, true);
        let url = Some("https://hs.example.net/register/x".into());
        let node = running.node.clone().map(|node| Node { online: false, ..node });
        let deleted = Status { login_url: url, node, ..running };
        assert_eq!(plan(&deleted, &in_order(), &wanted(false), NOT_STARTED), []);
        let actions = plan(&deleted, &in_order(), &wanted(true), NOT_STARTED);
        assert_eq!(actions.last(), Some(&Action::LogIn));
        assert_eq!(plan(&deleted, &in_order(), &wanted(true), UNDER_WAY), []);
    }

    #[test]
    fn patches_only_what_differs() {
        let spoiled = Prefs { shields_up: true, uses_exit_node: true, hostname: "pi".into(), ..in_order() };
        let actions = plan(&status(BackendState::Running, true), &spoiled, &wanted(false), NOT_STARTED);
        let changes =
            vec![Preference::Hostname("byway".into()), Preference::ShieldsUp(false), Preference::NoExitNode];
        assert_eq!(actions, [Action::Change(changes)]);
        assert_eq!(plan(&status(BackendState::Running, true), &in_order(), &wanted(false), NOT_STARTED), []);
    }

    #[test]
    fn offers_the_house_s_network_where_that_is_wanted_and_keeps_it_while_there_is_no_house() {
        let lan: IpNet = "192.168.77.0/24".parse().unwrap();
        let want = |lan: Option<Vec<IpNet>>| Wanted { lan, ..wanted(false) };
        let running = status(BackendState::Running, true);
        let offered =
            Prefs { advertise_routes: default_routes().into_iter().chain([lan]).collect(), ..in_order() };
        let offers = |routes: Vec<IpNet>| Action::Change(vec![Preference::AdvertiseRoutes(routes)]);
        let planned = |have: &Prefs, lan| plan(&running, have, &want(lan), NOT_STARTED);
        assert_eq!(planned(&in_order(), Some(vec![lan])), [offers(offered.advertise_routes.clone())]);
        assert_eq!(planned(&offered, Some(vec![lan])), []);
        assert_eq!(planned(&offered, None), []);
        assert_eq!(planned(&offered, Some(Vec::new())), [offers(default_routes().to_vec())]);
    }

    #[test]
    fn asks_again_while_the_house_s_network_waits_for_approval() {
        let lan: IpNet = "192.168.77.0/24".parse().unwrap();
        let offered =
            Prefs { advertise_routes: default_routes().into_iter().chain([lan]).collect(), ..in_order() };
        let want = Wanted { lan: Some(vec![lan]), ..wanted(false) };
        let progress = Progress { since_asked: ASK_AGAIN_AFTER, ..NOT_STARTED };
        let mut running = status(BackendState::Running, true);
        assert_eq!(plan(&running, &offered, &want, progress), [Action::AskAgain]);
        if let Some(node) = &mut running.node {
            node.allowed.push(lan);
        }
        assert_eq!(plan(&running, &offered, &want, progress), []);
    }

    #[test]
    fn forgets_the_auth_key_only_when_the_join_is_done() {
        for state in [BackendState::NoState, BackendState::Starting, BackendState::NeedsMachineAuth] {
            assert_eq!(plan(&status(state, true), &in_order(), &wanted(true), UNDER_WAY), []);
        }
        let running = status(BackendState::Running, true);
        assert_eq!(plan(&running, &in_order(), &wanted(true), UNDER_WAY), [Action::ForgetAuthKey]);
        // An agent that was killed between the join and the wiping.
        assert_eq!(plan(&running, &in_order(), &wanted(true), NOT_STARTED), [Action::ForgetAuthKey]);
    }

    #[test]
    fn keeps_the_auth_key_while_the_control_server_is_out_of_reach() {
        let mut running = status(BackendState::Running, true);
        running.node = Some(Node { online: false, ..running.node.unwrap() });
        assert_eq!(plan(&running, &in_order(), &wanted(true), NOT_STARTED), []);
    }

    #[test]
    fn asks_now_and_then_whether_the_exit_node_was_approved() {
        let asked = |status: &Status, seconds| {
            let progress = Progress { since_asked: Duration::from_secs(seconds), ..NOT_STARTED };
            plan(status, &in_order(), &wanted(false), progress)
        };
        let approved = status(BackendState::Running, true);
        let offered = Status { node: Some(Node::default()), ..approved.clone() };
        assert_eq!(asked(&offered, 29), []);
        assert_eq!(asked(&offered, 30), [Action::AskAgain]);
        assert_eq!(asked(&approved, 299), []);
        assert_eq!(asked(&approved, 300), [Action::AskAgain]);
        let out_of_reach = Node { online: false, ..approved.node.clone().unwrap() };
        assert_eq!(asked(&Status { node: Some(out_of_reach), ..approved.clone() }, 3600), []);
        assert_eq!(asked(&Status { state: BackendState::NeedsMachineAuth, ..offered }, 3600), []);
    }

    #[test]
    fn knows_tailscales_own_control_server_by_all_its_names() {
        let own = [
            None,
            Some(""),
            Some("https://controlplane.tailscale.com"),
            Some("https://login.tailscale.com/"),
        ];
        for one in own {
            assert!(own.iter().all(|other| same_control(one, *other)), "{one:?}");
            assert!(!same_control(one, Some(HEADSCALE)), "{one:?}");
        }
    }

    fn status(state: BackendState, have_node_key: bool) -> Status {
        let allowed = default_routes().to_vec();
        let node = have_node_key.then(|| Node { allowed, online: true, ..Node::default() });
        Status { state, have_node_key, login_url: None, health: vec![], node, domain: None }
    }

    fn wanted(have_auth_key: bool) -> Wanted {
        Wanted {
            control: Some(HEADSCALE.into()),
            hostname: "byway".into(),
            have_auth_key,
            lan: Some(Vec::new()),
        }
    }

    fn in_order() -> Prefs {
        Prefs {
            control: Some(HEADSCALE.into()),
            hostname: "byway".into(),
            advertise_routes: default_routes().to_vec(),
            want_running: true,
            ..Prefs::default()
        }
    }
}
