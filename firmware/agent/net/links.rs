//! The tunnel's interface: its addresses, MTU and flags. It is made by the tunnel's engine, not here.

use std::fmt;

use anyhow::{Context as _, Result};
use byway_core::TunnelEnd;
use byway_core::posture::TUNNEL;
use byway_core::posture::sysctl::Sysctl;
use ipnet::IpNet;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::{Handle, LinkUnspec};

use super::netlink;
use super::reconcile::{Gap, Standing, gap};
use super::sysctl;

/// `false`: the interface is not there yet.
pub(super) async fn make(handle: &Handle, end: &TunnelEnd) -> Result<bool> {
    let Some(link) = netlink::link(handle, TUNNEL).await? else { return Ok(false) };
    let index = link.header.index;
    if !is_up_with_mtu(&link, end.mtu) {
        without_address_of_its_own()?;
        let change = LinkUnspec::new_with_index(index).mtu(u32::from(end.mtu)).up().build();
        handle.link().change(change).execute().await.with_context(|| format!("{TUNNEL} does not come up"))?;
    }
    let Gap { missing, foreign } = compare(handle, index, end).await?;
    for address in missing {
        let mut request = handle.address().add(index, address.0.addr(), address.0.prefix_len());
        if address.0.addr().is_ipv6() {
            // There is nobody in the tunnel who could have the same.
            request.message_mut().attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        request.execute().await.with_context(|| format!("{address} was not taken"))?;
    }
    for stands in foreign {
        let address = describe(&stands.message);
        let request = handle.address().del(stands.message);
        request.execute().await.with_context(|| format!("{address} cannot be removed"))?;
    }
    Ok(true)
}

/// Readable lines, none if the interface is as it should be.
pub(super) async fn differences(handle: &Handle, end: &TunnelEnd) -> Result<Vec<String>> {
    let Some(link) = netlink::link(handle, TUNNEL).await? else {
        return Ok(vec![format!("interface {TUNNEL} is missing")]);
    };
    let mut lines = compare(handle, link.header.index, end).await?.lines(describe);
    if !is_up_with_mtu(&link, end.mtu) {
        lines.push(format!("interface {TUNNEL} is not up with mtu {}", end.mtu));
    }
    Ok(lines)
}

async fn compare(handle: &Handle, index: u32, end: &TunnelEnd) -> Result<Gap<Address, AddressMessage>> {
    // They come alone: no prefix is on-link in the tunnel.
    let wanted: Vec<Address> = end.addresses.iter().copied().map(|address| Address(address.into())).collect();
    let standing = netlink::addresses(handle, index).await?.into_iter().filter_map(|message| {
        let address = netlink::own_address(&message)?;
        let known = IpNet::new(address, message.header.prefix_len).ok().map(Address);
        let by_kernel = address.is_ipv6() && netlink::is_link_local(&address);
        (!by_kernel).then_some(Standing { known, message })
    });
    Ok(gap(&wanted, standing.collect()))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Address(IpNet);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {} of {TUNNEL}", self.0)
    }
}

fn describe(message: &AddressMessage) -> String {
    let address = netlink::own_address(message).map(|address| address.to_string());
    format!("address {} of {TUNNEL}", address.as_deref().unwrap_or("without a value"))
}

fn is_up_with_mtu(link: &LinkMessage, wanted: u16) -> bool {
    let mtu = link
        .attributes
        .iter()
        .any(|attribute| matches!(attribute, LinkAttribute::Mtu(mtu) if *mtu == u32::from(wanted)));
    mtu && link.header.flags.contains(LinkFlags::Up)
}

/// `IN6_ADDR_GEN_MODE_NONE`: the kernel invents no link-local address, with which it would speak into the tunnel.
fn without_address_of_its_own() -> Result<()> {
    sysctl::write(&[Sysctl { path: format!("net/ipv6/conf/{TUNNEL}/addr_gen_mode"), value: "1" }])
}
