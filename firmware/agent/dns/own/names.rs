//! Finds the addresses of the box's own names, by the house's line or through the tunnel, from the name servers it is
//! given and nowhere else: no system resolver, no hosts file, no search domain, no cache.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "DNS's registries are open, and only a few of their values are ours"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::join;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::time::timeout;

use super::super::DNS_PORT;
use super::super::house::HouseResolvers;
use super::super::question::Question;
use super::super::upstream::{Failure, Upstream};
use crate::config::Host;
use crate::way::Way;

/// For everything, a second question by TCP included.
const LIMIT: Duration = Duration::from_secs(5);
/// One answer by TCP has room for thousands.
const MOST_ADDRESSES: usize = 32;

/// Asked by the house's line where neither configuration nor DHCP names a resolver: Quad9, Cloudflare.
const PUBLIC: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9)),
    IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2620, 0xfe, 0, 0, 0, 0, 0, 0xfe)),
    IpAddr::V6(Ipv6Addr::new(0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1111)),
];

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    #[error("no address for {name} {way}: {reason}")]
    NotFound { name: String, way: Way, reason: String },
    #[error("no name server answers for {name} {way}")]
    NoAnswer { name: String, way: Way },
}

/// Asks by one way only, all of its servers at once.
#[derive(Debug)]
pub struct Names {
    way: Way,
    servers: Servers,
}

#[derive(Debug)]
enum Servers {
    Fixed(Vec<SocketAddr>),
    /// Whoever they are when something is asked.
    OfTheHouse(HouseResolvers),
}

impl Names {
    /// By the house's line; where it has no resolvers, well-known public ones are asked.
    pub const fn by_isp(resolvers: HouseResolvers) -> Self {
        Self { way: Way::by_isp(), servers: Servers::OfTheHouse(resolvers) }
    }

    /// Through the tunnel, from the servers of the relay's configuration.
    pub fn by_tunnel(device: &str, servers: &[IpAddr]) -> Self {
        Self::asking(&Way::Device(device.to_owned()), servers.iter().map(|server| (*server, DNS_PORT).into()))
    }

    pub fn way(&self) -> &Way {
        &self.way
    }

    /// Its addresses, IPv4 first, none twice, no more than 32; never an empty list. An address is its own answer.
    pub async fn resolve(&self, host: &Host) -> Result<Vec<IpAddr>, ResolveError> {
        let name = match host {
            Host::Address(address) => return Ok(vec![*address]),
            Host::Name(name) => name,
        };
        let not_found = |reason| ResolveError::NotFound { name: name.clone(), way: self.way.clone(), reason };
        // The dot at the end keeps search domains out.
        let full = Name::from_ascii(format!("{name}.")).map_err(|error| not_found(error.to_string()))?;
        let mut reason = None;
        let servers = self.servers();
        let first = async {
            let mut asked: FuturesUnordered<_> =
                servers.iter().map(|server| addresses(server, &full)).collect();
            while let Some(answer) = asked.next().await {
                match answer {
                    Ok(found) => return Some(found),
                    Err(none) => reason = none.or(reason.take()),
                }
            }
            None
        };
        match timeout(LIMIT, first).await.unwrap_or(None) {
            Some(found) => Ok(found),
            None => Err(reason.map_or_else(
                || ResolveError::NoAnswer { name: name.clone(), way: self.way.clone() },
                not_found,
            )),
        }
    }

    fn asking(way: &Way, servers: impl Iterator<Item = SocketAddr>) -> Self {
        Self { way: way.clone(), servers: Servers::Fixed(servers.collect()) }
    }

    fn servers(&self) -> Vec<Upstream> {
        let servers = match &self.servers {
            Servers::Fixed(servers) => servers.clone(),
            Servers::OfTheHouse(resolvers) => {
                let resolvers = resolvers.now();
                let servers = if resolvers.is_empty() { &PUBLIC[..] } else { &resolvers };
                servers.iter().map(|server| (*server, DNS_PORT).into()).collect()
            }
        };
        servers.into_iter().map(|server| Upstream::plain(server, self.way.clone())).collect()
    }
}

/// Of both families, from one server. A router that says "no such name" while its line is down must not outvote
/// another server: that is an error too. `None`: it says nothing.
async fn addresses(server: &Upstream, name: &Name) -> Result<Vec<IpAddr>, Option<String>> {
    let (v4, v6) = join(records(server, name, RecordType::A), records(server, name, RecordType::AAAA)).await;
    let mut found: Vec<IpAddr> = [&v4, &v6].into_iter().flatten().flatten().filter_map(address).collect();
    found.sort();
    found.dedup();
    found.truncate(MOST_ADDRESSES);
    match (found.is_empty(), v4.and(v6)) {
        (false, _) => Ok(found),
        (true, Ok(_)) => Err(Some("the answer holds none".to_owned())),
        (true, Err(Failure::Silent)) => Err(None),
        (true, Err(failure)) => Err(Some(failure.to_string())),
    }
}

async fn records(server: &Upstream, name: &Name, kind: RecordType) -> Result<Vec<Record>, Failure> {
    let question = Question::plain(Query::query(name.clone(), kind));
    let answer = server.ask(&question.to_upstream()).await?;
    match answer.response_code {
        ResponseCode::NoError => Ok(answer.answers),
        code => Err(Failure::Garbled(code.to_string())),
    }
}

fn address(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UdpSocket;

    use super::*;

    /// A name server on loopback that knows one name, by its two addresses.
    async fn name_server_for(known: &'static str) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut query = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut query).await {
                socket.send_to(&answer(&query[..length], known), client).await.unwrap();
            }
        });
        address
    }

    /// RFC 1035 4: the query's header and question again, and behind them one record that points back at the name.
    fn answer(query: &[u8], known: &str) -> Vec<u8> {
        let labels = query[12..].split(|byte| *byte == 0).next().unwrap();
        let end = 12 + labels.len() + 1 + 4;
        let is_known =
            labels.iter().map(|byte| if *byte < 32 { '.' } else { char::from(*byte) }).eq(known.chars());
        let mut message = query[..end].to_vec();
        message[2..4].copy_from_slice(if is_known { &[0x81, 0x80] } else { &[0x81, 0x83] });
        message[6..12].copy_from_slice(&[0, u8::from(is_known), 0, 0, 0, 0]);
        if is_known {
            let record_type = query[end - 3];
            let data: &[u8] = if record_type == 1 {
                &[192, 0, 2, 7]
            } else {
                &[32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]
            };
            message.extend([
                0xc0,
                12,
                0,
                record_type,
                0,
                1,
                0,
                0,
                0,
                60,
                0,
                u8::try_from(data.len()).unwrap(),
            ]);
            message.extend(data);
        }
        message
    }

    fn by_loopback(server: SocketAddr) -> Names {
        Names::asking(&Way::Device("lo".to_owned()), std::iter::once(server))
    }

    fn host(text: &str) -> Host {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn finds_both_families_v4_first() {
        let names = by_loopback(name_server_for(".control.example").await);
        let found = names.resolve(&host("control.example")).await.unwrap();
        assert_eq!(found, ["192.0.2.7".parse::<IpAddr>().unwrap(), "2001:db8::7".parse().unwrap()]);
    }

    /// Needs root for the mark, as the agent does.
    #[tokio::test]
    async fn finds_it_while_one_of_the_servers_is_gone() {
        let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let servers = [gone, name_server_for(".control.example").await];
        let names = Names::asking(&Way::by_isp(), servers.into_iter());
        assert_eq!(names.resolve(&host("control.example")).await.map(|found| found.len()), Ok(2));
    }

    #[tokio::test]
    async fn says_which_name_is_not_found_by_which_way() {
        let names = by_loopback(name_server_for(".control.example").await);
        let error = names.resolve(&host("other.example")).await.unwrap_err().to_string();
        assert!(error.starts_with("no address for other.example through lo: "), "{error}");
    }

    #[tokio::test]
    async fn asks_nobody_about_an_address() {
        let names = Names::asking(&Way::Device("no-such-device".to_owned()), std::iter::empty());
        assert_eq!(names.resolve(&host("192.0.2.1")).await, Ok(vec!["192.0.2.1".parse().unwrap()]));
    }

    #[tokio::test]
    async fn asks_by_no_other_way_when_its_own_is_gone() {
        let server = name_server_for(".control.example").await;
        let names = Names::asking(&Way::Device("no-such-device".to_owned()), std::iter::once(server));
        assert!(names.resolve(&host("control.example")).await.is_err());
    }

    #[tokio::test]
    async fn gives_up_on_a_silent_server_in_time() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let names = by_loopback(silent.local_addr().unwrap());
        let begun = tokio::time::Instant::now();
        assert!(names.resolve(&host("control.example")).await.is_err());
        assert!(begun.elapsed() < LIMIT + Duration::from_secs(2), "took {:?}", begun.elapsed());
    }
}
