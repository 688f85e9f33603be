//! Every state with every input, one line a pair: `golden/transitions.txt`. It says what the machine does; the
//! diagram of `machine/mod.rs` and DESIGN 4 say why. `UPDATE_EXPECT=1` writes it anew: read the difference.

mod drive;
mod house;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use byway_core::account::Report;
use byway_core::board::{Board, Seen};
use byway_core::clients::{Ledger, PausedClient, Roll};
use byway_core::clock::{ClockReport, Source};
use byway_core::names::NamesReport;
use byway_core::relays::{Attempt, RelayId};
use byway_core::tailnet::{TailnetFacts, Ways};
use byway_core::uplink::Trouble;
use byway_core::uplink::router::Nat64;
use byway_core::{
    Door, Effect, Egress, Exit, ExitReport, Generation, Input, Mac, PingReport, Posture, Settings, State,
    TunnelReport, Unapplied, Uplink, Wish,
};
use drive::{Drive, open};
use expect_test::expect_file;

#[test]
fn every_state_meets_every_input() {
    let mut table = String::from(HEADER);
    for (scene, reach) in SCENES {
        let drive = reach();
        _ = writeln!(table, "\n# {scene}: {}", state(drive.core.state()));
        for (word, moment) in moments(&drive) {
            let mut drive = reach();
            drive.clock += moment.later;
            drive.feed(moment.input);
            let (next, effects) = (state(drive.core.state()), effects(&drive.effects));
            _ = writeln!(table, "{scene:<25} | {word:<42} -> {next}; {effects}");
        }
    }
    expect_file!["golden/transitions.txt"].assert_eq(&table);
}

#[test]
fn the_table_leaves_out_no_state() {
    let reached: BTreeSet<usize> = SCENES.iter().map(|(_, reach)| rank(reach().core.state())).collect();
    assert_eq!(reached, (0..5).collect());
}

const HEADER: &str = "\
# state | input -> next state; effects
# `#5` is the generation of an order, `@1090` the epoch: a fresh one with every order, sealing too.
";

/// What it is called, and how to get there.
type Scene = (&'static str, fn() -> Drive);

/// Every state, with each door and each lack that matters; by nothing but inputs.
const SCENES: [Scene; 20] = [
    ("sealed", || Drive::at_home(Wish::Sealed)),
    ("sealing", sealing),
    ("opening privacy", opening_privacy),
    ("opening residential", opening_residential),
    ("proving privacy: relay", || Drive::attached(house::settings(), Wish::Privacy)),
    ("proving privacy: session", || Drive::at_home(Wish::Privacy)),
    ("proving privacy: pong", proving_privacy_without_pong),
    ("proving privacy: exit", proving_privacy_without_exit),
    ("proving privacy: answer", proving_privacy_without_an_answer),
    ("proving privacy: foreign", proving_privacy_with_a_foreign_exit),
    ("privacy from residential", privacy_from_residential),
    ("proving residential", || Drive::at_home(Wish::Residential)),
    ("residential from privacy", residential_from_privacy),
    ("open privacy", || open(Egress::Privacy)),
    ("open privacy, with standby", open_with_standby),
    ("to the standby", to_the_standby),
    ("no relay left", without_a_relay),
    ("open residential", || open(Egress::Residential)),
    ("residential is spent", spent),
    ("unverified", unverified),
];

/// A new state is not compiled before it has a number here, and not accepted before a scene reaches it.
const fn rank(state: &State) -> usize {
    match state {
        State::Sealed => 0,
        State::Applying { .. } => 1,
        State::Proving { .. } => 2,
        State::Open { .. } => 3,
        State::Unverified { .. } => 4,
    }
}

fn sealing() -> Drive {
    let mut drive = Drive::start(house::settings(), Wish::Privacy);
    drive.feed(Input::Uplink(Some(house::uplink())));
    drive.applied();
    drive
}

fn opening_privacy() -> Drive {
    let mut drive = proving_privacy_without_pong();
    drive.pong();
    drive
}

fn opening_residential() -> Drive {
    let mut drive = Drive::at_home(Wish::Residential);
    drive.feed(Input::Gateway(true));
    drive
}

fn proving_privacy_without_pong() -> Drive {
    let mut drive = Drive::at_home(Wish::Privacy);
    drive.handshake();
    drive
}

/// The proof has aged.
fn proving_privacy_without_exit() -> Drive {
    let mut drive = Drive::at_home(Wish::Privacy);
    drive.clock += 4_000;
    drive.handshake();
    drive.clock += 57_000;
    drive.handshake();
    drive.pong();
    drive
}

/// In one step.
fn to_the_standby() -> Drive {
    let mut drive = open_with_standby();
    drive.relay_falls_silent(Ok(house::proof(true)));
    drive
}

fn without_a_relay() -> Drive {
    let mut drive = open(Egress::Privacy);
    drive.proves_nobody();
    drive.relay_falls_silent(Err(house::gone()));
    drive.applied();
    drive
}

fn open_with_standby() -> Drive {
    let mut drive = open(Egress::Privacy);
    drive.proves(Ok(house::proof(true)));
    drive
}

fn proving_privacy_without_an_answer() -> Drive {
    let mut drive = proving_privacy_without_exit();
    drive.unchecked(Egress::Privacy);
    drive
}

fn proving_privacy_with_a_foreign_exit() -> Drive {
    let mut drive = proving_privacy_without_exit();
    drive.checked(Egress::Privacy, false);
    drive
}

/// The residential door is still open.
fn privacy_from_residential() -> Drive {
    let mut drive = open(Egress::Residential);
    drive.handshake();
    drive.feed(Input::Wished(Wish::Privacy));
    drive.checked(Egress::Privacy, true);
    drive
}

/// The privacy door is still open.
fn residential_from_privacy() -> Drive {
    let mut drive = open(Egress::Privacy);
    drive.feed(Input::Wished(Wish::Residential));
    drive
}

/// The day's allowance is used while the door is open.
fn spent() -> Drive {
    let mut drive =
        drive::open_with(Settings { daily_gb: Some(1), ..house::settings() }, Egress::Residential);
    drive.moves(1_000_000_000, Some(7));
    drive.applied();
    drive
}

fn unverified() -> Drive {
    let mut drive = Drive::at_home(Wish::Privacy);
    drive.feed(Input::Drifted(String::from("chain forward is gone")));
    drive.refused("nft crashed");
    drive
}

/// An input and how long after the state was reached it comes.
struct Moment {
    later: u64,
    input: Input,
}

fn moments(drive: &Drive) -> Vec<(String, Moment)> {
    let mut moments = Vec::new();
    let mut samples = samples_after(None, drive);
    while let Some((_, last)) = samples.last() {
        let next = samples_after(Some(last), drive);
        let now = |(word, input)| (String::from(word), Moment { later: 0, input });
        moments.extend(samples.into_iter().map(now));
        samples = next;
    }
    let (due, why) = drive.core.deadline().expect("there is always the next ping");
    let later = u64::try_from(due.since(drive.now()).as_millis()).expect("a deadline of this year") - 10;
    moments.push((format!("tick, when due: {why}"), Moment { later, input: Input::Tick }));
    moments.push((String::from("tick, 3 minutes later"), Moment { later: 180_000, input: Input::Tick }));
    moments
}

/// The samples of the variant that follows: a new variant of `Input` is not compiled before it has a place here.
fn samples_after(last: Option<&Input>, drive: &Drive) -> Vec<(&'static str, Input)> {
    let Some(last) = last else { return wishes() };
    match last {
        Input::Wished(_) => vec![("toggled", Input::Toggled)],
        Input::Toggled => vec![("paused", Input::Paused)],
        Input::Paused => uplinks(),
        Input::Uplink(_) => {
            vec![("gateway is there", Input::Gateway(true)), ("gateway is gone", Input::Gateway(false))]
        }
        Input::Gateway(_) => {
            let router = ([192, 168, 77, 1].into(), Mac([2, 0, 0, 0, 0x77, 1]));
            vec![("the house's router", Input::Routers(vec![router]))]
        }
        Input::Routers(_) => vec![("no second adapter", Input::Apart(Some(String::from("it is gone"))))],
        Input::Apart(_) => tunnels(drive),
        Input::Tunnel(_) => pings(drive),
        Input::Ping(_) => exits(drive),
        Input::Exit(_) => vec![("tailnet", Input::Tailnet(TailnetFacts::default()))],
        Input::Tailnet(_) => vec![("relayed", Input::Ways(Ways { relayed: 1, ..Ways::default() }))],
        Input::Ways(_) => outcomes(drive),
        Input::Applied(..) => vec![("drifted", Input::Drifted(String::from("a rule is gone")))],
        Input::Drifted(_) => vec![
            ("wish remembered", Input::Remembered(Ok(()))),
            ("wish not remembered", Input::Remembered(Err(String::from("no room")))),
        ],
        Input::Remembered(_) => {
            let error = Some(String::from("timed out"));
            let report = NamesReport { failures: 1, error, ..NamesReport::default() };
            vec![("names get no answer by privacy", Input::Names(Egress::Privacy, report))]
        }
        Input::Names(..) => vec![("mended", Input::Mended(String::from("/etc/resolv.conf named 192.0.2.1")))],
        Input::Mended(_) => vec![
            ("attached", Input::Attached(Ok(()))),
            ("no cable", Input::Attached(Err(Trouble::NoCable(String::from("eth0"))))),
        ],
        Input::Attached(_) => {
            vec![("nat64", Input::Nat64(Some(Nat64::of_96_bits("64:ff9b::".parse().expect("an address")))))]
        }
        Input::Nat64(_) => {
            vec![("a login page", Input::Portal(Some(String::from("http://portal.example/"))))]
        }
        Input::Portal(_) => {
            let report = ClockReport { source: Some(Source::None), ..ClockReport::default() };
            vec![("no time", Input::Clock(report))]
        }
        Input::Clock(_) => {
            let board = Board { under_voltage: Some(Seen::Now), ..Board::default() };
            vec![("too little power", Input::Board(board))]
        }
        Input::Board(_) => vec![("no peer is there", Input::Peers(Roll::default()))],
        Input::Peers(_) => vec![("nothing is counted", Input::Counted(Ledger::default(), None))],
        Input::Counted(..) => vec![("a client is paused", Input::ClientPaused(client()))],
        Input::ClientPaused(_) => vec![("a client is resumed", Input::ClientResumed(client().id))],
        Input::ClientResumed(_) => proofs(drive),
        Input::Proved(..) => vec![("the second relay is chosen", Input::UseRelay(RelayId(1)))],
        Input::UseRelay(_) => vec![("the relays are tested", Input::TestRelays)],
        Input::TestRelays => offers(),
        Input::Relays(..) => vec![("the account is told", Input::Account(Report::default()))],
        Input::Account(_) => vec![("tick", Input::Tick)],
        Input::Tick => Vec::new(),
    }
}

fn offers() -> Vec<(&'static str, Input)> {
    let more = || vec![house::relay("se-sto-wg-001", "192.0.2.150:51820")];
    vec![
        ("the account offers a relay", Input::Relays(more(), 0)),
        ("the account offers a relay that is wanted", Input::Relays(more(), 1)),
    ]
}

fn client() -> PausedClient {
    let addresses = vec![IpAddr::from([100, 64, 0, 7])];
    PausedClient { id: String::from("n1"), name: String::from("phone"), addresses }
}

/// Of the attempt that is under way.
fn proofs(drive: &Drive) -> Vec<(&'static str, Input)> {
    let endpoint = "192.0.2.130:51820".parse().expect("a socket address");
    let none = (Attempt { relay: RelayId(0), endpoint, mtu: 1380 }, drive.now());
    let (attempt, began) = drive.attempt.unwrap_or(none);
    vec![
        ("relay proven", Input::Proved(attempt, began, Ok(house::proof(true)))),
        ("relay proven, not mullvad", Input::Proved(attempt, began, Ok(house::proof(false)))),
        ("relay not proven", Input::Proved(attempt, began, Err(house::gone()))),
    ]
}

fn wishes() -> Vec<(&'static str, Input)> {
    vec![
        ("wished privacy", Input::Wished(Wish::Privacy)),
        ("wished residential", Input::Wished(Wish::Residential)),
        ("wished sealed", Input::Wished(Wish::Sealed)),
    ]
}

fn uplinks() -> Vec<(&'static str, Input)> {
    let elsewhere = Uplink { addresses: Vec::new(), ..house::uplink() };
    vec![
        ("uplink as before", Input::Uplink(Some(house::uplink()))),
        ("uplink with other addresses", Input::Uplink(Some(elsewhere))),
        ("uplink is gone", Input::Uplink(None)),
    ]
}

fn tunnels(drive: &Drive) -> Vec<(&'static str, Input)> {
    let now = Some(drive.now());
    let report = TunnelReport { handshake: now, heard: now, ..TunnelReport::default() };
    let silent = TunnelReport { unanswered: Some(house::at(1_000)), ..report.clone() };
    let lost = TunnelReport { handshake: None, ..report.clone() };
    vec![
        ("tunnel: session, heard", Input::Tunnel(report)),
        ("tunnel: session, nothing heard", Input::Tunnel(silent)),
        ("tunnel: no session", Input::Tunnel(lost)),
    ]
}

fn pings(drive: &Drive) -> Vec<(&'static str, Input)> {
    let answer = Some(Duration::from_millis(20));
    let ping = |sent, round_trip| Input::Ping(PingReport { sent, round_trip });
    vec![
        ("ping answered", ping(drive.now(), answer)),
        ("ping answered, sent before the wish", ping(house::at(900), answer)),
        ("ping unanswered", ping(drive.now(), None)),
    ]
}

fn exits(drive: &Drive) -> Vec<(&'static str, Input)> {
    let asked = drive.now();
    let address = IpAddr::from([203, 0, 113, 77]);
    let exit = |by, mullvad| {
        let result = Ok(vec![Exit { address, mullvad, city: None }]);
        Input::Exit(ExitReport { by, asked, result })
    };
    let error = |by| Input::Exit(ExitReport { by, asked, result: Err(String::from("timed out")) });
    vec![
        ("exit by privacy: mullvad", exit(Egress::Privacy, Some(true))),
        ("exit by privacy: not mullvad", exit(Egress::Privacy, Some(false))),
        ("exit by privacy: does not say", exit(Egress::Privacy, None)),
        ("exit by privacy: no answer", error(Egress::Privacy)),
        ("exit by residential: not mullvad", exit(Egress::Residential, Some(false))),
        ("exit by residential: no answer", error(Egress::Residential)),
    ]
}

fn outcomes(drive: &Drive) -> Vec<(&'static str, Input)> {
    let newest = drive.ordered;
    let stale = Generation(newest.0 - 1);
    let refused = || Err(Unapplied(String::from("nft crashed")));
    vec![
        ("applied", Input::Applied(newest, Ok(()))),
        ("not applied", Input::Applied(newest, refused())),
        ("applied, an order before", Input::Applied(stale, Ok(()))),
        ("not applied, an order before", Input::Applied(stale, refused())),
    ]
}

fn state(state: &State) -> String {
    match state {
        State::Sealed => String::from("sealed"),
        State::Applying { generation, posture, lack } => {
            let lack = lack.as_ref().map_or_else(String::new, |lack| format!(", for {lack:?}"));
            format!("applying #{} {}{lack}", generation.0, door(posture.door, "sealed"))
        }
        State::Proving { egress, lack, door: open, .. } => {
            format!("proving {egress}, lacks {lack:?}, door {}", door(*open, "none"))
        }
        State::Open { door: open } => format!("open {}", door(Some(*open), "")),
        State::Unverified { error } => format!("unverified: {error}"),
    }
}

fn effects(effects: &[Effect]) -> String {
    let words: Vec<String> = effects.iter().map(effect).collect();
    if words.is_empty() { String::from("nothing") } else { words.join(", ") }
}

fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Apply(generation, posture) => format!("apply #{} {}", generation.0, order(posture)),
        Effect::Amend(generation, posture) => format!("amend #{} {}", generation.0, order(posture)),
        Effect::Remember(wish) => format!("remember {wish}"),
        Effect::RememberRelay(name) => format!("remember relay {name}"),
        Effect::RememberUsed(used) => format!("remember {} bytes used", used.bytes),
        Effect::RememberPaused(paused) => format!("remember {} paused", paused.len()),
        Effect::Prove(Attempt { relay, endpoint, .. }) => format!("prove {} at {endpoint}", relay.0),
        Effect::Handshake(relay, _) => format!("handshake with {}", relay.0),
        Effect::HangUp => String::from("hang up"),
        Effect::LookForPortal => String::from("look for a login page"),
        Effect::Ping => String::from("ping"),
        Effect::CheckExit(by) => format!("check exit by {by}"),
        Effect::ShutNames => String::from("shut names"),
        Effect::OpenNames(by) => format!("open names by {by}"),
        Effect::Forget(epoch) => format!("forget before @{epoch}"),
        Effect::StopForwarding => String::from("stop forwarding"),
    }
}

fn order(posture: &Posture) -> String {
    let uplink = match &posture.facts.uplink {
        None => " without uplink",
        Some(uplink) if *uplink == house::uplink() => "",
        Some(_) => " with the new uplink",
    };
    let refused = match posture.refused.clients.len() {
        0 => String::new(),
        count => format!(" refusing {count}"),
    };
    format!("{}{uplink}{refused}", door(posture.door, "sealed"))
}

fn door(door: Option<Door>, none: &str) -> String {
    door.map_or_else(|| String::from(none), |Door { egress, epoch }| format!("{egress}@{epoch}"))
}
