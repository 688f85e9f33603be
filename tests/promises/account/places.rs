//! Which relays an account's box goes by: those of the place that its owner wants, as long as Mullvad lists them.

use std::net::SocketAddr;
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};
use byway_lab::card::Card;
use byway_lab::house::Offer;
use byway_lab::judge::Door;
use byway_lab::stage::Stage;
use byway_lab::topology::RELAYS;
use byway_lab::wait_for;
use serde_json::Value;

use super::{
    BY_ITSELF, asked_by_the_houses_line, calls, carries_by_itself, carry_by_account, is_proven, only_device,
    restart, take_a_box, trouble,
};
use crate::ordeal::{GENTLE, Ordeal, PATIENCE};
use crate::relays::{active, carries_after_a_boot, relays, seen_by, wait_relays};

const FIRST: &str = "se-got-wg-001";
const NEARBY: &str = "se-got-wg-002";
const REMOTE: &str = "se-mma-wg-001";

/// One that Mullvad has taken out of its list, and then the whole city: for others that are proven, and that is told.
pub(crate) fn unlisted_relays_are_left(stage: &mut Stage) -> Result<()> {
    carry_by_account(stage)?;
    // Whoever carried when the account was paid is not left for a better one.
    restart(stage)?;
    let unlisted = active(stage)?;
    ensure!(unlisted == FIRST || unlisted == NEARBY, "{unlisted} is of another city");
    stage.world.mullvad.take_out(&unlisted);
    hear_the_list(stage)?;
    wait_for_relay(stage, |relay| relay != unlisted)?;
    carries_cleanly(stage, "an unlisted relay is left")?;
    let listed = active(stage)?;
    ensure!(listed != REMOTE, "the other one of the city is still listed");
    ensure!(!is_known(stage, &unlisted)?, "still known: {:?}", relays(stage)?);

    stage.world.mullvad.mark_inactive(&listed);
    hear_the_list(stage)?;
    let is_told = |status: &Value| trouble(status).is_some_and(|trouble| trouble.contains("se-got"));
    stage.byway.wait_status("the empty city", PATIENCE, is_told)?;
    wait_for_relay(stage, |relay| relay == REMOTE)?;
    carries_cleanly(stage, "the last relay of a city is left")?;
    ensure!(!is_known(stage, &listed)?, "still known: {:?}", relays(stage)?);
    stage.world.mullvad.restore_list();
    hear_the_list(stage)?;
    stage.byway.wait_status("the city again", PATIENCE, |status| trouble(status).is_none()).map(drop)
}

fn carries_cleanly(stage: &mut Stage, what: &str) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    ordeal.watch.wait_answered(PATIENCE)?;
    ensure!(seen_by(stage)? == active(stage)?, "the internet sees another");
    ordeal.note(what, None, None);
    ordeal.end().map(drop)
}

/// The next agent asks for the list, and gets another than the last one had.
fn hear_the_list(stage: &mut Stage) -> Result<()> {
    let lists =
        |stage: &Stage| calls(stage, "GET", "/relays").iter().filter(|asked| asked.status == 200).count();
    let before = lists(stage);
    restart(stage)?;
    wait_for("another list", PATIENCE, || {
        ensure!(lists(stage) > before, "{:?}", calls(stage, "GET", "/relays"));
        Ok(())
    })
}

fn is_known(stage: &Stage, relay: &str) -> Result<bool> {
    Ok(relays(stage)?.iter().any(|known| known["name"] == relay))
}

/// The internet sees the phone by a relay that passes.
fn until_carried_by(stage: &Stage, ordeal: &mut Ordeal, passes: impl Fn(&str) -> bool) -> Result<()> {
    let asked = SystemTime::now();
    wait_for_relay(stage, passes)?;
    ordeal.watch.decide(asked, Some(Door::Privacy));
    ordeal.watch.wait_answered(PATIENCE)?;
    ensure!(seen_by(stage)? == active(stage)?, "the internet sees another");
    Ok(())
}

fn wait_for_relay(stage: &Stage, passes: impl Fn(&str) -> bool) -> Result<()> {
    let passes =
        |status: &Value| is_proven(status) && status["tunnel"]["relay"].as_str().is_some_and(&passes);
    stage.byway.wait_status("another relay", PATIENCE, passes).map(drop)
}

/// Listed, chosen, and chosen still after a boot; odd entries of the list are nowhere.
pub(crate) fn a_city_is_chosen_from_the_list(stage: &mut Stage) -> Result<()> {
    carry_by_account(stage)?;
    let said = stage.byway.cli(&["relays", "list"])?;
    ensure!(
        said.code == Some(0) && ["Sweden", "Norway"].iter().all(|it| said.stdout.contains(it)),
        "{said:?}"
    );
    let said = stage.byway.cli(&["relays", "list", "se"])?;
    ensure!(said.code == Some(0), "{said:?}");
    ensure!([FIRST, NEARBY, REMOTE, "Malm"].iter().all(|it| said.stdout.contains(it)), "{said:?}");
    let is_nowhere = |odd: &&str| !said.stdout.contains(odd);
    ensure!(
        ["se-got-wg-101", "se-got-wg-104", "no-osl", "\u{1b}"].iter().all(is_nowhere),
        "an odd one is listed: {said:?}"
    );
    let said = stage.byway.cli(&["relays", "use", "se-xyz"])?;
    ensure!(said.code == Some(2) && said.stderr.contains("relays list"), "{said:?}");

    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let asked = SystemTime::now();
    let said = stage.byway.cli(&["relays", "use", "se-mma"])?;
    ensure!(said.code == Some(0), "{said:?}");
    ordeal.watch.decide(asked, Some(Door::Privacy));
    ordeal.watch.wait_answered(PATIENCE)?;
    ensure!(active(stage)? == REMOTE && seen_by(stage)? == REMOTE, "{:?}", relays(stage)?);
    ordeal.end()?;
    carries_after_a_boot(stage, REMOTE)
}

/// A file of Mullvad's is preferred to the account's relays, which take over when its own one dies: by another key, with
/// other addresses.
pub(crate) fn files_come_before_the_account(stage: &mut Stage) -> Result<()> {
    let card = Card::for_world(&stage.world)?.with_account("se-mma");
    take_a_box(stage, &card)?;
    stage.byway.boot()?;
    carries_by_itself(stage)?;
    wait_relays(stage, "the account's relays", |relays| {
        relays.first().is_some_and(|relay| relay["name"] == FIRST)
            && relays.iter().any(|relay| relay["name"] == REMOTE && !relay["proven_s_ago"].is_null())
    })?;
    ensure!(active(stage)? == FIRST && seen_by(stage)? == FIRST, "{:?}", relays(stage)?);

    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let died = SystemTime::now();
    stage.world.relay_called(FIRST)?.die();
    until_carried_by(stage, &mut ordeal, |relay| relay != FIRST)?;
    ordeal.note("the file's relay dies, the account's carries", None, died.elapsed()?);
    let device = only_device(stage)?;
    let next = active(stage)?;
    let handshake = stage.world.relay_called(&next)?.latest_handshake_of(&device.pubkey)?;
    ensure!(handshake.is_some(), "{next} has shaken hands with another");
    stage.world.relay_called(FIRST)?.come_back()?;
    let outcome = ordeal.end()?;
    ensure!(outcome.verdict.packets_by(Door::Residential) == 0, "by the house: {}", outcome.verdict);
    asked_by_the_houses_line(stage)
}

/// Mullvad's list has addresses of both families; the house has one, and no NAT64. Then it has both again.
pub(crate) fn a_house_of_ipv6_alone_carries(stage: &mut Stage) -> Result<()> {
    carry_by_account(stage)?;
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    for (house, offer, by_ipv6) in
        [("IPv6 alone, no NAT64", Offer::v6_only(), true), ("a usual house", Offer::both(), false)]
    {
        let (sealed, _) = ordeal.until_sealed(stage, |stage| stage.world.topology().pull_cable())?;
        stage.world.house.offer(&offer)?;
        for relay in RELAYS {
            // Else it takes the box by the one family for a stranger who repeats what the box has said by the other.
            stage.world.relay_called(relay.name)?.forget()?;
        }
        let carried = ordeal.until_carried(stage, |stage| stage.world.topology().push_cable())?;
        let is_so = |status: &Value| {
            let endpoint = status["tunnel"]["endpoint"].as_str().and_then(|text| text.parse().ok());
            is_proven(status) && endpoint.is_some_and(|endpoint: SocketAddr| endpoint.is_ipv6() == by_ipv6)
        };
        stage.byway.wait_status("a relay by that family", BY_ITSELF, is_so).context(house)?;
        ensure!(seen_by(stage)? == active(stage)?, "the internet sees another");
        ordeal.note(format!("{house}, relays of an account"), sealed, carried);
    }
    ordeal.end()?;
    asked_by_the_houses_line(stage)
}
