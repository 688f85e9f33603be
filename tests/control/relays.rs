//! The relays over the socket: told, chosen and tested; and the commands that ask for it.

use std::process::{Output, Stdio};
use std::sync::atomic::Ordering;

use byway::clock;
use byway_core::View;
use byway_core::relays::Role;

use crate::{Server, hear, is_answered, relays, with_body};

#[test]
fn relays_are_told_in_the_order_of_the_list_and_nonsense_is_refused() {
    let server = Server::start();
    assert!(server.ask("GET /v1/relays").contains("\"proven_s_ago\":null"), "none is proven yet");
    server.views.send_modify(|view| view.relays = relays().to_vec());
    let answer = server.ask("GET /v1/relays");
    let place =
        |name: &str| answer.find(&format!("{{\"name\":\"{name}\",\"endpoint\":\"192.0.2.13")).unwrap();
    assert!(place("b") < place("a") && place("a") < place("c"), "{answer}");
    for (call, body, code, words) in [
        ("PUT /v1/relays", "{\"use\":\"d\"}", "404", "there is no relay \\\"d\\\": there are b, a, c"),
        ("PUT /v1/relays", "{\"use\":\"A\"}", "404", "there is no relay"),
        ("PUT /v1/relays", "{}", "400", "missing field `use`"),
        ("PUT /v1/relays", "{\"use\":\"a\",\"now\":1}", "400", "unknown field `now`"),
        ("POST /v1/relays/test", "{\"wait_s\":-1}", "400", "the request's body"),
        ("DELETE /v1/relays", "", "405", "does not take DELETE"),
        ("GET /v1/relays/test", "", "405", "does not take GET"),
        ("GET /v1/relays/a", "", "404", "no such path"),
    ] {
        let answer = hear(&mut server.say(&with_body(call, body)));
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {code}")) && answer.contains(words),
            "{call}: {answer}"
        );
    }
    assert_eq!(server.heard.load(Ordering::Relaxed), 0, "nothing of that is the core's business");
}

#[test]
fn whoever_asks_for_a_relay_waits_until_it_carries_or_has_failed() {
    let server = Server::start();
    server.views.send_modify(|view| view.relays = relays().to_vec());
    let body = |name: &str| format!("{{\"use\":\"{name}\",\"wait_s\":60}}");

    let mut waiting = server.begin("PUT /v1/relays", &body("a"));
    assert_eq!(server.last_wanted(), "UseRelay(RelayId(1))");
    server.change(|view| view.why = "something else".to_owned());
    assert!(!is_answered(&waiting), "before it carries");
    server.change(|view| {
        view.relays[0].role = Role::Spare;
        view.relays[1].role = Role::Active;
    });
    let answer = hear(&mut waiting);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"role\":\"active\""), "{answer}");

    let verdict = |view: &mut View, tested| {
        view.relays[2].tested = Some(tested);
        view.relays[2].obstacle = Some("nothing comes back".to_owned());
    };
    let before = clock::uptime();
    let mut waiting = server.begin("PUT /v1/relays", &body("c"));
    server.change(|view| verdict(view, before));
    assert!(!is_answered(&waiting), "that verdict is older than the asking");
    server.change(|view| verdict(view, clock::uptime()));
    let answer = hear(&mut waiting);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("nothing comes back"), "{answer}");

    let answer = hear(&mut server.begin("PUT /v1/relays", "{\"use\":\"c\",\"wait_s\":1}"));
    assert!(answer.starts_with("HTTP/1.1 200"), "the time was over: {answer}");
    let answer = hear(&mut server.begin("PUT /v1/relays", "{\"use\":\"b\"}"));
    assert!(answer.starts_with("HTTP/1.1 200"), "who does not wait is answered: {answer}");
}

#[test]
fn a_test_of_the_relays_ends_when_each_was_tested_after_the_asking() {
    let server = Server::start();
    server.views.send_modify(|view| view.relays = relays().to_vec());
    server.change(|view| view.relays[1].tested = Some(clock::uptime()));
    let mut waiting = server.begin("POST /v1/relays/test", "{\"wait_s\":60}");
    assert_eq!(server.last_wanted(), "TestRelays");
    for place in [0, 2] {
        server.change(|view| view.relays[place].tested = Some(clock::uptime()));
    }
    assert!(!is_answered(&waiting), "the second was tested before the asking only");
    server.change(|view| view.relays[1].tested = Some(clock::uptime()));
    let answer = hear(&mut waiting);
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("\"tested_s_ago\":null"), "{answer}");
}

#[test]
fn the_command_tells_who_carries_and_which_relay_is_not_proven() {
    let server = Server::start();
    server.views.send_modify(|view| view.relays = relays().to_vec());
    let table = server.byway("relays");
    let told = String::from_utf8_lossy(&table.stdout);
    let first_words: Vec<&str> = told.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!((table.status.code(), first_words), (Some(0), vec!["NAME", "b", "a", "c"]), "{told}");
    assert!(server.byway("relays --json").stdout.starts_with(b"[{\"name\":\"b\""));
    for (words, code, told) in [
        ("relays use b", 0, "b carries, at 192.0.2.130:51820\n"),
        (
            "relays use c --no-wait",
            1,
            "byway: not yet c: it is not proven yet; `byway relays` tells when it is; b carries\n",
        ),
        ("relays use d", 2, "byway: there is no relay \"d\": there are b, a, c\n"),
    ] {
        let Output { status, stdout, stderr } = server.byway(words);
        let heard = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
        assert_eq!((status.code(), heard.as_ref()), (Some(code), told), "{words}");
    }
    for (obstacle, code) in [(None, 0), (Some("nothing comes back".to_owned()), 3)] {
        let test =
            server.begin_with(|| server.command("relays test").stdout(Stdio::piped()).spawn().unwrap());
        server.change(|view| {
            for relay in &mut view.relays {
                (relay.tested, relay.proven) = (Some(clock::uptime()), Some(clock::uptime()));
            }
            view.relays[2].obstacle.clone_from(&obstacle);
        });
        let ended = test.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&ended.stdout);
        assert_eq!(ended.status.code(), Some(code), "{told}");
        assert_eq!(told.contains("not proven") && told.contains("nothing comes back"), code == 3, "{told}");
    }
}
