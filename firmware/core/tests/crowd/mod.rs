//! Devices that have gone out.

use std::net::{IpAddr, Ipv4Addr};

use byway_core::Uptime;
use byway_core::clients::ClientView;

/// So many devices that have just been seen.
pub(crate) fn clients(count: u8, seen: Uptime) -> Vec<ClientView> {
    let client = |number| ClientView {
        id: None,
        name: Some(format!("device-{number}")),
        addresses: vec![IpAddr::from(Ipv4Addr::new(100, 64, 0, number))],
        tx_bytes: 1,
        rx_bytes: 1,
        since: Some(seen),
        last_seen: Some(seen),
        path: None,
        paused: false,
        limit_mbit: None,
    };
    (0..count).map(client).collect()
}
