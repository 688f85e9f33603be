//! What may be asked of the relays, and how long the answer takes: hands it on, and watches the view for the verdict.

use byway_core::View;
use byway_core::relays::{RelayId, RelayView, Role};
use hyper::{Response, StatusCode};

use super::{Body, Desk, Refusal, Relay, Wanted, hand_on, ok, wait_until};
use crate::clock;
use crate::control::unknown_relay;

/// Asks that this one carries; waits until it does, or a verdict against it came.
pub(super) async fn use_one(desk: &Desk, name: &str, wait_s: u64) -> Result<Response<Body>, Refusal> {
    let place = place_of(&desk.views.borrow().relays, name)?;
    let asked = clock::uptime();
    let view = hand_on(desk, Wanted::UseRelay(RelayId(place))).await?;
    let is_verdict = |view: &View| {
        view.relays.get(place).is_some_and(|relay| {
            relay.role == Role::Active || (relay.tested >= Some(asked) && relay.obstacle.is_some())
        })
    };
    Ok(answer(&wait_until(desk, view, wait_s, is_verdict).await?))
}

/// Asks that each is tested; waits until a verdict of each came.
pub(super) async fn test(desk: &Desk, wait_s: u64) -> Result<Response<Body>, Refusal> {
    let asked = clock::uptime();
    let view = hand_on(desk, Wanted::TestRelays).await?;
    let is_verdict = |view: &View| view.relays.iter().all(|relay| relay.tested >= Some(asked));
    Ok(answer(&wait_until(desk, view, wait_s, is_verdict).await?))
}

fn place_of(relays: &[RelayView], name: &str) -> Result<usize, Refusal> {
    relays.iter().position(|relay| relay.name == name).ok_or_else(|| {
        let names: Vec<&str> = relays.iter().map(|relay| relay.name.as_str()).collect();
        Refusal(StatusCode::NOT_FOUND, unknown_relay(name, &names))
    })
}

fn answer(view: &View) -> Response<Body> {
    ok(&Relay::list(view, clock::now()))
}
