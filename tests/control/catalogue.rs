//! Mullvad's whole list over the socket, and relays chosen by where they are; and the commands that ask for it.

use std::process::{Output, Stdio};
use std::sync::Arc;

use byway::mullvad::Counter;
use byway_core::account::{Catalogue, Choice, Listed, Place, PublicKey};
use byway_core::relays::{RelayView, Role};
use tokio::sync::{mpsc, watch};

use crate::{Server, eventually, hear, is_answered, relays, with_body};

/// The other side of the counter.
struct Keeper {
    catalogue: watch::Sender<Option<Arc<Catalogue>>>,
    choices: mpsc::Receiver<Choice>,
}

impl Keeper {
    fn start() -> (Server, Self) {
        let (catalogue, newest) = watch::channel(None);
        let (choose, choices) = mpsc::channel(4);
        let server = Server::with(Some(Counter { catalogue: newest, choices: choose }));
        server.views.send_modify(|view| view.relays = relays().to_vec());
        (server, Self { catalogue, choices })
    }

    fn with_list() -> (Server, Self) {
        let (server, keeper) = Self::start();
        keeper.catalogue.send_replace(Some(Arc::new(list())));
        (server, keeper)
    }

    /// Until it came.
    fn await_choice(&mut self, choice: &str) {
        let mut heard = None;
        eventually("the choice", || {
            heard = self.choices.try_recv().ok();
            heard.is_some()
        });
        assert_eq!(heard.unwrap().to_string(), choice);
    }
}

fn list() -> Catalogue {
    let listed = |host: &str, place: &str| Listed {
        host: host.to_owned(),
        place: place.to_owned(),
        active: true,
        owned: true,
        provider: "31173".to_owned(),
        weight: 100,
        in_country: true,
        v4: [192, 0, 2, 130].into(),
        v6: None,
        key: PublicKey([1; 32]),
    };
    let place = |country: &str, city: &str| Place { country: country.to_owned(), city: city.to_owned() };
    Catalogue {
        places: [("de-fra", place("Germany", "Frankfurt")), ("se-got", place("Sweden", "Gothenburg"))]
            .into_iter()
            .map(|(code, place)| (code.to_owned(), place))
            .collect(),
        relays: Vec::from([listed("de-fra-wg-001", "de-fra"), listed("se-got-wg-001", "se-got")]),
        ports: Vec::new(),
    }
}

/// It carries, and the others no more.
fn carries(relays: &mut Vec<RelayView>, name: &str) {
    for relay in relays.iter_mut() {
        relay.role = Role::Spare;
    }
    let first = relays[0].clone();
    relays.push(RelayView { name: name.to_owned(), role: Role::Active, ..first });
}

#[test]
fn there_is_no_list_without_an_account_and_none_before_the_first() {
    let server = Server::start();
    let answer = server.ask("GET /v1/relays/catalogue");
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("comes with an account"), "{answer}");
    let said = server.byway("relays list");
    assert_eq!(
        (said.status.code(), String::from_utf8_lossy(&said.stderr).as_ref()),
        (
            Some(1),
            "byway: the list of all relays comes with an account: write account and location below [mullvad]\n"
        )
    );
    drop(server);

    let (server, _keeper) = Keeper::start();
    for (call, body) in [("GET /v1/relays/catalogue", ""), ("PUT /v1/relays", "{\"use\":\"se-got\"}")] {
        let answer = hear(&mut server.say(&with_body(call, body)));
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("there was no list"), "{answer}");
    }
}

#[test]
fn the_list_is_told_by_country_and_nonsense_is_refused() {
    let (server, _keeper) = Keeper::with_list();
    for (call, code, words) in [
        ("GET /v1/relays/catalogue", "200", "[{\"code\":\"de\",\"name\":\"Germany\",\"relays\":1,"),
        (
            "GET /v1/relays/catalogue?country=SE",
            "200",
            "[{\"name\":\"se-got-wg-001\",\"city\":\"Gothenburg\",",
        ),
        ("GET /v1/relays/catalogue?country=fr", "404", "no relay is in \\\"fr\\\""),
        ("GET /v1/relays/catalogue?city=se-got", "400", "\\\"city\\\" is not known: there is country"),
        ("POST /v1/relays/catalogue", "405", "does not take POST"),
    ] {
        let answer = server.ask(call);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {code}")) && answer.contains(words),
            "{call}: {answer}"
        );
    }
    for (words, told) in [
        ("relays list", "CODE      RELAYS  WHERE\nde             1  Germany\n"),
        ("relays list se", "NAME           CITY        WORKS  WHOSE   WEIGHT  PROVIDER\nse-got-wg-001  Goth"),
        ("relays list se --json", "[{\"name\":\"se-got-wg-001\""),
    ] {
        let said = server.byway(words);
        let heard = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.status.success() && heard.starts_with(told), "{words}: {heard}");
    }
}

#[test]
fn whoever_asks_for_a_place_waits_until_a_relay_there_carries() {
    let (server, mut keeper) = Keeper::with_list();
    for (name, words) in
        [("Sweden", "write a country"), ("se-sto", "nothing is called se-sto in Mullvad's list")]
    {
        let answer = hear(&mut server.say(&with_body("PUT /v1/relays", &format!("{{\"use\":\"{name}\"}}"))));
        assert!(answer.starts_with("HTTP/1.1 404") && answer.contains(words), "{answer}");
    }
    let mut waiting = server.say(&with_body("PUT /v1/relays", "{\"use\":\"SE-got\",\"wait_s\":60}"));
    keeper.await_choice("se-got");
    server.change(|view| carries(&mut view.relays, "se-sto-wg-001"));
    assert!(!is_answered(&waiting), "that is another city");
    server.change(|view| carries(&mut view.relays, "se-got-wg-001"));
    let answer = hear(&mut waiting);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("se-got-wg-001"), "{answer}");

    let answer = hear(&mut server.begin("PUT /v1/relays", "{\"use\":\"b\"}"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(server.last_wanted(), "UseRelay(RelayId(0))", "what is in the box's own list is no place");
    assert!(keeper.choices.try_recv().is_err());
}

#[test]
fn the_command_tells_which_relay_there_carries() {
    let (server, mut keeper) = Keeper::with_list();
    for (words, code, told) in [
        (
            "relays use se --no-wait",
            1,
            "byway: not yet se: it is not proven yet; `byway relays` tells when it is; b carries\n",
        ),
        (
            "relays use nowhere",
            2,
            "byway: there is no relay \"nowhere\", and no place is called so: write a country (\"se\"), a city (\"se-got\") \
             or a relay (\"se-got-wg-001\"), as `byway relays list` tells them\n",
        ),
    ] {
        let Output { status, stdout, stderr } = server.byway(words);
        let heard = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
        assert_eq!((status.code(), heard.as_ref()), (Some(code), told), "{words}");
    }
    keeper.await_choice("se");
    let asked = server.command("relays use se-got").stdout(Stdio::piped()).spawn().unwrap();
    keeper.await_choice("se-got");
    server.change(|view| carries(&mut view.relays, "se-got-wg-001"));
    let ended = asked.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(
        (ended.status.code(), told.as_ref()),
        (Some(0), "se-got-wg-001 carries, at 192.0.2.130:51820\n")
    );
}
