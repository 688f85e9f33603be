//! A box as it might be configured, for tests.

use byway_core::relays::Keys;
use byway_core::uplink::Interfaces;
use byway_core::{Egress, Expect, HouseAccess, RelaySettings, Serve, Settings, TunnelEnd, Upstreams};

pub(crate) fn settings() -> Settings {
    Settings {
        name: "byway".to_owned(),
        relays: vec![RelaySettings {
            name: "se-got-wg-001".to_owned(),
            keys: Keys::File(0),
            end: TunnelEnd { addresses: Vec::new(), relay: "192.0.2.130:51820".parse().unwrap(), mtu: 1380 },
            ports: Vec::new(),
        }],
        preferred: None,
        interfaces: Interfaces { cable: String::from("eth0"), wifi: None },
        expect: Expect::Any,
        control: None,
        last_egress: Egress::Privacy,
        flow_table: 65_536,
        refuse_dot: false,
        refuse_smtp: true,
        limit_mbit: None,
        daily_gb: None,
        used: byway_core::Used::default(),
        serve: Serve::Nobody,
        reach: false,
        house_access: HouseAccess::default(),
        paused: Vec::new(),
        last_stop: None,
        seed: 0,
        upstreams: Upstreams {
            privacy: "https://dns.mullvad.net".to_owned(),
            residential: "https://dns.quad9.net".to_owned(),
        },
    }
}
