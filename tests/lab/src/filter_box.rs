//! A box with a kill switch around its tunnel, as gluetun's firewall is built: every policy drops, the tunnel and its
//! endpoint are let out. It knows one door; who wants the other stops the tunnel and its filter, and starts them again.
//!
//! Kinder than the original where a choice was open: one nft transaction instead of one iptables call a rule, and
//! tailscaled's own way by the house, so that a flip does not move the tailnet's paths.

use anyhow::{Context, Result};

use crate::World;
use crate::naive::{device, forward_and_masquerade, raise_tunnel};
use crate::namespace::Namespace;
use crate::process::Process;
use crate::tailscale::Tailscale;
use crate::topology::{HOUSE_LAN_V4, Place, RELAY_V4};

/// A running filtered box, named `byway` in the tailnet and approved as an exit node. Dropping it cuts its power.
#[derive(Debug)]
pub struct FilterBox<'a> {
    world: &'a World,
    _tailscale: Tailscale,
    tunnel: Option<Process>,
    namespace: Namespace,
    device: String,
}

impl<'a> FilterBox<'a> {
    /// Puts it into the house, joins the tailnet and opens its tunnel.
    pub fn start(world: &'a World) -> Result<Self> {
        let topology = world.topology();
        topology.power_cut_box()?;
        topology.plug_in_box()?;
        let namespace = world.namespace(Place::Box);
        forward_and_masquerade(&namespace)?;
        let (folder, daemon) = (world.folder().join("filter"), world.peers.tailscaled_box());
        let tailscale =
            Tailscale::start(namespace.clone(), &daemon, &world.peers, &folder, world.authority())?;
        let offer = ["--advertise-exit-node", "--netfilter-mode=off"];
        tailscale.up("byway", &world.control.box_key()?, &offer).context("the filtered box cannot join")?;
        let device = device(topology.run());
        let mut filtered = Self { world, _tailscale: tailscale, tunnel: None, namespace, device };
        filtered.start_tunnel()?;
        Ok(filtered)
    }

    /// The filter first, then the tunnel.
    pub fn start_tunnel(&mut self) -> Result<()> {
        self.namespace.nft(&kill_switch(&self.device))?;
        self.tunnel = Some(raise_tunnel(self.world, &self.namespace, &self.device)?);
        let device = &self.device;
        self.namespace.ip(&format!(
            "route replace default dev {device} table 7001\nroute replace ::/0 dev {device} table 7001"
        ))
    }

    /// The tunnel ends, then its filter: what is left is a plain exit node of the house.
    pub fn stop_tunnel(&mut self) -> Result<()> {
        drop(self.tunnel.take());
        self.namespace.nft("delete table inet killswitch")?;
        self.namespace.ip(&format!(
            "route replace default via {HOUSE_LAN_V4} dev eth0 table 7001\n\
             route replace ::/0 via 2001:db8:77::1 dev eth0 table 7001"
        ))
    }

    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }
}

impl Drop for FilterBox<'_> {
    fn drop(&mut self) {
        // What an error leaves here ends with the world.
        let _ = self.namespace.kill_all();
    }
}

/// Input and output as gluetun has them, with tailscaled's fwmark for its outbound subnets; forwarding as its users
/// add it by hand for a gateway.
fn kill_switch(device: &str) -> String {
    format!(
        "table inet killswitch {{
  chain input {{
    type filter hook input priority filter; policy drop;
    iifname {{ lo, tailscale0 }} accept
    ct state established,related accept
    ip daddr 192.168.77.0/24 accept
    ip6 daddr {{ fe80::/10, ff02::/16, 2001:db8:77::/64 }} accept
  }}
  chain output {{
    type filter hook output priority filter; policy drop;
    oifname {{ lo, tailscale0, {device} }} accept
    ct state established,related accept
    ip daddr {RELAY_V4} udp dport 51820 oifname eth0 accept
    meta mark and 0xff0000 == 0x80000 oifname eth0 accept
    ip daddr 192.168.77.0/24 accept
    ip6 daddr {{ fe80::/10, ff02::/16 }} accept
  }}
  chain forward {{
    type filter hook forward priority filter; policy drop;
    iifname tailscale0 oifname {device} accept
    iifname {device} oifname tailscale0 ct state established,related accept
  }}
}}"
    )
}
