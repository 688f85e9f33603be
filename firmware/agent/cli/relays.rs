//! `byway relays`: what the agent tells of them, and what it is asked to do with them.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail};
use byway_core::relays::Role;
use hyper::Method;

use super::ask::wait_for;
use super::{Ending, text};
use crate::control::client::Client;
use crate::control::{Relay, UseRequest, WaitRequest, unknown_relay};

/// Seconds until every one is tested, one after the other: as long as the agent lets anybody wait.
const TEST: u64 = 120;

pub(super) fn list(run_dir: &Path, json: bool) -> anyhow::Result<Ending> {
    let relays: Vec<Relay> = wait_for(async { Client::new(run_dir).get("/v1/relays").await })?;
    if json {
        println!("{}", serde_json::to_string(&relays)?);
    } else {
        print!("{}", text::relays(&relays));
    }
    Ok(Ending::Done)
}

pub(super) fn use_one(run_dir: &Path, name: &str, wait_s: u64) -> anyhow::Result<Ending> {
    wait_for(async {
        let client = Client::new(run_dir);
        let relays: Vec<Relay> = client.get("/v1/relays").await?;
        if !relays.iter().any(|relay| relay.name == name) {
            eprintln!("byway: {}", unknown_relay(name, &names(&relays)));
            return Ok(Ending::Usage);
        }
        let asked = Instant::now();
        let request = UseRequest { relay: name.to_owned(), wait_s };
        let relays: Vec<Relay> = client.send(Method::PUT, "/v1/relays", &request).await?;
        let wanted = relays
            .iter()
            .find(|relay| relay.name == name)
            .context("the agent has another list now: look at `byway relays`, and try again")?;
        if wanted.role != Role::Active {
            bail!("not yet {name}: {}", text::instead(wanted, &relays, asked.elapsed().as_secs()));
        }
        println!("{name} carries, at {}", wanted.endpoint);
        Ok(Ending::Done)
    })
}

pub(super) fn test(run_dir: &Path, json: bool) -> anyhow::Result<Ending> {
    let asked = Instant::now();
    let request = WaitRequest { wait_s: TEST };
    let relays: Vec<Relay> =
        wait_for(async { Client::new(run_dir).send(Method::POST, "/v1/relays/test", &request).await })?;
    let took = asked.elapsed().as_secs();
    if json {
        println!("{}", serde_json::to_string(&relays)?);
    } else {
        print!("{}", text::tested(&relays, took));
    }
    let proven = relays.iter().all(|relay| relay.was_tested_within(took) && relay.is_proven());
    Ok(if proven { Ending::Done } else { Ending::NotAsWished })
}

fn names(relays: &[Relay]) -> Vec<&str> {
    relays.iter().map(|relay| relay.name.as_str()).collect()
}
