//! The house that these tests stand in: what is configured there, and its line.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use byway_core::relays::{Keys, Obstacle, Proof};
use byway_core::uplink::Interfaces;
use byway_core::{
    Egress, Exit, Expect, HouseAccess, RelaySettings, Serve, Settings, TunnelEnd, Uplink, Upstreams, Uptime,
};

pub(crate) fn at(ms: u64) -> Uptime {
    Uptime::since_boot(Duration::from_millis(ms))
}

pub(crate) fn settings() -> Settings {
    Settings {
        name: String::from("byway"),
        relays: vec![
            relay("se-got-wg-001", "192.0.2.130:51820"),
            relay("se-mma-wg-001", "192.0.2.140:51820"),
        ],
        preferred: None,
        interfaces: Interfaces { cable: String::from("eth0"), wifi: None },
        expect: Expect::Mullvad,
        control: Some(String::from("https://headscale.example.com")),
        last_egress: Egress::Privacy,
        flow_table: 65_536,
        upstreams: Upstreams {
            privacy: String::from("https://dns.mullvad.net"),
            residential: String::from("https://dns.quad9.net"),
        },
        refuse_dot: false,
        refuse_smtp: true,
        limit_mbit: None,
        daily_gb: None,
        used: byway_core::Used::default(),
        serve: Serve::Nobody,
        reach: false,
        house_access: HouseAccess { ping: true, ssh: false },
        paused: Vec::new(),
        last_stop: None,
        seed: 7,
    }
}

pub(crate) fn relay(name: &str, endpoint: &str) -> RelaySettings {
    let end = TunnelEnd {
        addresses: vec![
            IpAddr::from(Ipv4Addr::new(10, 64, 7, 9)),
            "fc00:bbbb:bbbb:bb01::7:9".parse().expect("an address"),
        ],
        relay: endpoint.parse().expect("a socket address"),
        mtu: 1380,
    };
    // A file of its own for each name.
    let place = name.bytes().fold(0, |place: usize, byte| place.wrapping_mul(31).wrapping_add(byte.into()));
    RelaySettings { name: String::from(name), keys: Keys::File(place), end, ports: vec![443] }
}

pub(crate) fn exit(mullvad: bool) -> Exit {
    let (address, city) =
        if mullvad { ([192, 0, 2, 130], "Gothenburg") } else { ([203, 0, 113, 77], "V\u{e4}xj\u{f6}") };
    Exit { address: IpAddr::from(address), mullvad: Some(mullvad), city: Some(String::from(city)) }
}

/// Nothing answers, and nobody is there.
pub(crate) fn gone() -> Obstacle {
    Obstacle::Silence { machine: false, udp: true }
}

/// Of a relay near by.
pub(crate) fn proof(mullvad: bool) -> Proof {
    Proof {
        handshake: Duration::from_millis(30),
        round_trip: Some(Duration::from_millis(20)),
        mtu: 1380,
        exits: vec![exit(mullvad)],
        took: Duration::from_millis(300),
    }
}

pub(crate) fn uplink() -> Uplink {
    Uplink {
        interface: String::from("eth0"),
        addresses: vec![
            "192.168.77.2/24".parse().expect("an address"),
            "2001:db8:77::2/64".parse().expect("an address"),
        ],
        gateway4: Some(Ipv4Addr::new(192, 168, 77, 1)),
        gateway6: Some(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)),
    }
}
