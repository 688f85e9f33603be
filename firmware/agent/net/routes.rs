//! The routes of our two tables, both families: made as planned, whatever else stands there is removed.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel's enums are open, and only a few of their variants are ours"
)]

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context as _, Result};
use byway_core::posture::routing::{Family, Hop, PRIVACY_TABLE, RESIDENTIAL_TABLE, Route};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use rtnetlink::Handle;

use super::netlink;
use super::reconcile::{Gap, Standing, gap};

/// What the kernel chooses for IPv6 where no metric is asked for (`IP6_RT_PRIO_USER`); for IPv4 it is 0.
const CHOSEN_METRIC6: u32 = 1024;

/// Adds before it removes. An added route takes the place of one with the same metric, so a changed gateway leaves
/// no gap; what is too much is looked for afterwards.
pub(super) async fn make(handle: &Handle, wanted: &[Route]) -> Result<()> {
    let devices = netlink::devices(handle).await?;
    for route in compare(handle, wanted, &devices).await?.missing {
        let message = message(&route, &devices)?;
        let request = handle.route().add(message).replace();
        request.execute().await.with_context(|| format!("{route} was not taken"))?;
    }
    for stands in compare(handle, wanted, &devices).await?.foreign {
        let description = describe(&stands.message);
        let request = handle.route().del(stands.message);
        request.execute().await.with_context(|| format!("{description} cannot be removed"))?;
    }
    Ok(())
}

/// Readable lines, none if the tables hold what is planned.
pub(super) async fn differences(handle: &Handle, wanted: &[Route]) -> Result<Vec<String>> {
    let devices = netlink::devices(handle).await?;
    Ok(compare(handle, wanted, &devices).await?.lines(describe))
}

async fn compare(
    handle: &Handle,
    wanted: &[Route],
    devices: &BTreeMap<u32, String>,
) -> Result<Gap<Route, RouteMessage>> {
    let mut standing = Vec::new();
    for family in Family::BOTH {
        let messages = netlink::routes(handle, family).await?;
        let ours = messages.into_iter().filter(is_ours);
        standing.extend(ours.map(|mut message| {
            // How the next hop fares is not part of what the route is, and not taken back by the kernel.
            message.header.flags = RouteFlags::empty();
            Standing { known: route(family, &message, devices), message }
        }));
    }
    Ok(gap(wanted, standing))
}

/// Cloned ones are the kernel's notes about single destinations, not routes.
pub(super) fn is_ours(message: &RouteMessage) -> bool {
    let ours = [PRIVACY_TABLE, RESIDENTIAL_TABLE].contains(&table(message));
    ours && !message.header.flags.contains(RouteFlags::Cloned)
}

fn table(message: &RouteMessage) -> u32 {
    let found = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    found.unwrap_or(u32::from(message.header.table))
}

fn message(route: &Route, devices: &BTreeMap<u32, String>) -> Result<RouteMessage> {
    let mut message = RouteMessage::default();
    message.header.address_family = netlink::address_family(route.family);
    message.header.protocol = RouteProtocol::Static;
    (message.header.kind, message.header.scope) = match &route.hop {
        Hop::Device(_) => (RouteType::Unicast, RouteScope::Link),
        Hop::Gateway(..) => (RouteType::Unicast, RouteScope::Universe),
        Hop::Unreachable => (RouteType::Unreachable, RouteScope::Universe),
    };
    message.attributes.push(RouteAttribute::Table(route.table));
    let (gateway, device) = match &route.hop {
        Hop::Device(device) => (None, Some(device)),
        Hop::Gateway(gateway, device) => (Some(*gateway), Some(device)),
        Hop::Unreachable => (None, None),
    };
    message.attributes.extend(gateway.map(|gateway| RouteAttribute::Gateway(gateway.into())));
    if let Some(device) = device {
        let index = devices.iter().find(|(_, name)| *name == device).map(|(index, _)| *index);
        let index =
            index.with_context(|| format!("{route} needs interface {device}, which is not there yet"))?;
        message.attributes.push(RouteAttribute::Oif(index));
    }
    if route.metric != 0 {
        message.attributes.push(RouteAttribute::Priority(route.metric));
    }
    Ok(message)
}

/// `None`: it says something that a route of ours never says.
fn route(family: Family, message: &RouteMessage, devices: &BTreeMap<u32, String>) -> Option<Route> {
    let header = &message.header;
    if header.destination_prefix_length != 0 || header.source_prefix_length != 0 || header.tos != 0 {
        return None;
    }
    let (mut gateway, mut device, mut metric) = (None, None, 0);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Gateway(address) => gateway = Some(ip(address)?),
            RouteAttribute::Oif(index) => device = Some(devices.get(index)?.clone()),
            RouteAttribute::Priority(priority) => metric = *priority,
            RouteAttribute::Table(_) | RouteAttribute::CacheInfo(_) | RouteAttribute::Preference(_) => {}
            _ => return None,
        }
    }
    let hop = match (header.kind, gateway, device) {
        (RouteType::Unicast, None, Some(device)) => Hop::Device(device),
        (RouteType::Unicast, Some(gateway), Some(device)) => Hop::Gateway(gateway, device),
        // IPv6 hangs it on `lo`.
        (RouteType::Unreachable, None, _) => Hop::Unreachable,
        _ => return None,
    };
    if family == Family::V6 && metric == CHOSEN_METRIC6 {
        metric = 0;
    }
    Some(Route { family, table: table(message), hop, metric })
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

fn describe(message: &RouteMessage) -> String {
    let family = match message.header.address_family {
        AddressFamily::Inet6 => Family::V6,
        _ => Family::V4,
    };
    let destination = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(address) => ip(address),
        _ => None,
    });
    let length = message.header.destination_prefix_length;
    let destination =
        destination.map_or_else(|| String::from("default"), |address| format!("{address}/{length}"));
    format!("{family} route {destination} table {}", table(message))
}
