//! What the box tells whoever helps its owner: how it ended, what it did, and nothing of anybody's.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use byway_lab::stage::Stage;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_mins(1);

pub(super) fn told_of_a_killed_agent(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    stage.byway.kill9()?;
    stage.byway.start()?;
    let of_the_kill = |status: &Value| {
        let told = status["last_stop"].as_str().unwrap_or_default();
        told.contains("byway crashed ") && told.ends_with("last: it was killed")
    };
    stage.byway.wait_status("the kill to be told", PATIENCE, of_the_kill)?;
    stage.carry()?;
    let said = stage.byway.cli(&["status"])?;
    ensure!(said.stdout.lines().last().is_some_and(|line| line.starts_with("  last stop: ")), "{said:?}");
    let words = fs::read_to_string(stage.byway.state_dir().join("last-words.log"))?;
    ensure!(words.lines().count() > 5, "{words}");
    // It is in memory, and so it is there for the next agent.
    let said = stage.byway.cli(&["logs", "-n", "100000"])?;
    for line in ["byway crashed: it was killed", " is proven", " tailscaled: "] {
        ensure!(said.stdout.contains(line), "{line:?} is not in\n{}", said.stdout);
    }
    Ok(())
}

pub(super) fn are_told_of_nobody(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    let secrets = private_keys(stage)?;
    let said = stage.byway.cli(&["clients", "--json"])?;
    let clients: Vec<Value> = serde_json::from_str(&said.stdout).with_context(|| format!("{said:?}"))?;
    ensure!(!clients.is_empty(), "nobody is carried");
    let addresses = clients.iter().filter_map(|client| client["addresses"].as_array()).flatten();
    let addresses = addresses.filter_map(|address| address.as_str().map(str::to_owned));
    let public = ["192.0.2.", "198.51.100.", "203.0.113.", "2001:db8:"].map(str::to_owned);
    let names = ["phone".to_owned()];
    let all: Vec<String> = secrets.iter().cloned().chain(addresses).chain(public).chain(names).collect();

    let paths = [stage.byway.config_path(), stage.byway.state_dir()];
    let [config, kept_in] = paths.each_ref().map(|path| path.to_str().unwrap_or_default());
    let said = stage.byway.cli(&["report", "--config", config, "--state-dir", kept_in])?;
    ensure!(said.code == Some(0), "{said:?}");
    for of_anybody in &all {
        ensure!(!said.stdout.contains(of_anybody), "{of_anybody} is in\n{}", said.stdout);
    }
    for told in ["\"door\": \"privacy\"", "client-1", "public-1", "ok   rules", "--- log", " is proven"] {
        ensure!(said.stdout.contains(told), "{told:?} is not in\n{}", said.stdout);
    }
    let log = fs::read_to_string(stage.byway.run_dir().join("byway.log"))?;
    for secret in &secrets {
        ensure!(!log.contains(secret), "{secret} is in the log");
    }
    Ok(())
}

/// Of the files that are Mullvad's.
fn private_keys(stage: &Stage) -> Result<Vec<String>> {
    let card = stage.byway.config_path();
    let mut keys = Vec::new();
    for entry in fs::read_dir(card.parent().context("no card")?)? {
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        let key = text.lines().find_map(|line| line.strip_prefix("PrivateKey")?.split_once('='));
        keys.extend(key.map(|(_, key)| key.trim().to_owned()));
    }
    ensure!(!keys.is_empty(), "no private key on the card");
    Ok(keys)
}
