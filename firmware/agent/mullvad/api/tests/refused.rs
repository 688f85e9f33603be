//! What is told where there is no answer, and what never is.

use super::*;

/// What becomes of this call when it is answered so.
async fn refused(call: &Call, code: u16, headers: &'static str, body: &'static str) -> Refusal {
    let fake = with_answer(move || status(code, headers, body)).await;
    api(&fake).call(call).await.unwrap_err()
}

async fn refused_login(code: u16, body: &'static str) -> Refusal {
    let fake = Fake::start("127.0.0.1", move |_| status(code, "", body)).await;
    api(&fake).call(&Call::Devices).await.unwrap_err()
}

fn odd(text: &str) -> Refusal {
    Refusal::Odd(format!("127.0.0.1{text}"))
}

#[tokio::test]
async fn errors_are_told_apart_by_their_codes() {
    let register = Call::Register(KEY);
    for (call, code, body, expected) in [
        (&register, 400, r#"{"code":"MAX_DEVICES_REACHED","detail":"x"}"#, Refusal::TooManyDevices),
        (&register, 400, r#"{"code":"PUBKEY_IN_USE"}"#, Refusal::KeyInUse),
        (&register, 400, r#"{"type":"PUBKEY_IN_USE","title":"x"}"#, Refusal::KeyInUse),
        (&register, 404, "", odd(" answers with status 404")),
        (&register, 400, r#"{"code":"SOMETHING_NEW"}"#, odd(" says SOMETHING_NEW (status 400)")),
        (&register, 400, r#"{"type":"about:blank"}"#, odd(" answers with status 400")),
        (&register, 302, "", odd(" answers with status 302")),
        (&replace(), 404, "", Refusal::NoSuchDevice),
        (&replace(), 404, r#"{"code":"DEVICE_NOT_FOUND"}"#, Refusal::NoSuchDevice),
        (&Call::Expiry, 400, r#"{"code":"INVALID_ACCOUNT"}"#, Refusal::NoSuchAccount),
    ] {
        assert_eq!(refused(call, code, "", body).await, expected, "{call:?}: {code} {body}");
    }
    for (code, body) in [(400, r#"{"code":"INVALID_ACCOUNT"}"#), (401, "")] {
        assert_eq!(refused_login(code, body).await, Refusal::NoSuchAccount, "{code} {body}");
    }
    assert_eq!(refused_login(400, "").await, odd(" answers with status 400"));
}

#[tokio::test]
async fn a_server_in_trouble_is_as_one_that_is_not_there() {
    for code in [500, 502, 503] {
        let trouble = Refusal::Unreachable(format!("127.0.0.1 is in trouble (status {code})"));
        assert_eq!(refused(&Call::Relays, code, "", r#"{"code":"INVALID_ACCOUNT"}"#).await, trouble);
    }
}

#[tokio::test]
async fn it_is_left_alone_for_as_long_as_it_says() {
    let seconds = Duration::from_secs;
    for (code, headers, pause) in [
        (429, "", seconds(60)),
        (429, "retry-after: 120\r\n", seconds(120)),
        (503, "retry-after: 90\r\n", seconds(90)),
        (429, "retry-after: 0\r\n", seconds(1)),
        (429, "retry-after: 99999999\r\n", seconds(86_400)),
        (429, "retry-after: soon\r\n", seconds(60)),
        (
            503,
            "date: Mon, 15 Jan 2029 12:00:00 GMT\r\nretry-after: Mon, 15 Jan 2029 12:05:00 GMT\r\n",
            seconds(300),
        ),
        (
            429,
            "date: Mon, 15 Jan 2029 12:00:00 GMT\r\nretry-after: Mon, 15 Jan 2029 11:00:00 GMT\r\n",
            seconds(1),
        ),
    ] {
        assert_eq!(refused(&Call::Relays, code, headers, "").await, Refusal::Later(pause), "{headers}");
    }
}

#[tokio::test]
async fn what_is_cut_slow_or_endless_is_no_answer() {
    let cut = [
        "",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n[",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n[\r\n",
    ];
    for text in cut {
        let fake = with_answer(move || Say::This(text.to_owned())).await;
        let refused = api(&fake).call(&Call::Devices).await.unwrap_err();
        let Refusal::Unreachable(reason) = refused else { panic!("{text}: {refused:?}") };
        assert!(reason.starts_with("127.0.0.1 breaks off: "), "{reason}");
    }
    let fake = with_answer(|| Say::Nothing).await;
    let pinned = SocketAddr::from(([127, 0, 0, 1], fake.port));
    let mut slow = api_at("127.0.0.1", &fake, pinned, Duration::from_secs(1));
    let late = Refusal::Unreachable("127.0.0.1 gives no answer within 1 s".to_owned());
    assert_eq!(slow.call(&Call::Devices).await, Err(late));

    let fake = with_answer(|| ok(&" ".repeat(LARGEST_ANSWER + 1))).await;
    assert_eq!(api(&fake).call(&Call::Devices).await, Err(odd(" answers more than 65536 bytes")));
    let fake = Fake::start("127.0.0.1", |_| ok(&" ".repeat(LARGEST_LIST + 1))).await;
    assert_eq!(api(&fake).call(&Call::Relays).await, Err(odd(" answers more than 4194304 bytes")));
}

#[tokio::test]
async fn a_device_that_cannot_be_understood_is_not_left_out() {
    for (right, wrong, reason) in [
        ("aaaaaaaa-aaaa", "../", "device has an id that is none"),
        ("BwcHBwcH", "", "device has a key that is none"),
        ("10.64.0.2/32", "10.64.0.2.3", "device has no address, or one that is none"),
        ("\"name\":\"happy seal\",", "", "answer is no list of devices (line 3, column 78)"),
    ] {
        let devices = format!("[{}]", DEVICE.replacen(right, wrong, 1));
        let fake = with_answer(move || ok(&devices)).await;
        assert_eq!(api(&fake).call(&Call::Devices).await, Err(odd(&format!("'s {reason}"))));
    }
    let homeless = DEVICE.replace("\"ipv4_address\":\"10.64.0.2/32\",\"ipv6_address\"", "\"ipv6\"");
    let fake = with_answer(move || ok(&homeless)).await;
    let refused = api(&fake).call(&Call::Register(KEY)).await;
    assert_eq!(refused, Err(odd("'s device has no address, or one that is none")));
}

#[tokio::test]
async fn an_account_without_a_date_is_odd() {
    for body in [r#"{"expiry":"never"}"#, r#"{"expiry":"2030-01-01T00:00:00+01:00"}"#, r#"{"id":"x"}"#] {
        let refused = refused(&Call::Expiry, 200, "", body).await;
        assert!(matches!(refused, Refusal::Odd(_)), "{refused:?}");
    }
}

#[tokio::test]
async fn neither_a_number_nor_a_token_nor_a_key_is_ever_told() {
    let logins = [
        r#""mva_first""#,
        r#"{"access_token":["mva_first"]}"#,
        r#"{"access_token":"mva_first\n"}"#,
        r#"{"code":"mva_first 1234123412341234"}"#,
    ];
    for login in logins {
        for code in [200, 400, 500] {
            let told = format!("{:?}", refused_login(code, login).await);
            assert!(!told.contains("mva_first") && !told.contains(NUMBER), "{told}");
        }
    }
    let fake = with_answer(|| ok(r#"["BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="]"#)).await;
    let mut api = api(&fake);
    let told = format!("{:?} {api:?}", api.call(&Call::Devices).await);
    assert!(told.contains("127.0.0.1") && api.token.is_some(), "{told}");
    for secret in ["BwcH", "mva_first", NUMBER] {
        assert!(!told.contains(secret), "{told}");
    }
    let bearer = format!("{:?}", api.token.unwrap().bearer);
    assert!(!bearer.contains("mva_first"), "{bearer}");
}
