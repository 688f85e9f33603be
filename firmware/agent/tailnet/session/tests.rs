//! See `session.rs`.

use byway_core::tailnet::ExitNode;
use byway_core::watchdog::Part;
use byway_core::{Uptime, View};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::tailnet::{
    fake::{Fake, RUNNING},
    supervise,
};
use crate::watchdog::Pulses;

const LOGGED_OUT: &str = r#"{"BackendState":"NeedsLogin","HaveNodeKey":false,"Health":null}"#;
const ERROR: &str = "{\"ErrMessage\":\"no key hskey-1\"}\n";
const NEWS: &str = "{\"State\":6}\n";

#[tokio::test]
async fn joins_once_and_then_says_that_the_key_may_go() {
    let fake = Fake::start();
    fake.answer("GET status", 200, LOGGED_OUT);
    let mut owner = Owner::of(&fake, Some("hskey-1"));
    let facts = owner.facts_with(|facts| facts.joining).await;
    assert_eq!(facts.state, Some(BackendState::NeedsLogin));
    owner.hears(&fake, NEWS).await;
    let calls: Vec<_> = fake.asked().into_iter().map(|(call, _)| call).collect();
    assert_eq!(calls, ["POST start", "POST login-interactive"]);
    assert_eq!(fake.asked()[0].1["AuthKey"], json!("hskey-1"));

    fake.answer("GET status", 200, RUNNING);
    fake.notify(NEWS);
    let facts = owner.facts_with(|facts| facts.state == Some(BackendState::Running)).await;
    assert_eq!(facts.exit_node, Some(ExitNode::Approved));
    assert_eq!(owner.reports.recv().await, Some(Report::Joined));
    assert_eq!(fake.asked().len(), 2, "nothing more was asked");
}

#[tokio::test]
async fn tells_a_refused_key_without_showing_it_and_clears_it_after_the_join() {
    let fake = Fake::start();
    fake.answer("GET status", 200, LOGGED_OUT);
    let mut owner = Owner::of(&fake, Some("hskey-1"));
    owner.facts_with(|facts| facts.joining).await;
    fake.notify(ERROR);
    let facts = owner.facts_with(|facts| facts.error.is_some()).await;
    assert_eq!(facts.error.as_deref(), Some("no key (auth key)"));
    fake.answer("GET status", 200, RUNNING);
    fake.notify(NEWS);
    owner.facts_with(|facts| facts.error.is_none()).await;
}

#[tokio::test]
async fn changes_only_what_differs_in_a_node_that_it_finds_joined() {
    let fake = Fake::start();
    fake.answer("GET status", 200, RUNNING);
    let prefs = r#"{"ControlURL":"https://hs.example.net","Hostname":"byway","WantRunning":true,
        "AdvertiseRoutes":["0.0.0.0/0","::/0"],"NetfilterMode":2,"ShieldsUp":true}"#;
    fake.answer("GET prefs", 200, prefs);
    let mut owner = Owner::of(&fake, None);
    owner.hears(&fake, NEWS).await;
    let patch =
        json!({"NetfilterMode": 0, "NetfilterModeSet": true, "ShieldsUp": false, "ShieldsUpSet": true});
    assert_eq!(fake.asked(), [("PATCH prefs".into(), patch)], "and does not ask again at each notice");
}

#[tokio::test]
async fn tells_what_tailscaled_refuses() {
    let fake = Fake::start();
    fake.answer("GET status", 200, RUNNING);
    fake.answer("GET prefs", 200, r#"{"ControlURL":"https://hs.example.net"}"#);
    fake.answer("PATCH prefs", 400, r#"{"Error":"locked"}"#);
    let mut owner = Owner::of(&fake, None);
    let facts = owner.facts_with(|facts| facts.error.is_some()).await;
    assert_eq!(facts.error.as_deref(), Some("tailscaled refuses PATCH prefs: locked"));
}

#[tokio::test]
async fn follows_a_tailscaled_whose_bus_breaks_off() {
    let fake = Fake::start();
    fake.answer("GET status", 200, LOGGED_OUT);
    let mut owner = Owner::of(&fake, Some("hskey-1"));
    owner.facts_with(|facts| facts.joining).await;
    fake.answer("GET status", 200, RUNNING);
    fake.hang_up();
    owner.facts_with(|facts| facts.state == Some(BackendState::Running)).await;
}

#[tokio::test]
async fn ends_when_nobody_receives_its_reports() {
    let fake = Fake::start();
    fake.answer("GET status", 200, RUNNING);
    let mut owner = Owner::of(&fake, None);
    owner.facts_with(|facts| facts.state.is_some()).await;
    drop(owner.reports);
    owner.supervisor.await.unwrap();
}

/// Whoever started the supervisor.
struct Owner {
    reports: mpsc::Receiver<Report>,
    supervisor: JoinHandle<()>,
}

impl Owner {
    fn of(fake: &Fake, auth_key: Option<&str>) -> Self {
        let settings = Settings {
            pulse: Pulses::default().of(Part::Tailnet),
            tailscaled: "/nowhere/tailscaled".into(),
            state_dir: fake.run_dir().into(),
            run_dir: fake.run_dir().into(),
            control: Some("https://hs.example.net".into()),
            auth_key: auth_key.map(AuthKey::new),
            hostname: "byway".into(),
            views: watch::channel(View::without_configuration(Uptime::default(), String::new())).1,
        };
        let (sender, reports) = mpsc::channel(16);
        Self { reports, supervisor: tokio::spawn(supervise(settings, sender)) }
    }

    async fn facts_with(&mut self, wanted: impl Fn(&TailnetFacts) -> bool) -> TailnetFacts {
        loop {
            match self.reports.recv().await.expect("the supervisor lives") {
                Report::Facts(facts) if wanted(&facts) => return *facts,
                Report::Facts(_) | Report::Joined => {}
            }
        }
    }

    /// Until this notice, and all that was read before it, has been acted on: what is asked follows what is
    /// reported, so the second complaint shows that the first was followed.
    async fn hears(&mut self, fake: &Fake, notice: &str) {
        for complaint in ["heard", "acted"] {
            fake.worry(complaint);
            fake.notify(notice);
            self.facts_with(|facts| facts.health == [complaint]).await;
        }
    }
}
