//! The houses that the scenes play in.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use byway_core::{Facts, HouseAccess, Household, Mac, TunnelEnd, Uplink};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::facts::{carrier_grade, dual_stack};
use crate::world::HOUSE_HARDWARE;

pub(crate) fn facts(house: &str) -> Result<Facts> {
    Ok(match house {
        "dual-stack" => dual_stack(),
        "carrier-grade" => carrier_grade(),
        "public" => public(),
        "narrow" => narrow(),
        "owners" => with_access(HouseAccess { ping: true, ssh: true }),
        "mute" => with_access(HouseAccess { ping: false, ssh: false }),
        "strict" => Facts { refuse_dot: true, ..dual_stack() },
        "trusting" => Facts { refuse_smtp: false, ..dual_stack() },
        "slow" => Facts { limit_mbit: Some(1), ..dual_stack() },
        "unconfigured" => unconfigured(),
        "served" => served(),
        "apart" => apart(),
        "reached" => Facts { reach: true, ..dual_stack() },
        other => bail!("no such house: {other}"),
    })
}

fn with_access(house_access: HouseAccess) -> Facts {
    Facts { house_access, ..dual_stack() }
}

fn public() -> Facts {
    let Facts { uplink, tunnel, .. } = dual_stack();
    let uplink = uplink.map(|uplink| Uplink {
        addresses: vec![IpNet::from(Ipv4Net::new_assert([203, 0, 113, 2].into(), 24)), uplink.addresses[1]],
        gateway4: Some([203, 0, 113, 1].into()),
        ..uplink
    });
    let relay = SocketAddr::from(([0x2001, 0xdb8, 0x50, 0, 0, 0, 0, 0x130], 51820));
    Facts {
        uplink,
        tunnel: tunnel.map(|tunnel| TunnelEnd { relay, ..tunnel }),
        candidates: [443, 51820].map(|port| SocketAddr::new(relay.ip(), port)).to_vec(),
        flow_table: 0,
        ..dual_stack()
    }
}

/// `[mullvad] mtu = 1300`
fn narrow() -> Facts {
    let tunnel = dual_stack().tunnel.map(|tunnel| TunnelEnd { mtu: 1300, ..tunnel });
    Facts { tunnel, ..dual_stack() }
}

/// `[lan] serve = true`
fn served() -> Facts {
    let addresses = dual_stack().uplink.map(|uplink| uplink.addresses).unwrap_or_default();
    let routers = Vec::from([Mac(HOUSE_HARDWARE)]);
    let household = Household { interface: String::from("eth0"), addresses, routers };
    Facts { household: Some(Box::new(household)), ..dual_stack() }
}

/// `[lan] interface = "eth1"`
fn apart() -> Facts {
    let addresses = [
        IpNet::from(Ipv4Net::new_assert([192, 168, 78, 1].into(), 24)),
        IpNet::from(Ipv6Net::new_assert([0xfd62, 0x7977, 0x6179, 0x78, 0, 0, 0, 1].into(), 64)),
    ];
    let household =
        Household { interface: String::from("eth1"), addresses: addresses.to_vec(), routers: Vec::new() };
    Facts { household: Some(Box::new(household)), ..dual_stack() }
}

fn unconfigured() -> Facts {
    let interfaces = dual_stack().interfaces;
    Facts { interfaces, ..Facts::default() }
}
