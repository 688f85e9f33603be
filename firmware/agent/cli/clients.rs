//! `byway clients`: what the agent tells of them, and for whom it is asked to carry nothing.

use std::path::Path;

use hyper::Method;

use super::ask::wait_for;
use super::{Ending, text};
use crate::control::client::Client as Agent;
use crate::control::{Client, ClientRequest};

pub(super) fn list(run_dir: &Path, json: bool) -> anyhow::Result<Ending> {
    let clients: Vec<Client> = wait_for(async { Agent::new(run_dir).get("/v1/clients").await })?;
    if json {
        println!("{}", serde_json::to_string(&clients)?);
    } else {
        print!("{}", text::clients(&clients));
    }
    Ok(Ending::Done)
}

pub(super) fn pause(run_dir: &Path, name: String) -> anyhow::Result<Ending> {
    let paused = ask(run_dir, &ClientRequest { client: name, paused: true })?;
    println!("paused: {paused}");
    Ok(Ending::Done)
}

pub(super) fn resume(run_dir: &Path, name: String) -> anyhow::Result<Ending> {
    let paused = ask(run_dir, &ClientRequest { client: name, paused: false })?;
    println!("paused: {paused}");
    Ok(Ending::Done)
}

/// Who is paused then.
fn ask(run_dir: &Path, request: &ClientRequest) -> anyhow::Result<String> {
    wait_for(async {
        let clients: Vec<Client> = Agent::new(run_dir).send(Method::PUT, "/v1/clients", request).await?;
        Ok(text::paused(&clients).unwrap_or_else(|| "nobody".to_owned()))
    })
}
