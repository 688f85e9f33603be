//! The box that everybody builds first: tailscaled, a tunnel, a masquerade, and a flip that moves a default
//! route. It carries a phone, and it breaks every promise of byway; a judge that does not catch it is blind.

use std::sync::Arc;

use anyhow::{Context, Result};

use crate::World;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::relay::{DEVICE_ADDRESSES, start_wireguard_go};
use crate::run::Run;
use crate::tailscale::Tailscale;
use crate::tools::path_text;
use crate::topology::{CONTROL_V4, HOUSE_LAN_V4, Place, RELAY_V4, Topology};

/// Where the naive box sends its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Egress {
    Privacy,
    Residential,
}

/// A running naive box, named `byway` in the tailnet and approved as an exit node. Dropping it cuts its power.
#[derive(Debug)]
pub struct NaiveBox {
    _tailscale: Tailscale,
    _wireguard: Process,
    namespace: Namespace,
    topology: Arc<Topology>,
}

impl NaiveBox {
    /// Puts it into the house, joins the tailnet and opens the privacy egress.
    pub fn start(world: &World) -> Result<Self> {
        let topology = Arc::clone(world.topology());
        topology.power_cut_box()?;
        topology.plug_in_box()?;
        let namespace = world.namespace(Place::Box);
        forward_and_masquerade(&namespace)?;
        let wireguard = raise_tunnel(world, &namespace, &device(topology.run()))?;
        let folder = world.folder().join("naive");
        let daemon = world.peers.tailscaled_box();
        let tailscale =
            Tailscale::start(namespace.clone(), &daemon, &world.peers, &folder, world.authority())?;
        let offer = ["--advertise-exit-node", "--netfilter-mode=off"];
        tailscale.up("byway", &world.control.box_key()?, &offer).context("the naive box cannot join")?;
        let naive = Self { _tailscale: tailscale, _wireguard: wireguard, namespace, topology };
        naive.flip(Egress::Privacy)?;
        Ok(naive)
    }

    /// The naive flip: another default route, and nothing else.
    pub fn flip(&self, egress: Egress) -> Result<()> {
        let (v4, v6) = match egress {
            Egress::Privacy => {
                let device = device(self.topology.run());
                (format!("dev {device}"), format!("dev {device}"))
            }
            Egress::Residential => {
                (format!("via {HOUSE_LAN_V4} dev eth0"), "via 2001:db8:77::1 dev eth0".to_owned())
            }
        };
        self.namespace
            .ip(&format!("route replace default {v4} table 7001\nroute replace ::/0 {v6} table 7001"))
    }

    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }
}

impl Drop for NaiveBox {
    fn drop(&mut self) {
        // What an error leaves here ends with the world.
        let _ = self.namespace.kill_all();
    }
}

/// wireguard-go's control sockets share one folder with all namespaces: the name must be the run's own.
pub(crate) fn device(run: &Run) -> String {
    run.device("wg")
}

pub(crate) fn forward_and_masquerade(namespace: &Namespace) -> Result<()> {
    namespace.run(&["sh", "-c", &format!("echo '{CONTROL_V4} hs.example.net' >>/etc/hosts")])?;
    namespace.sysctl("net/ipv4/ip_forward", "1")?;
    namespace.sysctl("net/ipv6/conf/all/forwarding", "1")?;
    namespace.nft(
        "table inet naive { chain post { type nat hook postrouting priority srcnat; \
         oifname != { lo, tailscale0 } masquerade; }\n}",
    )?;
    for family in ["-4", "-6"] {
        namespace.run(&[
            "ip",
            family,
            "rule",
            "add",
            "pref",
            "5000",
            "iif",
            "tailscale0",
            "lookup",
            "7001",
        ])?;
    }
    Ok(())
}

pub(crate) fn raise_tunnel(world: &World, namespace: &Namespace, device: &str) -> Result<Process> {
    let daemon = start_wireguard_go(namespace, &world.peers.wireguard_go(), device)?;
    let key = world.relay.device_key_path();
    let (public, endpoint) = (world.relay.public_key()?, format!("{RELAY_V4}:51820"));
    namespace.run(&["wg", "set", device, "private-key", path_text(&key)?])?;
    let peer = ["wg", "set", device, "peer", &public, "endpoint", &endpoint, "persistent-keepalive", "25"];
    namespace.run(&[&peer[..], &["allowed-ips", "0.0.0.0/0,::/0"]].concat())?;
    for address in DEVICE_ADDRESSES.split(',') {
        namespace.ip(&format!("addr add {address} dev {device}"))?;
    }
    namespace.ip(&format!("link set {device} mtu 1380 up"))?;
    Ok(daemon)
}
