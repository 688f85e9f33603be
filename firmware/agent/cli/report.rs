//! `byway report`: one text to be mailed, of all that tells how the box is and was. Whatever is somebody's is taken out of it,
//! by [`byway_core::redact`]. What cannot be asked is said in its place: a report of a dead agent is the one that is needed.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use byway_core::redact::{Known, Peer, Redactor};
use serde_json::Value;

use super::{Ending, ask, text};
use crate::control::client::Client;
use crate::control::{Finding, Relay, Status};
use crate::journal::Tail;
use crate::store::Store;
use crate::tailnet::{self, LocalApi};
use crate::{board, clock, config};

/// Of each log.
const LINES: usize = 400;

/// Where the agent keeps what.
pub(super) struct Places<'a> {
    pub(super) config: &'a Path,
    pub(super) state_dir: &'a Path,
    pub(super) run_dir: &'a Path,
}

/// A part of the report under its title.
type Part = (&'static str, String);

pub(super) fn report(places: &Places<'_>) -> anyhow::Result<Ending> {
    let (mut known, mut unknown) = (Known::default(), Vec::new());
    learn_config(places.config, &mut known, &mut unknown);
    let mut parts = Vec::from([("versions", versions())]);
    ask::wait_for(async {
        learn_tailnet(places.run_dir, &mut known, &mut unknown).await;
        parts.extend(of_agent(places.run_dir, &mut known).await);
        Ok(())
    })?;
    parts.extend(left_behind(places));
    let mut redactor = Redactor::new(&known);
    let mut out = std::io::stdout().lock();
    writeln!(out, "byway report, {}", humantime::format_rfc3339_seconds(SystemTime::now()))?;
    writeln!(out, "Secrets, names, clients' and public addresses are replaced, the same by the same.")?;
    for sentence in unknown {
        writeln!(out, "{}", redactor.redact(&sentence))?;
    }
    for (title, told) in parts {
        let told = text::printable_lines(&redactor.redact(&told));
        writeln!(out, "\n--- {title}\n{}", told.trim_end())?;
    }
    Ok(Ending::Done)
}

fn learn_config(config: &Path, known: &mut Known, unknown: &mut Vec<String>) {
    match fs::read_to_string(config) {
        Ok(text) => config::learn_personal(&text, known),
        Err(error) => unknown.push(format!(
            "{} cannot be read ({error}), so a network's name may have stayed: look for it before you mail this.",
            config.display()
        )),
    }
}

/// tailscaled outlives the agent.
async fn learn_tailnet(run_dir: &Path, known: &mut Known, unknown: &mut Vec<String>) {
    match LocalApi::new(tailnet::socket(run_dir)).peers().await {
        Ok(peers) => known
            .peers
            .extend(peers.into_iter().map(|tailnet::Peer { name, addresses, .. }| Peer { name, addresses })),
        Err(error) => unknown.push(format!(
            "tailscaled does not tell its peers ({error}), so their names may have stayed: look for them."
        )),
    }
}

fn versions() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_else(|error| format!("{path}: {error}"));
    let image = read("/etc/os-release");
    let image = image.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("unknown");
    let model = board::look(Path::new("/sys")).model.unwrap_or_else(|| "unknown".to_owned());
    let up = clock::uptime().elapsed_since_boot().as_secs();
    format!(
        "byway {}\nimage {}\nboard {model}\nkernel {}\nup for {}",
        env!("CARGO_PKG_VERSION"),
        image.trim_matches('"'),
        read("/proc/version").trim(),
        humantime::format_duration(std::time::Duration::from_secs(up))
    )
}

/// What the agent tells of itself; where it does not, that.
async fn of_agent(run_dir: &Path, known: &mut Known) -> Vec<Part> {
    let client = Client::new(run_dir);
    let status = client.get::<Value>("/v1/status").await;
    if let Ok(status) = &status {
        // The box's own name is everybody's in this text; the rest of its full name is the tailnet's.
        let full = status["tailnet"]["name"].as_str().unwrap_or_default();
        known.domains.extend(full.trim_end_matches('.').split_once('.').map(|(_, domain)| domain.to_owned()));
        known.secrets.extend(status["account"]["device"].as_str().map(str::to_owned));
    }
    let told = status.and_then(|status| {
        let shown: Status = serde_json::from_value(status.clone())?;
        Ok(format!("{}\n{}", text::status(&shown), serde_json::to_string_pretty(&status)?))
    });
    let doctor = client.get::<Vec<Finding>>("/v1/doctor").await.map(|findings| text::doctor(&findings));
    let relays = client.get::<Vec<Relay>>("/v1/relays").await.map(|relays| text::relays(&relays));
    [("status", told), ("doctor", doctor), ("relays", relays)]
        .map(|(title, told)| (title, told.unwrap_or_else(|error| format!("not known: {error:#}"))))
        .into()
}

/// What is there though nobody lives.
fn left_behind(places: &Places<'_>) -> Vec<Part> {
    let kept = |name: &str| {
        let path = places.state_dir.join(name);
        fs::read(&path).map_or_else(
            |error| format!("none: {}: {error}", path.display()),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    };
    let story = Store::new(places.run_dir).life().value;
    let last_stop =
        story.and_then(|story| byway_core::last_stop::sentence(story.last_stop.as_deref(), &story.crashes));
    let log = Tail::begin(places.run_dir)
        .map_or_else(|error| format!("{}: {error}", places.run_dir.display()), |(_, lines)| end_of(&lines));
    let kernel = Command::new("dmesg").output().map_or_else(
        |error| format!("cannot run dmesg: {error}"),
        |said| end_of(&String::from_utf8_lossy(&said.stdout).lines().map(str::to_owned).collect::<Vec<_>>()),
    );
    Vec::from([
        ("last stop", last_stop.unwrap_or_else(|| "nothing is known of one".to_owned())),
        ("last words, kept after a crash", kept("last-words.log")),
        ("the kernel's last log, kept after a crash", kept("last-kernel.log")),
        ("log", log),
        ("the kernel's log", kernel),
    ])
}

fn end_of(lines: &[String]) -> String {
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
