//! A machine of the house that takes the box for its gateway, as its owner has told it to.

use std::fs::{self, Permissions};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::World;
use crate::judge::Door;
use crate::namespace::Namespace;
use crate::phone::wait_seen_by;
use crate::question::{RecordType, Reply, Transport, ask};
use crate::tools::path_text;
use crate::topology::{MACHINES_SECOND_BRIDGE, Place};

const V4: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 50);
const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 0x50);
/// What it does with what it is lent.
const LEASED: &str = "#!/bin/sh
[ \"$1\" = bound ] || exit 0
ip addr replace \"$ip/$mask\" dev \"$interface\"
ip route replace default via \"$router\"
echo \"resolver $dns\"
";

/// It lives in the neighbour's place. Dropping it takes its addresses away.
#[derive(Debug)]
pub struct Guest {
    namespace: Namespace,
    device: &'static str,
    /// For what its DHCP client calls.
    folder: PathBuf,
}

impl Guest {
    /// In the house's own network, where nobody but its owner tells it of the box: it hears no router.
    pub fn move_in(world: &World, gateways: [IpAddr; 2]) -> Result<Self> {
        let guest =
            Self { namespace: world.namespace(Place::Neighbour), device: "eth0", folder: world.folder() };
        guest.hear_routers(false)?;
        let [v4, v6] = gateways;
        guest.namespace.ip(&format!(
            "addr flush dev eth0 scope global\nroute flush proto ra\n\
             addr add {V4}/24 dev eth0\naddr add {V6}/64 dev eth0 nodad\n\
             route replace default via {v4}\nroute replace ::/0 via {v6}"
        ))?;
        Ok(guest)
    }

    /// By a cable of its own between `device` and the box's interface of that name: everything that it needs is given to
    /// it there.
    pub fn plug_in(world: &World, device: &'static str) -> Result<Self> {
        Self::with_cable(world, device, |netns| {
            format!("link add {device} type veth peer name {device} netns {netns}")
        })
    }

    /// By a cable to the second adapter of the machine that is in the box's place; it calls its own end `device`.
    pub fn plug_into_machine(world: &World, device: &'static str) -> Result<Self> {
        Self::with_cable(world, device, |netns| {
            format!(
                "link add guests type veth peer name {device} netns {netns}\n\
                 link set guests master {MACHINES_SECOND_BRIDGE} up"
            )
        })
    }

    /// `laid`: how, from the box's place to this namespace. It is nobody's guest in the house's own network.
    fn with_cable(world: &World, device: &'static str, laid: impl FnOnce(&str) -> String) -> Result<Self> {
        let guest = Self { namespace: world.namespace(Place::Neighbour), device, folder: world.folder() };
        guest.namespace.ip("addr flush dev eth0 scope global\nlink set eth0 down")?;
        world.namespace(Place::Box).ip(&laid(guest.namespace.name()))?;
        guest.namespace.ip(&format!("link set {device} up"))?;
        Ok(guest)
    }

    /// Asks for an IPv4 address and takes it, with the router and the resolver that come with it.
    pub fn take_lease(&self) -> Result<IpAddr> {
        let path = self.folder.join("guest-lease.sh");
        fs::write(&path, LEASED)?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        let (path, device) = (path_text(&path)?, self.device);
        let words = ["busybox", "udhcpc", "-f", "-q", "-n", "-t", "20", "-T", "1", "-i", device, "-s", path];
        let told = self.namespace.run(&words)?;
        let resolver = told.lines().find_map(|line| line.strip_prefix("resolver "));
        resolver.context(told.clone())?.trim().parse().context("no resolver's address")
    }

    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// What it is called, by its kernel's word, in both families.
    pub fn addresses(&self) -> Result<Vec<IpAddr>> {
        let words = ["ip", "-br", "addr", "show", "dev", self.device, "scope", "global"];
        let told = self.namespace.run(&words)?;
        let nets = told.split_whitespace().filter_map(|word| word.split_once('/'));
        Ok(nets.filter_map(|(address, _)| address.parse().ok()).collect())
    }

    pub fn wait_seen_by(&self, door: Door) -> Result<()> {
        wait_seen_by(&self.namespace, "the guest", door)
    }

    pub fn dig(&self, server: IpAddr, question: (&str, RecordType)) -> Result<Reply> {
        ask(&self.namespace, SocketAddr::new(server, 53), Transport::Udp, question, Duration::from_secs(3))
    }

    fn hear_routers(&self, hears: bool) -> Result<()> {
        let value = if hears { "1" } else { "0" };
        self.namespace.sysctl(&format!("net/ipv6/conf/{}/accept_ra", self.device), value)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // What an error leaves here ends with the world.
        // A connection outlives its address, and would talk on by the house's own router once that is heard again.
        let _ = self.namespace.run(&["ss", "--kill", "--tcp", "state", "connected"]);
        let _ = self.namespace.ip("addr flush dev eth0 scope global\nlink set eth0 up");
        let _ = if self.device == "eth0" {
            self.hear_routers(true)
        } else {
            // Its cable may have been cut by somebody else.
            self.namespace.ip(&format!("link del {}", self.device))
        };
    }
}
