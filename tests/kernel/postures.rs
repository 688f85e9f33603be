//! The postures that the kernel is made to look like.
#![expect(clippy::unwrap_used, reason = "a test says what it stands on by failing")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use byway_core::{Door, Egress, Epoch, Facts, Posture, TunnelEnd, Uplink, Uptime};

pub(crate) fn every_posture() -> Vec<Posture> {
    let mut postures = vec![Posture::default()];
    let mut epochs = 1..;
    for facts in [v4_only(), dual_stack(), carrier_grade()] {
        postures.push(Posture::sealed(Facts { tunnel: None, ..facts.clone() }));
        postures.push(Posture::sealed(Facts { uplink: None, ..facts.clone() }));
        postures.push(Posture::sealed(facts.clone()));
        for egress in [Egress::Privacy, Egress::Residential] {
            postures.push(open(egress, facts.clone(), epochs.next().unwrap()));
        }
        postures.push(Posture::sealed(facts));
    }
    postures.push(Posture::default());
    postures
}

pub(crate) fn flips(facts: &Facts) -> Vec<(Posture, Posture)> {
    let ends = || {
        let doors = [Egress::Privacy, Egress::Residential].map(|egress| open(egress, facts.clone(), 7));
        doors.into_iter().chain([Posture::sealed(facts.clone()), open(Egress::Privacy, facts.clone(), 8)])
    };
    ends().flat_map(|from| ends().map(move |to| (from.clone(), to))).collect()
}

pub(crate) fn open(egress: Egress, facts: Facts, number: u64) -> Posture {
    Posture { facts, door: Some(Door { egress, epoch: epoch(number) }) }
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
        flow_table: 65_536,
    }
}

pub(crate) fn v4_only() -> Facts {
    let Facts { uplink, tunnel, flow_table } = dual_stack();
    let uplink =
        uplink.map(|uplink| Uplink { addresses: uplink.addresses[..1].to_vec(), gateway6: None, ..uplink });
    let tunnel = tunnel.map(|end| TunnelEnd { addresses: end.addresses[..1].to_vec(), ..end });
    Facts { uplink, tunnel, flow_table }
}

pub(crate) fn carrier_grade() -> Facts {
    let Facts { uplink, tunnel, flow_table } = dual_stack();
    let uplink = uplink.map(|uplink| Uplink {
        addresses: vec!["100.72.0.2/24".parse().unwrap()],
        gateway4: Some(Ipv4Addr::new(100, 72, 0, 1)),
        ..uplink
    });
    Facts { uplink, tunnel, flow_table }
}

pub(crate) fn uplink_with_only(gateway: IpAddr) -> Uplink {
    let uplink = dual_stack().uplink.unwrap();
    match gateway {
        IpAddr::V4(address) => Uplink { gateway4: Some(address), gateway6: None, ..uplink },
        IpAddr::V6(address) => Uplink { gateway4: None, gateway6: Some(address), ..uplink },
    }
}
