//! What is told and what is loaded, word for word: every view, rule set, flip, plan and sysctl in `golden/`.
//! `UPDATE_EXPECT=1` writes them anew: read the difference.

mod drive;
mod house;
mod scenes;
mod told;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use byway_core::posture::routing::{Family, plan};
use byway_core::posture::ruleset::{flip, flip_to_relay, refuse, whole};
use byway_core::posture::sysctl::{Sysctl, after_forwarding, before_forwarding, forwarding};
use byway_core::{Door, Egress, Epoch, Facts, HouseAccess, Household, Lack, Mac, Posture, Refused, Settings};
use expect_test::expect_file;
use scenes::SCENES;
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
    let lacks = SCENES.iter().filter_map(|(_, reach)| reach().core.view().lack);
    let shown: BTreeSet<usize> = lacks.map(|lack| rank(&lack)).collect();
    assert_eq!(shown, (0..10).collect());
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
    expect_file!["golden/refuse.nft"].assert_eq(&refuse(&refusing(by(Egress::Privacy, facts()))));
    expect_file!["golden/flip_to_relay.nft"].assert_eq(&flip_to_relay(&by(Egress::Privacy, facts())));
}

/// And clients that may not ask resolvers of their own, may send mail, and each take no more than 20 Mbit/s, beside an owner
/// who comes in from the house.
#[test]
fn a_house_and_a_tunnel_without_ipv6() {
    let house_access = HouseAccess { ping: false, ssh: true };
    let mut facts =
        Facts { refuse_dot: true, refuse_smtp: false, limit_mbit: Some(20), house_access, ..facts() };
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

/// Machines of the house are clients where they are, and the tailnet reaches all of them.
#[test]
fn a_house_whose_machines_are_served_and_reached() {
    expect_file!["golden/served.nft"].assert_eq(&whole(&by(Egress::Residential, served())));
    expect_file!["golden/served.plan"].assert_eq(&planned(&Posture::sealed(served())));
}

#[test]
fn machines_with_an_interface_to_themselves() {
    expect_file!["golden/apart.nft"].assert_eq(&whole(&by(Egress::Privacy, apart())));
    expect_file!["golden/apart.plan"].assert_eq(&planned(&Posture::sealed(apart())));
}

/// The whole rule set and every flip take along what a pause alone writes.
#[test]
fn who_is_refused_is_so_by_every_order() {
    let (open, sealed) = (refusing(by(Egress::Privacy, facts())), refusing(Posture::sealed(facts())));
    for posture in [&open, &sealed] {
        assert!(flip(posture).ends_with(&refuse(posture)), "{}", flip(posture));
        assert!(flip_to_relay(posture).contains(&refuse(posture)), "{}", flip_to_relay(posture));
        for set in
            ["paused4  { type ipv4_addr; elements = { 100.64.0.7 } }", "elements = { 53, 41653, 40123 }"]
        {
            assert!(whole(posture).contains(set), "{set}");
        }
    }
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
    let others = [served(), apart()].map(Posture::sealed);
    let postures = [Posture::default(), Posture::sealed(facts()), by(Egress::Residential, facts())];
    for posture in postures.into_iter().chain(others) {
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
    let Settings { relays, flow_table, refuse_dot, refuse_smtp, limit_mbit, house_access, .. } =
        house::settings();
    let interfaces = Vec::from([String::from("eth0")]);
    let candidates = relays.iter().map(|relay| relay.end.relay).collect();
    let tunnel = relays.first().map(|relay| relay.end.clone());
    Facts {
        uplink: Some(house::uplink()),
        interfaces,
        tunnel,
        candidates,
        flow_table,
        refuse_dot,
        refuse_smtp,
        limit_mbit,
        house_access,
        household: None,
        reach: false,
    }
}

fn served() -> Facts {
    let household = Household {
        interface: String::from("eth0"),
        addresses: house::uplink().addresses,
        routers: Vec::from([Mac([2, 0, 0, 0, 0x77, 1])]),
    };
    Facts { household: Some(Box::new(household)), reach: true, ..facts() }
}

fn apart() -> Facts {
    let addresses = ["192.168.78.1/24", "fd62:7977:6179:78::1/64"];
    let household = Household {
        interface: String::from("eth1"),
        addresses: addresses.map(|net| net.parse().expect("an address")).to_vec(),
        routers: Vec::new(),
    };
    Facts { household: Some(Box::new(household)), ..facts() }
}

fn by(egress: Egress, facts: Facts) -> Posture {
    let epoch = Epoch::fresh(None, house::at(5_000));
    Posture { door: Some(Door { egress, epoch }), ..Posture::sealed(facts) }
}

fn refusing(posture: Posture) -> Posture {
    let clients =
        ["100.64.0.7", "fd7a:115c:a1e0::7"].map(|address| address.parse().expect("an address")).to_vec();
    Posture { refused: Refused { clients, name_ports: Vec::from([40_123]) }, ..posture }
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
        Lack::Spent(_) => 9,
    }
}
