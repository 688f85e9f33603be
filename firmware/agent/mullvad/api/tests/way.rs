//! Where the API is looked for, and who is believed to be it.

use tokio::net::TcpListener;

use super::*;

const NAME: &str = "api.mullvad.net";

async fn fake_for(name: &str) -> Fake {
    Fake::start(name, |request| if is_login(request) { ok(LOGIN) } else { ok("[]") }).await
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

async fn nobodys_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn goes_to_the_pinned_address_where_names_lead_nowhere() {
    let fake = fake_for(NAME).await;
    let mut api = api_at(NAME, &fake, at(fake.port), LIMIT);
    assert_eq!(api.call(&Call::Devices).await, Ok(Answer::Devices(Vec::new())));
    assert!(fake.heard().iter().all(|request| request.contains("\r\nhost: api.mullvad.net\r\n")));
}

#[tokio::test]
async fn goes_to_the_pinned_address_where_the_named_one_is_dead_and_asks_names_again() {
    let mut fake = fake_for("127.0.0.1").await;
    let pinned = at(fake.port);
    fake.port = nobodys_port().await;
    let mut api = api_at("127.0.0.1", &fake, pinned, LIMIT);
    for _ in 0..2 {
        assert_eq!(api.call(&Call::Devices).await, Ok(Answer::Devices(Vec::new())));
        assert_eq!(api.server.found, None);
    }
}

#[tokio::test]
async fn looks_anew_when_it_is_not_where_it_was() {
    let fake = fake_for("127.0.0.1").await;
    let mut api = api_at("127.0.0.1", &fake, at(nobodys_port().await), LIMIT);
    api.server.found = Some(at(nobodys_port().await));
    assert_eq!(api.call(&Call::Devices).await, Ok(Answer::Devices(Vec::new())));
    assert_eq!(api.server.found, Some(at(fake.port)));
}

#[tokio::test]
async fn the_pinned_address_needs_the_same_certificate() {
    let (fake, stranger) = (fake_for(NAME).await, fake_for(NAME).await);
    let namesake = fake_for("other.mullvad.net").await;
    for (trust, port) in [(&fake, stranger.port), (&namesake, namesake.port)] {
        let mut api = api_at(NAME, trust, at(port), LIMIT);
        let refused = api.call(&Call::Relays).await.unwrap_err();
        let Refusal::Unreachable(reason) = refused else { panic!("{refused:?}") };
        let expected = format!(
            "no name server answers for api.mullvad.net through lo, and no safe connection to api.mullvad.net at {}: ",
            at(port)
        );
        assert!(reason.starts_with(&expected) && reason.contains("certificate"), "{reason}");
    }
    assert_eq!([&stranger, &namesake].map(|fake| fake.heard().len()), [0, 0], "nothing was said to them");
}

#[tokio::test]
async fn says_where_nobody_answers() {
    let fake = fake_for(NAME).await;
    let nobody = at(nobodys_port().await);
    let refused = api_at(NAME, &fake, nobody, LIMIT).call(&Call::Relays).await;
    let Err(Refusal::Unreachable(reason)) = refused else { panic!("{refused:?}") };
    assert!(reason.contains(&format!(", and no connection to {nobody}: ")), "{reason}");
}

#[tokio::test]
async fn a_box_without_authorities_asks_nobody() {
    let names = Arc::new(Names::by_tunnel("lo", &[]));
    let nobody = Err("the system knows no certificate authorities".to_owned());
    let mut api = Api::new(NUMBER.parse().unwrap(), &nobody, names, Some("\"kept\""));
    let Err(Refusal::Unreachable(reason)) = api.call(&Call::Relays).await else { panic!("it asked") };
    assert!(reason.ends_with(", and the system knows no certificate authorities"), "{reason}");
    assert_eq!(api.etag(), Some("\"kept\""));
}
