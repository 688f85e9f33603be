//! `byway relays`: what the agent tells of them, and what it is asked to do with them.

use std::path::Path;
use std::time::Instant;

use anyhow::bail;
use byway_core::account::Choice;
use byway_core::relays::Role;
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ask::wait_for;
use super::{Ending, text};
use crate::control::client::{Client, NotFound};
use crate::control::{Relay, UseRequest, WaitRequest, is_in};

/// Seconds until every one is tested, one after the other: as long as the agent lets anybody wait.
const TEST: u64 = 120;

pub(super) fn list(run_dir: &Path, json: bool) -> anyhow::Result<Ending> {
    tell(run_dir, "/v1/relays", json, text::relays)
}

/// Of Mullvad's whole list: how many there are where, or those of a country.
pub(super) fn catalogue(run_dir: &Path, country: Option<&str>, json: bool) -> anyhow::Result<Ending> {
    let path = "/v1/relays/catalogue";
    let Some(country) = country else {
        return tell(run_dir, path, json, text::countries);
    };
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("country", country).finish();
    tell(run_dir, &format!("{path}?{query}"), json, text::entries)
}

fn tell<Row: Serialize + DeserializeOwned>(
    run_dir: &Path,
    path: &str,
    json: bool,
    as_text: impl FnOnce(&[Row]) -> String,
) -> anyhow::Result<Ending> {
    let told: Vec<Row> = wait_for(async { Client::new(run_dir).get(path).await })?;
    if json {
        println!("{}", serde_json::to_string(&told)?);
    } else {
        print!("{}", as_text(&told));
    }
    Ok(Ending::Done)
}

pub(super) fn use_one(run_dir: &Path, name: &str, wait_s: u64) -> anyhow::Result<Ending> {
    let asked = Instant::now();
    let request = UseRequest { relay: name.to_owned(), wait_s };
    let answer = wait_for(async { Client::new(run_dir).send(Method::PUT, "/v1/relays", &request).await });
    let relays: Vec<Relay> = match answer {
        Err(error) if error.is::<NotFound>() => {
            eprintln!("byway: {error}");
            return Ok(Ending::Usage);
        }
        answer => answer?,
    };
    let wanted = wanted(name, &relays);
    let Some(active) = wanted.iter().find(|relay| relay.role == Role::Active) else {
        bail!("not yet {name}: {}", text::instead(&wanted, &relays, asked.elapsed().as_secs()));
    };
    println!("{} carries, at {}", active.name, active.endpoint);
    Ok(Ending::Done)
}

/// The relay of this name, or else those in the place of this name.
fn wanted<'a>(name: &str, relays: &'a [Relay]) -> Vec<&'a Relay> {
    let named: Vec<&Relay> = relays.iter().filter(|relay| relay.name == name).collect();
    let place: Option<Choice> = name.parse().ok();
    match place.filter(|_| named.is_empty()) {
        Some(place) => relays.iter().filter(|relay| is_in(&place, &relay.name)).collect(),
        None => named,
    }
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
