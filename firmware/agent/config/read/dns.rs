//! Reads `[dns]`: whom each door asks for names, and which names go elsewhere.

use std::net::IpAddr;

use byway_core::Expect;
use byway_core::uplink::Method;

use super::super::reader::{At, Reader, Section};
use super::super::upstream::{self, Bootstrap, Upstream};
use super::super::value::Domain;
use super::super::{Dns, Uplink, url::Host};

/// The relay's own, at the far end of the tunnel, which encrypts. Mullvad's public ones have ended on 2 November 2026.
const MULLVADS: &str = "udp://10.64.0.1";
const QUAD9: &str = "https://dns.quad9.net/dns-query";

/// `None` only beside a mistake.
pub(super) fn read<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    uplink: &Uplink,
    expect: Expect,
) -> Option<Dns> {
    let bootstrap = bootstrap(reader, section);
    let default = match expect {
        Expect::Mullvad => MULLVADS,
        Expect::Any => QUAD9,
    };
    let privacy = upstream(reader, section, ("privacy", default), &bootstrap);
    let residential = upstream(reader, section, ("residential", QUAD9), &bootstrap);
    Some(Dns {
        house_domain: house_domain(reader, section, uplink),
        allow_private: allow_private(reader, section),
        refuse_dot: reader.flag(section, "refuse_dot").is_some_and(|flag| flag.value),
        log: reader.flag(section, "log").is_some_and(|flag| flag.value),
        privacy: privacy?,
        residential: residential?,
    })
}

fn upstream<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    (key, default): (&str, &'static str),
    bootstrap: &Bootstrap,
) -> Option<Upstream> {
    let text = reader.text(section, key).unwrap_or(At { at: 0, value: default });
    Upstream::parse(text.value, bootstrap).map_err(|message| reader.mistake(text.at, message)).ok()
}

fn bootstrap<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Bootstrap {
    let lists = reader.lists(section, "bootstrap");
    let mut bootstrap = Bootstrap::new();
    for (host, list) in lists {
        let Ok(Host::Name(name)) = host.value.trim_end_matches('.').parse() else {
            reader.mistake(host.at, format!("{:?} is no name: write the host as the URL has it", host.value));
            continue;
        };
        if list.value.is_empty() {
            reader.mistake(list.at, format!("{name} has no address: write [\"ADDRESS\"]"));
        }
        let addresses = list.value.into_iter().filter_map(|address| resolver(reader, address)).collect();
        bootstrap.insert(name, addresses);
    }
    bootstrap
}

fn resolver(reader: &mut Reader<'_>, text: At<&str>) -> Option<IpAddr> {
    let Ok(address) = text.value.parse() else {
        let message = format!("{:?} is no address: write an IPv4 or IPv6 address without a port", text.value);
        reader.mistake(text.at, message);
        return None;
    };
    upstream::check_address(address).map_err(|message| reader.mistake(text.at, message)).ok()
}

/// Its names are asked of the house's resolver, which only DHCP gives by itself.
fn house_domain<'a>(reader: &mut Reader<'a>, section: &Section<'a>, uplink: &Uplink) -> Option<String> {
    let text = reader.text(section, "house_domain")?;
    let domain: Domain = reader.parsed(section, "house_domain")?;
    if uplink.dns.is_empty() && uplink.method != Method::Dhcp {
        let message = "its names are asked of the first resolver of the house, and none is known: write dns = \
                       [\"192.168.1.1\"] below [uplink]";
        reader.mistake(text.at, message);
    }
    Some(domain.into())
}

fn allow_private<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Vec<String> {
    let list = reader.texts(section, "allow_private").map_or(Vec::new(), |list| list.value);
    let mut domains = Vec::new();
    for text in list {
        match text.value.parse::<Domain>() {
            Ok(domain) => domains.push(domain.into()),
            Err(message) => reader.mistake(text.at, message),
        }
    }
    domains
}
