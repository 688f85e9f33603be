//! A device of the owner's on another network, the phone or the laptop: the whole tailscaled, and what its owner sees of the internet.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::internet::WhoAmI;
use crate::judge::Door;
use crate::namespace::Namespace;
use crate::peers::Peers;
use crate::question::{RecordType, Reply, Transport, ask};
use crate::tailscale::Tailscale;
use crate::topology::{SERVER_V4, SERVER_V6, SeenAs};
use crate::wait_for;

/// Where tailscaled answers on every node.
pub const TAILSCALED: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(100, 100, 100, 100)), 53);

/// How long a fresh pair of peers may take to find each other.
const PATIENCE: Duration = Duration::from_mins(1);

/// An IP family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    V4,
    V6,
}

/// The running phone, or another such device.
#[derive(Debug)]
pub struct Phone {
    /// Its name on the tailnet.
    host: &'static str,
    tailscale: Tailscale,
    namespace: Namespace,
}

impl Phone {
    pub(crate) fn start(
        host: &'static str,
        namespace: Namespace,
        peers: &Peers,
        folder: &Path,
        authority: &Path,
    ) -> Result<Self> {
        let daemon = peers.tailscaled();
        let tailscale = Tailscale::start(namespace.clone(), &daemon, peers, &folder.join(host), authority)?;
        Ok(Self { host, tailscale, namespace })
    }

    /// Joins the tailnet; 5 to 6 seconds, most of it tailscale's own look at the network.
    pub fn up(&self, auth_key: &str) -> Result<()> {
        self.tailscale.up(self.host, auth_key, &[])
    }

    /// Sends everything by the exit node `name` (or at this address), as soon as the tailnet offers it. The first packet of a fresh
    /// pair takes up to 5 s more: wait for a first success, then measure.
    pub fn use_exit(&self, name: &str) -> Result<()> {
        let exit = format!("--exit-node={name}");
        wait_for(&format!("{name} to be an exit node for the phone"), PATIENCE, || {
            self.tailscale.run(&["set", &exit]).map(drop)
        })
    }

    /// Uses the phone's own network again.
    pub fn leave_exit(&self) -> Result<()> {
        self.tailscale.run(&["set", "--exit-node="]).map(drop)
    }

    /// Takes what others offer a way to.
    pub fn accept_routes(&self, accepts: bool) -> Result<()> {
        self.tailscale.run(&["set", &format!("--accept-routes={accepts}")]).map(drop)
    }

    /// Offers the tailnet a way to these networks behind it, separated by commas; to none, if it is empty.
    pub fn advertise_routes(&self, networks: &str) -> Result<()> {
        self.tailscale.run(&["set", &format!("--advertise-routes={networks}")]).map(drop)
    }

    /// The tailnet as the phone sees it: `tailscale status --json`.
    pub fn status(&self) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(&self.tailscale.run(&["status", "--json"])?)?)
    }

    /// Who the internet thinks the phone is.
    pub fn who_am_i(&self, family: Family, timeout: Duration) -> Result<WhoAmI> {
        who_am_i(&self.namespace, family, timeout)
    }

    /// Waits until it gets through in both families; by which door is the judge's business.
    pub fn wait_carried(&self) -> Result<()> {
        wait_seen(&self.namespace, "the phone", |_| true)
    }

    /// Waits until the internet sees it as that door's.
    pub fn wait_seen_by(&self, door: Door) -> Result<()> {
        wait_seen_by(&self.namespace, "the phone", door)
    }

    /// Fetches `url` over a new connection.
    pub fn get(&self, url: &str, timeout: Duration) -> Result<String> {
        get(&self.namespace, url, timeout)
    }

    /// Whether its tailscaled answers for names as it does on phones: at [`TAILSCALED`], by the exit node that is in use.
    pub fn accept_dns(&self, accepts: bool) -> Result<()> {
        self.tailscale.run(&["set", &format!("--accept-dns={accepts}")]).map(drop)
    }

    /// Asks its own tailscaled, which asks the exit node's in the tailnet (`PeerAPI`).
    pub fn resolve(&self, question: (&str, RecordType), timeout: Duration) -> Result<Reply> {
        self.dig(TAILSCALED, Transport::Udp, question, timeout)
    }

    /// Asks a name server of its own choice, as programs do that know better.
    pub fn dig(
        &self,
        server: SocketAddr,
        transport: Transport,
        question: (&str, RecordType),
        timeout: Duration,
    ) -> Result<Reply> {
        ask(&self.namespace, server, transport, question, timeout)
    }

    /// The end of its tailscaled's log, for a failure's report.
    pub fn log_tail(&self) -> String {
        self.tailscale.log_tail()
    }
}

fn get(from: &Namespace, url: &str, timeout: Duration) -> Result<String> {
    let limit = timeout.as_secs_f64().to_string();
    from.run(&["curl", "-sSf", "--noproxy", "*", "-m", &limit, url])
}

/// Who the internet thinks somebody in this namespace is.
pub(crate) fn who_am_i(from: &Namespace, family: Family, timeout: Duration) -> Result<WhoAmI> {
    let url = match family {
        Family::V4 => format!("http://{SERVER_V4}/"),
        Family::V6 => format!("http://[{SERVER_V6}]/"),
    };
    let answer = get(from, &url, timeout)?;
    serde_json::from_str(&answer).with_context(|| format!("no WhoAmI: {answer}"))
}

/// Waits until the internet sees `who`, in this namespace, as that door's.
pub(crate) fn wait_seen_by(from: &Namespace, who: &str, door: Door) -> Result<()> {
    let wanted = match door {
        Door::Privacy => SeenAs::Relay,
        Door::Residential => SeenAs::House,
    };
    wait_seen(from, who, |seen| seen == wanted)
}

fn wait_seen(from: &Namespace, who: &str, wanted: impl Fn(SeenAs) -> bool) -> Result<()> {
    for family in [Family::V4, Family::V6] {
        wait_for(&format!("{who} to be carried"), PATIENCE, || {
            let seen = who_am_i(from, family, Duration::from_secs(2))?;
            ensure!(wanted(SeenAs::of(seen.ip)), "seen as {}", seen.ip);
            Ok(())
        })?;
    }
    Ok(())
}
