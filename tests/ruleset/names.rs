//! The names that probes use for addresses. Every probe has a client, a server and a neighbour of its own, so that
//! no probe meets the flows of another, and a client of its own in every round: the kernel answers one IPv4 address
//! with few "unreachable" only (`ip_error`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context as _, Result};
use byway_core::posture::routing::Family;
use byway_core::{Egress, Facts};

#[derive(Clone, Debug)]
pub(crate) struct Names {
    family: Family,
    number: u8,
    round: u8,
    uplink: Option<IpAddr>,
    gateway: Option<IpAddr>,
    tunnel: Option<IpAddr>,
    /// Where machines of the house are clients.
    lan: Option<IpAddr>,
    doors: Doors,
}

/// The first and the last door of a scene; of a scene with one door it is both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doors {
    pub(crate) old: Option<Egress>,
    pub(crate) open: Option<Egress>,
}

impl Names {
    pub(crate) fn new(facts: &Facts, doors: Doors, family: Family, (round, number): (u8, u8)) -> Self {
        let ours = |address: &IpAddr| Family::of(address) == family;
        let uplink = facts.uplink.as_ref();
        Self {
            family,
            number,
            round: round % 100,
            uplink: uplink.and_then(|uplink| uplink.addresses.iter().map(ipnet::IpNet::addr).find(ours)),
            gateway: uplink.and_then(|uplink| match family {
                Family::V4 => uplink.gateway4.map(IpAddr::V4),
                Family::V6 => uplink.gateway6.map(IpAddr::V6),
            }),
            lan: facts
                .household
                .iter()
                .flat_map(|household| household.addresses.iter().map(ipnet::IpNet::addr))
                .find(ours),
            tunnel: facts.tunnel.iter().flat_map(|tunnel| tunnel.addresses.iter().copied()).find(ours),
            doors,
        }
    }

    /// `client:5000`, `web`, or anything else, which stays as it is. `None`: there is no such address here.
    pub(crate) fn resolve(&self, word: &str) -> Result<String> {
        match word {
            "door" => return interface(self.doors.open),
            "old-door" => return interface(self.doors.old),
            "sent" | "got" => return Ok(format!("{word}{}", if self.family == Family::V4 { 4 } else { 6 })),
            _ => {}
        }
        // One address is written in one way.
        if let Ok(address) = word.parse::<IpAddr>() {
            return Ok(address.to_string());
        }
        if let Ok(address) = word.parse::<SocketAddr>() {
            return Ok(address.to_string());
        }
        let (name, port) = word.split_once(':').map_or((word, None), |(name, port)| (name, Some(port)));
        let Some(address) = self.address(name) else { return Ok(String::from(word)) };
        let address = address.with_context(|| format!("no {name} in this house"))?;
        Ok(match (address, port) {
            (address, None) => address.to_string(),
            (IpAddr::V4(address), Some(port)) => format!("{address}:{port}"),
            (IpAddr::V6(address), Some(port)) => format!("[{address}]:{port}"),
        })
    }

    /// A machine of the house that is a client, of this probe and round alone.
    pub(crate) fn member(&self) -> Option<IpAddr> {
        // A scene about them has fewer than 23 probes; their routers and the box have the first three addresses.
        let number = (u16::from(self.round) * 23 + u16::from(self.number)) % 250 + 3;
        self.lan.map(|lan| beside(lan, u8::try_from(number).unwrap_or(u8::MAX)))
    }

    fn mask(&self, door: Option<Egress>) -> Option<IpAddr> {
        match door? {
            Egress::Privacy => self.tunnel,
            Egress::Residential => self.uplink,
        }
    }

    #[expect(clippy::option_option, reason = "no such name, or no such address in this house")]
    fn address(&self, name: &str) -> Option<Option<IpAddr>> {
        let (round, number) = (self.round, self.number);
        let both = |v4: [u8; 4], v6: [u16; 8]| match self.family {
            Family::V4 => Some(IpAddr::from(Ipv4Addr::from(v4))),
            Family::V6 => Some(IpAddr::from(Ipv6Addr::from(v6))),
        };
        let host = u16::from(number);
        Some(match name {
            // The box in the tailnet, one of its clients, and another one.
            "box" => both(BOX4.octets(), BOX6.segments()),
            "client" => {
                let [v4, v6] = client(round, number);
                Some(match self.family {
                    Family::V4 => v4,
                    Family::V6 => v6,
                })
            }
            "other" => {
                both([100, 64, 101 + round, number], [0xfd7a, 0x115c, 0xa1e0, 0, 0, 2, round.into(), host])
            }
            "web" => both([198, 51, 100, number], [0x2001, 0xdb8, 0x40, 0, 0, 0, 0, host]),
            "relay" => both([192, 0, 2, 130], [0x2001, 0xdb8, 0x50, 0, 0, 0, 0, 0x130]),
            "self" => both([127, 0, 0, 1], Ipv6Addr::LOCALHOST.segments()),
            "neighbour" => self.uplink.map(|uplink| beside(uplink, number)),
            "member" => self.member(),
            "home" => self.lan,
            "uplink" => self.uplink,
            "gateway" => self.gateway,
            "tunnel" => self.tunnel,
            // What a client's packets have as their source outside of a door.
            "mask" => self.mask(self.doors.open),
            "old-mask" => self.mask(self.doors.old),
            _ => return None,
        })
    }
}

fn interface(door: Option<Egress>) -> Result<String> {
    let interface = match door.context("sealed, and a probe speaks of a door")? {
        Egress::Privacy => "wg0",
        Egress::Residential => "eth0",
    };
    Ok(String::from(interface))
}

/// Of the probe with this number, in this round.
pub(crate) fn client(round: u8, number: u8) -> [IpAddr; 2] {
    let round = round % 100;
    let v6 = [0xfd7a, 0x115c, 0xa1e0, 0, 0, 1, round.into(), number.into()];
    [IpAddr::from([100, 64, 1 + round, number]), IpAddr::from(v6)]
}

pub(crate) const BOX4: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 2);
pub(crate) const BOX6: Ipv6Addr = Ipv6Addr::new(0xfd7a, 0x115c, 0xa1e0, 0, 0, 0, 0, 2);

/// In the same house as the box, which is number 2 there; its router is number 1.
fn beside(uplink: IpAddr, number: u8) -> IpAddr {
    let number = number.max(3);
    match uplink {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            Ipv4Addr::new(a, b, c, number).into()
        }
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets[15] = number;
            Ipv6Addr::from(octets).into()
        }
    }
}

/// Where a packet that a program of the box builds is to go.
pub(crate) fn destination(words: &[&str]) -> Result<SocketAddr> {
    let word = words.iter().skip_while(|word| **word != ">").nth(1).context("no destination")?;
    address_of(word)
}

pub(crate) fn source(words: &[&str]) -> Result<SocketAddr> {
    address_of(words.get(1).context("no source")?)
}

fn address_of(word: &str) -> Result<SocketAddr> {
    if let Ok(address) = word.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, 0));
    }
    let mut address: SocketAddr = word.parse().with_context(|| format!("not an address: {word}"))?;
    // A raw socket takes no port.
    address.set_port(0);
    Ok(address)
}
