//! A tailscaled that the world itself runs, on the phone or on the box by hand, and its command line.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::namespace::Namespace;
use crate::peers::Peers;
use crate::process::Process;
use crate::tools::{path_text, write_secret};
use crate::wait::{PATIENCE, wait_for};

/// A running node; logged in or not.
#[derive(Debug)]
pub(crate) struct Tailscale {
    daemon: Process,
    namespace: Namespace,
    client: PathBuf,
    socket: PathBuf,
}

impl Tailscale {
    /// Starts `daemon` with its state in `folder` and waits until it takes commands.
    pub(crate) fn start(
        namespace: Namespace,
        daemon: &Path,
        peers: &Peers,
        folder: &Path,
        authority: &Path,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let socket = folder.join("tailscaled.sock");
        let (state, at) =
            (format!("--statedir={}", folder.display()), format!("--socket={}", socket.display()));
        let args = [&state, &at, "--tun=tailscale0", "--port=41641", "--no-logs-no-support"];
        let name = format!("tailscaled-{}", namespace.name());
        let mut daemon = namespace.spawn(
            &name,
            daemon,
            &args,
            &[&environment(path_text(authority)?)[..], &WITHOUT_ROUTERS].concat(),
        )?;
        wait_for("tailscaled's socket", PATIENCE, || {
            if !daemon.is_alive() {
                bail!("tailscaled has ended");
            }
            socket.exists().then_some(()).context("no socket yet")
        })
        .with_context(|| daemon.log_tail())?;
        Ok(Self { daemon, namespace, client: peers.tailscale(), socket })
    }

    /// Logs in, whatever it was before, at the world's control server; returns when the node is running.
    pub(crate) fn up(&self, host: &str, auth_key: &str, more: &[&str]) -> Result<()> {
        let key_path = self.socket.with_file_name("auth-key");
        write_secret(&key_path, auth_key)?;
        let (key, host) = (format!("--auth-key=file:{}", key_path.display()), format!("--hostname={host}"));
        let login = "--login-server=https://hs.example.net";
        let mut words = vec!["up", "--reset", "--force-reauth", login, &key, &host, "--accept-dns=false"];
        words.push("--timeout=60s");
        words.extend(more);
        self.run(&words).with_context(|| self.daemon.log_tail()).map(drop)
    }

    /// Runs its command-line client.
    pub(crate) fn run(&self, words: &[&str]) -> Result<String> {
        let socket = format!("--socket={}", self.socket.display());
        let mut all = vec![path_text(&self.client)?, &socket];
        all.extend(words);
        self.namespace.run(&all)
    }

    pub(crate) fn log_tail(&self) -> String {
        self.daemon.log_tail()
    }
}

/// Of those that are not the box's: they ask no router for a port.
const WITHOUT_ROUTERS: [(&str, &str); 1] = [("TS_DISABLE_PORTMAPPER", "true")];

/// What every tailscaled of the world is started with: trust the test's authority, talk to nobody outside.
pub(crate) fn environment(authority: &str) -> [(&'static str, &str); 2] {
    [("SSL_CERT_FILE", authority), ("TS_NO_LOGS_NO_SUPPORT", "true")]
}
