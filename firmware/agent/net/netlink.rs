//! The few questions that are asked of rtnetlink, each answered whole.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel's enums are open, and only a few of their variants are ours"
)]

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context as _, Result};
use byway_core::posture::routing::Family;
use futures_util::{Stream, TryStreamExt as _};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::neighbour::NeighbourMessage;
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::rule::RuleMessage;
use rtnetlink::{Error, Handle, IpVersion, RouteMessageBuilder};

/// `None`: there is no such interface.
pub(super) async fn link(handle: &Handle, name: &str) -> Result<Option<LinkMessage>> {
    let found = handle.link().get().match_name(name).execute().try_next().await;
    match found {
        Err(Error::NetlinkError(error)) if error.raw_code() == -libc::ENODEV => Ok(None),
        found => found.with_context(|| format!("interface {name} cannot be looked up")),
    }
}

/// Names by index.
pub(super) async fn devices(handle: &Handle) -> Result<BTreeMap<u32, String>> {
    let links = all(handle.link().get().execute(), "interfaces").await?;
    let named = links.into_iter().filter_map(|link| {
        let name = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name.clone()),
            _ => None,
        });
        Some((link.header.index, name?))
    });
    Ok(named.collect())
}

/// Of one interface.
pub(super) async fn addresses(handle: &Handle, index: u32) -> Result<Vec<AddressMessage>> {
    all(handle.address().get().set_link_index_filter(index).execute(), "addresses").await
}

/// Of every table.
pub(super) async fn routes(handle: &Handle, family: Family) -> Result<Vec<RouteMessage>> {
    let question = match family {
        Family::V4 => RouteMessageBuilder::<std::net::Ipv4Addr>::new().build(),
        Family::V6 => RouteMessageBuilder::<std::net::Ipv6Addr>::new().build(),
    };
    all(handle.route().get(question).execute(), "routes").await
}

pub(super) async fn rules(handle: &Handle, family: Family) -> Result<Vec<RuleMessage>> {
    let family = match family {
        Family::V4 => IpVersion::V4,
        Family::V6 => IpVersion::V6,
    };
    all(handle.rule().get(family).execute(), "ip rules").await
}

pub(super) async fn neighbours(handle: &Handle, family: Family) -> Result<Vec<NeighbourMessage>> {
    all(handle.neighbours().get().set_address_family(address_family(family)).execute(), "neighbours").await
}

pub(super) const fn address_family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

/// Our own address, where a point-to-point link has the peer's too.
pub(super) fn own_address(message: &AddressMessage) -> Option<IpAddr> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address = || {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    };
    local.or_else(address)
}

pub(super) fn address_flags(message: &AddressMessage) -> AddressFlags {
    let flags = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Flags(flags) => Some(*flags),
        _ => None,
    });
    flags.unwrap_or(AddressFlags::empty())
}

pub(super) const fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

async fn all<T>(answers: impl Stream<Item = Result<T, Error>>, what: &str) -> Result<Vec<T>> {
    answers.try_collect().await.with_context(|| format!("{what} cannot be listed"))
}
