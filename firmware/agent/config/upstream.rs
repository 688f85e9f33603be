//! Whom a door asks for names: `https://`, `tls://` or `udp://`, and where it is found without asking anybody.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use byway_core::posture::ruleset::TAILNET4;

use super::url::{self, Host, Url};
use super::well_known;

/// What `[dns] bootstrap` says: host, in lower case, and its addresses.
pub(super) type Bootstrap = BTreeMap<String, Vec<IpAddr>>;

#[derive(Clone, PartialEq, Eq)]
pub struct Upstream {
    pub transport: Transport,
    /// Whom its certificate must name; an address where the transport is plain.
    pub host: Host,
    pub port: u16,
    /// The best first; never empty.
    pub addresses: Vec<IpAddr>,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Transport {
    /// DNS over HTTPS (RFC 8484). The path is often one customer's own: it is not told.
    Https { path: String },
    /// DNS over TLS (RFC 7858).
    Tls,
    /// UDP, and TCP for what is too long for it.
    Plain,
}

impl Transport {
    const fn scheme(&self) -> &'static str {
        match self {
            Self::Https { .. } => "https",
            Self::Tls => "tls",
            Self::Plain => "udp",
        }
    }

    const fn default_port(&self) -> u16 {
        match self {
            Self::Https { .. } => 443,
            Self::Tls => 853,
            Self::Plain => 53,
        }
    }
}

impl Upstream {
    /// # Errors
    /// A phrase that says what to write instead. Of the text it holds nothing but the host.
    pub(super) fn parse(text: &str, bootstrap: &Bootstrap) -> Result<Self, String> {
        let (transport, host, port) = parse_url(text)?;
        let addresses = match &host {
            Host::Address(address) => Vec::from([check_address(*address)?]),
            Host::Name(name) => find(name, bootstrap)?,
        };
        let port = port.unwrap_or(transport.default_port());
        Ok(Self { transport, host, port, addresses })
    }
}

fn parse_url(text: &str) -> Result<(Transport, Host, Option<u16>), String> {
    if text.starts_with("https://") {
        let Url { host, port, path, .. } = text.parse()?;
        if let Host::Address(IpAddr::V6(address)) = host {
            return Err(format!(
                "https:// needs a name or an IPv4 address: write the resolver's name, and bootstrap = {{ \"NAME\" = \
                 [\"{address}\"] }} below [dns]"
            ));
        }
        return Ok((Transport::Https { path }, host, Some(port)));
    }
    let (transport, rest) = text
        .strip_prefix("tls://")
        .map(|rest| (Transport::Tls, rest))
        .or_else(|| text.strip_prefix("udp://").map(|rest| (Transport::Plain, rest)))
        .ok_or(
            "a resolver begins with https://, tls:// or udp://: write \"https://dns.quad9.net/dns-query\", \
             \"tls://dns.quad9.net\" or \"udp://192.168.1.1\"",
        )?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        return Err(format!("{}:// has no path: write the host alone", transport.scheme()));
    }
    let (host, port) = url::parse_authority(authority)?;
    if let (Transport::Plain, Host::Name(name)) = (&transport, &host) {
        return Err(format!(
            "udp:// needs an address, and {name:?} is a name: write one as \"udp://192.168.1.1\", or ask the name by \
             https:// or tls://"
        ));
    }
    Ok((transport, host, port))
}

fn find(name: &str, bootstrap: &Bootstrap) -> Result<Vec<IpAddr>, String> {
    let addresses = bootstrap.get(name).cloned().unwrap_or_else(|| well_known::addresses(name));
    // An empty entry is a mistake of its own, which is told where it stands.
    if addresses.is_empty() && !bootstrap.contains_key(name) {
        return Err(format!(
            "{name} would have to be looked up first, and nobody can be asked: write bootstrap = {{ {name:?} = \
             [\"ADDRESS\"] }} below [dns]"
        ));
    }
    Ok(addresses)
}

/// An address where a resolver can be.
///
/// # Errors
/// A phrase that says what to write instead.
pub(super) fn check_address(address: IpAddr) -> Result<IpAddr, String> {
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
        return Err(format!(
            "{address} is no resolver beyond the box: write one's address, as \"192.168.1.1\""
        ));
    }
    if is_blocking_resolver(address) {
        return Err(format!(
            "{address} is one of Mullvad's blocking resolvers and at the same time where the tailnet's own addresses \
             are: {BLOCKING_BY_NAME}"
        ));
    }
    if matches!(address.to_canonical(), IpAddr::V4(v4) if TAILNET4.contains(&v4)) {
        return Err(format!(
            "{address} is where the tailnet's own addresses are, which no door leads to: write a resolver of the \
             internet or of the house"
        ));
    }
    Ok(address)
}

/// What to write instead of one of Mullvad's blocking resolvers.
pub(super) const BLOCKING_BY_NAME: &str = "write \"udp://10.64.0.1\", which blocks nothing, or one that does, as \"https://dns.adguard-dns.com/dns-query\"";

/// 100.64.0.1 to 100.64.0.63 inside Mullvad's tunnel: the last six bits say what is blocked.
pub(super) fn is_blocking_resolver(address: IpAddr) -> bool {
    matches!(address.to_canonical(), IpAddr::V4(v4) if matches!(v4.octets(), [100, 64, 0, 1..=63]))
}

/// What may be told: not the path, and not a host that names a customer.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.transport.scheme())?;
        match &self.host {
            Host::Name(name) => f.write_str(well_known::told(name))?,
            Host::Address(_) => write!(f, "{}", self.host)?,
        }
        if self.port == self.transport.default_port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} at {:?}", self.addresses)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Upstream, String> {
        let own = ("dns.example.net".to_owned(), Vec::from([IpAddr::from([192, 0, 2, 53])]));
        Upstream::parse(text, &Bootstrap::from([own]))
    }

    #[test]
    fn reads_transport_host_and_port_and_finds_its_addresses() {
        for (text, told, port, first, count) in [
            ("https://dns.mullvad.net/dns-query", "https://dns.mullvad.net", 443, "194.242.2.2", 2),
            ("https://DNS.Quad9.net:5053/dns-query", "https://dns.quad9.net:5053", 5053, "9.9.9.9", 4),
            ("https://9.9.9.9/dns-query", "https://9.9.9.9", 443, "9.9.9.9", 1),
            ("tls://dns.example.net", "tls://dns.example.net", 853, "192.0.2.53", 1),
            ("tls://dns.google:8853/", "tls://dns.google:8853", 8853, "8.8.8.8", 4),
            ("udp://192.168.1.1", "udp://192.168.1.1", 53, "192.168.1.1", 1),
            ("udp://10.64.0.1", "udp://10.64.0.1", 53, "10.64.0.1", 1),
            ("udp://[fd00::1]:5353", "udp://[fd00::1]:5353", 5353, "fd00::1", 1),
        ] {
            let upstream = parse(text).unwrap();
            assert_eq!((upstream.to_string().as_str(), upstream.port), (told, port), "{text}");
            assert_eq!(
                (upstream.addresses[0].to_string().as_str(), upstream.addresses.len()),
                (first, count)
            );
        }
        let doh = parse("https://dns.nextdns.io/abc123/box?x=1").unwrap();
        assert_eq!(doh.transport, Transport::Https { path: "/abc123/box?x=1".to_owned() });
        assert_eq!(parse("tls://dns.quad9.net").unwrap().transport, Transport::Tls);
        assert_eq!(parse("udp://9.9.9.9").unwrap().transport, Transport::Plain);
    }

    #[test]
    fn does_not_tell_whose_profile_it_is() {
        for text in [
            "https://dns.nextdns.io/abc123",
            "https://dns.controld.com/abc123",
            "tls://abc123.dns.nextdns.io",
            "tls://abc123.dns.controld.com:8853",
        ] {
            let upstream = parse(text).unwrap();
            let shown = format!("{upstream} {upstream:?} {:?}", upstream.transport);
            assert!(!shown.contains("abc123"), "{shown}");
        }
        assert_eq!(parse("tls://abc123.dns.nextdns.io").unwrap().to_string(), "tls://*.dns.nextdns.io");
    }

    #[test]
    fn an_address_of_ones_own_comes_before_the_built_in_ones() {
        let own = Bootstrap::from([("dns.quad9.net".to_owned(), Vec::from(["192.0.2.9".parse().unwrap()]))]);
        let upstream = Upstream::parse("https://dns.quad9.net/dns-query", &own).unwrap();
        assert_eq!(upstream.addresses, ["192.0.2.9".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn says_what_to_write_instead() {
        for (wrong, hint) in [
            ("dns.quad9.net", "begins with https://, tls:// or udp://"),
            ("http://dns.quad9.net/dns-query", "begins with https://, tls:// or udp://"),
            ("quic://dns.quad9.net", "begins with https://, tls:// or udp://"),
            (
                "https://dns.unknown.example/abc123",
                "write bootstrap = { \"dns.unknown.example\" = [\"ADDRESS\"] }",
            ),
            ("tls://dns.quad9.net/abc123", "tls:// has no path"),
            ("tls://", "is no host"),
            ("tls://dns.quad9.net:0", "is no port"),
            ("tls://me:pass@dns.quad9.net", "no user"),
            ("udp://dns.quad9.net", "udp:// needs an address"),
            ("udp://dns.example.net", "udp:// needs an address"),
            ("udp://127.0.0.1", "is no resolver beyond the box"),
            ("udp://0.0.0.0", "is no resolver beyond the box"),
            ("tls://[::1]", "is no resolver beyond the box"),
            ("https://[2620:fe::fe]/dns-query", "needs a name or an IPv4 address"),
            ("udp://100.64.0.7", "write \"udp://10.64.0.1\""),
            ("udp://[::ffff:100.64.0.7]", "write \"udp://10.64.0.1\""),
            ("udp://100.64.0.64", "a resolver of the internet or of the house"),
            ("udp://100.100.100.100", "a resolver of the internet or of the house"),
        ] {
            let message = parse(wrong).unwrap_err();
            assert!(message.contains(hint), "{wrong}: {message}");
            assert!(!message.contains("pass@") && !message.contains("abc123"), "{message}");
        }
    }
}
