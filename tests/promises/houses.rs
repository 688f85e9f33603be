//! Houses that the box is carried to: what each lends and how it goes wrong, what the box says of it, and how long it takes
//! to carry there. Each move is a cable pulled out of one house and pushed into the next.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use byway_lab::house::{House, LOGIN, Offer};
use byway_lab::judge::Door;
use byway_lab::neighbour::{NEIGHBOUR_V4, Neighbour};
use byway_lab::question::RecordType;
use byway_lab::stage::{Stage, is_as_wished};
use byway_lab::topology::{Numbering, RELAY_V4, SERVER_V4, SERVER_V6};
use byway_lab::traffic::Kind;

use crate::house::{PATH_BOUND, wait_address, wait_leased, wait_told};
use crate::names::{dig, fresh};
use crate::ordeal::{GENTLE, Ordeal, PATIENCE};
use crate::path::{download, upload};

/// Long enough for a kernel that believed the flood to be full of routers.
const FLOOD: Duration = Duration::from_secs(3);

/// Moves into a house and waits until the phone is carried; the time counts from `there` on.
fn move_in(
    stage: &mut Stage,
    ordeal: &mut Ordeal,
    house: &str,
    change: impl FnOnce(&mut House) -> Result<()>,
    there: impl FnOnce(&Stage) -> Result<SystemTime>,
) -> Result<()> {
    let (sealed, _) = ordeal.until_sealed(stage, |stage| stage.world.topology().pull_cable())?;
    change(&mut stage.world.house)?;
    let carried = ordeal.until_carried_since(stage, |stage| {
        stage.world.topology().push_cable()?;
        there(stage)
    })?;
    ordeal.note(house, sealed, carried);
    ensure!(carried <= PATH_BOUND, "{house}: carried only after {carried:?}");
    Ok(())
}

/// Moves into a house that cannot carry, hears why, mends it, and waits until the phone is carried.
fn suffer(
    stage: &mut Stage,
    ordeal: &mut Ordeal,
    (house, told): (&str, &str),
    change: impl FnOnce(&mut Stage) -> Result<()>,
    mend: impl FnOnce(&mut Stage) -> Result<()>,
) -> Result<()> {
    let (sealed, _) = ordeal.until_sealed(stage, |stage| stage.world.topology().pull_cable())?;
    change(stage)?;
    stage.world.topology().push_cable()?;
    wait_told(stage, told)?;
    let carried = ordeal.until_carried(stage, mend)?;
    ordeal.note(format!("{house}: \"{told}\", mended"), sealed, carried);
    Ok(())
}

fn usual(house: &mut House) -> Result<()> {
    house.offer(&Offer::both())
}

/// Static routes of all three options, and name and time servers that are none of the router's.
pub(super) fn strangers_routes_and_servers(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let neighbour = Neighbour::move_in(&stage.world)?;
    let stranger = neighbour.answer_for_names()?;
    let offer = Offer::both()
        .with_routes_by(NEIGHBOUR_V4.into(), RELAY_V4.into())
        .with_dns(NEIGHBOUR_V4)
        .with_ntp(NEIGHBOUR_V4);
    move_in(
        stage,
        &mut ordeal,
        "options 33, 121, 249, foreign DNS",
        |house| house.offer(&offer),
        wait_leased,
    )?;
    let routes = stage.byway.namespace().run(&["ip", "route", "show", "table", "all"])?;
    ensure!(!routes.contains(&NEIGHBOUR_V4.to_string()), "the stranger has a route: {routes}");
    let resolv_conf = stage.byway.namespace().run(&["cat", "/etc/resolv.conf"])?;
    ensure!(resolv_conf.contains("127.0.0.1") && !resolv_conf.contains("192.168.77."), "{resolv_conf}");
    for door in [Door::Residential, Door::Privacy] {
        ordeal.watch.flip(&stage.byway, Some(door))?;
        stage.wait_seen_by(door)?;
        dig(stage, &fresh("stranger"), RecordType::A)?;
    }
    let heard = stranger.heard();
    ensure!(!heard.is_empty(), "the stranger was never asked: whose names did it offer?");
    let of_clients = heard.iter().find(|heard| heard.name.ends_with("q.example.net"));
    ensure!(of_clients.is_none(), "the stranger has heard a client: {of_clients:?}");
    drop((stranger, neighbour));
    move_in(stage, &mut ordeal, "a usual house", usual, wait_leased)?;
    ordeal.end().map(drop)
}

/// One that comes later changes nothing; one alone leads nowhere until the house's own is back; none is told.
pub(super) fn dhcp_servers(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let neighbour = Neighbour::move_in(&stage.world)?;
    let other = "192.168.77.99".parse()?;
    let rogue = neighbour.lend(&Offer::v4_only().of(other))?;
    let before = stage.byway.status()?;
    stage.byway.renew_lease()?;
    ordeal.watch.wait_answered(PATIENCE)?;
    let after = stage.byway.status()?;
    ensure!(before["uplink"] == after["uplink"], "another server has changed the uplink: {before} {after}");

    let only_the_rogue = |stage: &mut Stage| {
        stage.world.house.offer_nothing();
        Ok(())
    };
    let (sealed, _) = ordeal.until_sealed(stage, |stage| stage.world.topology().pull_cable())?;
    only_the_rogue(stage)?;
    stage.world.topology().push_cable()?;
    wait_address(stage, other)?;
    wait_told(stage, "relay")?;
    drop(rogue);
    stage.world.topology().pull_cable()?;
    wait_told(stage, "no cable")?;
    usual(&mut stage.world.house)?;
    let carried = ordeal.until_carried_since(stage, |stage| {
        stage.world.topology().push_cable()?;
        wait_leased(stage)
    })?;
    ordeal.note("a second DHCP server alone, then the house's", sealed, carried);
    let nobody = ("no DHCP server", "no DHCP server answers");
    suffer(stage, &mut ordeal, nobody, only_the_rogue, |stage| usual(&mut stage.world.house))?;
    ordeal.end().map(drop)
}

/// Of IPv4, which the house lends; of IPv6, whichever the box makes up.
pub(super) fn duplicate_addresses(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let neighbour = Neighbour::move_in(&stage.world)?;
    let lent = Numbering::First.of_the_box();
    let taken = ("a duplicate address", "192.168.77.2 is taken by another machine in the house");
    let take = |stage: &mut Stage| {
        neighbour.take(lent)?;
        stage.world.house.offer(&Offer::v4_only())
    };
    suffer(stage, &mut ordeal, taken, take, |stage| {
        neighbour.give_up(lent)?;
        // Its server would lend nothing for ten minutes after a refusal.
        stage.world.house.offer(&Offer::v4_only())
    })?;
    let claims = neighbour.claim_everything()?;
    move_in(stage, &mut ordeal, "every IPv6 address is taken", usual, wait_leased)?;
    // What it carries by is IPv4: it may not have asked yet.
    wait_told(stage, "is taken by another machine in the house")?;
    ensure!(!claims.finish()?.is_empty(), "the box has asked for no address whether it is free");
    move_in(stage, &mut ordeal, "a usual house", usual, wait_leased)?;
    ordeal.end().map(drop)
}

/// Hundreds of them a second, each with a prefix of its own.
pub(super) fn flood_of_routers(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let neighbour = Neighbour::move_in(&stage.world)?;
    let flood = neighbour.flood()?;
    let began = SystemTime::now();
    while began.elapsed()? < FLOOD {
        for kind in [Kind::NewTcp, Kind::LongUdp] {
            ordeal.watch.wait_answered_to(PATIENCE, |line| line.kind == kind)?;
        }
    }
    // Each address that a router makes it take shuts the door for a moment.
    stage.byway.wait_status("an open door in the flood", PATIENCE, is_as_wished)?;
    let sent = flood.finish()?;
    ensure!(sent > 100, "a flood of {sent} routers");
    ordeal.note(format!("{sent} routers announced in 3 s"), None, None);
    move_in(stage, &mut ordeal, "a usual house", usual, wait_leased)?;
    ordeal.end().map(drop)
}

/// 100.64.0.0/24, whose router has the phone's address in the tailnet.
pub(super) fn of_the_tailnets_range(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    stage.world.topology().pull_cable()?;
    wait_told(stage, "no cable")?;
    stage.world.house.renumber(Numbering::CarrierGrade)?;
    stage.world.topology().push_cable()?;
    let there = wait_leased(stage)?;
    stage.byway.wait_status("the wished door", PATIENCE, is_as_wished)?;
    stage.wait_seen_by(Door::Privacy)?;
    let carried = there.elapsed()?;
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    wait_told(stage, "the house's own addresses are of the tailnet's range")?;
    for door in [Door::Residential, Door::Privacy] {
        ordeal.watch.flip(&stage.byway, Some(door))?;
        stage.wait_seen_by(door)?;
    }
    ordeal.note("house of 100.64.0.0/24, router 100.64.0.1", None, carried);
    ordeal.end()?;
    stage.world.house.renumber(Numbering::First)?;
    stage.world.topology().pull_cable()?;
    wait_told(stage, "no cable")?;
    stage.world.topology().push_cable()?;
    stage.carry()
}

/// The phone's home network has the same numbers, and the tailnet carries it.
pub(super) fn overlapped_by_the_tailnet(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    stage.world.phone.advertise_routes("192.168.77.0/24")?;
    stage.world.control.approve("phone", "192.168.77.0/24")?;
    move_in(stage, &mut ordeal, "LAN that a peer advertises too", usual, wait_leased)?;
    for door in [Door::Residential, Door::Privacy] {
        ordeal.watch.flip(&stage.byway, Some(door))?;
        stage.wait_seen_by(door)?;
    }
    let route = stage.byway.namespace().run(&["ip", "route", "get", "192.168.77.1"])?;
    ensure!(route.contains("dev eth0"), "the router is looked for in the tailnet: {route}");
    stage.world.phone.advertise_routes("")?;
    ordeal.end().map(drop)
}

pub(super) fn of_one_family(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let v4_only = |house: &mut House| house.offer(&Offer::v4_only());
    move_in(stage, &mut ordeal, "IPv4 only", v4_only, wait_leased)?;
    let (told, mended) = ("so it cannot be reached", "the relay is reached by its NAT64");
    let v6_only = |stage: &mut Stage| stage.world.house.offer(&Offer::v6_only());
    suffer(stage, &mut ordeal, ("IPv6 only", told), v6_only, |stage| stage.world.house.translate())?;
    wait_told(stage, mended)?;
    stage.wait_seen_by(Door::Privacy)?;
    stage.world.house.translate_no_more()?;
    let (sealed, _) = ordeal.until_sealed(stage, |stage| stage.world.topology().pull_cable())?;
    let carried = ordeal.until_carried(stage, |stage| {
        usual(&mut stage.world.house)?;
        stage.world.topology().push_cable()
    })?;
    ordeal.note("NAT64 lost, then a usual house", sealed, carried);
    ordeal.end().map(drop)
}

/// `PPPoE`'s 1492 bytes, and nobody says so.
pub(super) fn behind_a_narrow_line(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    stage.world.house.narrow_line(1492)?;
    stage.world.house.lose_errors()?;
    let mut bulk = Vec::new();
    for door in [Door::Privacy, Door::Residential] {
        ordeal.watch.flip(&stage.byway, Some(door))?;
        stage.wait_seen_by(door)?;
        for server in [IpAddr::from(SERVER_V4), SERVER_V6.into()] {
            bulk.push(upload(stage, SocketAddr::new(server, 9)).map(drop));
            bulk.push(download(stage, SocketAddr::new(server, 19)));
        }
    }
    ordeal.watch.flip(&stage.byway, Some(Door::Privacy))?;
    ordeal.watch.wait_answered(PATIENCE)?;
    stage.world.house.tell_errors()?;
    stage.world.house.narrow_line(1500)?;
    ordeal.note("a line of 1492 bytes, errors lost", None, None);
    ordeal.end()?;
    bulk.into_iter().collect()
}

/// From the first moment on: a box that carried a moment ago first waits for its relay.
pub(super) fn behind_a_portal(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    ordeal.watch.cut_power(&mut stage.byway)?;
    stage.world.house.shut_portal()?;
    stage.byway.boot()?;
    wait_told(stage, &format!("log in on a web page first: {LOGIN}"))?;
    let carried = ordeal.until_carried(stage, |stage| stage.world.house.log_in())?;
    ordeal.note("a captive portal told at boot, from the login", None, carried);
    ordeal.end().map(drop)
}
