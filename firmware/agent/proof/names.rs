//! Finds the addresses of the box's own names, by the house's line or through the tunnel, from the name servers it is
//! given and nowhere else: no system resolver, no hosts file, no search domain, no cache.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::Resolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use tokio::time::timeout;

use crate::config::Host;
use crate::way::{ByWay, Way};

/// For one question to one server.
const PATIENCE: Duration = Duration::from_secs(2);
const RETRIES: usize = 1;
/// For everything, a second question by TCP included.
const LIMIT: Duration = Duration::from_secs(5);
const DNS_PORT: u16 = 53;
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

/// A resolver that asks by one way only.
pub struct Names {
    way: Way,
    resolver: Result<Resolver<ByWay>, NetError>,
}

impl Names {
    /// By the house's line; without servers, well-known public ones are asked.
    pub fn by_isp(servers: &[IpAddr]) -> Self {
        let servers = if servers.is_empty() { &PUBLIC } else { servers };
        Self::asking(Way::by_isp(), servers.iter().map(|server| (*server, DNS_PORT).into()))
    }

    /// Through the tunnel, from the servers of the relay's configuration.
    pub fn by_tunnel(device: &str, servers: &[IpAddr]) -> Self {
        Self::asking(Way::Device(device.to_owned()), servers.iter().map(|server| (*server, DNS_PORT).into()))
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
        let (name, way) = (name.clone(), self.way.clone());
        let resolver = match &self.resolver {
            Ok(resolver) => resolver,
            Err(error) => return Err(ResolveError::NotFound { name, way, reason: error.to_string() }),
        };
        // The dot at the end keeps search domains out.
        match timeout(LIMIT, resolver.lookup_ip(format!("{name}."))).await {
            Ok(Ok(answer)) => in_order(answer.iter()).ok_or(ResolveError::NotFound {
                name,
                way,
                reason: "the answer holds none".to_owned(),
            }),
            Ok(Err(NetError::Timeout)) | Err(_) => Err(ResolveError::NoAnswer { name, way }),
            Ok(Err(error)) => Err(ResolveError::NotFound { name, way, reason: error.to_string() }),
        }
    }

    fn asking(way: Way, servers: impl Iterator<Item = SocketAddr>) -> Self {
        let servers: Vec<NameServerConfig> = servers.map(name_server).collect();
        let options = options(servers.len());
        let resolver = Resolver::builder_with_config(
            ResolverConfig::from_parts(None, Vec::new(), servers),
            ByWay::new(way.clone()),
        )
        .with_options(options)
        .build();
        Self { way, resolver }
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names").field("way", &self.way).finish_non_exhaustive()
    }
}

fn in_order(addresses: impl Iterator<Item = IpAddr>) -> Option<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = addresses.collect();
    addresses.sort();
    addresses.dedup();
    addresses.truncate(MOST_ADDRESSES);
    (!addresses.is_empty()).then_some(addresses)
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let with_port = |mut connection: ConnectionConfig| {
        connection.port = server.port();
        connection
    };
    let connections = vec![with_port(ConnectionConfig::udp()), with_port(ConnectionConfig::tcp())];
    // A router that says "no such name" while its line is down must not outvote another server.
    NameServerConfig::new(server.ip(), false, connections)
}

fn options(servers: usize) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = PATIENCE;
    options.attempts = RETRIES;
    options.num_concurrent_reqs = servers;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = 0;
    options
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
        Names::asking(Way::Device("lo".to_owned()), std::iter::once(server))
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
        let names = Names::asking(Way::by_isp(), servers.into_iter());
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
        let names = Names::asking(Way::Device("no-such-device".to_owned()), std::iter::empty());
        assert_eq!(names.resolve(&host("192.0.2.1")).await, Ok(vec!["192.0.2.1".parse().unwrap()]));
    }

    #[tokio::test]
    async fn asks_by_no_other_way_when_its_own_is_gone() {
        let server = name_server_for(".control.example").await;
        let names = Names::asking(Way::Device("no-such-device".to_owned()), std::iter::once(server));
        assert!(names.resolve(&host("control.example")).await.is_err());
    }

    #[tokio::test]
    async fn gives_up_on_a_silent_server_in_time() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let names = by_loopback(silent.local_addr().unwrap());
        let begun = tokio::time::Instant::now();
        assert!(names.resolve(&host("control.example")).await.is_err());
        assert!(begun.elapsed() < LIMIT + PATIENCE, "took {:?}", begun.elapsed());
    }
}
