//! Who is compared, and how each is started, every one by its own best means. What is measured is not known here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use super::cable::{Cable, End};
use crate::peers::Peers;
use crate::process::Process;
use crate::relay::wait_configurable;
use crate::tools::path_text;
use crate::wait_for;

/// The programs of this run.
#[derive(Debug)]
pub(super) struct Programs {
    /// byway's engine as a process, `tests/bench/engine.rs`.
    pub(super) engine: PathBuf,
    pub(super) peers: Peers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Implementation {
    /// The cable itself.
    NoTunnel,
    Byway,
    /// byway's path with the cipher left out: what the packets alone cost.
    BywayPlain,
    BoringtunOneThread,
    BoringtunDefault,
    Gotatun,
    WireguardGo,
}

impl Implementation {
    pub(super) const ALL: [Self; 7] = [
        Self::NoTunnel,
        Self::Byway,
        Self::BywayPlain,
        Self::BoringtunOneThread,
        Self::BoringtunDefault,
        Self::Gotatun,
        Self::WireguardGo,
    ];
    pub(super) const BORINGTUN: [Self; 2] = [Self::BoringtunOneThread, Self::BoringtunDefault];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NoTunnel => "no tunnel",
            Self::Byway => "byway",
            Self::BywayPlain => "byway, no cipher",
            Self::BoringtunOneThread => "boringtun-cli, 1 thread",
            Self::BoringtunDefault => "boringtun-cli, default",
            Self::Gotatun => "gotatun",
            Self::WireguardGo => "wireguard-go",
        }
    }

    /// Starts one end of its tunnel on this device, with key and peer; none where there is nothing to start.
    pub(super) fn start(
        self,
        programs: &Programs,
        cable: &Cable,
        end: End,
        (device, port): (&str, u16),
    ) -> Result<Option<Process>> {
        let peers = &programs.peers;
        let (program, words): (PathBuf, &[&str]) = match self {
            Self::NoTunnel => return Ok(None),
            Self::Byway => return engine(&programs.engine, cable, end, (device, port), &[]).map(Some),
            Self::BywayPlain => {
                return engine(&programs.engine, cable, end, (device, port), &["--plain"]).map(Some);
            }
            Self::BoringtunOneThread => {
                (peers.boringtun_cli(), &["--foreground", "--disable-drop-privileges", "--threads", "1"])
            }
            Self::BoringtunDefault => (peers.boringtun_cli(), &["--foreground", "--disable-drop-privileges"]),
            Self::Gotatun => {
                (peers.gotatun(), &["--foreground", "--disable-drop-privileges", "--verbosity", "error"])
            }
            Self::WireguardGo => (peers.wireguard_go(), &["-f"]),
        };
        let namespace = cable.namespace(end);
        let mut daemon = namespace.spawn(device, &program, &[words, &[device]].concat(), &[])?;
        wait_configurable(namespace, &mut daemon, device)?;
        let (key, port) = (cable.key_path(end), port.to_string());
        let own = ["wg", "set", device, "private-key", path_text(&key)?, "listen-port", &port];
        let endpoint = format!("{}:{port}", end.other().address());
        let other =
            ["peer", cable.public_key(end.other()), "endpoint", &endpoint, "allowed-ips", "0.0.0.0/0"];
        namespace.run(&[&own[..], &other].concat())?;
        Ok(Some(daemon))
    }
}

fn engine(
    program: &Path,
    cable: &Cable,
    end: End,
    (device, port): (&str, u16),
    more: &[&str],
) -> Result<Process> {
    let (key, port) = (cable.private_key(end)?, port.to_string());
    let endpoint = format!("{}:{port}", end.other().address());
    let words = ["--device", device, "--port", &port, "--endpoint", &endpoint, "--private-key", &key];
    let words = [&words[..], &["--peer", cable.public_key(end.other())], more].concat();
    let mut process = cable.namespace(end).spawn(device, program, &words, &[])?;
    wait_for("byway's engine to be ready", Duration::from_secs(5), || {
        ensure!(process.is_alive(), "it has ended");
        process.log().contains("READY").then_some(()).context("it has not said so")
    })
    .with_context(|| process.log_tail())?;
    Ok(process)
}
