//! The commands that ask a running agent.

use std::io::Write as _;
use std::path::Path;

use anyhow::bail;
use byway_core::Wish;
use hyper::Method;

use super::{Ending, text};
use crate::control::client::Client;
use crate::control::{EgressRequest, Finding, Logged, Status, Told, WaitRequest};

pub(super) fn status(run_dir: &Path, json: bool, watch: bool) -> anyhow::Result<Ending> {
    let show = |status: &Status| -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        if json {
            writeln!(out, "{}", serde_json::to_string(status)?)?;
        } else {
            write!(out, "{}", text::status(status))?;
        }
        Ok(out.flush()?)
    };
    wait_for(async {
        let client = Client::new(run_dir);
        if watch {
            client.watch(show).await?;
            return Ok(Ending::Done);
        }
        let status: Status = client.get("/v1/status").await?;
        show(&status)?;
        Ok(if status.is_as_wished() { Ending::Done } else { Ending::NotAsWished })
    })
}

pub(super) fn egress(run_dir: &Path, wish: Option<Wish>, wait_s: u64) -> anyhow::Result<Ending> {
    wait_for(async {
        let client = Client::new(run_dir);
        let Some(wish) = wish else {
            let status: Status = client.get("/v1/status").await?;
            println!("wish {}, door {}", status.wish, text::door(status.door));
            return Ok(Ending::Done);
        };
        let request = EgressRequest { egress: wish, wait_s };
        let status = client.send(Method::PUT, "/v1/egress", &request).await?;
        verdict(wish, &status)
    })
}

pub(super) fn toggle(run_dir: &Path, wait_s: u64) -> anyhow::Result<Ending> {
    wait_for(async {
        let request = WaitRequest { wait_s };
        let status: Status = Client::new(run_dir).send(Method::POST, "/v1/toggle", &request).await?;
        verdict(status.wish, &status)
    })
}

/// As `egress sealed`, without a word when it worked.
pub(super) fn seal(run_dir: &Path) -> anyhow::Result<Ending> {
    wait_for(async {
        let request = EgressRequest { egress: Wish::Sealed, wait_s: 10 };
        let status: Status = Client::new(run_dir).send(Method::PUT, "/v1/egress", &request).await?;
        if !status.is_as_wished() {
            bail!("not sealed yet: {}", status.why);
        }
        Ok(Ending::Done)
    })
}

pub(super) fn doctor(run_dir: &Path, json: bool) -> anyhow::Result<Ending> {
    let findings: Vec<Finding> = wait_for(async { Client::new(run_dir).get("/v1/doctor").await })?;
    if json {
        println!("{}", serde_json::to_string(&findings)?);
    } else {
        print!("{}", text::doctor(&findings));
    }
    let kept = findings.iter().all(|finding| finding.kept);
    Ok(if kept { Ending::Done } else { Ending::NotAsWished })
}

pub(super) fn name(run_dir: &Path, name: &str, kind: &str, json: bool) -> anyhow::Result<Ending> {
    // Without a dot the root would be no name at all.
    let name = if name.is_empty() { "." } else { name };
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("name", name), ("type", kind)])
        .finish();
    let told: Told = wait_for(async { Client::new(run_dir).get(&format!("/v1/dns?{query}")).await })?;
    if json {
        println!("{}", serde_json::to_string(&told)?);
    } else {
        print!("{}", text::records(&told));
    }
    if !told.has_data() {
        bail!("{}", text::no_data(&told));
    }
    if !json {
        println!("{}", text::source(&told));
    }
    Ok(Ending::Done)
}

pub(super) fn log(run_dir: &Path, json: bool) -> anyhow::Result<Ending> {
    let log: Vec<Logged> = wait_for(async { Client::new(run_dir).get("/v1/dns/log").await })?;
    if json {
        println!("{}", serde_json::to_string(&log)?);
    } else {
        print!("{}", text::log(&log));
    }
    Ok(Ending::Done)
}

fn verdict(wish: Wish, status: &Status) -> anyhow::Result<Ending> {
    if status.wish != wish {
        bail!("not {wish}: meanwhile somebody wished {}", status.wish);
    }
    if !status.is_as_wished() {
        bail!("not yet {wish}: {}", status.why);
    }
    println!("{wish}: {}", status.why);
    Ok(Ending::Done)
}

pub(super) fn wait_for<T>(answer: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(answer)
}
