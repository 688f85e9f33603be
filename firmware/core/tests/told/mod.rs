//! A view in words, field by field.

use std::fmt::Debug;

use byway_core::account;
use byway_core::board::Board;
use byway_core::clients::ClientView;
use byway_core::clock::ClockReport;
use byway_core::names::NamesReport;
use byway_core::relays::{RelayView, Role};
use byway_core::tailnet::{Reach, TailnetFacts};
use byway_core::{LanView, ResidentialView, SeenAs, TunnelView, UplinkView, UpstreamView, Uptime, View};

/// Every field; a new one is not compiled before it is printed here.
pub(crate) fn told(view: &View) -> String {
    let View {
        name,
        wish,
        door,
        phase,
        why,
        lack,
        since,
        tunnel,
        relays,
        tailnet,
        reach,
        seen_as,
        uplink,
        lan,
        house,
        portal,
        drift,
        dns,
        clock,
        board,
        clients,
        residential,
        last_stop,
        account,
    } = view;
    assert!(house.iter().all(|sentence| why.contains(sentence)), "{house:?}");
    assert!(lack.as_ref().is_none_or(|lack| why.contains(&lack.to_string())), "{lack:?}");
    assert!(portal.as_ref().is_none_or(|page| why.contains(page)), "{portal:?}");
    let TunnelView { relay, endpoint, handshake, rx_bytes, tx_bytes, mtu, offloads } = tunnel;
    let wished = if view.is_as_wished() { "as wished" } else { "not as wished" };
    let since = since.elapsed_since_boot();
    let handshake = handshake.map(Uptime::elapsed_since_boot);
    format!(
        "{name}: wish {wish}, door {}, {phase:?} since {since:?}, {wished}\n\
         why: {why}\n\
         tunnel: {relay} at {endpoint}, handshake {}, {rx_bytes} in, {tx_bytes} out, mtu {mtu}, offloads {offloads:?}\n\
         {}seen as: {}\nuplink: {}\n{}{}{}drift: {} healed, last {}\nnames: {}; {}\n{}{}{}{}{}{}",
        or_none(*door),
        or_none(handshake),
        relays.iter().map(relay_told).collect::<String>(),
        seen_as.as_ref().map_or_else(|| String::from("none"), seen),
        uplink.as_ref().map_or_else(|| String::from("none"), line),
        lan.as_ref().map_or_else(String::new, shared),
        node(tailnet),
        way(reach),
        drift.healed,
        or_none(drift.last.as_ref()),
        asked(&dns.privacy),
        asked(&dns.residential),
        time(clock),
        parts(board),
        clients.iter().flatten().map(client).collect::<String>(),
        line_of_the_house(residential),
        last_stop.as_ref().map_or_else(String::new, |last| format!("last stop: {last}\n")),
        account.as_ref().map_or_else(String::new, paid),
    )
}

/// A line once it was tested, or leads somewhere.
fn relay_told(view: &RelayView) -> String {
    let RelayView {
        id: _,
        keys: _,
        name,
        endpoint,
        role,
        round_trip,
        mtu,
        proven,
        tested,
        failures,
        obstacle,
        seen_as,
    } = view;
    let [proven, tested] = [proven, tested].map(|when| or_none(when.map(Uptime::elapsed_since_boot)));
    if view.tested.is_none() && *role == Role::Spare {
        return String::new();
    }
    let (round_trip, mtu, obstacle) = (or_none(*round_trip), or_none(*mtu), or_none(obstacle.as_ref()));
    format!(
        "relay: {name} at {endpoint}, {role:?}, {round_trip}, mtu {mtu}, proven {proven}, tested {tested}, \
         {failures} failures, {obstacle}, seen as {seen_as:?}\n"
    )
}

fn client(view: &ClientView) -> String {
    let ClientView { id: _, name, addresses, tx_bytes, rx_bytes, since, last_seen, path, paused, limit_mbit } =
        view;
    let limit = limit_mbit.map_or_else(String::new, |mbit| format!(", at most {mbit} Mbit/s"));
    let paused = if *paused { ", paused" } else { "" };
    let [since, last_seen] = [since, last_seen].map(|when| or_none(when.map(Uptime::elapsed_since_boot)));
    let (name, path) = (or_none(name.as_ref()), or_none(path.as_ref()));
    format!(
        "client: {name} {addresses:?}, {tx_bytes} out, {rx_bytes} in, since {since}, seen {last_seen}, {path}{paused}{limit}\n"
    )
}

/// A line where there is one.
fn paid(report: &account::Report) -> String {
    let account::Report { device, expiry, days_left, key_made, location, trouble, note } = report;
    let (device, expiry, days_left) = (or_none(device.as_ref()), or_none(*expiry), or_none(*days_left));
    let (key_made, trouble) = (or_none(*key_made), or_none(trouble.as_ref().or(note.as_ref())));
    format!(
        "account: {device}, until {expiry}, {days_left} days, key of {key_made}, at {location}, trouble {trouble}\n"
    )
}

/// A line once something is known.
fn line_of_the_house(ResidentialView { smtp, smtp_tries, used }: &ResidentialView) -> String {
    let used = used.map_or_else(String::new, |(bytes, gb)| format!(", {bytes} bytes of {gb} GB"));
    let told = |tries| format!("residential: smtp {smtp}, {tries} tries{used}\n");
    smtp_tries.map_or_else(String::new, told)
}

/// A line once something is known.
fn parts(board: &Board) -> String {
    let Board { model, temperature_c, under_voltage, hot, throttled } = board;
    if *board == Board::default() {
        return String::new();
    }
    format!("board: {model:?}, {temperature_c:?}, {under_voltage:?}, {hot:?}, {throttled:?}\n")
}

/// A line once something is known.
fn time(ClockReport { source, offset, checked, answered, agreed, trouble }: &ClockReport) -> String {
    let Some(source) = source else { return String::new() };
    let (offset, checked) = (or_none(offset.as_ref()), or_none(checked.map(Uptime::elapsed_since_boot)));
    let trouble = or_none(trouble.as_ref());
    format!("clock: {source:?}, {offset} at {checked}, {agreed} of {answered} agree, trouble {trouble}\n")
}

/// A line once tailscaled answers; the sentences have tests of their own.
fn node(facts: &TailnetFacts) -> String {
    let Some(state) = facts.state else { return String::new() };
    format!("tailnet: {state:?}, exit node {}\n", or_none(facts.exit_node))
}

/// A line once somebody talks to it.
fn way(Reach { by, relay, router, mapped, says }: &Reach) -> String {
    let Some(by) = by else { return String::new() };
    let (relay, router, mapped) = (or_none(relay.as_ref()), or_none(router.as_ref()), or_none(*mapped));
    format!("reach: {by:?}, {relay}, {router}, {mapped}: {says}\n")
}

fn asked(UpstreamView { upstream, report }: &UpstreamView) -> String {
    let NamesReport { last_ok, failures, p50, error } = report;
    let last_ok = or_none(last_ok.map(Uptime::elapsed_since_boot));
    let (p50, error) = (or_none(*p50), or_none(error.as_ref()));
    format!("{upstream} answered at {last_ok}, half within {p50}, {failures} failures, error {error}")
}

fn seen(SeenAs { v4, v6, mullvad, place, checked }: &SeenAs) -> String {
    let (v4, v6, mullvad) = (or_none(*v4), or_none(*v6), or_none(*mullvad));
    let place = place.as_ref().map_or_else(String::new, |place| format!(" in {place}"));
    format!("{v4} and {v6}{place}, mullvad {mullvad}, checked at {:?}", checked.elapsed_since_boot())
}

fn line(UplinkView { interface, addresses, gateway }: &UplinkView) -> String {
    format!("{interface} {addresses:?} by {}", or_none(*gateway))
}

/// A line where the owner wants something of the kind.
fn shared(LanView { interface, serves, reach, .. }: &LanView) -> String {
    format!("lan: {} of {serves:?}, reach {reach:?}\n", or_none(interface.as_ref()))
}

fn or_none(value: Option<impl Debug>) -> String {
    value.map_or_else(|| String::from("none"), |value| format!("{value:?}"))
}
