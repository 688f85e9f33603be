//! Watches the house's interface: how it is configured by whoever does that, and whether its router is there.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel's enums are open, and only a few of their variants are ours"
)]

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use anyhow::{Context as _, Result};
use byway_core::posture::Mark;
use byway_core::posture::routing::Family;
use byway_core::{Mac, Uplink};
use ipnet::IpNet;
use netlink_packet_route::address::{AddressFlags, AddressMessage};
use netlink_packet_route::link::LinkFlags;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType};
use rtnetlink::Handle;
use socket2::{Domain, Protocol, Socket, Type};

use super::netlink;

/// `discard` (RFC 863): whoever hears it, ignores it.
const DISCARD_PORT: u16 = 9;

pub(super) async fn uplink(handle: &Handle, interface: &str) -> Result<Option<Uplink>> {
    let Some(link) = netlink::link(handle, interface).await? else { return Ok(None) };
    if !link.header.flags.contains(LinkFlags::Up | LinkFlags::Running) {
        return Ok(None);
    }
    let index = link.header.index;
    let addresses = netlink::addresses(handle, index).await?;
    let mut addresses: Vec<IpNet> = addresses.iter().filter_map(usable_address).collect();
    if addresses.is_empty() {
        return Ok(None);
    }
    // The kernel lists them by age, which changes nothing.
    addresses.sort();
    let gateway4 = match gateway(handle, Family::V4, index).await? {
        Some(IpAddr::V4(address)) if is_on_link(address.into(), &addresses) => Some(address),
        Some(IpAddr::V4(_) | IpAddr::V6(_)) | None => None,
    };
    let gateway6 = match gateway(handle, Family::V6, index).await? {
        // One that is there before our address is of no use yet, and a change of its own.
        Some(IpAddr::V6(address)) if has_ipv6(&addresses) && is_on_link(address.into(), &addresses) => {
            Some(address)
        }
        Some(IpAddr::V4(_) | IpAddr::V6(_)) | None => None,
    };
    Ok(Some(Uplink { interface: String::from(interface), addresses, gateway4, gateway6 }))
}

fn has_ipv6(addresses: &[IpNet]) -> bool {
    addresses.iter().any(|net| matches!(net, IpNet::V6(_)))
}

pub(super) async fn routers(
    handle: &Handle,
    interface: &str,
    gateways: &[IpAddr],
) -> Result<Vec<(IpAddr, Mac)>> {
    let Some(link) = netlink::link(handle, interface).await? else { return Ok(Vec::new()) };
    let index = link.header.index;
    let mut routers = Vec::new();
    for gateway in gateways {
        let neighbours = netlink::neighbours(handle, Family::of(gateway)).await?;
        match neighbours.iter().find_map(|entry| valid_entry(entry, index, *gateway)) {
            Some(mac) => routers.push((*gateway, mac)),
            // An unreachable network is an answer, not a failure.
            None => nudge(*gateway, index)
                .unwrap_or_else(|error| tracing::debug!(%gateway, %error, "gateway not asked for")),
        }
    }
    Ok(routers)
}

/// The kernel takes no route by a gateway that it cannot reach: one that a renumbered house has left in `main`, say.
fn is_on_link(gateway: IpAddr, addresses: &[IpNet]) -> bool {
    netlink::is_link_local(&gateway) || addresses.iter().any(|net| net.contains(&gateway))
}

pub(super) fn usable_address(message: &AddressMessage) -> Option<IpNet> {
    let unusable = AddressFlags::Tentative | AddressFlags::Dadfailed | AddressFlags::Deprecated;
    if netlink::address_flags(message).intersects(unusable) {
        return None;
    }
    let address = netlink::own_address(message).filter(|address| !netlink::is_link_local(address))?;
    IpNet::new(address, message.header.prefix_len).ok()
}

/// Of the default route in `main` by this interface with the lowest metric.
async fn gateway(handle: &Handle, family: Family, index: u32) -> Result<Option<IpAddr>> {
    let routes = netlink::routes(handle, family).await?;
    let defaults = routes.iter().filter(|route| is_default_of_main(route));
    let gateways = defaults.filter_map(|route| Some((metric(route), gateway_by(&route.attributes, index)?)));
    Ok(gateways.min_by_key(|(metric, _)| *metric).map(|(_, gateway)| gateway))
}

pub(super) fn is_default_of_main(route: &RouteMessage) -> bool {
    let header = &route.header;
    header.table == RouteHeader::RT_TABLE_MAIN
        && header.destination_prefix_length == 0
        && header.kind == RouteType::Unicast
}

fn metric(route: &RouteMessage) -> u32 {
    let found = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Priority(priority) => Some(*priority),
        _ => None,
    });
    found.unwrap_or(0)
}

/// Also of one of several next hops: two routers in the house that both announce themselves.
pub(super) fn gateway_by(attributes: &[RouteAttribute], index: u32) -> Option<IpAddr> {
    let by_index = attributes.contains(&RouteAttribute::Oif(index));
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(address)) if by_index => Some(IpAddr::V4(*address)),
        RouteAttribute::Gateway(RouteAddress::Inet6(address)) if by_index => Some(IpAddr::V6(*address)),
        RouteAttribute::MultiPath(hops) => {
            hops.iter().filter(|hop| hop.interface_index == index).find_map(|hop| {
                hop.attributes.iter().find_map(|attribute| match attribute {
                    RouteAttribute::Gateway(RouteAddress::Inet(address)) => Some(IpAddr::V4(*address)),
                    RouteAttribute::Gateway(RouteAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
                    _ => None,
                })
            })
        }
        _ => None,
    })
}

fn valid_entry(entry: &NeighbourMessage, index: u32, gateway: IpAddr) -> Option<Mac> {
    let destination = match gateway {
        IpAddr::V4(address) => NeighbourAddress::Inet(address),
        IpAddr::V6(address) => NeighbourAddress::Inet6(address),
    };
    let valid = [
        NeighbourState::Reachable,
        NeighbourState::Stale,
        NeighbourState::Delay,
        NeighbourState::Probe,
        NeighbourState::Permanent,
    ];
    let is_it = entry.header.ifindex == index
        && entry.attributes.contains(&NeighbourAttribute::Destination(destination))
        && valid.contains(&entry.header.state);
    let address = entry.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(bytes) => bytes.as_slice().try_into().ok().map(Mac),
        _ => None,
    });
    address.filter(|_| is_it)
}

/// Gives the kernel a reason to ask the LAN for the gateway: a datagram without content.
fn nudge(gateway: IpAddr, index: u32) -> Result<()> {
    let (domain, address) = match gateway {
        IpAddr::V4(_) => (Domain::IPV4, SocketAddr::new(gateway, DISCARD_PORT)),
        IpAddr::V6(address) => {
            (Domain::IPV6, SocketAddr::V6(SocketAddrV6::new(address, DISCARD_PORT, 0, index)))
        }
    };
    let socket = Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    socket.set_mark(Mark::AGENT.0).context("no mark, is this root?")?;
    socket.send_to(&[], &address.into())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_of_numbers_that_the_house_has_left_is_none() {
        let addresses = ["192.168.88.2/24", "2001:db8:88::2/64"].map(|net| net.parse().unwrap());
        for there in ["192.168.88.1", "2001:db8:88::1", "fe80::1"] {
            assert!(is_on_link(there.parse().unwrap(), &addresses), "{there}");
        }
        for gone in ["192.168.77.1", "2001:db8:77::1"] {
            assert!(!is_on_link(gone.parse().unwrap(), &addresses), "{gone}");
        }
    }
}
