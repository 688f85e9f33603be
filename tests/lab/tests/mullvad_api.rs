//! The fake of Mullvad's API, tried before a box asks it: where it is found, what it answers, that the relays serve whom it
//! has registered, and how it goes wrong. Needs root and the tools that `byway-lab` names when they are missing.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use byway_lab::World;
use byway_lab::mullvad_api::{ACCOUNT, HOST, Mood, PAID, Replacing};
use byway_lab::namespace::Namespace;
use byway_lab::question::{RecordType, ResponseCode, Transport, ask};
use byway_lab::relay::Relay;
use byway_lab::topology::{HOUSE_LAN_V4, MULLVAD_API, PINNED_API, Place, SERVER_V4, SeenAs};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(3);
const KEYS: [&str; 3] = [
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=",
    "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBE=",
    "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCE=",
];

/// One world for all of it.
#[test]
fn mullvads_fake_is_found_keeps_devices_tells_the_relays_and_goes_wrong_as_told() -> Result<()> {
    let mut world = World::raise()?;
    is_found_by_name_and_without(&mut world)?;
    tells_a_stranger_only_the_list(&world)?;
    keeps_devices_that_the_relays_serve(&mut world)?;
    has_room_for_five(&world)?;
    has_another_list_when_a_relay_goes(&world)?;
    goes_wrong_as_it_is_told(&world)?;
    remembers_who_has_asked(&world)
}

fn is_found_by_name_and_without(world: &mut World) -> Result<()> {
    let (v4, v6) = MULLVAD_API;
    for address in [IpAddr::V4(v4), v6.into(), PINNED_API.into()] {
        let answer = Caller { address, ..Caller::of(world) }.call("GET", "/app/v1/relays", &Value::Null)?;
        ensure!(answer.status == 200, "{address}: {answer:?}");
    }
    ensure!(resolved(world, HOUSE_LAN_V4.into())? == [v4.to_string()], "the house does not know it");
    ensure!(resolved(world, SERVER_V4.into())? == [v4.to_string()], "the internet does not know it");
    world.house.forget_mullvad()?;
    ensure!(resolved(world, HOUSE_LAN_V4.into())?.is_empty(), "the house still knows it");
    world.house.remember_mullvad()?;
    ensure!(!resolved(world, HOUSE_LAN_V4.into())?.is_empty(), "the house does not know it again");
    Ok(())
}

fn tells_a_stranger_only_the_list(world: &World) -> Result<()> {
    let caller = Caller::of(world);
    for (method, path, body, status, code) in [
        ("POST", "/auth/v1/token", json!({"account_number": "1234123412341234"}), 400, "INVALID_ACCOUNT"),
        ("POST", "/auth/v1/token", json!({"number": ACCOUNT}), 400, "BAD_REQUEST"),
        ("GET", "/accounts/v1/devices", Value::Null, 401, "INVALID_ACCESS_TOKEN"),
        ("GET", "/accounts/v1/accounts/me", Value::Null, 401, "INVALID_ACCESS_TOKEN"),
        ("GET", "/app/v2/relays", Value::Null, 404, "NOT_FOUND"),
    ] {
        let answer = caller.call(method, path, &body)?;
        ensure!(
            (answer.status, &answer.body["code"]) == (status, &json!(code)),
            "{method} {path}: {answer:?}"
        );
    }
    Ok(())
}

fn keeps_devices_that_the_relays_serve(world: &mut World) -> Result<()> {
    let mut caller = Caller::of(world).logged_in()?;
    let [first, second, third] = KEYS;
    let device = caller.register(first, 201)?;
    ensure!(device["pubkey"] == first && device["hijack_dns"] == false, "{device}");
    ensure!(device["name"].as_str().is_some_and(|name| name.split(' ').count() == 2), "{device}");
    let id = device["id"].as_str().context("no id")?;
    ensure!(caller.get("/accounts/v1/devices")? == json!([device]), "another list");
    ensure!(caller.get(&format!("/accounts/v1/devices/{id}"))? == device, "another device");
    served(world, &[(first, &device)])?;

    let key_path = format!("/accounts/v1/devices/{id}/pubkey");
    let replaced = caller.call("PUT", &key_path, &json!({"pubkey": second}))?;
    ensure!(replaced.status == 200 && replaced.body["pubkey"] == second, "{replaced:?}");
    ensure!(replaced.body["ipv4_address"] == device["ipv4_address"], "{replaced:?}");
    served(world, &[(second, &device)])?;
    world.mullvad.replace_keys(Replacing::Elsewhere)?;
    let moved = caller.call("PUT", &key_path, &json!({"pubkey": first}))?.body;
    ensure!(["ipv4_address", "ipv6_address"].iter().all(|key| moved[key] != device[key]), "{moved}");
    served(world, &[(first, &moved)])?;
    world.mullvad.replace_keys(Replacing::Untold)?;
    let untold = caller.call("PUT", &key_path, &json!({"pubkey": third}))?;
    ensure!(untold.status == 200 && untold.body["pubkey"] == third, "{untold:?}");
    served(world, &[(first, &moved)])?;
    world.mullvad.replace_keys(Replacing::Good)?;
    served(world, &[(third, &moved)])?;
    world.mullvad.behave(Mood::CutDevices);
    ensure!(caller.get("/accounts/v1/devices")? == json!([untold.body]), "another list");
    ensure!(caller.call("PUT", &key_path, &json!({"pubkey": second})).is_err(), "the answer came whole");
    served(world, &[(second, &moved)])?;
    world.mullvad.behave(Mood::Good);

    world.mullvad.grant(ACCOUNT, Duration::ZERO)?;
    served(world, &[])?;
    world.mullvad.grant(ACCOUNT, PAID)?;
    served(world, &[(second, &moved)])?;
    for relay in world.relays().map(Relay::name) {
        world.relay_called(relay)?.forget()?;
    }
    served(world, &[(second, &moved)])?;
    ensure!(world.relay.latest_handshake_of(second)?.is_none(), "a handshake with nobody");

    world.mullvad.forget_tokens();
    ensure!(caller.call("GET", "/accounts/v1/devices", &Value::Null)?.status == 401, "the old token is good");
    caller = Caller::of(world).logged_in()?;
    let removed = caller.call("DELETE", &format!("/accounts/v1/devices/{id}"), &Value::Null)?;
    ensure!(removed.status == 204, "{removed:?}");
    served(world, &[])?;
    let gone = caller.call("PUT", &key_path, &json!({"pubkey": first}))?;
    ensure!((gone.status, &gone.body["code"]) == (404, &json!("DEVICE_NOT_FOUND")), "{gone:?}");
    ensure!(caller.register(second, 400)?["code"] == "PUBKEY_IN_USE", "a removed key is free at once");
    ensure!(caller.register("not a key", 400)?["code"] == "BAD_REQUEST", "anything is a key");
    Ok(())
}

fn has_room_for_five(world: &World) -> Result<()> {
    let caller = Caller::of(world).logged_in()?;
    ensure!(caller.get("/accounts/v1/accounts/me")?["can_add_devices"] == true, "there is no room");
    world.mullvad.fill(ACCOUNT)?;
    let me = caller.get("/accounts/v1/accounts/me")?;
    ensure!(me["can_add_devices"] == false && me["max_devices"] == 5, "{me}");
    ensure!(me["expiry"].as_str().is_some_and(|expiry| expiry.ends_with("+00:00")), "{me}");
    ensure!(caller.register(KEYS[0], 400)?["code"] == "MAX_DEVICES_REACHED", "a sixth device");
    ensure!(world.mullvad.devices(ACCOUNT).len() == 5, "{:?}", world.mullvad.devices(ACCOUNT));
    world.mullvad.remove_devices(ACCOUNT)?;
    served(world, &[])
}

fn has_another_list_when_a_relay_goes(world: &World) -> Result<()> {
    let caller = Caller::of(world);
    let first = caller.call("GET", "/app/v1/relays", &Value::Null)?;
    let tag = first.head.get("etag").context("no tag")?;
    for relay in world.relays() {
        let listed = listed(&first.body, relay.name())?;
        let [v4, v6] = relay.site().addresses().map(|address| json!(address));
        ensure!((&listed["ipv4_addr_in"], &listed["ipv6_addr_in"]) == (&v4, &v6), "{listed}");
        ensure!(listed["public_key"] == relay.public_key()?.trim() && listed["active"] == true, "{listed}");
    }
    let known = |tag: &str| {
        Caller { tag: Some(tag.to_owned()), ..Caller::of(world) }.call("GET", "/app/v1/relays", &Value::Null)
    };
    let same = known(tag)?;
    ensure!((same.status, &same.body) == (304, &Value::Null), "{same:?}");
    world.mullvad.take_out("se-got-wg-002");
    world.mullvad.mark_inactive("se-mma-wg-001");
    let other = known(tag)?;
    ensure!(other.status == 200 && listed(&other.body, "se-got-wg-002").is_err(), "{other:?}");
    ensure!(listed(&other.body, "se-mma-wg-001")?["active"] == false, "{other:?}");
    world.mullvad.restore_list();
    let restored = known(tag)?;
    ensure!(restored.status == 200 && restored.body == first.body, "{restored:?}");
    Ok(())
}

fn goes_wrong_as_it_is_told(world: &World) -> Result<()> {
    let caller = Caller::of(world);
    let ask = || caller.call("GET", "/app/v1/relays", &Value::Null);
    world.mullvad.behave(Mood::Busy(Duration::from_mins(2)));
    let busy = ask()?;
    ensure!(
        busy.status == 429 && busy.head.get("retry-after").is_some_and(|after| after == "120"),
        "{busy:?}"
    );
    for (mood, complaint) in [
        (Mood::Cut, "curl: (18)"),
        (Mood::Slow(2 * SOON), "curl: (28)"),
        (Mood::Garbage, "expected value"),
        (Mood::Stranger, "curl: (60)"),
    ] {
        world.mullvad.behave(mood);
        let error = format!("{:#}", ask().err().with_context(|| format!("{mood:?}, and it answers"))?);
        ensure!(error.contains(complaint), "{mood:?}: {error}");
    }
    world.mullvad.behave(Mood::Good);
    world.mullvad.go_away()?;
    let (v4, v6) = MULLVAD_API;
    for address in [IpAddr::V4(v4), v6.into(), PINNED_API.into()] {
        let away = Caller { address, ..Caller::of(world) }.call("GET", "/app/v1/relays", &Value::Null);
        let error = format!("{:#}", away.err().context("away, and it answers")?);
        ensure!(error.contains("curl: (7)"), "{address}: {error}");
    }
    world.mullvad.come_back()?;
    ensure!(ask()?.status == 200, "it is not back");
    Ok(())
}

fn remembers_who_has_asked(world: &World) -> Result<()> {
    let before = world.mullvad.asked().len();
    Caller::of(world).call("GET", "/app/v1/relays", &Value::Null)?;
    let relay = Caller { inside: world.namespace(Place::Relay), ..Caller::of(world) };
    relay.call("POST", "/auth/v1/token", &json!({"account_number": ACCOUNT}))?;
    let asked = world.mullvad.asked().split_off(before);
    let told = |seen, method: &str, path: &str| {
        asked.iter().any(|asked| {
            SeenAs::of(asked.from) == seen
                && (asked.to, asked.status) == (MULLVAD_API.0.into(), 200)
                && (asked.method.as_str(), asked.path.as_str()) == (method, path)
        })
    };
    ensure!(asked.len() == 2 && told(SeenAs::House, "GET", "/app/v1/relays"), "{asked:?}");
    ensure!(told(SeenAs::Relay, "POST", "/auth/v1/token"), "{asked:?}");
    Ok(())
}

/// Somebody with curl.
struct Caller {
    inside: Namespace,
    address: IpAddr,
    authority: String,
    token: Option<String>,
    tag: Option<String>,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: BTreeMap<String, String>,
    body: Value,
}

impl Caller {
    /// In the house, whose network nobody has taken from the box yet.
    fn of(world: &World) -> Self {
        let authority = world.authority().display().to_string();
        let inside = world.namespace(Place::Box);
        Self { inside, address: MULLVAD_API.0.into(), authority, token: None, tag: None }
    }

    fn logged_in(self) -> Result<Self> {
        let answer = self.call("POST", "/auth/v1/token", &json!({"account_number": ACCOUNT}))?;
        let token = answer.body["access_token"].as_str().with_context(|| format!("no token: {answer:?}"))?;
        Ok(Self { token: Some(token.to_owned()), ..self })
    }

    fn get(&self, path: &str) -> Result<Value> {
        let answer = self.call("GET", path, &Value::Null)?;
        ensure!(answer.status == 200, "{path}: {answer:?}");
        Ok(answer.body)
    }

    fn register(&self, key: &str, status: u16) -> Result<Value> {
        let answer =
            self.call("POST", "/accounts/v1/devices", &json!({"pubkey": key, "hijack_dns": false}))?;
        ensure!(answer.status == status, "{answer:?}");
        Ok(answer.body)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        let resolve = format!("{HOST}:443:{}", bracketed(self.address));
        let limit = SOON.as_secs().to_string();
        let mut words =
            Vec::from(["curl", "-sSi", "--noproxy", "*", "-m", &limit, "--cacert", &self.authority]);
        words.extend(["--resolve", &resolve, "-X", method]);
        let headers = [
            self.token.as_ref().map(|token| format!("authorization: Bearer {token}")),
            self.tag.as_ref().map(|tag| format!("if-none-match: {tag}")),
        ];
        words.extend(headers.iter().flatten().flat_map(|header| ["-H", header]));
        let json = body.to_string();
        if !body.is_null() {
            words.extend(["-H", "content-type: application/json", "--data-binary", &json]);
        }
        let url = format!("https://{HOST}{path}");
        words.push(&url);
        parse(&self.inside.run(&words)?)
    }
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

fn parse(answer: &str) -> Result<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status")?;
    let head = lines.filter_map(|line| line.split_once(": "));
    Ok(Answer {
        status: status.parse()?,
        head: head.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: if body.is_empty() { Value::Null } else { serde_json::from_str(body)? },
    })
}

fn resolved(world: &World, server: IpAddr) -> Result<Vec<String>> {
    let inside = world.namespace(Place::Box);
    let reply = ask(&inside, SocketAddr::new(server, 53), Transport::Udp, (HOST, RecordType::A), SOON)?;
    ensure!(matches!(reply.code, ResponseCode::NoError | ResponseCode::NXDomain), "{reply:?}");
    Ok(reply.data)
}

fn listed<'a>(list: &'a Value, name: &str) -> Result<&'a Value> {
    let relays = list["wireguard"]["relays"].as_array().context("no relays")?;
    relays.iter().find(|relay| relay["hostname"] == name).with_context(|| format!("no {name}"))
}

/// That each relay serves these keys by their devices' addresses, and no others but the cards' own.
fn served(world: &World, expected: &[(&str, &Value)]) -> Result<()> {
    for relay in world.relays() {
        let inside = world.namespace(relay.site().place);
        let listing = inside.run(&["wg", "show", relay.device(), "allowed-ips"])?;
        let peers: BTreeMap<&str, &str> = listing.lines().filter_map(|line| line.split_once('\t')).collect();
        ensure!(peers.len() == expected.len() + 1, "{}: {peers:?}", relay.name());
        for (key, device) in expected {
            let addresses = peers.get(key).with_context(|| format!("{}: {peers:?}", relay.name()))?;
            let all = ["ipv4_address", "ipv6_address"].map(|key| device[key].as_str().unwrap_or("none"));
            ensure!(all.iter().all(|address| addresses.contains(address)), "{addresses}: {device}");
        }
    }
    Ok(())
}
