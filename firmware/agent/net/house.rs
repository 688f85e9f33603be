//! The house's interfaces: what each is like at the moment, and made to hold what the core wants of it. Whatever the
//! kernel has from router advertisements is left alone while there is a carrier.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use byway_core::posture::routing::Family;
use byway_core::posture::sysctl::{before_uplink, ipv6};
use byway_core::uplink::{Carrier, Lent, Link, LinkState, Medium};
use ipnet::IpNet;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, CacheInfo};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use rtnetlink::{Handle, LinkUnspec};

use super::{netlink, sysctl, uplink};

/// Without end (`INFINITY_LIFE_TIME`, net/addrconf.h).
const FOR_EVER: u32 = u32::MAX;
/// Below those of router advertisements (1024); who has both goes by cable.
const CABLE_METRIC: u32 = 100;
const WIFI_METRIC: u32 = 600;

pub(super) async fn state(handle: &Handle, interface: &str) -> Result<LinkState> {
    let Some(link) = netlink::link(handle, interface).await? else { return Ok(LinkState::default()) };
    let lit = link.header.flags.contains(LinkFlags::Up | LinkFlags::Running);
    let addresses = netlink::addresses(handle, link.header.index).await?;
    let failed =
        |message: &&AddressMessage| netlink::address_flags(message).contains(AddressFlags::Dadfailed);
    Ok(LinkState {
        carrier: if lit { Carrier::Up } else { Carrier::Down },
        usable: lit && addresses.iter().any(|message| uplink::usable_address(message).is_some()),
        duplicate: addresses.iter().find(failed).and_then(netlink::own_address),
    })
}

/// Nothing is left on it but its link-local address.
pub(super) async fn lower(handle: &Handle, interface: &str) -> Result<()> {
    let Some(link) = netlink::link(handle, interface).await? else { return Ok(()) };
    let index = link.header.index;
    sysctl::write(&ipv6(interface, false))?;
    keep_addresses(handle, index, &[]).await?;
    let change = LinkUnspec::new_with_index(index).down().build();
    handle.link().change(change).execute().await.with_context(|| format!("{interface} does not go down"))
}

/// Acts on differences alone. `anew`: what is lent begins to last from now.
pub(super) async fn make(
    handle: &Handle,
    (medium, interface): (Medium, &str),
    wanted: &Link,
    anew: bool,
) -> Result<()> {
    let Some(link) = netlink::link(handle, interface).await? else { return Ok(()) };
    let index = link.header.index;
    if !link.header.flags.contains(LinkFlags::Up) {
        return raise(handle, interface, index).await;
    }
    let is_lit = link.header.flags.contains(LinkFlags::Up | LinkFlags::Running);
    sysctl::write(&ipv6(interface, is_lit))?;
    if wanted.standing {
        return add_addresses(handle, index, &wanted.addresses, anew).await;
    }
    keep_addresses(handle, index, &wanted.addresses).await?;
    if !is_lit {
        return remove_defaults(handle, index, |_| false).await;
    }
    keep_mtu(handle, &link, wanted.mtu).await?;
    add_addresses(handle, index, &wanted.addresses, anew).await?;
    let metric = match medium {
        Medium::Cable => CABLE_METRIC,
        Medium::Wifi => WIFI_METRIC,
    };
    for gateway in &wanted.gateways {
        add_default(handle, index, *gateway, metric).await?;
    }
    let stands = |route: &RouteMessage| {
        let gateway = uplink::gateway_by(&route.attributes, index);
        route.header.protocol == RouteProtocol::Ra
            || gateway.is_some_and(|gateway| wanted.gateways.contains(&gateway))
    };
    remove_defaults(handle, index, stands).await
}

/// What is not lent any more and would last on.
pub(super) async fn take_back(handle: &Handle, interface: &str, over: &[IpNet]) -> Result<()> {
    let Some(link) = netlink::link(handle, interface).await? else { return Ok(()) };
    remove_addresses(handle, link.header.index, |net| over.contains(&net)).await
}

/// One where the box is the router itself.
pub(super) async fn serve(handle: &Handle, interface: &str, addresses: &[IpNet]) -> Result<()> {
    let Some(link) = netlink::link(handle, interface).await? else { return Ok(()) };
    let index = link.header.index;
    if !link.header.flags.contains(LinkFlags::Up) {
        let change = LinkUnspec::new_with_index(index).up().build();
        let raised = handle.link().change(change).execute().await;
        raised.with_context(|| format!("{interface} does not come up"))?;
    }
    let wanted: Vec<Lent> = addresses.iter().map(|net| Lent { net: *net, lasts: None }).collect();
    keep_addresses(handle, index, &wanted).await?;
    add_addresses(handle, index, &wanted, false).await
}

/// As it should be when it hears the house for the first time.
async fn raise(handle: &Handle, interface: &str, index: u32) -> Result<()> {
    sysctl::write(&before_uplink(interface))?;
    let change = LinkUnspec::new_with_index(index).up().build();
    handle.link().change(change).execute().await.with_context(|| format!("{interface} does not come up"))
}

/// Removes all other IPv4 addresses; IPv6's come and go with what routers say.
async fn keep_addresses(handle: &Handle, index: u32, wanted: &[Lent]) -> Result<()> {
    let is_over = |net: IpNet| net.addr().is_ipv4() && !wanted.iter().any(|lent| lent.net == net);
    remove_addresses(handle, index, is_over).await
}

async fn remove_addresses(handle: &Handle, index: u32, is_over: impl Fn(IpNet) -> bool) -> Result<()> {
    for message in netlink::addresses(handle, index).await? {
        let Some(net) = net(&message) else { continue };
        if is_over(net) {
            let request = handle.address().del(message);
            request.execute().await.with_context(|| format!("address {net} cannot be removed"))?;
        }
    }
    Ok(())
}

async fn add_addresses(handle: &Handle, index: u32, wanted: &[Lent], anew: bool) -> Result<()> {
    let held: Vec<IpNet> = netlink::addresses(handle, index).await?.iter().filter_map(net).collect();
    for Lent { net, lasts } in wanted.iter().filter(|lent| anew || !held.contains(&lent.net)) {
        let mut request = handle.address().add(index, net.addr(), net.prefix_len()).replace();
        let seconds = lasts.map_or(FOR_EVER, |lasts| u32::try_from(lasts.as_secs()).unwrap_or(FOR_EVER));
        let mut life = CacheInfo::default();
        (life.ifa_preferred, life.ifa_valid) = (seconds, seconds);
        request.message_mut().attributes.push(AddressAttribute::CacheInfo(life));
        request.execute().await.with_context(|| format!("address {net} was not taken"))?;
    }
    Ok(())
}

async fn keep_mtu(handle: &Handle, link: &LinkMessage, wanted: u16) -> Result<()> {
    let has =
        |attribute: &LinkAttribute| matches!(attribute, LinkAttribute::Mtu(mtu) if *mtu == u32::from(wanted));
    if link.attributes.iter().any(has) {
        return Ok(());
    }
    let change = LinkUnspec::new_with_index(link.header.index).mtu(u32::from(wanted)).build();
    handle.link().change(change).execute().await.with_context(|| format!("mtu {wanted} was not taken"))
}

async fn add_default(handle: &Handle, index: u32, gateway: IpAddr, metric: u32) -> Result<()> {
    let family = Family::of(&gateway);
    let routes = netlink::routes(handle, family).await?;
    let stands = |route: &&RouteMessage| uplink::gateway_by(&route.attributes, index) == Some(gateway);
    if routes.iter().filter(|route| uplink::is_default_of_main(route)).any(|route| stands(&route)) {
        return Ok(());
    }
    let mut message = RouteMessage::default();
    message.header.address_family = netlink::address_family(family);
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Dhcp;
    (message.header.kind, message.header.scope) = (RouteType::Unicast, RouteScope::Universe);
    message.attributes.extend([
        RouteAttribute::Gateway(gateway.into()),
        RouteAttribute::Oif(index),
        RouteAttribute::Priority(metric),
    ]);
    let added = handle.route().add(message).replace().execute().await;
    added.with_context(|| format!("the default route by {gateway} was not taken"))
}

/// Those of `main` by this interface that need not stand.
async fn remove_defaults(handle: &Handle, index: u32, stands: impl Fn(&RouteMessage) -> bool) -> Result<()> {
    for family in Family::BOTH {
        for route in netlink::routes(handle, family).await? {
            let by_this = uplink::gateway_by(&route.attributes, index).is_some();
            if by_this && uplink::is_default_of_main(&route) && !stands(&route) {
                let removed = handle.route().del(route).execute().await;
                removed.context("a default route that is over cannot be removed")?;
            }
        }
    }
    Ok(())
}

fn net(message: &AddressMessage) -> Option<IpNet> {
    IpNet::new(netlink::own_address(message)?, message.header.prefix_len).ok()
}
