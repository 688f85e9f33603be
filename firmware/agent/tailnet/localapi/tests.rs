//! See `localapi.rs`.

use super::*;
use crate::tailnet::{
    bus::Notice,
    fake::{Fake, RUNNING},
};
use byway_core::tailnet::{BackendState, ExitNode, TailnetFacts, Wanted, Ways, default_routes};

#[tokio::test]
async fn reads_the_status_of_an_approved_exit_node() {
    let fake = Fake::start();
    fake.answer("GET status", 200, RUNNING);
    let status = fake.api().status().await.unwrap();
    assert_eq!((status.state, status.have_node_key), (BackendState::Running, true));
    let node = status.node.clone().unwrap();
    assert_eq!((node.name.as_deref(), node.id.as_deref()), (Some("byway-1"), Some("7")));
    assert_eq!(node.addresses, ["100.64.0.2".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(node.key_expiry.as_deref(), Some("2027-05-01T00:00:00Z"));

    let prefs = fake.api().prefs().await.unwrap().prefs();
    let wanted = Wanted { control: None, hostname: "byway".into(), have_auth_key: false, lan: None };
    let facts = TailnetFacts::new(&status, &prefs, &wanted, None);
    assert_eq!(facts.exit_node, Some(ExitNode::Approved));
}

#[tokio::test]
async fn takes_nulls_and_unknown_keys_as_go_writes_them() {
    let fake = Fake::start();
    let bare = r#"{"BackendState":"NeedsLogin","AuthURL":"","Health":null,"Peer":null,"New":{"x":[1]},
            "Self":{"ID":"","HostName":"pi","DNSName":"","TailscaleIPs":null,"Created":"0001-01-01T00:00:00Z"}}"#;
    fake.answer("GET status", 200, bare);
    fake.answer(
        "GET prefs",
        200,
        r#"{"ControlURL":"","AdvertiseRoutes":null,"AutoUpdate":{"Check":true,"Apply":null}}"#,
    );
    fake.answer("GET derpmap", 200, r#"{"Regions":{"1":{"Nodes":null},"2":null}}"#);
    let status = fake.api().status().await.unwrap();
    assert_eq!((status.state, status.login_url, status.node), (BackendState::NeedsLogin, None, None));
    assert_eq!(fake.api().peers().await.unwrap(), []);
    assert!(fake.api().derp_hosts().await.unwrap().is_empty());
    let prefs = fake.api().prefs().await.unwrap().prefs();
    assert!(prefs.control.is_none() && prefs.auto_update && prefs.advertise_routes.is_empty());
}

#[tokio::test]
async fn tells_by_which_way_peers_talk_to_the_box() {
    let fake = Fake::start();
    let endpoint = "198.51.100.10:41641";
    let status =
        RUNNING.replace(r#""Online":true},"#, &format!(r#""Addrs":["{endpoint}","odd"],"Relay":"lab"}},"#));
    fake.answer("GET status", 200, &status);
    let ways = fake.api().ways().await.unwrap();
    let endpoints = Vec::from([endpoint.parse().unwrap()]);
    let one_direct = Ways { relay: Some("lab".into()), endpoints, direct: 1, ..Ways::default() };
    assert_eq!(ways, one_direct, "the silent laptop does not count");
    fake.answer("GET status", 200, &status.replace("203.0.113.20:41641", ""));
    assert_eq!(fake.api().ways().await.unwrap(), Ways { direct: 0, relayed: 1, ..one_direct });
    fake.answer("GET debug-portmap", 200, "Probe: {PCP:false PMP:true UPnP:false}\nno mapping\n");
    assert!(fake.api().debug_portmap().await.unwrap().contains("PMP:true"));
}

#[tokio::test]
async fn logs_out() {
    let fake = Fake::start();
    fake.answer("POST logout", 204, "");
    fake.api().log_out().await.unwrap();
    assert_eq!(fake.asked().len(), 1);
    fake.answer("POST logout", 500, "no control server");
    assert!(fake.api().log_out().await.unwrap_err().to_string().contains("no control server"));
}

#[tokio::test]
async fn sends_a_change_as_masked_preferences() {
    let fake = Fake::start();
    let changes = [
        Preference::Hostname("byway".into()),
        Preference::AdvertiseRoutes(default_routes().to_vec()),
        Preference::AutoUpdate(false),
        Preference::NoExitNode,
    ];
    fake.api().change_prefs(&changes).await.unwrap();
    let expected = json!({
        "Hostname": "byway", "HostnameSet": true,
        "AdvertiseRoutes": ["0.0.0.0/0", "::/0"], "AdvertiseRoutesSet": true,
        "AutoUpdate": {"Check": false, "Apply": false}, "AutoUpdateSet": {"CheckSet": true, "ApplySet": true},
        "ExitNodeID": "", "ExitNodeIDSet": true, "ExitNodeIP": "", "ExitNodeIPSet": true,
        "AutoExitNode": "", "AutoExitNodeSet": true,
    });
    assert_eq!(fake.asked(), [("PATCH prefs".into(), expected)]);
}

#[tokio::test]
async fn starts_with_all_preferences_but_the_nodes_identity() {
    let fake = Fake::start();
    fake.answer("GET prefs", 200, r#"{"ControlURL":"","NotepadURLs":true,"Config":{"NodeID":"secret"}}"#);
    let prefs = fake.api().prefs().await.unwrap();
    let changes = [Preference::Control("https://hs.example.net".into())];
    fake.api().start(&prefs, &changes, Some(&AuthKey::new("hskey-1"))).await.unwrap();
    let updated = json!({"ControlURL": "https://hs.example.net", "NotepadURLs": true});
    let expected = json!({"UpdatePrefs": updated, "AuthKey": "hskey-1"});
    assert_eq!(fake.asked(), [("POST start".into(), expected)]);
}

#[tokio::test]
async fn understands_all_three_forms_of_refusal() {
    let fake = Fake::start();
    for (status, body) in [
        (400, r#"{"Error":"bad routes"}"#),
        (500, r#"{"error":"bad routes"}"#),
        (
            403,
            "bad routes
",
        ),
    ] {
        fake.answer("PATCH prefs", status, body);
        let error = fake.api().change_prefs(&[]).await.unwrap_err();
        assert_eq!(error.to_string(), "tailscaled refuses PATCH prefs: bad routes");
    }
    fake.answer("PATCH prefs", 500, "");
    let error = fake.api().change_prefs(&[]).await.unwrap_err();
    assert_eq!(error.to_string(), "tailscaled refuses PATCH prefs: 500 Internal Server Error");
    fake.answer(
        "GET derpmap",
        404,
        "404 page not found
",
    );
    let error = fake.api().derp_hosts().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "this tailscaled is built without GET derpmap: use the one that byway builds"
    );
    fake.answer("GET status", 200, r#"{"BackendState":"Dreaming"}"#);
    assert!(matches!(fake.api().status().await, Err(Error::Garbled { .. })));
}

#[tokio::test]
async fn gives_up_on_a_tailscaled_that_accepts_and_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let _listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let api = LocalApi::new(&socket).with_patience(Duration::from_millis(50));
    assert!(matches!(api.status().await, Err(Error::Silent { .. })));
    assert!(matches!(api.watch().await, Err(Error::Silent { .. })));
    assert_eq!(api.pid().await.unwrap(), nix::unistd::getpid().as_raw());
}

#[tokio::test]
async fn says_that_nobody_answers() {
    let error = LocalApi::new("/nowhere/tailscaled.sock").status().await.unwrap_err();
    assert_eq!(error.to_string(), "nobody answers on /nowhere/tailscaled.sock");
}

#[tokio::test]
async fn lists_peers_relay_hosts_and_callers() {
    let fake = Fake::start();
    fake.answer("GET status", 200, RUNNING);
    let peers = fake.api().peers().await.unwrap();
    let names: Vec<_> = peers.iter().map(|it| (it.name.as_str(), it.direct, it.relay.as_deref())).collect();
    assert_eq!(names, [("laptop", false, Some("lab")), ("phone", true, Some("lab"))]);
    assert_eq!((peers[1].rx_bytes, peers[1].tx_bytes), (5, 9));

    let asked_by_peers = RUNNING.replacen(
        "\"Self\":{",
        r#""Self":{"PeerAPIURL":["http://100.64.0.2:40123","http://[fd7a:115c:a1e0::2]:40123"],"#,
        1,
    );
    fake.answer("GET status", 200, &asked_by_peers);
    let roll = fake.api().roll().await.unwrap();
    let names: Vec<_> = roll.peers.iter().map(|it| (it.name.as_str(), it.path.clone())).collect();
    assert_eq!(names, [("laptop", None), ("phone", Some(byway_core::clients::Path::Direct))]);
    assert_eq!(roll.name_ports, [40_123]);

    fake.answer(
        "GET derpmap",
        200,
        r#"{"Regions":{"9":{"Nodes":[{"HostName":"b.example.net"},{"HostName":"a.example.net"}]}}}"#,
    );
    let hosts = fake.api().derp_hosts().await.unwrap();
    assert_eq!(hosts.into_iter().collect::<Vec<_>>(), ["a.example.net", "b.example.net"]);

    let addr = "100.64.0.7:4000".parse().unwrap();
    fake.answer(
        "GET whois",
        404,
        "no match for IP:port
",
    );
    assert_eq!(fake.api().whois(addr).await.unwrap(), None);
    fake.answer(
        "GET whois",
        200,
        r#"{"Node":{"Name":"phone.t.example.net."},"UserProfile":{"LoginName":"alice"}}"#,
    );
    let caller = Caller { node: "phone.t.example.net".into(), user: "alice".into() };
    assert_eq!(fake.api().whois(addr).await.unwrap(), Some(caller));
}

#[tokio::test]
async fn hears_every_notice_of_the_bus_and_its_end() {
    let fake = Fake::start();
    let mut bus = fake.api().watch().await.unwrap();
    assert_eq!(bus.first().await.unwrap(), Notice { err_message: None });
    fake.notify("{\"ErrMessage\":\"no such");
    fake.notify(" key\"}\n{\"State\":6,\"Health\":null}\n");
    assert_eq!(bus.next().await.unwrap(), Notice { err_message: Some("no such key".into()) });
    assert_eq!(bus.next().await.unwrap(), Notice { err_message: None });
    fake.hang_up();
    assert!(bus.next().await.is_err());
}

/// Beside what it kept, it took no more than what was under way.
#[tokio::test]
async fn takes_no_more_of_an_endless_answer_than_a_good_one_could_have() {
    const UNDER_WAY: usize = 2 << 20;
    let fake = Fake::start();
    for call in ["GET status", "GET prefs", "GET derpmap", "GET whois", "POST start"] {
        fake.never_end(call, b"{");
    }
    let api = fake.api();
    let errors = [
        api.status().await.unwrap_err(),
        api.prefs().await.unwrap_err(),
        api.derp_hosts().await.unwrap_err(),
        api.whois("100.64.0.7:1".parse().unwrap()).await.unwrap_err(),
    ];
    assert!(errors.iter().all(|error| error.to_string().ends_with("more than 256 KiB")), "{errors:?}");
    assert!(fake.taken() < errors.len() * (LONGEST_ANSWER + UNDER_WAY), "{} bytes", fake.taken());
    let error = api.peers().await.unwrap_err().to_string();
    assert!(error.ends_with("more than 4096 KiB"), "{error}");
}

#[tokio::test]
async fn a_line_of_the_bus_that_is_too_long_to_keep_is_a_notice_all_the_same() {
    let fake = Fake::start();
    let mut bus = fake.api().watch().await.unwrap();
    bus.first().await.unwrap();
    let chunk = "x".repeat(100_000);
    let say = async {
        fake.notify("{\"NetMap\":\"");
        for _ in 0..30 {
            while !fake.try_notify(&chunk) {
                tokio::task::yield_now().await;
            }
        }
        while !fake.try_notify("\"}\n{\"ErrMessage\":\"after it\"}\n") {
            tokio::task::yield_now().await;
        }
    };
    let (heard, ()) = tokio::join!(bus.next(), say);
    assert_eq!(heard.unwrap(), Notice { err_message: None });
    assert_eq!(bus.next().await.unwrap(), Notice { err_message: Some("after it".into()) });
}

#[tokio::test]
async fn a_bus_that_never_comes_to_the_end_of_a_line_is_a_dead_one() {
    let fake = Fake::start();
    fake.never_end("GET watch-ipn-bus", b"{");
    let api = fake.api().with_patience(Duration::from_millis(300));
    let mut bus = api.watch().await.unwrap();
    while fake.taken() < 4 << 20 {
        assert!(matches!(bus.first().await, Err(Error::Silent { .. })));
    }
    assert!(bus.kept() < 3 << 20, "{} bytes are kept", bus.kept());
}
