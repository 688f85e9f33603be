//! The panel over the socket: shown and tested.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use byway::clock;
use byway::panel::screen::{Health, Size, paint};
use byway::panel::{On, Request, Shown, Wanted};
use byway_core::View;
use byway_core::panel::{Edge, Heard, Lamps, Panel, Room, Settings, Test};
use tokio::sync::mpsc;

use crate::{Server, hear, with_body};

/// A panel without hardware, on whose button somebody presses as soon as they are asked to.
pub(crate) struct FakePanel {
    panel: Panel,
    lamps: Option<On>,
    screen: Health,
    button: bool,
    presses: bool,
    answers: bool,
    asked: Vec<Wanted>,
}

impl FakePanel {
    pub(crate) fn new(view: View) -> Self {
        let settings = Settings { room: Room::WHOLE, off_hours: None };
        Self {
            panel: Panel::new(clock::uptime(), settings, Box::new(view)),
            lamps: Some(On::Panel),
            screen: Health { found: true, error: None },
            button: true,
            presses: true,
            answers: true,
            asked: Vec::new(),
        }
    }

    fn hear(&mut self, wanted: Wanted) -> Shown {
        let now = clock::uptime();
        self.asked.push(wanted);
        self.panel.hear(now, Heard::Pulse(now));
        if let Wanted::Test(test) = wanted {
            self.panel.hear(now, Heard::Test(test));
        }
        let told = self.panel.told(now);
        if wanted == Wanted::Test(Some(Test::Button)) && self.presses {
            self.panel.hear(now, Heard::Button(now, Edge::Down));
            let later = now + Duration::from_millis(100);
            self.panel.hear(later, Heard::Button(later, Edge::Up));
        }
        let frame = paint(&told.scene, Size::Whole);
        let Self { lamps, button, screen, .. } = self;
        Shown { told, frame, lamps: *lamps, button: *button, screen: screen.clone(), now }
    }
}

pub(crate) async fn answer(panel: Arc<Mutex<FakePanel>>, mut asked: mpsc::Receiver<Request>) {
    while let Some(Request { wanted, answer }) = asked.recv().await {
        let mut panel = panel.lock().unwrap();
        if panel.answers {
            _ = answer.send(panel.hear(wanted));
        }
    }
}

#[test]
fn the_panel_is_told_and_shows_what_is_asked_of_it() {
    let server = Server::start();
    let told = server.ask("GET /v1/panel");
    for words in [
        "HTTP/1.1 200",
        "\"light\":{\"says\":\"",
        "\"on\":\"panel\"}",
        "\"screen\":{\"found\":true,\"error\":null,\"level\":\"bright\",\"width\":128,\"height\":64,\"says\":[\"WAIT\",",
        "\"rows\":[\"",
        "\"button\":{\"found\":true,\"held_ms\":null,\"stuck\":false,\"presses\":0}",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    for (body, words) in [
        ("{\"show\":\"red\"}", "{\"says\":\"a test\",\"lamps\":\"red\",\"on\":\"panel\"}"),
        ("{\"show\":\"full\"}", "\"says\":[],\"rows\":[\"ffffffffffffffffffffffffffffffff\","),
        ("{\"show\":\"button\"}", "\"says\":[\"TEST\",\"press the button\"]"),
    ] {
        let told = hear(&mut server.say(&with_body("POST /v1/panel/test", body)));
        assert!(told.starts_with("HTTP/1.1 200") && told.contains(words), "{body}: {told}");
    }
    let truth = hear(&mut server.say(&with_body("POST /v1/panel/test", "{\"show\":null}")));
    assert!(!truth.contains("a test") && truth.contains("\"presses\":1}"), "{truth}");
    let light = |lamps| Wanted::Test(Some(Test::Light(lamps)));
    let asked = server.panel.lock().unwrap().asked.clone();
    let tests = [Test::Full, Test::Button].map(|test| Wanted::Test(Some(test)));
    assert_eq!(asked, [Wanted::Show, light(Lamps::RED), tests[0], tests[1], Wanted::Test(None)]);
}

#[test]
fn nonsense_reaches_no_panel_and_a_silent_one_is_told() {
    let server = Server::start();
    for (call, body, code, words) in [
        (
            "POST /v1/panel/test",
            "{\"show\":\"blue\"}",
            "400",
            "unknown variant `blue`, expected one of `red`",
        ),
        ("POST /v1/panel/test", "{\"picture\":\"full\"}", "400", "unknown field `picture`"),
        ("GET /v1/panel/test", "", "405", "does not take GET"),
        ("PUT /v1/panel", "{}", "405", "does not take PUT"),
        ("GET /v1/panel/light", "", "404", "no such path"),
    ] {
        let told = hear(&mut server.say(&with_body(call, body)));
        assert!(told.starts_with(&format!("HTTP/1.1 {code}")) && told.contains(words), "{call}: {told}");
    }
    assert_eq!(server.panel.lock().unwrap().asked, []);
    server.panel.lock().unwrap().answers = false;
    let told = server.ask("GET /v1/panel");
    assert!(
        told.starts_with("HTTP/1.1 503") && told.contains("{\"error\":\"the panel does not answer"),
        "{told}"
    );
}
