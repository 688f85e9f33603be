//! What may be asked of the relays, and how long the answer takes: hands it on, and watches the view for the verdict.

use std::sync::Arc;

use byway_core::View;
use byway_core::account::{Catalogue, Choice};
use byway_core::relays::{RelayId, RelayView, Role};
use hyper::{Response, StatusCode};

use super::{Body, Desk, Refusal, Relay, Wanted, hand_on, ok, stopping, wait_until};
use crate::clock;
use crate::control::catalogue::{countries, relays_of};
use crate::control::{is_in, unknown_relay};
use crate::mullvad::Counter;

/// Asks for a relay of the list, or with an account for one of Mullvad's, by its name or by where it is.
pub(super) async fn use_one(desk: &Desk, name: &str, wait_s: u64) -> Result<Response<Body>, Refusal> {
    let listed = find(&desk.views.borrow().relays, name);
    match (listed, &desk.mullvad) {
        (Some(relay), _) => use_listed(desk, relay, wait_s).await,
        (None, Some(mullvad)) => choose(desk, mullvad, name, wait_s).await,
        (None, None) => {
            let relays = &desk.views.borrow().relays;
            let names: Vec<&str> = relays.iter().map(|relay| relay.name.as_str()).collect();
            Err(Refusal(StatusCode::NOT_FOUND, unknown_relay(name, &names)))
        }
    }
}

/// Asks that this one carries; waits until it does, or a verdict against it came.
async fn use_listed(desk: &Desk, wanted: RelayId, wait_s: u64) -> Result<Response<Body>, Refusal> {
    let asked = clock::uptime();
    let view = hand_on(desk, Wanted::UseRelay(wanted)).await?;
    let is_verdict = |view: &View| {
        view.relays.iter().filter(|relay| relay.id == wanted).any(|relay| {
            relay.role == Role::Active || (relay.tested >= Some(asked) && relay.obstacle.is_some())
        })
    };
    Ok(answer(&wait_until(desk, view, wait_s, is_verdict).await?))
}

/// Asks that relays of this place carry; waits until one does.
async fn choose(
    desk: &Desk,
    mullvad: &Counter,
    wanted: &str,
    wait_s: u64,
) -> Result<Response<Body>, Refusal> {
    let nowhere = |error| Refusal(StatusCode::NOT_FOUND, error);
    let advice =
        |advice| nowhere(format!("there is no relay {wanted:?}, and no place is called so: {advice}"));
    let choice: Choice = wanted.parse().map_err(advice)?;
    if !newest(mullvad)?.knows(&choice) {
        let error =
            format!("nothing is called {choice} in Mullvad's list: `byway relays list` tells what is");
        return Err(nowhere(error));
    }
    mullvad.choices.send(choice.clone()).await.map_err(|_| stopping())?;
    let is_verdict = move |view: &View| {
        view.relays.iter().any(|relay| relay.role == Role::Active && is_in(&choice, &relay.name))
    };
    let view = desk.views.borrow().clone();
    Ok(answer(&wait_until(desk, view, wait_s, is_verdict).await?))
}

/// What Mullvad has where.
pub(super) fn catalogue(desk: &Desk, query: &str) -> Result<Response<Body>, Refusal> {
    let country = country(query)?;
    let no_account =
        "the list of all relays comes with an account: write account and location below [mullvad]";
    let refused = || Refusal(StatusCode::NOT_FOUND, no_account.to_owned());
    let newest = newest(desk.mullvad.as_ref().ok_or_else(refused)?)?;
    let Some(country) = country else { return Ok(ok(&countries(&newest))) };
    let relays = relays_of(&country, &newest);
    if relays.is_empty() {
        let error = format!("no relay is in {country:?}: `byway relays list` tells the countries");
        return Err(Refusal(StatusCode::NOT_FOUND, error));
    }
    Ok(ok(&relays))
}

fn newest(mullvad: &Counter) -> Result<Arc<Catalogue>, Refusal> {
    let not_yet = "there was no list of Mullvad's relays yet: `byway status` tells what keeps it away";
    let refused = || Refusal(StatusCode::SERVICE_UNAVAILABLE, not_yet.to_owned());
    mullvad.catalogue.borrow().clone().ok_or_else(refused)
}

fn country(query: &str) -> Result<Option<String>, Refusal> {
    let mut country = None;
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        if key != "country" {
            let error = format!("{key:?} is not known: there is country");
            return Err(Refusal(StatusCode::BAD_REQUEST, error));
        }
        country = Some(value.into_owned());
    }
    Ok(country)
}

/// Asks that each is tested; waits until a verdict of each came.
pub(super) async fn test(desk: &Desk, wait_s: u64) -> Result<Response<Body>, Refusal> {
    let asked = clock::uptime();
    let view = hand_on(desk, Wanted::TestRelays).await?;
    let is_verdict = |view: &View| view.relays.iter().all(|relay| relay.tested >= Some(asked));
    Ok(answer(&wait_until(desk, view, wait_s, is_verdict).await?))
}

fn find(relays: &[RelayView], name: &str) -> Option<RelayId> {
    relays.iter().find(|relay| relay.name == name).map(|relay| relay.id)
}

fn answer(view: &View) -> Response<Body> {
    ok(&Relay::list(view, clock::now()))
}
