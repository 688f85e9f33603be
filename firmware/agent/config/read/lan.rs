//! Reads `[lan]`: which of the house's machines are clients, and where they are.

use std::net::IpAddr;

use byway_core::Serve;
use ipnet::IpNet;

use super::super::reader::{At, Reader, Section};
use super::super::value::InterfaceName;
use super::super::{Lan, Uplink};
use super::uplink::addresses;
use crate::proof::GATEWAY;

/// Of an interface of their own, where the owner names no other.
const OWN: [&str; 2] = ["192.168.78.1/24", "fd62:7977:6179:78::1/64"];
/// dnsmasq lends some of the addresses, and keeps others for machines with one of their own.
const LONGEST_PREFIX: u8 = 28;

pub(super) fn read<'a>(reader: &mut Reader<'a>, section: &Section<'a>, uplink: &Uplink) -> Lan {
    let serves = reader.flag(section, "serve");
    let is_apart = section.has("interface");
    let interface = apart(reader, section, uplink);
    let addresses = own_addresses(reader, section, is_apart);
    if let (Some(At { at, value: false }), true) = (&serves, is_apart) {
        reader.mistake(*at, "there is an interface for machines to be served: write true, or leave it out");
    }
    let serve = match (interface, serves.is_some_and(|serves| serves.value)) {
        (Some(interface), _) => Serve::Apart { interface: interface.as_str().to_owned(), addresses },
        (None, true) => Serve::House,
        (None, false) => Serve::Nobody,
    };
    Lan { serve, ping: reader.flag(section, "ping").is_none_or(|flag| flag.value) }
}

fn apart<'a>(reader: &mut Reader<'a>, section: &Section<'a>, uplink: &Uplink) -> Option<InterfaceName> {
    let interface: InterfaceName = reader.parsed(section, "interface")?;
    let wifi = uplink.wifi.as_ref().map(|wifi| wifi.interface.as_str());
    let taken = [Some(uplink.interface.as_str()), wifi, Some("lo"), Some("wg0"), Some("tailscale0")];
    if taken.contains(&Some(interface.as_str())) {
        let at = reader.text(section, "interface").map_or(0, |text| text.at);
        let message = format!(
            "{:?} has another use: name an interface of the machines' own, or leave it out and they are served in the \
             house's network",
            interface.as_str()
        );
        reader.mistake(at, message);
    }
    Some(interface)
}

fn own_addresses<'a>(reader: &mut Reader<'a>, section: &Section<'a>, is_apart: bool) -> Vec<IpNet> {
    let Some(list) = reader.texts(section, "address") else {
        return OWN.iter().filter_map(|net| net.parse().ok()).collect();
    };
    if !is_apart {
        reader.mistake(
            list.at,
            "only an interface of the machines' own takes an address: name one as interface",
        );
    }
    let addresses = addresses(reader, section);
    for net in addresses.iter().filter(|net| !fits(net)) {
        let message = format!(
            "{net} is no private network for machines: write an IPv4 one of at most {LONGEST_PREFIX} bits as \
             {:?}, or an IPv6 one of 64 bits below fd00::/8 as {:?}",
            OWN[0], OWN[1]
        );
        reader.mistake(list.at, message);
    }
    for net in addresses.iter().filter(|net| net.contains(&IpAddr::V4(GATEWAY))) {
        let message =
            format!("{net} is where the far end of mullvad's tunnels is ({GATEWAY}): choose another");
        reader.mistake(list.at, message);
    }
    addresses
}

fn fits(net: &IpNet) -> bool {
    match net.addr() {
        IpAddr::V4(address) => address.is_private() && net.prefix_len() <= LONGEST_PREFIX,
        IpAddr::V6(address) => address.is_unique_local() && net.prefix_len() == 64,
    }
}
