//! The one sentence that tells the owner what to do about the tailnet; `None` when all is well.
//!
//! Each is a lower-case phrase that names the command, the page or the line of byway.toml that helps.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use ipnet::IpNet;

use super::{
    BackendState, ExitNode, TailnetFacts, default_routes,
    plan::{own_server, same_control},
};

/// `control`: as byway.toml names it; `None` is Tailscale's own.
pub fn sentence(facts: &TailnetFacts, control: Option<&str>) -> Option<String> {
    let Some(state) = facts.state else {
        return Some(not_answering(facts));
    };
    match state {
        BackendState::NoState => Some(not_heard(facts, control)),
        BackendState::InUseOtherUser => {
            Some("tailscaled belongs to another user of this machine: stop that one".into())
        }
        BackendState::NeedsLogin => Some(needs_login(facts, control)),
        BackendState::NeedsMachineAuth => Some(needs_approval(facts, control)),
        BackendState::Stopped => Some("the tailnet node was told to stop: byway is starting it again".into()),
        BackendState::Starting => {
            Some("joined, but no relay server or peer of the tailnet has answered yet".into())
        }
        BackendState::Running => running(facts, control),
    }
}

fn not_answering(facts: &TailnetFacts) -> String {
    match &facts.error {
        Some(error) => format!("tailscaled does not serve ({error}): byway is starting it again"),
        None => "tailscaled does not answer: byway is starting it".into(),
    }
}

fn not_heard(facts: &TailnetFacts, control: Option<&str>) -> String {
    let server = server_name(facts.control.as_deref().or(control));
    match &facts.error {
        Some(error) => format!("waiting for {server}: {error}"),
        None => format!("waiting for {server} to answer"),
    }
}

fn needs_login(facts: &TailnetFacts, control: Option<&str>) -> String {
    let server = server_name(control);
    let new_key = new_key(control);
    match (&facts.error, &facts.login_url) {
        // An expired node of Headscale 0.29 that has tags stays expired, whatever key it comes back with.
        (Some(error), _) if facts.expired => {
            format!(
                "the node key has expired{} and {server} says {error}: {}",
                since(facts),
                extend(facts, control)
            )
        }
        (Some(error), _) if error.starts_with(UNREACHED) => {
            format!("{server} cannot be reached ({error}): is `control` under [tailnet] in byway.toml right?")
        }
        (Some(error), _) => format!("{server} refused the login ({error}): {new_key}"),
        (None, _) if facts.joining => format!("joining {server} with the auth key"),
        (None, _) if facts.expired => {
            format!("the node key has expired{}: {}, or {new_key}", since(facts), extend(facts, control))
        }
        (None, Some(url)) => format!("not joined and no auth key: open {url}, or {new_key}"),
        (None, None) => format!("not joined and no auth key: {new_key}"),
    }
}

/// How tailscaled begins when it could not even ask.
const UNREACHED: &str = "fetch control key";

fn needs_approval(facts: &TailnetFacts, control: Option<&str>) -> String {
    match own_server(control) {
        None => {
            "waiting for approval: approve the machine at https://login.tailscale.com/admin/machines".into()
        }
        Some(server) => format!("waiting for approval: approve node {} at {server}", id(facts)),
    }
}

fn running(facts: &TailnetFacts, control: Option<&str>) -> Option<String> {
    if !same_control(facts.control.as_deref(), control) {
        return Some(format!(
            "byway.toml names {}, but the box stays with {}: to move it, {}",
            server_name(control),
            server_name(facts.control.as_deref()),
            new_key(control)
        ));
    }
    if let (Some(url), false) = (&facts.login_url, facts.online) {
        return Some(format!(
            "{} does not know this node any more: open {url}, or {}",
            server_name(control),
            new_key(control)
        ));
    }
    if let Some(error) = &facts.error {
        return Some(format!("byway cannot set the tailnet node up: {error}"));
    }
    match facts.exit_node {
        None => Some("the exit node is not offered yet: byway is offering it".into()),
        Some(ExitNode::Offered) => Some(approve_routes(facts, control)),
        Some(ExitNode::Approved) if !facts.online => Some(format!(
            "{} is out of reach: the tailnet goes on as it was, but hears of no change",
            server_name(control)
        )),
        Some(ExitNode::Approved) if !facts.unapproved.is_empty() => Some(approve_lan(facts, control)),
        Some(ExitNode::Approved) => None,
    }
}

fn approve_lan(facts: &TailnetFacts, control: Option<&str>) -> String {
    let lan = joined(&facts.unapproved);
    match own_server(control) {
        None => format!(
            "the house's network waits for approval: at https://login.tailscale.com/admin/machines, edit this \
             machine's route settings and tick {lan}"
        ),
        Some(_) => format!("the house's network waits for approval: {}", approval(facts)),
    }
}

fn approve_routes(facts: &TailnetFacts, control: Option<&str>) -> String {
    if own_server(control).is_none() {
        return "the exit node waits for approval: at https://login.tailscale.com/admin/machines, edit this \
                machine's route settings and tick \"use as exit node\""
            .into();
    }
    let command = approval(facts);
    match facts.node_id {
        Some(_) => format!("the exit node waits for approval: {command}"),
        None => format!("the exit node waits for approval: {command} (headscale nodes list-routes tells ID)"),
    }
}

/// Of everything that it offers: Headscale takes what is not named for withdrawn.
fn approval(facts: &TailnetFacts) -> String {
    let routes: Vec<IpNet> = default_routes().into_iter().chain(facts.lan.iter().copied()).collect();
    format!("headscale nodes approve-routes -i {} -r {}", id(facts), joined(&routes))
}

fn joined(routes: &[IpNet]) -> String {
    routes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn new_key(control: Option<&str>) -> String {
    let source = match own_server(control) {
        None => "https://login.tailscale.com/admin/settings/keys",
        Some(_) => "headscale preauthkeys create",
    };
    format!("write a new auth_key ({source}) under [tailnet] in byway.toml and restart the box")
}

fn extend(facts: &TailnetFacts, control: Option<&str>) -> String {
    match own_server(control) {
        None => "disable its key expiry at https://login.tailscale.com/admin/machines".into(),
        Some(_) => format!("headscale nodes expire -i {} --disable", id(facts)),
    }
}

fn since(facts: &TailnetFacts) -> String {
    facts.key_expiry.as_ref().map(|at| format!(" at {at}")).unwrap_or_default()
}

fn id(facts: &TailnetFacts) -> &str {
    facts.node_id.as_deref().unwrap_or("ID")
}

fn server_name(control: Option<&str>) -> &str {
    own_server(control).unwrap_or("Tailscale")
}

#[cfg(test)]
mod tests {
    use BackendState::{InUseOtherUser, NeedsLogin, NeedsMachineAuth, NoState, Running, Starting, Stopped};
    use alloc::{string::ToString, vec, vec::Vec};

    use super::*;

    const HEADSCALE: Option<&str> = Some("https://hs.example.net");

    #[test]
    fn says_nothing_when_all_is_well() {
        assert_eq!(sentence(&approved(HEADSCALE), HEADSCALE), None);
        assert_eq!(sentence(&approved(None), None), None);
    }

    #[test]
    fn says_for_each_case_what_to_do() {
        for (facts, expected) in cases() {
            assert_eq!(sentence(&facts, HEADSCALE), Some(expected), "{facts:?}");
        }
    }

    #[test]
    fn names_tailscales_pages_instead_of_headscales_commands() {
        let table = [
            (offered(None), "https://login.tailscale.com/admin/machines"),
            (in_state(NeedsMachineAuth), "https://login.tailscale.com/admin/machines"),
            (in_state(NeedsLogin), "https://login.tailscale.com/admin/settings/keys"),
            (expired(), "disable its key expiry at https://login.tailscale.com/admin/machines"),
        ];
        for (facts, page) in table {
            let said = sentence(&facts, None).unwrap();
            assert!(said.contains(page) && !said.contains("headscale"), "{said}");
        }
    }

    #[test]
    fn each_sentence_is_one_line_in_lower_case() {
        for (facts, _) in cases() {
            let said = sentence(&facts, HEADSCALE).unwrap();
            assert!(said.starts_with(char::is_lowercase) || said.starts_with("https://"), "{said}");
            assert!(!said.contains('\n') && !said.contains("  ") && !said.ends_with('.'), "{said}");
        }
    }

    fn cases() -> impl Iterator<Item = (TailnetFacts, String)> {
        let told = [outside(), logged_out().into(), expired_cases().into(), joined().into()].concat();
        told.into_iter().map(|(facts, said)| (facts, said.replace("NEW_KEY", NEW_KEY)))
    }

    const NEW_KEY: &str = "write a new auth_key (headscale preauthkeys create) under [tailnet] in byway.toml and restart the box";

    fn outside() -> Vec<(TailnetFacts, &'static str)> {
        let unheard = TailnetFacts { error: Some("no route to host".into()), ..in_state(NoState) };
        let silent = TailnetFacts::silent("connection refused".into());
        vec![
            (TailnetFacts::default(), "tailscaled does not answer: byway is starting it"),
            (silent, "tailscaled does not serve (connection refused): byway is starting it again"),
            (in_state(NoState), "waiting for https://hs.example.net to answer"),
            (unheard, "waiting for https://hs.example.net: no route to host"),
            (in_state(InUseOtherUser), "tailscaled belongs to another user of this machine: stop that one"),
            (in_state(NeedsMachineAuth), "waiting for approval: approve node ID at https://hs.example.net"),
            (in_state(Stopped), "the tailnet node was told to stop: byway is starting it again"),
            (in_state(Starting), "joined, but no relay server or peer of the tailnet has answered yet"),
        ]
    }

    fn logged_out() -> [(TailnetFacts, &'static str); 5] {
        let logged_out = || in_state(NeedsLogin);
        let url = Some("https://hs.example.net/register/x".into());
        let failed = |error: &str| TailnetFacts { joining: true, error: Some(error.into()), ..logged_out() };
        [
            (logged_out(), "not joined and no auth key: NEW_KEY"),
            (
                TailnetFacts { login_url: url, ..logged_out() },
                "not joined and no auth key: open https://hs.example.net/register/x, or NEW_KEY",
            ),
            (
                TailnetFacts { joining: true, ..logged_out() },
                "joining https://hs.example.net with the auth key",
            ),
            (
                failed("authkey expired"),
                "https://hs.example.net refused the login (authkey expired): NEW_KEY",
            ),
            (
                failed("fetch control key: connection refused"),
                "https://hs.example.net cannot be reached (fetch control key: connection refused): \
                 is `control` under [tailnet] in byway.toml right?",
            ),
        ]
    }

    fn expired_cases() -> [(TailnetFacts, &'static str); 2] {
        let refused = TailnetFacts { joining: true, error: Some("weird".into()), ..expired() };
        [
            (
                expired(),
                "the node key has expired at 2026-11-23T22:00:00Z: headscale nodes expire -i 7 --disable, \
                 or NEW_KEY",
            ),
            (
                refused,
                "the node key has expired at 2026-11-23T22:00:00Z and https://hs.example.net says weird: \
                 headscale nodes expire -i 7 --disable",
            ),
        ]
    }

    fn joined() -> [(TailnetFacts, &'static str); 6] {
        let url = Some("https://hs.example.net/register/x".into());
        let refused = Some("tailscaled refuses PATCH prefs: x".into());
        [
            (
                offered(HEADSCALE),
                "the exit node waits for approval: headscale nodes approve-routes -i 7 -r 0.0.0.0/0,::/0",
            ),
            (
                TailnetFacts { node_id: None, ..offered(HEADSCALE) },
                "the exit node waits for approval: headscale nodes approve-routes -i ID -r 0.0.0.0/0,::/0 \
                 (headscale nodes list-routes tells ID)",
            ),
            (
                TailnetFacts { online: false, ..approved(HEADSCALE) },
                "https://hs.example.net is out of reach: the tailnet goes on as it was, but hears of no change",
            ),
            (
                TailnetFacts { online: false, login_url: url, ..approved(HEADSCALE) },
                "https://hs.example.net does not know this node any more: open \
                 https://hs.example.net/register/x, or NEW_KEY",
            ),
            (
                TailnetFacts { error: refused, ..approved(HEADSCALE) },
                "byway cannot set the tailnet node up: tailscaled refuses PATCH prefs: x",
            ),
            (
                approved(Some("https://old.example.net")),
                "byway.toml names https://hs.example.net, but the box stays with https://old.example.net: \
                 to move it, NEW_KEY",
            ),
        ]
    }

    fn in_state(state: BackendState) -> TailnetFacts {
        TailnetFacts { state: Some(state), ..TailnetFacts::default() }
    }

    fn offered(control: Option<&str>) -> TailnetFacts {
        TailnetFacts {
            exit_node: Some(ExitNode::Offered),
            control: control.map(ToString::to_string),
            node_id: Some("7".into()),
            ..in_state(Running)
        }
    }

    fn approved(control: Option<&str>) -> TailnetFacts {
        TailnetFacts { exit_node: Some(ExitNode::Approved), online: true, ..offered(control) }
    }

    fn expired() -> TailnetFacts {
        TailnetFacts {
            expired: true,
            key_expiry: Some("2026-11-23T22:00:00Z".into()),
            node_id: Some("7".into()),
            ..in_state(NeedsLogin)
        }
    }
}
