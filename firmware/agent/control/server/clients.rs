//! What may be asked of the clients, and how long the answer takes: finds out who is meant, hands it on, and watches the view
//! for what the kernel holds.

use byway_core::View;
use byway_core::clients::PausedClient;
use hyper::{Response, StatusCode};

use super::{Body, Desk, Refusal, Wanted, hand_on, ok, wait_until};
use crate::clock;
use crate::control::{Client, ClientRequest, find_client};

/// Seconds until the kernel holds it: many times what an order takes.
const PATIENCE: u64 = 10;

pub(super) fn list(view: &View) -> Result<Response<Body>, Refusal> {
    let nobody = "nobody has looked at the clients yet: try again in a moment";
    let clients = view.clients.as_ref().map(|views| Client::list(views, clock::now()));
    let clients = clients.ok_or_else(|| Refusal(StatusCode::SERVICE_UNAVAILABLE, nobody.to_owned()))?;
    Ok(ok(&clients))
}

pub(super) async fn pause(desk: &Desk, asked: &ClientRequest) -> Result<Response<Body>, Refusal> {
    let known = known(desk).await?;
    let refused = |error| Refusal(StatusCode::NOT_FOUND, error);
    let client = find_client(&asked.client, &known).map_err(refused)?.clone();
    let (id, paused) = (client.id.clone(), asked.paused);
    let wanted = if paused { Wanted::PauseClient(client) } else { Wanted::ResumeClient(id.clone()) };
    let view = hand_on(desk, wanted).await?;
    let is_verdict = move |view: &View| is_paused(view, &id) == paused;
    list(&wait_until(desk, view, PATIENCE, is_verdict).await?)
}

fn is_paused(view: &View, id: &str) -> bool {
    let mut clients = view.clients.iter().flatten();
    clients.any(|client| client.paused && client.id.as_deref() == Some(id))
}

/// Everybody on the tailnet, and who is still paused though gone from there.
async fn known(desk: &Desk) -> Result<Vec<PausedClient>, Refusal> {
    let roll = desk.tailscaled.roll().await;
    let roll = roll.map_err(|error| {
        let error = format!("tailscaled does not tell who is on the tailnet: {error}");
        Refusal(StatusCode::SERVICE_UNAVAILABLE, error)
    })?;
    let mut known: Vec<PausedClient> = roll.peers.into_iter().map(PausedClient::from).collect();
    for view in desk.views.borrow().clients.iter().flatten() {
        let is_known = |id: &String| known.iter().any(|client| client.id == *id);
        if let (Some(id), Some(name)) = (view.id.clone().filter(|id| !is_known(id)), view.name.clone()) {
            known.push(PausedClient { id, name, addresses: view.addresses.clone() });
        }
    }
    Ok(known)
}
