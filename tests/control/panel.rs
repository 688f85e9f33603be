//! The panel over the socket: shown and tested; and the commands that draw it and walk along it with a person at a
//! terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use byway::clock;
use byway::panel::screen::{Health, Size, paint};
use byway::panel::{On, Request, Shown, Wanted};
use byway_core::View;
use byway_core::panel::{Edge, Heard, Lamps, Panel, Room, Settings, Test};
use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::mpsc;

use crate::{Server, eventually, hear, with_body};

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

/// Who looks at a panel, by a terminal of their own.
struct Looker {
    command: Child,
    /// The terminal's other end.
    keyboard: File,
}

impl Looker {
    fn walk(server: &Server) -> Self {
        let OpenptyResult { master, slave } = openpty(None, None).unwrap();
        let mut command = server.command("panel test");
        let command = command.stdin(slave).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { command, keyboard: master.into() }
    }

    fn types(mut self, keys: &str) -> Self {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Code, what was printed, and what was complained of.
    fn end(self) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.command.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (status.code(), text(&stdout), text(&stderr))
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

#[test]
fn the_panel_is_drawn_in_both_sizes() {
    let server = Server::start();
    let lines = |words: &str| {
        let Output { status, stdout, .. } = server.byway(words);
        assert_eq!(status.code(), Some(0));
        let text = String::from_utf8_lossy(&stdout).into_owned();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (wide, narrow) = (lines("panel show"), lines("panel show --small"));
    assert_eq!((wide[0].chars().count(), wide.len()), (130, 37), "{wide:?}");
    assert_eq!((narrow[0].chars().count(), narrow.len()), (66, 21), "{narrow:?}");
    assert!(
        narrow[18].starts_with("  light    ") && narrow[20] == "  button   not pressed so far",
        "{narrow:?}"
    );
    let json = server.byway("panel show --json").stdout;
    assert!(json.starts_with(b"{\"light\":{\"says\":") && json.ends_with(b"\"presses\":0}}\n"));
    server.panel.lock().unwrap().answers = false;
    let Output { status, stderr, .. } = server.byway("panel show");
    let complaint = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(1));
    assert_eq!(complaint, "byway: the panel does not answer: restart the agent, and look into its log\n");
}

#[test]
fn a_terminal_gets_colours_and_the_picture_that_fits() {
    let server = Server::start();
    // Which does not blink.
    server.panel.lock().unwrap().hear(Wanted::Test(Some(Test::Light(Lamps::GREEN))));
    let on_terminal = |(columns, lines), no_colour: &str| {
        let size = Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(Some(&size), None).unwrap();
        let mut command = server.command("panel show");
        let mut child = command.env("NO_COLOR", no_colour).stdout(slave).spawn().unwrap();
        // Its side of the terminal goes with it, and reading ends.
        drop(command);
        let mut shown = Vec::new();
        _ = File::from(master).read_to_end(&mut shown);
        assert!(child.wait().unwrap().success());
        String::from_utf8_lossy(&shown).into_owned()
    };
    let (large, small) = (on_terminal((130, 38), ""), on_terminal((130, 37), ""));
    assert_eq!((large.lines().count(), small.lines().count()), (37, 21), "{large}{small}");
    assert!(small.contains("  light    \u{1b}[92m\u{25cf}\u{1b}[0m green: a test"), "{small}");
    let grey = on_terminal((80, 24), "1");
    assert!(grey.contains("  light    \u{25cf} green: a test") && grey.lines().count() == 21, "{grey}");
}

#[test]
fn a_walk_needs_somebody_who_answers() {
    let server = Server::start();
    let Output { status, stdout, stderr } =
        server.command("panel test").stdin(Stdio::null()).output().unwrap();
    assert_eq!((status.code(), stdout.len()), (Some(2), 0));
    assert_eq!(
        String::from_utf8_lossy(&stderr),
        "byway: `panel test` asks what you see: run it in a terminal (by ssh: `ssh -t`)\n"
    );
    assert_eq!(server.panel.lock().unwrap().asked, []);
}

#[test]
fn a_walk_along_a_panel_that_is_right() {
    let server = Server::start();
    let (code, said, complaints) = Looker::walk(&server).types("\ny\nYes\n\n\n\n").end();
    assert_eq!((code, complaints.as_str()), (Some(0), ""), "{said}");
    assert_eq!(
        said,
        "The panel shows test pictures now, and a press of its button does nothing. Nothing else changes.\n\
         Enter: yes. n: no. s: skip this part.\n\
         \nlight\n  is it red? [Y/n/s]   is it green? [Y/n/s]   is it amber, which is red and green together? [Y/n/s]   \
         is it dark? [Y/n/s] \
         \nscreen\n  is every dot lit? [Y/n/s]   is there a line along all four edges, and TOP upright in it? [Y/n/s] \
         \nbutton\n  press it now, within 30 s [n: nothing happens, s] it was pressed\n\
         \nok   light    red, green, amber, dark\n\
         ok   screen   every dot lit, the frame\n\
         ok   button   its press came\n"
    );
    assert_eq!(server.panel.lock().unwrap().asked.last(), Some(&Wanted::Test(None)));
}

#[test]
fn a_walk_finds_what_is_wrong_and_what_is_not_there() {
    let server = Server::start();
    {
        let mut panel = server.panel.lock().unwrap();
        panel.lamps = Some(On::Act);
        panel.screen = Health { found: false, error: Some("/dev/i2c-1 is not there".to_owned()) };
        panel.presses = false;
    }
    let (code, said, _) = Looker::walk(&server).types("what?\ny\nn\ny\nn\n").end();
    assert_eq!(code, Some(3), "{said}");
    for words in [
        "is the Pi's own lamp on, without a break? [Y/n/s]   y, n or s\n",
        "the box finds no screen (/dev/i2c-1 is not there). is there one? [y/N]",
        "\nFAIL light    not as it should be: off\n",
        "FAIL screen   it is there, and the box does not find it: /dev/i2c-1 is not there\n",
        "FAIL button   it was pressed, and no press came\n",
        "\nwhat may help\n  light    ",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    {
        let mut panel = server.panel.lock().unwrap();
        (panel.lamps, panel.button) = (None, false);
    }
    let (code, said, _) = Looker::walk(&server).types("s\nno\n\n").end();
    let none = "\nskip light    there is none\nskip screen   there is none\nskip button   there is none\n";
    assert!(code == Some(0) && said.ends_with(none), "{said}");
}

#[test]
fn who_skips_a_part_has_still_seen_what_was_wrong_before() {
    let server = Server::start();
    let (code, said, _) = Looker::walk(&server).types("n\ns\ns\n").end();
    let told = "\nFAIL light    not as it should be: red\nskip screen   not looked at\nok   button   its press came\n";
    assert!(code == Some(3) && said.contains(told), "{said}");
}

#[test]
fn whoever_goes_away_leaves_a_panel_that_tells_the_truth() {
    let server = Server::start();
    let red = Wanted::Test(Some(Test::Light(Lamps::RED)));
    for ends in ["by the end of the input", "by Ctrl-C"] {
        server.panel.lock().unwrap().asked.clear();
        let looker = Looker::walk(&server);
        eventually("the first question", || server.panel.lock().unwrap().asked.last() == Some(&red));
        let looker = if ends == "by Ctrl-C" {
            kill(Pid::from_raw(looker.command.id().try_into().unwrap()), Signal::SIGINT).unwrap();
            looker
        } else {
            looker.types("\u{4}")
        };
        let (code, _, complaint) = looker.end();
        assert_eq!((code, complaint.as_str()), (Some(1), "byway: broken off\n"), "{ends}");
        assert_eq!(server.panel.lock().unwrap().asked.last(), Some(&Wanted::Test(None)), "{ends}");
    }
}
