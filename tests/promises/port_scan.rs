//! Whoever looks for a way in: all TCP and UDP ports of the box, both families, by nmap, from a host of the house and from the
//! relay. What answers is nmap's word; what came past the filter, whether anybody answers or not, is the box's kernel's: a
//! table of the test's own behind byway's.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use byway_lab::namespace::Namespace;
use byway_lab::neighbour::NEIGHBOUR_V4;
use byway_lab::stage::Stage;
use byway_lab::topology::Place;
use byway_lab::wait_for;
use serde_json::Value;

use crate::evidence::house_addresses;
use crate::ordeal::PATIENCE;
use crate::way_in::{self, NEIGHBOUR_V6};

/// Ports that are asked before it is looked whether all were: the whole list of what came takes seconds.
const BLOCK: usize = 8192;
const LAST_OF_BLOCK: u16 = 8191;
const GATEWAY: [&str; 2] = ["10.64.0.1", "fc00:bbbb:bbbb:bb01::1"];
const TUNNEL: [&str; 2] = ["10.64.5.5", "fc00:bbbb:bbbb:bb01::5"];
const TAILSCALED: &str = "udp 41641";

pub(super) fn finds_nothing_else(stage: &mut Stage) -> Result<()> {
    let (owner, _way_in) = way_in::invite(stage, "")?;
    way_in::wait_for_login_by_the_tailnet(stage, &owner)?;
    let _neighbour = way_in::neighbour(stage)?;
    let (house, relay) = (of_the_house(stage)?, of_the_relay(stage));
    scan_all(stage, &house, &[], &[TAILSCALED])?;
    scan_all(stage, &relay, &[], &[])?;
    // A way in on purpose is found, so that the silence is one; and no door need be open for it.
    stage.byway.write_ssh(&format!("keys = [{:?}]\nlan = true", owner.public_key()?))?;
    way_in::restart(stage)?;
    let said = stage.byway.cli(&["egress", "sealed"])?;
    ensure!(said.code == Some(0), "byway egress sealed: {said:?}");
    scan_all(stage, &house, &["22/open/tcp"], &["tcp 22", TAILSCALED])?;
    stage.carry()?;
    way_in::forget(stage)
}

/// Somebody with an address who scans one of the box's.
struct Scanner {
    place: Namespace,
    from: String,
    to: String,
    /// Packets a second: the relay's have to be sealed, carried and opened.
    rate: &'static str,
}

fn of_the_house(stage: &Stage) -> Result<[Scanner; 2]> {
    let [v4, v6] = house_addresses(stage)?.map(|address| address.to_string());
    let scanner = |from, to| {
        let place = stage.world.namespace(Place::Neighbour);
        Scanner { place, from, to, rate: "20000" }
    };
    Ok([scanner(NEIGHBOUR_V4.to_string(), v4), scanner(NEIGHBOUR_V6.to_owned(), v6)])
}

fn of_the_relay(stage: &Stage) -> [Scanner; 2] {
    [0, 1].map(|family| Scanner {
        place: stage.world.namespace(Place::Relay),
        from: GATEWAY[family].to_owned(),
        to: TUNNEL[family].to_owned(),
        rate: "6000",
    })
}

/// Both at once. `finds`: in nmap's words; `comes_past`: what of theirs is let in.
fn scan_all(stage: &Stage, scanners: &[Scanner; 2], finds: &[&str], comes_past: &[&str]) -> Result<()> {
    let byway = stage.byway.namespace();
    byway.nft(&listening(scanners)?)?;
    let found = thread::scope(|scope| {
        let running = scanners.each_ref().map(|scanner| scope.spawn(|| scanner.scan_all(byway)));
        running.map(|scan| scan.join().expect("a scan panicked"))
    });
    for (scanner, found) in scanners.iter().zip(found) {
        let who = format!("{} to {}", scanner.from, scanner.to);
        let found = found.with_context(|| who.clone())?;
        let past = ports(byway, &scanner.past())?;
        ensure!(past == words(comes_past), "{who}: let in were {past:?}, not {comes_past:?}");
        ensure!(found == words(finds), "{who}: nmap has found {found:?}, not {finds:?}");
    }
    byway.nft("delete table inet scanned")
}

impl Scanner {
    /// Block by block until every port was asked: on the way from the relay some packets are lost. What gives a sign of life,
    /// open or not, is told as `22/open/tcp`; of a few ports nmap lists what gave none, too.
    fn scan_all(&self, byway: &Namespace) -> Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        for block in blocks() {
            let set = self.came(&block);
            let mut left = missing(block.clone(), &BTreeSet::new());
            wait_for("every port to be asked", PATIENCE, || {
                found.extend(self.scan(&left)?);
                let came = ports(byway, &set)?;
                left = missing(block.clone(), &came);
                ensure!(left.is_empty(), "{} have come", came.len());
                Ok(())
            })?;
        }
        Ok(found)
    }

    fn scan(&self, ports: &str) -> Result<BTreeSet<String>> {
        let family = if self.is_v4() { "-4" } else { "-6" };
        let pace = ["-T5", "--max-retries", "0", "--min-rate", self.rate, "--max-rate", self.rate];
        let what = ["-n", "-Pn", "-sS", "-sU", "-p", ports, "-oG", "-", family, self.to.as_str()];
        let told = self.place.run(&[&["nmap"], &pace[..], &what].concat())?;
        ensure!(told.contains("1 host up"), "no scan: {told}");
        let ports = told.lines().filter_map(|line| line.split("Ports: ").nth(1));
        let ports = ports.flat_map(|ports| ports.split('\t').next().unwrap_or_default().split(", "));
        let state = |port: &str| port.split('/').take(3).collect::<Vec<_>>().join("/");
        let is_found =
            |port: &String| (port.contains("/tcp") || port.contains("/udp")) && !port.contains("filtered");
        Ok(ports.map(state).filter(is_found).collect())
    }

    fn is_v4(&self) -> bool {
        !self.to.contains(':')
    }

    /// The sets of the test's own table: what came, and what got past the filter.
    fn came(&self, block: &RangeInclusive<u16>) -> String {
        format!("came{}_{}", if self.is_v4() { 4 } else { 6 }, block.start())
    }

    fn past(&self) -> String {
        format!("past{}", if self.is_v4() { 4 } else { 6 })
    }
}

/// What came of each, block by block and before every filter, and what is let in, behind byway's. Nothing is taken out of a set
/// before the end: the kernel would tell the agent of each port.
fn listening(scanners: &[Scanner; 2]) -> Result<String> {
    let (mut sets, mut came, mut past) = (String::new(), String::new(), String::new());
    let mut declare = |set: &str| {
        writeln!(sets, "set {set} {{ type inet_proto . inet_service; size 131072; flags dynamic; }}")
    };
    for scanner in scanners {
        let ip = if scanner.is_v4() { "ip" } else { "ip6" };
        let of_it = format!("{ip} saddr {} meta l4proto {{ tcp, udp }}", scanner.from);
        for block in blocks() {
            let (set, first, last) = (scanner.came(&block), block.start(), block.end());
            declare(&set)?;
            writeln!(came, "{of_it} th dport {first}-{last} update @{set} {{ meta l4proto . th dport }}")?;
        }
        declare(&scanner.past())?;
        // A relay's machine answers the box's own questions, too.
        writeln!(
            past,
            "{of_it} ct state != established update @{} {{ meta l4proto . th dport }}",
            scanner.past()
        )?;
    }
    Ok(format!(
        "table inet scanned {{\n{sets}
        chain came {{ type filter hook prerouting priority -500; policy accept;\n{came}}}
        chain past {{ type filter hook input priority 500; policy accept;\n{past}}}\n}}"
    ))
}

/// All ports there are.
fn blocks() -> impl Iterator<Item = RangeInclusive<u16>> {
    (1..=u16::MAX).step_by(BLOCK).map(|first| first..=first.saturating_add(LAST_OF_BLOCK))
}

/// What is in a set of the test's own, as `tcp 22`.
fn ports(byway: &Namespace, set: &str) -> Result<BTreeSet<String>> {
    let told = byway.run(&["nft", "-j", "list", "set", "inet", "scanned", set])?;
    let told: Value = serde_json::from_str(&told).context("no listing")?;
    let items = told["nftables"].as_array().context("no listing")?;
    let listed = items.iter().find_map(|item| item["set"].as_object()).context("no set")?;
    let elements = listed.get("elem").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let word = |element: &Value| {
        let pair = &element["concat"];
        format!("{} {}", pair[0].as_str().unwrap_or_default(), pair[1])
    };
    Ok(elements.iter().map(word).collect())
}

/// As nmap takes them.
fn missing(of: RangeInclusive<u16>, came: &BTreeSet<String>) -> String {
    let of_kind = |kind: &str, letter: &str| {
        let not = |port: &u16| !came.contains(&format!("{kind} {port}"));
        let ports: Vec<String> = of.clone().filter(not).map(|port| port.to_string()).collect();
        (!ports.is_empty()).then(|| format!("{letter}:{}", ports.join(",")))
    };
    let kinds = [of_kind("tcp", "T"), of_kind("udp", "U")];
    kinds.into_iter().flatten().collect::<Vec<_>>().join(",")
}

fn words(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
