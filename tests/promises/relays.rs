//! A box with three relays in two cities: one that dies is replaced before anybody notices, what is wrong with each is told in
//! its own words, and the house's door is never the answer.

pub(super) mod deaths;

use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use byway_lab::card::conf_name;
use byway_lab::judge::Door;
use byway_lab::phone::Family;
use byway_lab::relay::{Relay, Trouble};
use byway_lab::stage::{Stage, is_as_wished};
use byway_lab::topology::{Place, relay_seen};
use byway_lab::traffic::{Kind, Rates};
use byway_lab::wait_for;
use serde_json::Value;

use crate::ordeal::{GENTLE, Ordeal, PATIENCE, says};

const FIRST: &str = "se-got-wg-001";
/// In the same city. The box reaches it by IPv6.
const NEARBY: &str = "se-got-wg-002";
const REMOTE: &str = "se-mma-wg-001";

/// Most apps begin anew when a relay dies. Some never do: what they go on with must not come by the next one.
const TALKING_ON: Rates =
    Rates { long_udp: 300, new_udp: 50, new_tcp: 10, long_tcp: 50, for_life: 20, odd: 0 };

/// Both ways, of a box that nobody uses.
const IDLE_BYTES_A_SECOND: u64 = 2000;

/// What a test finds beside a relay that carries all the while: a port that is blocked, and a way that is too narrow.
pub(super) fn obstacles_are_got_around(stage: &mut Stage) -> Result<()> {
    const BLOCKED: &str = "by port 443: nothing came back from 51820";
    const NARROW: &str = "bigger packets vanish";
    know_all(stage)?;
    stage.carry()?;
    // A port that once gave no answer is not the first to be tried.
    begin_anew(stage)?;
    test_until_proven(stage, FIRST)?;
    use_relay(stage, FIRST)?;
    stage.world.relay_called(NEARBY)?.trouble(Trouble::PortBlocked(51820))?;
    stage.world.relay_called(REMOTE)?.trouble(Trouble::Narrow(1200))?;
    let found = test(stage, 3)?;
    ensure!(of(&found, NEARBY)?["endpoint"] == "[2001:db8:51::162]:443", "{found:?}");
    ensure!(obstacle(&found, REMOTE)?.contains("bytes vanish on the way"), "{found:?}");
    ensure!(active(stage)? == FIRST && is_as_wished(&stage.byway.status()?), "{found:?}");

    stage.world.relay_called(REMOTE)?.trouble(Trouble::Narrow(1400))?;
    let found = test(stage, 0)?;
    let mtu = of(&found, REMOTE)?["mtu"].as_u64();
    ensure!(mtu.is_some_and(|mtu| (1280..=1340).contains(&mtu)), "{found:?}");
    for (relay, oddity) in [(NEARBY, BLOCKED), (REMOTE, NARROW)] {
        use_relay(stage, relay)?;
        stage.wait_seen_by(Door::Privacy)?;
        ensure!(seen_by(stage)? == relay, "the internet sees another than {relay}");
        let status = stage.byway.status()?;
        ensure!(says(&status, oddity), "{relay}: {status}");
        stage.world.relay_called(relay)?.resume()?;
    }
    Ok(())
}

/// Nothing goes to anybody by UDP; what relays and others say comes in.
pub(super) fn a_house_without_udp(stage: &mut Stage) -> Result<()> {
    know_all(stage)?;
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    ordeal.watch.flip(&stage.byway, None)?;
    // It is no less lost because it is still heard.
    let talk = stage.world.relay_called(&active(stage)?)?.talk_on()?;
    stage.world.house.block_udp()?;
    // Who waits for the door misses the relay at once.
    let said = stage.byway.cli(&["egress", "privacy", "--no-wait"])?;
    ensure!(said.code == Some(1) && said.stderr.contains("not yet privacy"), "{said:?}");
    stage.byway.wait_status("the reason", PATIENCE, |status| says(status, "no UDP through"))?;
    drop(talk);
    let carried = ordeal.until_carried(stage, |stage| stage.world.house.allow_udp())?;
    ordeal.note("house without UDP", None, carried);
    ordeal.end().map(drop)
}

/// And a name that no relay has is no choice.
pub(super) fn the_choice_is_remembered(stage: &mut Stage) -> Result<()> {
    know_all(stage)?;
    stage.carry()?;
    let said = stage.byway.cli(&["relays", "use", "se-sto-wg-009"])?;
    ensure!(said.code == Some(2) && said.stderr.contains(FIRST), "{said:?}");
    let mut ordeal = Ordeal::begin(stage, TALKING_ON)?;
    // Whoever is reached by IPv6 may be too late for that: a house's prefix often comes after its lease.
    let chosen = if active(stage)? == REMOTE { FIRST } else { REMOTE };
    let asked = SystemTime::now();
    use_relay(stage, chosen)?;
    ordeal.watch.decide(asked, Some(Door::Privacy));
    ordeal.watch.wait_answered(PATIENCE)?;
    ensure!(seen_by(stage)? == chosen, "the internet sees another than {chosen}");
    ordeal.end()?;
    carries_after_a_boot(stage, chosen)?;
    use_relay(stage, FIRST)
}

/// Where the chosen one's first packets are lost another one carries, and is not left for it: once more, then.
pub(super) fn carries_after_a_boot(stage: &mut Stage, chosen: &str) -> Result<()> {
    for _ in 0..2 {
        stage.byway.reboot()?;
        stage.byway.wait_status("the privacy door", PATIENCE, is_as_wished)?;
        stage.wait_seen_by(Door::Privacy)?;
        if active(stage)? == chosen && seen_by(stage)? == chosen {
            return Ok(());
        }
    }
    bail!("another one than {chosen}, twice: {:?}", relays(stage)?)
}

/// A bad radio between the house and every relay: bad for all of them alike, and no reason to leave the one that carries.
pub(super) fn ten_minutes_of_a_bad_radio(stage: &mut Stage) -> Result<()> {
    know_all(stage)?;
    use_relay(stage, FIRST)?;
    let ordeal = Ordeal::begin(stage, GENTLE)?;
    let events = stage.byway.events()?;
    for relay in [FIRST, NEARBY, REMOTE] {
        let relay = stage.world.relay_called(relay)?;
        relay.delay(Duration::from_millis(300))?;
        relay.trouble(Trouble::Lossy(20))?;
    }
    let is_left = |status: &Value| status["tunnel"]["relay"] != FIRST || status["door"] != "privacy";
    let left = events.wait("the active relay to be left", Duration::from_mins(10), is_left);
    ensure!(left.is_err(), "left: {left:?}");
    ordeal.watch.wait_answered(PATIENCE)?;
    for relay in [FIRST, NEARBY, REMOTE] {
        let relay = stage.world.relay_called(relay)?;
        relay.delay_no_more()?;
        relay.resume()?;
    }
    ensure!(active(stage)? == FIRST, "{:?}", relays(stage)?);
    let outcome = ordeal.end()?;
    let long = || outcome.load.flows.values().filter(|flow| flow.line.kind == Kind::LongUdp);
    let (sent, answered): (u64, u64) =
        (long().map(|flow| flow.sent).sum(), long().map(|flow| flow.answered).sum());
    ensure!(
        answered * 10 > sent * 4 && answered * 10 < sent * 8,
        "{answered} of {sent} answered: no such radio"
    );
    say(&format!("ten minutes of a bad radio: {answered} of {sent} datagrams answered, no relay left"));
    Ok(())
}

/// Long enough for the standby to be proven once more.
pub(super) fn idle_is_cheap(stage: &mut Stage) -> Result<()> {
    const IDLE: Duration = Duration::from_mins(4);
    know_all(stage)?;
    stage.carry()?;
    wait_relays(stage, "a standby", |relays| relays.iter().any(|relay| relay["role"] == "standby"))?;
    let counter = Counter::install(stage)?;
    ensure!(
        stage.world.phone.who_am_i(Family::V4, PATIENCE).is_ok() && counter.bytes()? > 0,
        "it counts nothing"
    );
    let before = counter.bytes()?;
    thread::sleep(IDLE);
    let bytes = (counter.bytes()? - before) / IDLE.as_secs();
    counter.remove()?;
    say(&format!("idle: {bytes} bytes a second to and from the relays"));
    ensure!(bytes <= IDLE_BYTES_A_SECOND, "{bytes} bytes a second");
    Ok(())
}

/// Bytes on the house's line to and from every relay.
struct Counter(byway_lab::namespace::Namespace);

impl Counter {
    fn install(stage: &Stage) -> Result<Self> {
        let core = stage.world.namespace(Place::Core);
        let sites = stage.world.relays().map(Relay::site);
        let (v4, v6) = (sites.map(|site| site.v4.to_string()), sites.map(|site| site.v6.to_string()));
        let (v4, v6) = (v4.join(", "), v6.join(", "));
        core.nft(&format!(
            "table inet idle {{\n counter relays {{ }}\n chain through {{
               type filter hook forward priority filter
               iifname c-house ip daddr {{ {v4} }} counter name relays
               iifname c-house ip6 daddr {{ {v6} }} counter name relays
               oifname c-house ip saddr {{ {v4} }} counter name relays
               oifname c-house ip6 saddr {{ {v6} }} counter name relays
             }}\n}}"
        ))?;
        Ok(Self(core))
    }

    fn bytes(&self) -> Result<u64> {
        let listing = self.0.run(&["nft", "list", "counter", "inet", "idle", "relays"])?;
        let mut words = listing.split_whitespace().skip_while(|word| *word != "bytes");
        words.nth(1).and_then(|bytes| bytes.parse().ok()).with_context(|| format!("no count in {listing}"))
    }

    fn remove(self) -> Result<()> {
        self.0.nft("delete table inet idle")
    }
}

#[expect(clippy::print_stdout, reason = "a figure of the run, beside the table of faults")]
fn say(figure: &str) {
    println!("{figure}");
}

/// The owner's list is of all three, and each is proven once.
fn know_all(stage: &mut Stage) -> Result<()> {
    if stage.byway.is_running() && relays(stage)?.len() == 3 {
        return Ok(());
    }
    let confs = stage.world.relays().map(|relay| {
        let family = usize::from(relay.name() == NEARBY);
        Ok((conf_name(relay.name()), relay.conf_at(relay.endpoints()[family])?))
    });
    stage.byway.write_relays(&confs.into_iter().collect::<Result<Vec<_>>>()?)?;
    if stage.byway.is_running() {
        begin_anew(stage)?;
    } else {
        stage.boot_and_carry()?;
    }
    test(stage, 0).map(drop)
}

/// Nothing is known of any relay then.
fn begin_anew(stage: &mut Stage) -> Result<()> {
    stage.byway.sigterm()?;
    stage.byway.start()?;
    stage.byway.wait_status("the wished door", PATIENCE, is_as_wished)?;
    stage.wait_carried()
}

pub(super) fn relays(stage: &Stage) -> Result<Vec<Value>> {
    let said = stage.byway.cli(&["relays", "--json"])?;
    ensure!(said.code == Some(0), "byway relays: {said:?}");
    Ok(serde_json::from_str(&said.stdout)?)
}

pub(super) fn wait_relays(stage: &Stage, what: &str, wanted: impl Fn(&[Value]) -> bool) -> Result<()> {
    wait_for(what, PATIENCE, || {
        let relays = relays(stage)?;
        ensure!(wanted(&relays), "{relays:?}");
        Ok(())
    })
}

/// Of whoever carries.
pub(super) fn active(stage: &Stage) -> Result<String> {
    let relays = relays(stage)?;
    let active = relays.iter().find(|relay| relay["role"] == "active");
    let name = active.and_then(|relay| relay["name"].as_str()).map(str::to_owned);
    name.with_context(|| format!("none is active: {relays:?}"))
}

fn of<'a>(relays: &'a [Value], name: &str) -> Result<&'a Value> {
    relays.iter().find(|relay| relay["name"] == name).with_context(|| format!("no {name} in {relays:?}"))
}

fn obstacle<'a>(relays: &'a [Value], name: &str) -> Result<&'a str> {
    let relay = of(relays, name)?;
    relay["obstacle"].as_str().with_context(|| format!("no obstacle: {relay}"))
}

fn use_relay(stage: &Stage, name: &str) -> Result<()> {
    let said = stage.byway.cli(&["relays", "use", name])?;
    ensure!(said.code == Some(0), "byway relays use {name}: {said:?}");
    ensure!(active(stage)? == name, "{:?}", relays(stage)?);
    Ok(())
}

/// Proves all of them now.
fn test(stage: &Stage, code: i32) -> Result<Vec<Value>> {
    let said = stage.byway.cli(&["relays", "test", "--json"])?;
    ensure!(said.code == Some(code), "byway relays test: {said:?}");
    Ok(serde_json::from_str(&said.stdout)?)
}

/// One that was mended.
fn test_until_proven(stage: &Stage, name: &str) -> Result<()> {
    wait_for(&format!("{name} to be proven"), PATIENCE, || {
        let said = stage.byway.cli(&["relays", "test", "--json"])?;
        ensure!(matches!(said.code, Some(0 | 3)), "byway relays test: {said:?}");
        let relays: Vec<Value> = serde_json::from_str(&said.stdout)?;
        ensure!(of(&relays, name)?["obstacle"].is_null(), "{relays:?}");
        Ok(())
    })
}

/// The name of the one that the internet sees the phone by.
pub(super) fn seen_by(stage: &Stage) -> Result<&'static str> {
    let seen =
        wait_for("a page", PATIENCE, || stage.world.phone.who_am_i(Family::V4, Duration::from_secs(2)))?;
    relay_seen(seen.ip).with_context(|| format!("seen as {}", seen.ip))
}
