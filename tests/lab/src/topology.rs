//! The ground of the world: its places, their links, addresses and routes, and the house's NAT.
//! Who lives there is the business of the other files.

mod numbering;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result};

use crate::namespace::Namespace;
use crate::process::{command, succeed};
use crate::run::Run;
pub use numbering::Numbering;

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
/// The fake of Mullvad's API, by its name.
pub const MULLVAD_API: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(192, 0, 2, 84), Ipv6Addr::new(0x2001, 0xdb8, 0x40, 0, 0, 0, 0, 0x84));
/// The same for whoever cannot look the name up. The one address of the real internet that the lab uses: the agent has it
/// built in.
pub const PINNED_API: Ipv4Addr = Ipv4Addr::new(45, 83, 223, 196);
pub const RELAY_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 130);
pub const RELAY_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x50, 0, 0, 0, 0, 0x130);
/// Two in one city, the third in another. A card names the first one first.
pub const RELAYS: [RelaySite; 3] = [
    RelaySite { name: "se-got-wg-001", place: Place::Relay, cable: "c-relay", v4: RELAY_V4, v6: RELAY_V6 },
    RelaySite {
        name: "se-got-wg-002",
        place: Place::SecondRelay,
        cable: "c-relay2",
        v4: Ipv4Addr::new(192, 0, 2, 162),
        v6: Ipv6Addr::new(0x2001, 0xdb8, 0x51, 0, 0, 0, 0, 0x162),
    },
    RelaySite {
        name: "se-mma-wg-001",
        place: Place::ThirdRelay,
        cable: "c-relay3",
        v4: Ipv4Addr::new(192, 0, 2, 194),
        v6: Ipv6Addr::new(0x2001, 0xdb8, 0x52, 0, 0, 0, 0, 0x194),
    },
];
pub const CONTROL_V4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 130);
/// What the house's NAT makes of everything IPv4 behind it.
pub const HOUSE_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);
/// The house's resolver and gateway on its LAN.
pub const HOUSE_LAN_V4: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);
/// By it the house's DHCP server knows the box.
pub const BOX_MAC: &str = "02:00:00:00:77:02";
/// The house's end of the box's cable: whatever the box sends passes here, to whomever in the house.
pub const BOX_PORT: &str = "lan-box";
/// Where a machine of its own is plugged in, in the box's place.
pub const MACHINES_TAP: &str = "tap";
/// Its second adapter, where nobody is plugged in yet: a tap, and the bridge that it belongs to.
pub const MACHINES_SECOND_TAP: &str = "tap1";
pub const MACHINES_SECOND_BRIDGE: &str = "bridge1";
/// The house's end of its other machine's cable.
const NEIGHBOUR_PORT: &str = "lan-neighbour";

/// A relay's machine. By these addresses it is reached, and the internet sees whoever comes out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelaySite {
    pub name: &'static str,
    pub place: Place,
    /// The core's end of its cable.
    pub cable: &'static str,
    pub v4: Ipv4Addr,
    pub v6: Ipv6Addr,
}

/// One network namespace of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The internet's router: `c-house`, `c-phone`, `c-laptop`, `c-ctl`, `c-srv`, `c-relay`, `c-relay2`, `c-relay3`.
    Core,
    /// The relative's router: `wan`, and the bridge `lan` that its sockets belong to.
    House,
    /// The box in the house: `eth0`.
    Box,
    /// Another machine in the house, with no address of its own: `eth0`.
    Neighbour,
    /// The owner's phone, on another network: `eth0`.
    Phone,
    /// Another device of the owner's, on a third network, switched off until a test wants it: `eth0`.
    Laptop,
    /// Servers on the internet: `eth0`.
    Srv,
    /// Mullvad's relays ([`RELAYS`]): `eth0`.
    Relay,
    SecondRelay,
    ThirdRelay,
    /// The control server: `eth0`.
    Ctl,
}

impl Place {
    pub const ALL: [Self; 11] = [
        Self::Core,
        Self::House,
        Self::Box,
        Self::Neighbour,
        Self::Phone,
        Self::Laptop,
        Self::Srv,
        Self::Relay,
        Self::SecondRelay,
        Self::ThirdRelay,
        Self::Ctl,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::House => "house",
            Self::Box => "box",
            Self::Neighbour => "neighbour",
            Self::Phone => "phone",
            Self::Laptop => "laptop",
            Self::Srv => "srv",
            Self::Relay => "relay",
            Self::SecondRelay => "relay2",
            Self::ThirdRelay => "relay3",
            Self::Ctl => "ctl",
        }
    }

    fn forwards(self) -> bool {
        match self {
            Self::Core | Self::House | Self::Relay | Self::SecondRelay | Self::ThirdRelay => true,
            Self::Box | Self::Neighbour | Self::Phone | Self::Laptop | Self::Srv | Self::Ctl => false,
        }
    }

    fn resolver(self) -> &'static str {
        match self {
            Self::Box => "127.0.0.1", // the agent resolves its own names itself
            Self::House | Self::Neighbour => "192.168.77.1",
            Self::Core
            | Self::Phone
            | Self::Laptop
            | Self::Srv
            | Self::Relay
            | Self::SecondRelay
            | Self::ThirdRelay
            | Self::Ctl => "192.0.2.80",
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

const CABLES: [Cable; 8] = [
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
        place: Place::Laptop,
        core_device: "c-laptop",
        device: "eth0",
        core: ["192.0.2.225", "2001:db8:60::1"],
        own: ["192.0.2.230", "2001:db8:60::230"],
        prefix: 27,
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
        prefix: 27,
    },
    Cable {
        place: Place::SecondRelay,
        core_device: "c-relay2",
        device: "eth0",
        core: ["192.0.2.161", "2001:db8:51::1"],
        own: ["192.0.2.162", "2001:db8:51::162"],
        prefix: 27,
    },
    Cable {
        place: Place::ThirdRelay,
        core_device: "c-relay3",
        device: "eth0",
        core: ["192.0.2.193", "2001:db8:52::1"],
        own: ["192.0.2.194", "2001:db8:52::194"],
        prefix: 27,
    },
];

/// What a careful relative would type: the links up, addresses and routes in place.
fn static_box(numbering: Numbering) -> String {
    let (v4, v6) = (numbering.of_the_box(), numbering.of_a_static_box());
    let (router_v4, router_v6) = (numbering.router(), numbering.router_v6());
    format!(
        "link set lo up\nlink set eth0 up\naddr add {v4}/24 dev eth0\naddr add {v6}/64 dev eth0 nodad\n\
         route replace default via {router_v4}\nroute replace ::/0 via {router_v6}"
    )
}

/// The places and their cables. Dropping it removes every namespace with whatever runs inside.
#[derive(Debug)]
pub struct Topology {
    run: Run,
}

impl Topology {
    /// Waits until there is room for it on the machine, then lays this one; the house has no numbers yet.
    pub(crate) fn lay() -> Result<Self> {
        let topology = Self { run: Run::begin()? };
        for place in Place::ALL {
            topology.make(place)?;
        }
        for cable in &CABLES {
            topology.connect(cable)?;
        }
        let named =
            [PRIVACY_DNS, RESIDENTIAL_DNS, MULLVAD_API].map(|(v4, v6)| [v4.to_string(), v6.to_string()]);
        for [v4, v6] in MORE_SERVERS.map(|pair| pair.map(str::to_owned)).into_iter().chain(named) {
            // None of them is chosen for what the server says by itself.
            let more = format!("addr add {v4}/25 dev eth0\naddr add {v6}/64 dev eth0 nodad preferred_lft 0");
            topology.namespace(Place::Srv).ip(&more)?;
        }
        topology.namespace(Place::Srv).ip(&format!("addr add {PINNED_API}/32 dev eth0"))?;
        topology.namespace(Place::Core).ip(&format!("route add {PINNED_API}/32 via {SERVER_V4}"))?;
        for relay in RELAYS {
            let [v4, v6] = relay.elsewhere();
            let more = format!("addr add {v4}/27 dev eth0\naddr add {v6}/64 dev eth0 nodad preferred_lft 0");
            topology.namespace(relay.place).ip(&more)?;
        }
        topology.lay_lan()?;
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

    /// Makes room in the box's place for a machine of its own (QEMU), whose interface has the box's MAC: what it puts into
    /// [`MACHINES_TAP`] is on the box's cable, and nothing else is.
    pub fn make_room_for_machine(&self) -> Result<Namespace> {
        self.power_cut_box()?;
        let room = self.namespace(Place::Box);
        for which in ["all", "default"] {
            room.sysctl(&format!("net/ipv6/conf/{which}/disable_ipv6"), "1")?;
        }
        // The bridge and its end of the cable have other MACs than the guest, else they would take what is for it.
        room.ip(&format!(
            "link add bridge address 02:00:00:00:77:fd type bridge mcast_snooping 0\n\
             tuntap add mode tap {MACHINES_TAP}\nlink set {MACHINES_TAP} master bridge up\n\
             link set eth0 address 02:00:00:00:77:fe master bridge up\nlink set bridge up\n\
             link add {MACHINES_SECOND_BRIDGE} type bridge mcast_snooping 0\n\
             tuntap add mode tap {MACHINES_SECOND_TAP}\n\
             link set {MACHINES_SECOND_TAP} master {MACHINES_SECOND_BRIDGE} up\n\
             link set {MACHINES_SECOND_BRIDGE} up"
        ))?;
        Ok(room)
    }

    /// Numbers the box by hand, as somebody does who has a box of another make; it hears no router.
    pub fn plug_in_box(&self) -> Result<()> {
        self.renumber_box(Numbering::First)
    }

    /// The same for a house with these numbers; those before are gone.
    pub fn renumber_box(&self, numbering: Numbering) -> Result<()> {
        let byway = self.namespace(Place::Box);
        byway.sysctl("net/ipv6/conf/eth0/accept_ra", "0")?;
        byway.ip("addr flush dev eth0 scope global")?;
        byway.ip(&static_box(numbering))
    }

    /// Somebody on the box takes its interface down, and its addresses away.
    pub fn unplug_box(&self) -> Result<()> {
        self.namespace(Place::Box).ip("link set eth0 down\naddr flush dev eth0 scope global")
    }

    /// Pulls the network cable: the box sees that nobody is at the other end.
    pub fn pull_cable(&self) -> Result<()> {
        self.namespace(Place::House).ip(&format!("link set {BOX_PORT} down"))
    }

    /// Puts it back in.
    pub fn push_cable(&self) -> Result<()> {
        self.namespace(Place::House).ip(&format!("link set {BOX_PORT} up"))
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

    /// The sockets of the house's router, with the box in one and another machine in the other. The bridge has a MAC of
    /// its own, else it would take that of whoever is plugged in; it speaks IPv6 as the house says, its sockets do not.
    fn lay_lan(&self) -> Result<()> {
        let house = self.namespace(Place::House);
        house.ip("link add lan address 02:00:00:00:77:01 type bridge mcast_snooping 0\n\
             link set lan addrgenmode none")?;
        house.sysctl("net/ipv6/conf/lan/accept_dad", "0")?;
        for (port, place) in [(BOX_PORT, Place::Box), (NEIGHBOUR_PORT, Place::Neighbour)] {
            wire(&house, port, &self.namespace(place), "eth0")?;
            house.ip(&format!("link set {port} addrgenmode none\nlink set {port} master lan up"))?;
        }
        house.ip("link set lan up")?;
        self.namespace(Place::Box).ip(&format!("link set eth0 address {BOX_MAC}"))?;
        self.namespace(Place::Neighbour).ip("link set lo up\nlink set eth0 address 02:00:00:00:77:66 up")
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
    /// Any of them: [`relay_seen`] says which.
    Relay,
    House,
    Neither,
}

impl SeenAs {
    pub fn of(address: IpAddr) -> Self {
        match address {
            _ if relay_seen(address).is_some() => Self::Relay,
            IpAddr::V4(HOUSE_V4) => Self::House,
            // The box's own address: IPv6 is routed, not translated.
            IpAddr::V6(address) if Numbering::ALL.iter().any(|house| house.is_prefix_of(address)) => {
                Self::House
            }
            IpAddr::V4(_) | IpAddr::V6(_) => Self::Neither,
        }
    }
}

/// The name of the relay that the internet sees by this address.
pub fn relay_seen(address: IpAddr) -> Option<&'static str> {
    RELAYS.iter().find(|relay| relay.addresses().contains(&address)).map(|relay| relay.name)
}

impl RelaySite {
    pub fn addresses(&self) -> [IpAddr; 2] {
        [self.v4.into(), self.v6.into()]
    }

    /// Other addresses of its machine, by which nobody knows it.
    pub fn elsewhere(&self) -> [IpAddr; 2] {
        [Ipv4Addr::from_bits(self.v4.to_bits() + 1).into(), Ipv6Addr::from_bits(self.v6.to_bits() + 1).into()]
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
        assert_eq!(SeenAs::of("2001:db8:52::194".parse().unwrap()), SeenAs::Relay);
        assert_eq!(relay_seen("2001:db8:52::194".parse().unwrap()), Some("se-mma-wg-001"));
        assert_eq!(relay_seen("198.51.100.10".parse().unwrap()), None);
        assert_eq!(SeenAs::of("198.51.100.10".parse().unwrap()), SeenAs::House);
        assert_eq!(SeenAs::of("2001:db8:77::2".parse().unwrap()), SeenAs::House);
        assert_eq!(SeenAs::of("2001:db8:88:0:dead:beef:0:1".parse().unwrap()), SeenAs::House);
        assert_eq!(SeenAs::of("2001:db8:77:1::2".parse().unwrap()), SeenAs::Neither);
        assert_eq!(SeenAs::of("203.0.113.20".parse().unwrap()), SeenAs::Neither);
    }

    #[test]
    fn every_relay_is_where_its_cable_ends() {
        for relay in RELAYS {
            let cable = CABLES.iter().find(|cable| cable.place == relay.place).unwrap();
            assert_eq!(relay.addresses().map(|address| address.to_string()), cable.own, "{}", relay.name);
            assert_eq!(relay.cable, cable.core_device, "{}", relay.name);
        }
    }
}
