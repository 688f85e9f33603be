//! Reads `[uplink]`: by which interface the house is reached, and who says what that one holds.

use std::net::IpAddr;

use byway_core::uplink::Method;
use ipnet::IpNet;

use super::super::Uplink;
use super::super::reader::{At, Reader, Section};
use super::wifi;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Dhcp,
    Static,
    None,
}

pub(super) fn read<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Uplink {
    let interface = reader.parsed(section, "interface").unwrap_or_default();
    let servers = reader.texts(section, "dns").map_or(Vec::new(), |list| list.value);
    let dns = servers.into_iter().filter_map(|server| machine(reader, server, RESOLVER)).collect();
    let wifi = wifi::read(reader, section, &interface);
    Uplink { interface, method: method(reader, section), dns, wifi }
}

fn method<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Method {
    let words = [("dhcp", Word::Dhcp), ("static", Word::Static), ("none", Word::None)];
    let word = reader.word(section, "method", &words).unwrap_or(Word::Dhcp);
    match word {
        Word::Static => fixed(reader, section),
        Word::Dhcp => {
            refuse_fixed(reader, section, "the house gives it: write method = \"static\", or leave it out");
            Method::Dhcp
        }
        Word::None => {
            refuse_fixed(reader, section, "somebody else configures the interface: leave it out");
            Method::Foreign
        }
    }
}

fn fixed<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Method {
    let addresses = addresses(reader, section);
    let gateways = gateways(reader, section, &addresses);
    if addresses.is_empty() && !section.has("address") {
        let message = "static needs an address: write address = [\"192.168.1.4/24\"] below [uplink]";
        reader.missing(section, message);
    }
    if gateways.is_empty() && !section.has("gateway") {
        let message = "static needs the router's address: write gateway = [\"192.168.1.1\"] below [uplink]";
        reader.missing(section, message);
    }
    Method::Static { addresses, gateways }
}

fn refuse_fixed<'a>(reader: &mut Reader<'a>, section: &Section<'a>, reason: &str) {
    for key in ["address", "gateway"] {
        if let Some(list) = reader.texts(section, key) {
            reader.mistake(list.at, reason);
        }
    }
}

pub(super) fn addresses<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Vec<IpNet> {
    let list = reader.texts(section, "address").map_or(Vec::new(), |list| list.value);
    let mut addresses = Vec::new();
    for text in list {
        let net = text.value.parse::<IpNet>().ok().filter(|net| is_machine(net.addr()) && !is_whole(net));
        if net.is_none() {
            let message = format!(
                "{:?} is no address with the length of its network's prefix: write it as \"192.168.1.4/24\" or \
                 \"2001:db8::4/64\"",
                text.value
            );
            reader.mistake(text.at, message);
        }
        addresses.extend(net);
    }
    addresses
}

/// The network itself, or nothing but the address.
fn is_whole(net: &IpNet) -> bool {
    net.addr() == net.network() || net.prefix_len() == 0
}

fn gateways<'a>(reader: &mut Reader<'a>, section: &Section<'a>, addresses: &[IpNet]) -> Vec<IpAddr> {
    let list = reader.texts(section, "gateway").map_or(Vec::new(), |list| list.value);
    let mut gateways = Vec::new();
    for text in list {
        let Some(gateway) = machine(reader, text, ROUTER) else { continue };
        let is_link_local = matches!(gateway, IpAddr::V6(gateway) if gateway.is_unicast_link_local());
        let is_neighbour = addresses.iter().any(|net| net.contains(&gateway) && net.addr() != gateway);
        if !is_link_local && !is_neighbour && !addresses.is_empty() {
            let message = format!(
                "{gateway} is in none of the box's own networks, or is the box itself: write the router's address in one \
                 of those of address"
            );
            reader.mistake(text.at, message);
        }
        gateways.push(gateway);
    }
    gateways
}

const RESOLVER: &str = "no resolver's address";
const ROUTER: &str = "no router's address";

fn machine(reader: &mut Reader<'_>, text: At<&str>, is_not: &str) -> Option<IpAddr> {
    let address = text.value.parse().ok().filter(|address| is_machine(*address));
    if address.is_none() {
        let message = format!(
            "{:?} is {is_not}: write an IPv4 or IPv6 address without a port, as \"192.168.1.1\"",
            text.value
        );
        reader.mistake(text.at, message);
    }
    address
}

const fn is_machine(address: IpAddr) -> bool {
    !address.is_unspecified() && !address.is_multicast()
}
