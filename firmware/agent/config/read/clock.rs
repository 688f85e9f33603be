//! Reads `[clock]`: who keeps the clock, and whom it is asked of.

use std::net::IpAddr;

use byway_core::clock::Keep;

use super::super::Clock;
use super::super::reader::{At, Reader, Section};

pub(super) fn read<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Clock {
    let keepers = [("ntp", Keep::Ntp), ("none", Keep::None)];
    let keep = reader.word(section, "keep", &keepers).unwrap_or_default();
    let servers = reader.texts(section, "servers");
    if let Some(At { at, value }) = &servers
        && value.is_empty()
    {
        let message = "the list names no server: write servers = [\"192.168.1.1\"], or leave it out";
        reader.mistake(*at, message);
    }
    let servers = servers.map_or(Vec::new(), |list| list.value);
    Clock { keep, servers: servers.into_iter().filter_map(|text| server(reader, text)).collect() }
}

fn server(reader: &mut Reader<'_>, text: At<&str>) -> Option<IpAddr> {
    let address: Option<IpAddr> = text.value.parse().ok();
    let usable = address.filter(|address| !address.is_unspecified() && !address.is_multicast());
    if usable.is_none() {
        let message = format!(
            "{:?} is no time server's address: write an IPv4 or IPv6 address without a port, as \"192.168.1.1\"; \
             a name would need the time before it could be looked up safely",
            text.value
        );
        reader.mistake(text.at, message);
    }
    usable
}
