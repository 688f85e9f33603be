//! Where one server is measured: two machines and a cable. On the far one is the upstream, unbound, on the near one who
//! forwards to it, every one by its own best means, and who asks.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::unistd::Pid;

use super::questions::{Client, ZONE};
use super::server::Server;
use crate::certs::Certs;
use crate::namespace::Namespace;
use crate::process::{Process, command, succeed};
use crate::run::Run;
use crate::tools::path_text;
use crate::topology::SERVER_V4;
use crate::upstream::unbound;
use crate::wait_for;

const NEAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const PORT: u16 = 53;
/// What the certificate of the upstream says.
const HOST: &str = "dns-residential.example.net";
/// For a first answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// About as many as byway's 2 MiB of answers hold.
const DNSMASQ_CACHE: &str = "--cache-size=7000";

/// The programs of this run, and what they read.
#[derive(Debug)]
pub(super) struct Programs {
    /// byway's stub as a process, `tests/bench/stub.rs`.
    stub: PathBuf,
    unbound: PathBuf,
    as_upstream: PathBuf,
    as_forwarder: PathBuf,
    /// Who has signed the upstream's certificate.
    authority: PathBuf,
}

impl Programs {
    pub(super) fn prepare(stub: &Path, run: &Run) -> Result<Self> {
        let folder = run.folder();
        let certs = Certs::make(folder)?;
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            anyhow::Ok(path)
        };
        Ok(Self {
            stub: stub.to_owned(),
            unbound: unbound(folder)?,
            as_upstream: write("unbound-upstream.conf", as_upstream(&certs))?,
            as_forwarder: write("unbound-forwarder.conf", as_forwarder())?,
            authority: certs.authority,
        })
    }
}

/// One server that answers. Dropping it leaves nothing.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) server: Server,
    near: Namespace,
    far: Namespace,
    /// The upstream, and who forwards to it; the last one is measured.
    processes: Vec<Process>,
}

impl Place {
    pub(super) fn raise(run: &Run, programs: &Programs, server: Server) -> Result<Self> {
        let make = |side: &str| {
            let name = run.namespace(&format!("{side}{}", server as u8));
            Namespace::make(&name, run.folder(), "127.0.0.1 localhost\n", "127.0.0.1")
        };
        let mut place = Self { server, near: make("near")?, far: make("far")?, processes: Vec::new() };
        place.lay_cable()?;
        let upstream = ["-d", "-c", path_text(&programs.as_upstream)?];
        place.processes.push(place.far.spawn("upstream", &programs.unbound, &upstream, &[])?);
        place.wait_answers(FAR)?;
        let forwarder = start(server, &place.near, programs)?;
        place.processes.extend(forwarder);
        place.wait_answers(place.address())?;
        Ok(place)
    }

    /// Asks the server that is measured.
    pub(super) fn client(&self) -> Client<'_> {
        Client { at: &self.near, server: SocketAddr::from((self.address(), PORT)) }
    }

    pub(super) fn measured(&self) -> Result<&Process> {
        self.processes.last().context("nothing runs here")
    }

    /// Of the upstream too, where it is another one.
    pub(super) fn pids(&self) -> impl Iterator<Item = Pid> {
        self.processes.iter().map(Process::pid)
    }

    fn address(&self) -> Ipv4Addr {
        match self.server {
            Server::Upstream => FAR,
            Server::Byway | Server::BywayByHttps | Server::Unbound | Server::Dnsmasq => Ipv4Addr::LOCALHOST,
        }
    }

    fn lay_cable(&self) -> Result<()> {
        let (near, far) = (self.near.name(), self.far.name());
        let words =
            ["link", "add", "eth0", "netns", near, "type", "veth", "peer", "name", "eth0", "netns", far];
        succeed(command("ip", &words, &[])).context("cannot lay the cable")?;
        for (namespace, address) in [(&self.near, NEAR), (&self.far, FAR)] {
            namespace.ip(&format!("link set lo up\naddr add {address}/24 dev eth0\nlink set eth0 up"))?;
        }
        Ok(())
    }

    fn wait_answers(&self, address: Ipv4Addr) -> Result<()> {
        let client = Client { at: &self.near, server: SocketAddr::from((address, PORT)) };
        wait_for("a first answer", PATIENCE, || client.ask_once())
            .with_context(|| self.processes.last().map(Process::log_tail).unwrap_or_default())
            .with_context(|| format!("{} at {address} does not answer", self.server.name()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.processes.clear();
        for namespace in [&self.near, &self.far] {
            // What cannot be removed now is removed by name at the start of the next run.
            let _ = namespace.remove();
        }
    }
}

/// None where there is nothing to start.
fn start(server: Server, near: &Namespace, programs: &Programs) -> Result<Option<Process>> {
    let upstream = FAR.to_string();
    let trust = [("SSL_CERT_FILE", path_text(&programs.authority)?)];
    let process = match server {
        Server::Upstream => return Ok(None),
        Server::Byway => near.spawn("stub", &programs.stub, &[&upstream], &[]),
        Server::BywayByHttps => {
            near.spawn("stub-https", &programs.stub, &[&upstream, "--https", HOST], &trust)
        }
        Server::Unbound => {
            near.spawn("unbound", &programs.unbound, &["-d", "-c", path_text(&programs.as_forwarder)?], &[])
        }
        Server::Dnsmasq => {
            let words = [
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--pid-file=",
                "--user=root",
                "--no-hosts",
                "--no-resolv",
                "--bind-interfaces",
                "--listen-address=127.0.0.1",
                DNSMASQ_CACHE,
                &format!("--server={upstream}"),
            ];
            near.spawn("dnsmasq", Path::new("dnsmasq"), &words, &[])
        }
    };
    process.map(Some)
}

/// Any name below the zone leads to the web.
fn as_upstream(certs: &Certs) -> String {
    let identity = &certs.residential_dns.own;
    let (certificate, key) = (identity.certificate.display(), identity.key.display());
    format!(
        r#"server:
  interface: {FAR}@{PORT}
  interface: {FAR}@443
  https-port: 443
  tls-service-pem: "{certificate}"
  tls-service-key: "{key}"
  access-control: {NEAR} allow
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  local-zone: "{ZONE}" redirect
  local-data: "{ZONE} 300 IN A {SERVER_V4}"
"#
    )
}

/// With as much for answers as byway has, and no more to do with them.
fn as_forwarder() -> String {
    format!(
        r#"server:
  interface: 127.0.0.1@{PORT}
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  msg-cache-size: 1m
  rrset-cache-size: 1m
forward-zone:
  name: "."
  forward-addr: {FAR}
"#
    )
}
