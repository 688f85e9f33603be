//! Whether the kernel sends to the tailnet by the tailnet. tailscaled puts its routes into table 52 when they change,
//! and never looks at them again: one that somebody deleted is missed by every peer. Sends nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// tailscaled's own service addresses: on its interface whoever the peers are.
const SERVICE_V4: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 100);
const SERVICE_V6: Ipv6Addr = Ipv6Addr::new(0xfd7a, 0x115c, 0xa1e0, 0, 0, 0, 0, 0x53);
/// `discard` (RFC 863); nothing is sent there.
const ANY_PORT: u16 = 9;

/// For each of our addresses on the tailnet.
pub(super) fn is_there(own: &[IpAddr]) -> bool {
    own.iter().all(|address| source_towards(service(*address)) == Some(*address))
}

fn service(own: IpAddr) -> IpAddr {
    match own {
        IpAddr::V4(_) => SERVICE_V4.into(),
        IpAddr::V6(_) => SERVICE_V6.into(),
    }
}

/// The address that the kernel would send from: that of the interface which its route leads to.
fn source_towards(destination: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match destination {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((destination, ANY_PORT)).ok()?;
    socket.local_addr().ok().map(|local| local.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_interfaces_address_is_not_the_way() {
        let elsewhere = ["203.0.113.9", "2001:db8::9"].map(|address| address.parse().unwrap());
        for address in elsewhere {
            assert!(!is_there(&[address]), "{address}");
        }
    }
}
