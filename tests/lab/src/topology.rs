//! The ground of the world: its places, their links, addresses and routes, and the house's NAT.
//! Who lives there is the business of the other files.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result};

use crate::namespace::Namespace;
use crate::process::{command, succeed};
use crate::run::Run;

pub const SERVER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
pub const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x40, 0, 0, 0, 0, 0x80);
/// More of the server: protocols without ports need an address for each flow.
pub const MORE_SERVERS: [[&str; 2]; 3] =
    [["192.0.2.81", "2001:db8:40::81"], ["192.0.2.82", "2001:db8:40::82"], ["192.0.2.83", "2001:db8:40::83"]];
/// Those of them that tell the time.
pub const TIME_SERVERS: [[&str; 2]; 3] = MORE_SERVERS;
/// Who answers for names by the privacy door, and hears nobody but the relay.
pub const PRIVACY_DNS: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(192, 0, 2, 53), Ipv6Addr::new(0x2001, 0xdb8, 0x40, 0, 0, 0, 0, 0x53));
/// Who answers for names by the residential door, and hears nobody but the house.
pub const RESIDENTIAL_DNS: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(192, 0, 2, 54), Ipv6Addr::new(0x2001, 0xdb8, 0x40, 0, 0, 0, 0, 0x54));
pub const RELAY_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 130);
pub const RELAY_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x50, 0, 0, 0, 0, 0x130);
pub const CONTROL_V4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 130);
/// What the house's NAT makes of everything IPv4 behind it.
pub const HOUSE_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);
/// The house's resolver and gateway on its LAN.
pub const HOUSE_LAN_V4: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);
/// The box's own global address: IPv6 is routed, not translated.
pub const BOX_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 2);
/// The same in a renumbered house.
pub const RENUMBERED_BOX_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x88, 0, 0, 0, 0, 2);

/// One network namespace of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The internet's router: `c-house`, `c-phone`, `c-ctl`, `c-srv`, `c-relay`.
    Core,
    /// The relative's router: `wan` and `lan`.
    House,
    /// The box in the house: `eth0`.
    Box,
    /// The owner's phone, on another network: `eth0`.
    Phone,
    /// Servers on the internet: `eth0`.
    Srv,
    /// The Mullvad relay: `eth0`.
    Relay,
    /// The control server: `eth0`.
    Ctl,
}

impl Place {
    pub const ALL: [Self; 7] =
        [Self::Core, Self::House, Self::Box, Self::Phone, Self::Srv, Self::Relay, Self::Ctl];

    pub fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::House => "house",
            Self::Box => "box",
            Self::Phone => "phone",
            Self::Srv => "srv",
            Self::Relay => "relay",
            Self::Ctl => "ctl",
        }
    }

    fn forwards(self) -> bool {
        match self {
            Self::Core | Self::House | Self::Relay => true,
            Self::Box | Self::Phone | Self::Srv | Self::Ctl => false,
        }
    }

    fn resolver(self) -> &'static str {
        match self {
            Self::Box => "127.0.0.1", // the agent resolves its own names itself
            Self::House => "192.168.77.1",
            Self::Core | Self::Phone | Self::Srv | Self::Relay | Self::Ctl => "192.0.2.80",
        }
    }
}

/// A cable from the core to a place: names and addresses of both ends.
struct Cable {
    place: Place,
    core_device: &'static str,
    device: &'static str,
    core: [&'static str; 2],
    own: [&'static str; 2],
    prefix: u8,
}

const CABLES: [Cable; 5] = [
    Cable {
        place: Place::House,
        core_device: "c-house",
        device: "wan",
        core: ["198.51.100.1", "2001:db8:10::1"],
        own: ["198.51.100.10", "2001:db8:10::10"],
        prefix: 24,
    },
    Cable {
        place: Place::Phone,
        core_device: "c-phone",
        device: "eth0",
        core: ["203.0.113.1", "2001:db8:20::1"],
        own: ["203.0.113.20", "2001:db8:20::20"],
        prefix: 25,
    },
    Cable {
        place: Place::Ctl,
        core_device: "c-ctl",
        device: "eth0",
        core: ["203.0.113.129", "2001:db8:30::1"],
        own: ["203.0.113.130", "2001:db8:30::130"],
        prefix: 25,
    },
    Cable {
        place: Place::Srv,
        core_device: "c-srv",
        device: "eth0",
        core: ["192.0.2.1", "2001:db8:40::1"],
        own: ["192.0.2.80", "2001:db8:40::80"],
        prefix: 25,
    },
    Cable {
        place: Place::Relay,
        core_device: "c-relay",
        device: "eth0",
        core: ["192.0.2.129", "2001:db8:50::1"],
        own: ["192.0.2.130", "2001:db8:50::130"],
        prefix: 25,
    },
];

/// How the house is numbered: its LAN, and the IPv6 prefix that its provider has lent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// `192.168.77.0/24` and `2001:db8:77::/64`
    First,
    /// `192.168.88.0/24` and `2001:db8:88::/64`
    Second,
}

impl Numbering {
    fn prefixes(self) -> (&'static str, &'static str) {
        match self {
            Self::First => ("192.168.77", "2001:db8:77:"),
            Self::Second => ("192.168.88", "2001:db8:88:"),
        }
    }
}

fn box_addresses(numbering: Numbering) -> String {
    let (v4, v6) = numbering.prefixes();
    format!(
        "link set lo up\nlink set eth0 up\naddr add {v4}.2/24 dev eth0\naddr add {v6}:2/64 dev eth0 nodad\n\
         route replace default via {v4}.1\nroute replace ::/0 via {v6}:1"
    )
}

fn house_lan(numbering: Numbering) -> String {
    let (v4, v6) = numbering.prefixes();
    format!("addr add {v4}.1/24 dev lan\naddr add {v6}:1/64 dev lan nodad\nlink set lan up")
}

/// What tailnet peers say to each other without a relay server comes from and goes to this port.
const NO_DIRECT_WAY: &str = "table inet direct {
  chain through { type filter hook forward priority raw; udp sport 41641 drop; udp dport 41641 drop; }
}";

const HOUSE_NAT: &str = "table ip nat {
  chain post { type nat hook postrouting priority srcnat; oifname wan masquerade; }
}";

/// The places and their cables. Dropping it removes every namespace with whatever runs inside.
#[derive(Debug)]
pub struct Topology {
    run: Run,
}

impl Topology {
    /// Waits until no other world stands on the machine, then lays this one; the box is plugged in and up.
    pub(crate) fn lay() -> Result<Self> {
        let topology = Self { run: Run::begin()? };
        for place in Place::ALL {
            topology.make(place)?;
        }
        for cable in &CABLES {
            topology.connect(cable)?;
        }
        topology.namespace(Place::Core).ip("route add 2001:db8:77::/64 via 2001:db8:10::10")?;
        let upstreams = [PRIVACY_DNS, RESIDENTIAL_DNS].map(|(v4, v6)| [v4.to_string(), v6.to_string()]);
        for [v4, v6] in MORE_SERVERS.map(|pair| pair.map(str::to_owned)).into_iter().chain(upstreams) {
            // None of them is chosen for what the server says by itself.
            let more = format!("addr add {v4}/25 dev eth0\naddr add {v6}/64 dev eth0 nodad preferred_lft 0");
            topology.namespace(Place::Srv).ip(&more)?;
        }
        topology.lay_house()?;
        topology.plug_in_box()?;
        Ok(topology)
    }

    pub fn namespace(&self, place: Place) -> Namespace {
        Namespace::named(&self.run.namespace(place.name()), self.run.folder())
    }

    pub(crate) fn run(&self) -> &Run {
        &self.run
    }

    /// Cuts the box's power: everything in it dies at once and its kernel forgets all. Afterwards it is a fresh
    /// kernel with every link down. The house's end of the cable stays, so captures on `lan` go on.
    pub fn power_cut_box(&self) -> Result<()> {
        let (old, house) = (self.namespace(Place::Box), self.namespace(Place::House));
        old.kill_all()?;
        old.ip(&format!("link set eth0 down\nlink set eth0 netns {} name cable", house.name()))?;
        old.remove()?;
        self.make(Place::Box)?;
        house.ip(&format!("link set cable netns {} name eth0", old.name()))
    }

    /// What the house's DHCP or a careful relative would do: links up, addresses and routes in place.
    pub fn plug_in_box(&self) -> Result<()> {
        self.namespace(Place::Box).ip(&box_addresses(Numbering::First))
    }

    /// Pulls the network cable out of the box; whoever configured the interface takes its addresses away.
    pub fn unplug_box(&self) -> Result<()> {
        self.namespace(Place::Box).ip("link set eth0 down\naddr flush dev eth0 scope global")
    }

    /// The router has new numbers, and the box hears of them; the house's resolver stays where it was.
    pub fn renumber_house(&self, numbering: Numbering) -> Result<()> {
        let (_, v6) = numbering.prefixes();
        let (core, house) = (self.namespace(Place::Core), self.namespace(Place::House));
        core.ip(&format!("route replace {v6}:/64 via 2001:db8:10::10"))?;
        // The link-local address stays: without one a router does not even ask for its neighbours.
        house.ip("addr flush dev lan scope global")?;
        house.ip(&house_lan(numbering))?;
        if numbering != Numbering::First {
            house.ip(&format!("addr add {HOUSE_LAN_V4}/32 dev lan"))?;
        }
        let byway = self.namespace(Place::Box);
        byway.ip("addr flush dev eth0 scope global")?;
        byway.ip(&box_addresses(numbering))
    }

    /// Another router with the same addresses, which announces itself as routers do when their link comes up.
    pub fn replace_router(&self, mac: &str) -> Result<()> {
        let house = self.namespace(Place::House);
        house.sysctl("net/ipv4/conf/lan/arp_notify", "1")?;
        house.sysctl("net/ipv6/conf/lan/ndisc_notify", "1")?;
        house.ip(&format!("link set lan address {mac}"))
    }

    /// From now on the tailnet reaches the box by the relay server only (DERP).
    pub fn block_direct(&self) -> Result<()> {
        self.namespace(Place::House).nft(NO_DIRECT_WAY)
    }

    pub fn allow_direct(&self) -> Result<()> {
        self.namespace(Place::House).nft("delete table inet direct")
    }

    fn make(&self, place: Place) -> Result<()> {
        let name = self.run.namespace(place.name());
        let namespace = Namespace::make(&name, self.run.folder(), "127.0.0.1 localhost\n", place.resolver())?;
        for which in ["all", "default"] {
            namespace.sysctl(&format!("net/ipv4/conf/{which}/rp_filter"), "0")?;
        }
        if place.forwards() {
            namespace.sysctl("net/ipv4/ip_forward", "1")?;
            namespace.sysctl("net/ipv6/conf/all/forwarding", "1")?;
        }
        Ok(())
    }

    fn connect(&self, cable: &Cable) -> Result<()> {
        let (core, own) = (self.namespace(Place::Core), self.namespace(cable.place));
        wire(&core, cable.core_device, &own, cable.device)?;
        core.ip(&raise(cable.core_device, cable.core, cable.prefix))?;
        own.ip(&raise(cable.device, cable.own, cable.prefix))?;
        own.ip(&format!("route add default via {}\nroute add ::/0 via {}", cable.core[0], cable.core[1]))
    }

    fn lay_house(&self) -> Result<()> {
        let house = self.namespace(Place::House);
        wire(&house, "lan", &self.namespace(Place::Box), "eth0")?;
        house.ip(&house_lan(Numbering::First))?;
        // Late answers to numbers that the house has left end here, without an error from a router to the server.
        for numbering in [Numbering::First, Numbering::Second] {
            let (v4, v6) = numbering.prefixes();
            let nowhere = format!("{v4}.0/24 metric 9999\nroute add blackhole {v6}:/64 metric 9999");
            house.ip(&format!("route add blackhole {nowhere}"))?;
        }
        house.nft(HOUSE_NAT)
    }
}

impl Drop for Topology {
    fn drop(&mut self) {
        for place in Place::ALL {
            // What cannot be removed now is removed by name at the start of the next run.
            let _ = self.namespace(place).remove();
        }
    }
}

/// What the internet sees of a packet's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenAs {
    Relay,
    House,
    Neither,
}

impl SeenAs {
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(RELAY_V4) | IpAddr::V6(RELAY_V6) => Self::Relay,
            IpAddr::V4(HOUSE_V4) | IpAddr::V6(BOX_V6 | RENUMBERED_BOX_V6) => Self::House,
            IpAddr::V4(_) | IpAddr::V6(_) => Self::Neither,
        }
    }
}

fn wire(left: &Namespace, left_device: &str, right: &Namespace, right_device: &str) -> Result<()> {
    let words =
        ["link", "add", left_device, "netns", left.name(), "type", "veth", "peer", "name", right_device];
    let mut words = words.to_vec();
    words.extend(["netns", right.name()]);
    succeed(command("ip", &words, &[])).context("cannot lay a cable").map(drop)
}

fn raise(device: &str, [v4, v6]: [&str; 2], prefix: u8) -> String {
    format!(
        "link set lo up\naddr add {v4}/{prefix} dev {device}\naddr add {v6}/64 dev {device} nodad\n\
         link set {device} up"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_two_doors_from_the_internets_side() {
        assert_eq!(SeenAs::of("192.0.2.130".parse().unwrap()), SeenAs::Relay);
        assert_eq!(SeenAs::of("2001:db8:50::130".parse().unwrap()), SeenAs::Relay);
        assert_eq!(SeenAs::of("198.51.100.10".parse().unwrap()), SeenAs::House);
        assert_eq!(SeenAs::of("2001:db8:77::2".parse().unwrap()), SeenAs::House);
        assert_eq!(SeenAs::of("203.0.113.20".parse().unwrap()), SeenAs::Neither);
    }
}
