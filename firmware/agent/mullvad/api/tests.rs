//! See `api.rs`.

use std::net::SocketAddr;

use byway_core::account::{Catalogue, Device};

use super::fake::{Fake, Say, ok, status};
use super::*;
use crate::config::Host;

mod refused;
mod way;

const NUMBER: &str = "1234123412341234";
const KEY: PublicKey = PublicKey([7; 32]);
const LOGIN: &str = r#"{"access_token":"mva_first","expiry":"2100-01-01T00:00:00+00:00"}"#;
const DEVICE: &str = r#"{"id":"aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa","name":"happy seal",
    "pubkey":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=","hijack_dns":false,"created":"2026-01-01T00:00:00+00:00",
    "ipv4_address":"10.64.0.2/32","ipv6_address":"fc00:bbbb:bbbb:bb01::2/128"}"#;

/// At the fake's address, by loopback alone.
fn api(fake: &Fake) -> Api {
    api_at("127.0.0.1", fake, SocketAddr::from(([127, 0, 0, 1], fake.port)), LIMIT)
}

fn api_at(host: &str, fake: &Fake, pinned: SocketAddr, limit: Duration) -> Api {
    let host: Host = host.parse().unwrap();
    let names = Arc::new(Names::by_tunnel("lo", &[]));
    Api::at(Server::new(host, fake.port, pinned, &fake.trust, names), NUMBER.parse().unwrap(), limit, None)
}

/// Lets everybody in, and answers this to all else.
async fn with_answer(answer: impl Fn() -> Say + Send + 'static) -> Fake {
    Fake::start("127.0.0.1", move |request| if is_login(request) { ok(LOGIN) } else { answer() }).await
}

fn is_login(request: &str) -> bool {
    request.starts_with("POST /auth/v1/token HTTP/1.1\r\n")
}

fn device() -> Device {
    Device {
        id: "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa".to_owned(),
        name: "happy seal".to_owned(),
        key: KEY,
        addresses: vec!["10.64.0.2".parse().unwrap(), "fc00:bbbb:bbbb:bb01::2".parse().unwrap()],
    }
}

fn replace() -> Call {
    Call::Replace { device: device().id, key: KEY }
}

fn logins(heard: &[String]) -> usize {
    heard.iter().filter(|request| is_login(request)).count()
}

#[tokio::test]
async fn logs_in_once_for_calls_in_a_row() {
    let fake = Fake::start("127.0.0.1", |request| {
        if is_login(request) {
            ok(LOGIN)
        } else if request.starts_with("GET /accounts/v1/accounts/me HTTP/1.1\r\n") {
            ok(r#"{"id":"x","expiry":"2030-01-01T00:00:00+00:00","max_devices":5,"can_add_devices":true}"#)
        } else {
            assert!(request.starts_with("GET /accounts/v1/devices HTTP/1.1\r\n"), "{request}");
            ok(&format!("[{DEVICE}]"))
        }
    })
    .await;
    let mut api = api(&fake);
    let new_year = Duration::from_hours(525_960);
    assert_eq!(api.call(&Call::Expiry).await, Ok(Answer::Expiry(new_year)));
    assert_eq!(api.call(&Call::Devices).await, Ok(Answer::Devices(vec![device()])));

    let heard = fake.heard();
    assert_eq!((heard.len(), logins(&heard)), (3, 1));
    let login = format!("\r\n\r\n{{\"account_number\":\"{NUMBER}\"}}");
    assert!(heard[0].ends_with(&login) && heard[0].contains("\r\ncontent-type: application/json\r\n"));
    for request in &heard[1..] {
        assert!(request.contains("\r\nauthorization: Bearer mva_first\r\n"), "{request}");
        assert!(request.contains("\r\nhost: 127.0.0.1\r\n") && !request.contains(NUMBER), "{request}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_accepted_any_more_is_renewed_once() {
    let mut given = 0;
    let fake = Fake::start("127.0.0.1", move |request| {
        if is_login(request) {
            given += 1;
            ok(&LOGIN.replace("mva_first", &format!("mva_{given}")))
        } else if request.contains("Bearer mva_2\r\n") {
            ok(&format!("[{DEVICE}]"))
        } else {
            status(401, "", r#"{"code":"INVALID_ACCESS_TOKEN"}"#)
        }
    })
    .await;
    let mut api = api(&fake);
    for requests in [4, 1] {
        assert_eq!(api.call(&Call::Devices).await, Ok(Answer::Devices(vec![device()])));
        assert_eq!(fake.heard().len(), requests);
    }
    api.token = None;
    let refused = Refusal::Odd("127.0.0.1 says INVALID_ACCESS_TOKEN (status 401)".to_owned());
    assert_eq!(api.call(&Call::Devices).await, Err(refused));
    let heard = fake.heard();
    assert_eq!((heard.len(), logins(&heard)), (4, 2));
}

#[tokio::test]
async fn a_token_with_an_odd_date_is_for_one_call() {
    let dates = [r#""2020-01-01T00:00:00Z""#, r#""soon""#, "null", "7"];
    for login in dates.map(|date| format!(r#"{{"access_token":"mva_odd","expiry":{date}}}"#)) {
        let fake =
            Fake::start("127.0.0.1", move |request| if is_login(request) { ok(&login) } else { ok("[]") });
        let fake = fake.await;
        let mut api = api(&fake);
        for _ in 0..2 {
            assert_eq!(api.call(&Call::Devices).await, Ok(Answer::Devices(Vec::new())));
        }
        assert_eq!(logins(&fake.heard()), 2);
    }
}

#[tokio::test]
async fn registers_and_replaces_keys() {
    let fake = with_answer(|| status(201, "", DEVICE)).await;
    let mut api = api(&fake);
    for (call, head, body) in [
        (
            Call::Register(KEY),
            "POST /accounts/v1/devices HTTP/1.1\r\n",
            r#"{"pubkey":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=","hijack_dns":false}"#,
        ),
        (
            replace(),
            "PUT /accounts/v1/devices/aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa/pubkey HTTP/1.1\r\n",
            r#"{"pubkey":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="}"#,
        ),
    ] {
        assert_eq!(api.call(&call).await, Ok(Answer::Device(device())));
        let request = fake.heard().pop().unwrap();
        assert!(request.starts_with(head) && request.ends_with(&format!("\r\n\r\n{body}")), "{request}");
    }
    let other = api.call(&Call::Register(PublicKey([8; 32]))).await;
    assert_eq!(other, Err(Refusal::Odd("127.0.0.1's device has another key than it was told".to_owned())));
    fake.heard();
    let foreign = Call::Replace { device: "../accounts/me".to_owned(), key: KEY };
    assert_eq!(api.call(&foreign).await, Err(Refusal::NoSuchDevice));
    assert_eq!(fake.heard().len(), 0);
}

#[tokio::test]
async fn asks_for_the_list_again_by_its_etag_and_without_a_login() {
    let list: Catalogue = relay_list::read(relay_list::SAMPLE.as_bytes()).unwrap();
    let fake = Fake::start("127.0.0.1", |request| {
        assert!(request.starts_with("GET /app/v1/relays HTTP/1.1\r\n") && !request.contains("authorization"));
        if request.contains("\r\nif-none-match: W/\"one\"\r\n") {
            status(304, "", "")
        } else {
            status(200, "etag: W/\"one\"\r\n", relay_list::SAMPLE)
        }
    })
    .await;
    let mut api = api(&fake);
    assert_eq!(api.etag(), None);
    assert_eq!(api.call(&Call::Relays).await, Ok(Answer::Relays(Some(list.clone()))));
    assert_eq!(api.etag(), Some("W/\"one\""));
    assert_eq!(api.call(&Call::Relays).await, Ok(Answer::Relays(None)));
    assert_eq!(api.etag(), Some("W/\"one\""), "it is the same list");
}

#[tokio::test]
async fn a_list_that_is_of_no_use_leaves_the_last_one_and_its_etag() {
    let answers = [
        (
            status(200, "etag: \"bad\"\r\n", "<html>"),
            "list of relays is of no use: it is none (line 1, column 1)",
        ),
        (
            status(
                200,
                "etag: \"bad\"\r\n",
                r#"{"locations":{},"wireguard":{"port_ranges":[],"relays":[{}]}}"#,
            ),
            "no relay in it",
        ),
    ];
    for (answer, reason) in answers {
        let mut answer = Some(answer);
        let fake = Fake::start("127.0.0.1", move |_| answer.take().unwrap()).await;
        let mut api = api(&fake);
        api.etag = Some(HeaderValue::from_static("\"good\""));
        let Err(Refusal::Odd(odd)) = api.call(&Call::Relays).await else { panic!("it was taken") };
        assert!(odd.contains(reason), "{odd}");
        assert_eq!(api.etag(), Some("\"good\""));
    }
    let fake = Fake::start("127.0.0.1", |_| status(304, "", "")).await;
    let refused = api(&fake).call(&Call::Relays).await;
    assert_eq!(
        refused,
        Err(Refusal::Odd("127.0.0.1 answers with status 304".to_owned())),
        "it was not asked"
    );
}
