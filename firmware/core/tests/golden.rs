//! What is told and what is loaded, word for word: every view, rule set, flip, plan and sysctl in `golden/`.
//! `UPDATE_EXPECT=1` writes them anew: read the difference.

mod drive;
mod house;
mod told;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use byway_core::clock::{self, ClockReport, Offset, Source};
use byway_core::names::NamesReport;
use byway_core::posture::routing::{Family, plan};
use byway_core::posture::ruleset::{flip, flip_to_relay, whole};
use byway_core::posture::sysctl::{Sysctl, after_forwarding, before_forwarding, forwarding};
use byway_core::relays::Obstacle;
use byway_core::uplink;
use byway_core::uplink::router::Nat64;
use byway_core::{
    Door, Egress, Epoch, Exit, ExitReport, Expect, Facts, Input, Lack, Posture, RelaySettings, Settings,
    State, Wish,
};
use drive::{Drive, open};
use expect_test::expect_file;
use told::told;

#[test]
fn every_view_reads_like_this() {
    let mut text = String::new();
    for (name, reach) in SCENES {
        _ = writeln!(text, "# {name}\n{}", told(&reach().core.view()));
    }
    expect_file!["golden/views.txt"].assert_eq(&text);
}

#[test]
fn the_views_leave_out_no_lack() {
    let states = SCENES.iter().map(|(_, reach)| reach().core.state().clone());
    let shown: BTreeSet<usize> = states.filter_map(|state| lack(&state).map(|lack| rank(&lack))).collect();
    assert_eq!(shown, (0..9).collect());
}

#[test]
fn the_boot_s_rule_set_knows_nothing_and_refuses_all() {
    let boot = Posture::default();
    expect_file!["golden/boot.nft"].assert_eq(&whole(&boot));
    expect_file!["golden/boot.plan"].assert_eq(&planned(&boot));
}

#[test]
fn a_house_with_both_families() {
    expect_file!["golden/sealed.nft"].assert_eq(&whole(&Posture::sealed(facts())));
    expect_file!["golden/privacy.nft"].assert_eq(&whole(&by(Egress::Privacy, facts())));
    expect_file!["golden/residential.nft"].assert_eq(&whole(&by(Egress::Residential, facts())));
    expect_file!["golden/house.plan"].assert_eq(&planned(&Posture::sealed(facts())));
}

#[test]
fn a_flip_is_one_batch() {
    expect_file!["golden/flip_to_sealed.nft"].assert_eq(&flip(&Posture::sealed(facts())));
    expect_file!["golden/flip_to_privacy.nft"].assert_eq(&flip(&by(Egress::Privacy, facts())));
    expect_file!["golden/flip_to_residential.nft"].assert_eq(&flip(&by(Egress::Residential, facts())));
    expect_file!["golden/flip_to_relay.nft"].assert_eq(&flip_to_relay(&by(Egress::Privacy, facts())));
}

/// And clients that may not ask resolvers of their own.
#[test]
fn a_house_and_a_tunnel_without_ipv6() {
    let mut facts = Facts { refuse_dot: true, ..facts() };
    if let Some(uplink) = &mut facts.uplink {
        uplink.addresses.truncate(1);
        uplink.gateway6 = None;
    }
    if let Some(tunnel) = &mut facts.tunnel {
        tunnel.addresses.truncate(1);
    }
    expect_file!["golden/v4_only.nft"].assert_eq(&whole(&by(Egress::Residential, facts.clone())));
    expect_file!["golden/v4_only.plan"].assert_eq(&planned(&Posture::sealed(facts)));
}

/// And a relay that is reached by IPv6, because the provider's IPv4 is what it is.
#[test]
fn a_house_behind_carrier_grade_nat() {
    let mut facts = facts();
    if let Some(uplink) = &mut facts.uplink {
        uplink.addresses[0] = "100.64.12.7/16".parse().expect("an address");
        uplink.gateway4 = Some([100, 64, 0, 1].into());
    }
    if let Some(tunnel) = &mut facts.tunnel {
        tunnel.relay = "[2001:db8:130::1]:51820".parse().expect("a socket address");
    }
    expect_file!["golden/carrier_grade.nft"].assert_eq(&whole(&by(Egress::Privacy, facts.clone())));
    expect_file!["golden/carrier_grade.plan"].assert_eq(&planned(&Posture::sealed(facts)));
}

#[test]
fn rules_and_routes_stand_still_when_the_door_changes() {
    let sealed = planned(&Posture::sealed(facts()));
    assert_eq!(planned(&by(Egress::Privacy, facts())), sealed);
    assert_eq!(planned(&by(Egress::Residential, facts())), sealed);
}

/// Not to be blessed away: `UPDATE_EXPECT=1` does not reach it.
#[test]
fn every_rule_and_route_of_one_family_has_its_twin_in_the_other() {
    for posture in [Posture::default(), Posture::sealed(facts()), by(Egress::Residential, facts())] {
        let plan = plan(&posture);
        let rules = |family| {
            let rules = plan.rules.iter().filter(move |rule| rule.family == family);
            rules
                .map(|rule| (rule.priority, rule.fwmark, &rule.iif, &rule.oif, rule.action))
                .collect::<Vec<_>>()
        };
        let routes = |family| {
            let routes = plan.routes.iter().filter(move |route| route.family == family);
            routes.map(|route| (route.table, route.metric)).collect::<Vec<_>>()
        };
        assert_eq!(rules(Family::V4), rules(Family::V6));
        assert_eq!(routes(Family::V4), routes(Family::V6));
    }
}

/// A prefix inside another makes an interval set refuse the whole rule set.
#[test]
fn house_prefixes_that_overlap_are_merged() {
    let mut facts = facts();
    if let Some(uplink) = &mut facts.uplink {
        uplink.addresses.push("192.168.77.3/25".parse().expect("an address"));
    }
    let text = whole(&Posture::sealed(facts));
    assert!(text.contains("set house4   { type ipv4_addr; flags interval; elements = { 192.168.77.0/24 } }"));
}

fn facts() -> Facts {
    let Settings { relays, flow_table, refuse_dot, .. } = house::settings();
    let interfaces = Vec::from([String::from("eth0")]);
    let candidates = relays.iter().map(|relay| relay.end.relay).collect();
    let tunnel = relays.first().map(|relay| relay.end.clone());
    Facts { uplink: Some(house::uplink()), interfaces, tunnel, candidates, flow_table, refuse_dot }
}

fn by(egress: Egress, facts: Facts) -> Posture {
    let epoch = Epoch::fresh(None, house::at(5_000));
    Posture { facts, door: Some(Door { egress, epoch }) }
}

fn planned(posture: &Posture) -> String {
    let plan = plan(posture);
    let mut text = String::new();
    for rule in plan.rules {
        _ = writeln!(text, "{rule}");
    }
    for route in plan.routes {
        _ = writeln!(text, "{route}");
    }
    for Sysctl { path, value } in
        [before_forwarding(posture), forwarding(), after_forwarding(posture)].into_iter().flatten()
    {
        _ = writeln!(text, "{path} = {value}");
    }
    text
}

/// What it is called, and how to get there.
type Scene = (&'static str, fn() -> Drive);

const SCENES: [Scene; 43] = [
    ("started", || Drive::start(house::settings(), Wish::Privacy)),
    ("sealed as wished", || Drive::at_home(Wish::Sealed)),
    ("no line", || {
        let mut drive = Drive::start(house::settings(), Wish::Residential);
        drive.applied();
        drive
    }),
    ("no cable", || {
        let mut drive = Drive::start(house::settings(), Wish::Residential);
        drive.applied();
        drive.feed(Input::Attached(Err(uplink::Trouble::NoCable(String::from("eth0")))));
        drive
    }),
    ("a network that wants a login", || {
        let mut drive = Drive::at_home(Wish::Privacy);
        drive.feed(Input::Portal(Some(String::from("http://portal.example/login"))));
        drive
    }),
    ("a house without ipv4", || ipv6_only(None)),
    ("a house without ipv4 but with nat64", || ipv6_only(Some("64:ff9b::"))),
    ("no router", || Drive::at_home(Wish::Residential)),
    ("a disk that keeps nothing", || {
        let mut drive = open(Egress::Privacy);
        drive.feed(Input::Remembered(Err(String::from("could not save wish.json: make room on its disk"))));
        drive
    }),
    ("a disk that keeps the wish after all", || {
        let mut drive = open(Egress::Privacy);
        drive.feed(Input::Remembered(Err(String::from("no room"))));
        drive.feed(Input::Remembered(Ok(())));
        drive
    }),
    ("a relay is being proven", || Drive::attached(house::settings(), Wish::Privacy)),
    ("nothing can be sent to a relay", || {
        obstructed(&Obstacle::Unsent(String::from("network is unreachable")))
    }),
    ("no relay on the machine", || obstructed(&Obstacle::Refused)),
    ("a relay that is gone", || obstructed(&house::gone())),
    ("a wrong key", || obstructed(&Obstacle::Silence { machine: true, udp: true })),
    ("no udp", || obstructed(&Obstacle::Silence { machine: true, udp: false })),
    ("a clock that cannot be right", || obstructed(&Obstacle::Clock)),
    ("a dead gateway", || obstructed(&Obstacle::Gateway)),
    ("a narrow way", || obstructed(&Obstacle::Narrow(1_200))),
    ("no session", || Drive::at_home(Wish::Privacy)),
    ("no pong", no_pong),
    ("no check yet", no_check),
    ("no answer to the check", || {
        let mut drive = no_check();
        drive.unchecked(Egress::Privacy);
        drive
    }),
    ("a foreign exit", || {
        let mut drive = no_check();
        drive.checked(Egress::Privacy, false);
        drive
    }),
    ("opening privacy", || {
        let mut drive = no_pong();
        drive.pong();
        drive
    }),
    ("the kernel refuses the door", refused),
    ("the kernel refused the door", || {
        let mut drive = refused();
        drive.applied();
        drive
    }),
    ("open by privacy", || open(Egress::Privacy)),
    ("open by privacy, checked by both families", || {
        let mut drive = open(Egress::Privacy);
        let asked = drive.now();
        let addresses: [IpAddr; 2] = [[192, 0, 2, 130].into(), [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x130].into()];
        let exit = |address| Exit { address, mullvad: Some(true), place: None };
        let result = Ok(addresses.map(exit).to_vec());
        drive.feed(Input::Exit(ExitReport { by: Egress::Privacy, asked, result }));
        drive
    }),
    ("open by privacy, the check fails", || {
        let mut drive = open(Egress::Privacy);
        drive.unchecked(Egress::Privacy);
        drive
    }),
    ("open by privacy, names get no answer", || {
        let mut drive = open(Egress::Privacy);
        let error = Some(String::from("it does not answer"));
        drive.feed(Input::Names(
            Egress::Privacy,
            NamesReport { failures: 1, error, ..NamesReport::default() },
        ));
        drive
    }),
    ("open by another provider", another_provider),
    ("open by privacy, the time is known", || {
        let mut drive = open(Egress::Privacy);
        let report = ClockReport {
            source: Some(Source::Ntp),
            offset: Some(Offset::from_micros(-1_500)),
            checked: Some(drive.now()),
            answered: 4,
            agreed: 3,
            trouble: None,
        };
        drive.feed(Input::Clock(report));
        drive
    }),
    ("open by privacy, no time server answers", || {
        let mut drive = open(Egress::Privacy);
        let trouble = Some(clock::Trouble::Silence);
        drive.feed(Input::Clock(ClockReport {
            source: Some(Source::Saved),
            trouble,
            ..ClockReport::default()
        }));
        drive
    }),
    ("open by privacy, the time servers lie", || {
        let mut drive = open(Egress::Privacy);
        let said = Duration::from_hours(543_333);
        let trouble = Some(clock::Trouble::Contradicted { said, host: String::from("hs.example.net") });
        drive.feed(Input::Clock(ClockReport {
            source: Some(Source::Tls),
            trouble,
            ..ClockReport::default()
        }));
        drive
    }),
    ("the clock cannot be set", || {
        let mut drive = Drive::at_home(Wish::Privacy);
        let (shown, error) = (Duration::ZERO, String::from("Operation not permitted"));
        let trouble = Some(clock::Trouble::CannotRaise { shown, error });
        drive.feed(Input::Clock(ClockReport {
            source: Some(Source::None),
            trouble,
            ..ClockReport::default()
        }));
        drive
    }),
    ("the relay fell silent, and no other is proven", silent),
    ("another relay has taken its place", replaced),
    ("residential wished, privacy still open", || {
        let mut drive = open(Egress::Privacy);
        drive.feed(Input::Wished(Wish::Residential));
        drive
    }),
    ("open by residential", || {
        let mut drive = open(Egress::Residential);
        drive.checked(Egress::Residential, false);
        drive
    }),
    ("drift was healed", || {
        let mut drive = open(Egress::Residential);
        drive.feed(Input::Drifted(String::from("chain forward: a rule is gone")));
        drive.applied();
        drive.applied();
        drive
    }),
    ("somebody fights", fought),
    ("the kernel does not seal", || {
        let mut drive = open(Egress::Residential);
        drive.feed(Input::Wished(Wish::Sealed));
        drive.refused("nft crashed");
        drive
    }),
];

fn ipv6_only(nat64: Option<&str>) -> Drive {
    let mut drive = Drive::at_home(Wish::Privacy);
    let mut uplink = house::uplink();
    uplink.addresses.remove(0);
    uplink.gateway4 = None;
    drive.feed(Input::Uplink(Some(uplink)));
    drive.feed(Input::Nat64(nat64.map(|prefix| Nat64::of_96_bits(prefix.parse().expect("an address")))));
    drive.applied();
    drive.applied();
    drive
}

fn no_pong() -> Drive {
    let mut drive = Drive::at_home(Wish::Privacy);
    drive.handshake();
    drive
}

/// The proof has aged.
fn no_check() -> Drive {
    let mut drive = Drive::at_home(Wish::Privacy);
    drive.clock += 4_000;
    drive.handshake();
    drive.clock += 57_000;
    drive.handshake();
    drive.pong();
    drive
}

/// Every port of both relays.
fn obstructed(obstacle: &Obstacle) -> Drive {
    let mut drive = Drive::attached(house::settings(), Wish::Privacy);
    for _ in 0..4 {
        drive.proves(Err(obstacle.clone()));
    }
    drive
}

fn refused() -> Drive {
    let mut drive = Drive::at_home(Wish::Residential);
    drive.feed(Input::Gateway(true));
    drive.refused("nft: out of memory");
    drive
}

fn fought() -> Drive {
    let mut drive = open(Egress::Residential);
    for _ in 0..10 {
        drive.feed(Input::Drifted(String::from("nft chain forward is missing, by nft (pid 7)")));
        drive.clock += 1_000;
        drive.feed(Input::Tick);
        while matches!(drive.core.state(), State::Applying { .. }) {
            drive.applied();
        }
    }
    drive
}

fn silent() -> Drive {
    let mut drive = open(Egress::Privacy);
    drive.proves_nobody();
    drive.relay_falls_silent(Err(house::gone()));
    drive
}

fn replaced() -> Drive {
    let mut drive = open(Egress::Privacy);
    drive.proves(Ok(house::proof(true)));
    drive.relay_falls_silent(Ok(house::proof(true)));
    drive.applied();
    drive
}

fn another_provider() -> Drive {
    let relays: Vec<RelaySettings> = vec![house::relay("azire-ams", "192.0.2.130:51820")];
    let settings = Settings { expect: Expect::Any, relays, ..house::settings() };
    let mut drive = Drive::attached(settings, Wish::Privacy);
    drive.proves(Ok(house::proof(false)));
    drive.handshake();
    drive.checked(Egress::Privacy, false);
    drive.applied();
    drive
}

fn lack(state: &State) -> Option<Lack> {
    match state {
        State::Proving { lack, .. } => Some(lack.clone()),
        State::Applying { lack, .. } => lack.clone(),
        State::Sealed | State::Open { .. } | State::Unverified { .. } => None,
    }
}

/// A new lack is not compiled before it has a number here, and not accepted before a scene shows it.
const fn rank(lack: &Lack) -> usize {
    match lack {
        Lack::Uplink(_) => 0,
        Lack::Gateway => 1,
        Lack::Handshake => 2,
        Lack::Pong => 3,
        Lack::ExitCheck(_) => 4,
        Lack::NotMullvad(_) => 5,
        Lack::Relay(_) => 6,
        Lack::Refused(_) => 7,
        Lack::Contested(_) => 8,
    }
}
