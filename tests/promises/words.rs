//! What the commands say, against a box that carries.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use byway_lab::stage::{Stage, is_as_wished};
use serde_json::{Value, json};

use crate::evidence::phone_addresses;
use crate::ordeal::PATIENCE;

/// It is looked at every few seconds.
const COUNTED: Duration = Duration::from_secs(20);

const PROMISES: [&str; 20] = [
    "rules",
    "forwarding",
    "clock",
    "power",
    "heat",
    "disk",
    "spare",
    "watchdog",
    "memory",
    "connections",
    "offloads",
    "governor",
    "uplink",
    "dns",
    "tunnel",
    "relays",
    "tailnet",
    "residential",
    "door",
    "exit",
];

pub(super) fn doctor_prints_every_promise(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    let said = stage.byway.cli(&["doctor"])?;
    ensure!(said.code == Some(0), "{said:?}");
    let lines: Vec<&str> = said.stdout.lines().collect();
    ensure!(lines.len() == PROMISES.len(), "{}", said.stdout);
    for (line, promise) in lines.iter().zip(PROMISES) {
        ensure!(line.starts_with("ok ") && line.contains(promise), "{line}");
    }
    for told in [
        "127.0.0.1 answers; privacy asks https://dns-privacy.example.net;",
        "nobody else is named",
        "fed every 3 s;",
        "silent ones are kept for 7440 s (TCP), 300 s (UDP), 30 s (UDP that nobody answers)",
        "eth0: rx-udp-gro-forwarding on, rx-gro-list off",
    ] {
        ensure!(said.stdout.contains(told), "{}", said.stdout);
    }
    let exit = lines.last().context("no lines")?;
    ensure!(exit.contains("192.0.2.130") && exit.contains("2001:db8:50::130"), "{exit}");
    Ok(())
}

/// By each door its own upstream, and the box by itself where nobody else is to be asked.
pub(super) fn dns_tells_whose_an_answer_is(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    for (door, upstream) in
        [("residential", "tls://dns-residential.example.net"), ("privacy", "https://dns-privacy.example.net")]
    {
        let said = stage.byway.cli(&["egress", door])?;
        ensure!(said.code == Some(0), "{said:?}");
        let said = stage.byway.cli(&["dns", "Web.Example.net"])?;
        let told = said.stdout.contains(" A 192.0.2.80\n")
            && said.stdout.contains(&format!("by {door} ({upstream}) in "));
        ensure!(said.code == Some(0) && told, "{said:?}");
        let answered = |status: &Value| {
            let told = &status["dns"][door];
            told["upstream"] == upstream && told["last_ok_s"].is_u64()
        };
        stage.byway.wait_status("the answer to be counted", Duration::from_secs(5), answered)?;
    }
    let said = stage.byway.cli(&["dns", "web.example.net", "--type", "aaaa", "--json"])?;
    let told: Value = serde_json::from_str(&said.stdout).with_context(|| format!("{said:?}"))?;
    ensure!(told["by"] == "privacy" && told["type"] == "AAAA" && told["rcode"] == "NOERROR", "{told}");
    for (words, code, hint) in [
        (
            &["dns", "nothing.example.net"][..],
            1,
            "there is no name nothing.example.net (NXDOMAIN), by privacy",
        ),
        (&["dns", "web.example.net", "--type", "MX"], 1, "web.example.net has no record of type MX"),
        (&["dns", "printer.local"], 1, "by box"),
        (&["dns", "a..b"], 2, "is no name"),
        (&["dns", "--log"], 1, "write log = true below [dns]"),
    ] {
        let said = stage.byway.cli(words)?;
        ensure!(said.code == Some(code) && said.stderr.contains(hint), "{words:?}: {said:?}");
    }
    stage.byway.cli(&["egress", "sealed"])?;
    let said = stage.byway.cli(&["dns", "web.example.net"])?;
    ensure!(said.code == Some(1) && said.stderr.contains("no door is open"), "{said:?}");
    stage.carry()
}

pub(super) fn clients_names_the_phone(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    let addresses = phone_addresses(stage)?.map(|address| address.to_string());
    let is_counted = |status: &Value| {
        let client = &status["clients"][0];
        let seen = |name: &str| client[name].as_u64().is_some_and(|ago_s| ago_s < 120);
        let bytes = |name: &str| client[name].as_u64().unwrap_or_default();
        client["name"] == "phone"
            && client["path"] == "direct"
            && client["addresses"] == json!(addresses)
            && bytes("tx_bytes") > 0
            && bytes("rx_bytes") > 0
            && seen("first_seen_s_ago")
            && seen("last_seen_s_ago")
    };
    let told = stage.byway.wait_status("the phone to be counted", COUNTED, is_counted)?;
    let said = stage.byway.cli(&["clients"])?;
    ensure!(
        said.code == Some(0) && said.stdout.contains("phone ") && said.stdout.contains(" direct\n"),
        "{said:?}"
    );
    ensure!(said.stdout.lines().all(|line| line.len() <= 80), "{}", said.stdout);

    // Neither a rule set that is loaded anew nor another agent of the same boot forgets it.
    let before = told["clients"][0].clone();
    stage.byway.kill9()?;
    stage.byway.start()?;
    stage.byway.wait_status("the privacy door again", PATIENCE, is_as_wished)?;
    let goes_on = |status: &Value| {
        let client = &status["clients"][0];
        let more = |name: &str| client[name].as_u64() >= before[name].as_u64();
        client["name"] == "phone" && more("tx_bytes") && more("rx_bytes") && more("first_seen_s_ago")
    };
    stage.byway.wait_status("what was counted to go on", COUNTED, goes_on).map(drop)
}

/// Nothing secret, nothing to change, and the same figures as everywhere else.
pub(super) fn wg_shows_the_tunnel(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    let said = stage.byway.wg(&["show", "wg0", "dump"])?;
    let table: Vec<Vec<&str>> = said.stdout.lines().map(|line| line.split('\t').collect()).collect();
    let [interface, peer] = table.as_slice() else { bail!("no interface with one peer: {said:?}") };
    ensure!(*interface == ["(none)", "(none)", "41642", "0x4000000"], "{said:?}");
    let relay = stage.world.relay.public_key()?;
    let &[key, "(none)", endpoint, allowed, handshake, received, sent, "25"] = peer.as_slice() else {
        bail!("not the peer: {said:?}")
    };
    ensure!(key == relay.trim() && allowed == "0.0.0.0/0,::/0", "{said:?}");
    // Each is looked up now and then, and neither is always the newer one.
    let at_least =
        |told: &Value, bytes: &str| told.as_u64().unwrap_or_default() >= bytes.parse().unwrap_or(u64::MAX);
    let is_told = |status: &Value| {
        at_least(&status["tunnel"]["rx_bytes"], received) && at_least(&status["tunnel"]["tx_bytes"], sent)
    };
    let status =
        stage.byway.wait_status("the same figures", COUNTED, is_told).with_context(|| format!("{said:?}"))?;
    ensure!(received != "0" && sent != "0", "{said:?}");
    let tunnel = |name: &str| status["tunnel"][name].as_u64().unwrap_or_default();
    ensure!(status["tunnel"]["endpoint"] == endpoint, "{endpoint}, but {status}");
    let age = SystemTime::now().duration_since(UNIX_EPOCH + Duration::from_secs(handshake.parse()?))?;
    ensure!(age.as_secs().abs_diff(tunnel("handshake_age_s")) <= 5, "{} s ago, but {status}", age.as_secs());
    let said = stage.byway.wg(&["show"])?;
    ensure!(said.code == Some(0) && said.stdout.contains("interface: wg0"), "{said:?}");

    for change in [["fwmark", "1"], ["listen-port", "1"]] {
        let said = stage.byway.wg(&[&["set", "wg0"], &change[..]].concat())?;
        let refusal = "Unable to modify interface: Operation not supported";
        ensure!(said.code == Some(1) && said.stderr.trim() == refusal, "{said:?}");
    }
    Ok(())
}

pub(super) fn a_second_agent_is_refused(stage: &mut Stage) -> Result<()> {
    let folders = [
        ("--config", stage.byway.config_path()),
        ("--state-dir", stage.byway.state_dir()),
        ("--run-dir", stage.byway.run_dir()),
    ];
    let mut words = vec!["run"];
    for (option, path) in &folders {
        words.extend([*option, path.to_str().context("no UTF-8")?]);
    }
    let said = stage.byway.binary(&words)?;
    ensure!(said.code == Some(1) && said.stderr.contains("running already"), "{said:?}");
    ensure!(stage.byway.cli(&["status"])?.code == Some(0), "the first one was hurt");
    Ok(())
}
