//! What a box knows of its house and its tunnel, and the doors it opens there.
#![expect(clippy::unwrap_used, reason = "a test says what it stands on by failing")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use byway_core::{Door, Egress, Epoch, Facts, HouseAccess, Posture, TunnelEnd, Uplink, Uptime};

pub(crate) fn open(egress: Egress, facts: Facts, number: u64) -> Posture {
    Posture { door: Some(Door { egress, epoch: epoch(number) }), ..Posture::sealed(facts) }
}

pub(crate) fn epoch(number: u64) -> Epoch {
    Epoch::fresh(None, Uptime::since_boot(Duration::from_millis(number)))
}

pub(crate) fn dual_stack() -> Facts {
    Facts {
        uplink: Some(Uplink {
            interface: String::from("eth0"),
            addresses: ["192.168.77.2/24", "2001:db8:77::2/64"].map(|net| net.parse().unwrap()).to_vec(),
            gateway4: Some(Ipv4Addr::new(192, 168, 77, 1)),
            gateway6: Some("fe80::1".parse().unwrap()),
        }),
        tunnel: Some(TunnelEnd {
            addresses: ["10.64.0.2", "fc00:bbbb:bbbb:bb01::2"]
                .map(|address| address.parse().unwrap())
                .to_vec(),
            relay: SocketAddr::from(([192, 0, 2, 130], 51820)),
            mtu: 1380,
        }),
        candidates: [443, 51820].map(|port| SocketAddr::from(([192, 0, 2, 130], port))).to_vec(),
        flow_table: 65_536,
        refuse_dot: false,
        refuse_smtp: true,
        limit_mbit: None,
        household: None,
        reach: false,
        house_access: HouseAccess { ping: true, ssh: false },
        interfaces: Vec::from([String::from("eth0")]),
    }
}

pub(crate) fn carrier_grade() -> Facts {
    let Facts { uplink, .. } = dual_stack();
    let uplink = uplink.map(|uplink| Uplink {
        addresses: ["100.72.0.2/24", "2001:db8:77::2/64"].map(|net| net.parse().unwrap()).to_vec(),
        gateway4: Some(Ipv4Addr::new(100, 72, 0, 1)),
        ..uplink
    });
    Facts { uplink, ..dual_stack() }
}
