//! URLs as far as the box needs them: http and https, a host, a port, a path. No user, no fragment.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub scheme: Scheme,
    pub host: Host,
    pub port: u16,
    /// Path and query; begins with `/`.
    pub path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

/// Who a URL asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// In lower case, without the dot at its end.
    Name(String),
    Address(IpAddr),
}

impl Url {
    /// Where Mullvad tells its users how the world sees them.
    pub(crate) fn am_i_mullvad() -> Self {
        Self {
            scheme: Scheme::Https,
            host: Host::Name("am.i.mullvad.net".to_owned()),
            port: Scheme::Https.default_port(),
            path: "/json".to_owned(),
        }
    }

    /// Host and port as HTTP's `Host` header wants them (RFC 9110 7.2).
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl Scheme {
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text
            .strip_prefix("https://")
            .map(|rest| (Scheme::Https, rest))
            .or_else(|| text.strip_prefix("http://").map(|rest| (Scheme::Http, rest)))
            .ok_or("a URL begins with https:// or http://: write \"https://host\"")?;
        if !rest.chars().all(|c| c.is_ascii_graphic()) || rest.contains('#') {
            return Err("a URL has no spaces, no '#' and only ASCII: write \"https://host/path\"".to_owned());
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = parse_authority(authority)?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { scheme, host, port: port.unwrap_or(scheme.default_port()), path })
    }
}

pub(super) fn parse_authority(authority: &str) -> Result<(Host, Option<u16>), String> {
    if authority.contains('@') {
        return Err("a URL here has no user and no password: write \"https://host\"".to_owned());
    }
    let after_host = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match authority[after_host..].find(':') {
        Some(colon) => (&authority[..after_host + colon], Some(&authority[after_host + colon + 1..])),
        None => (authority, None),
    };
    let port = port.map(parse_port).transpose()?;
    Ok((host.parse()?, port))
}

fn parse_port(digits: &str) -> Result<u16, String> {
    match digits.parse() {
        Ok(port) if port != 0 => Ok(port),
        Ok(_) | Err(_) => Err(format!("{digits:?} is no port: write 1 to 65535 behind the colon")),
    }
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: Ipv6Addr = inner
                .parse()
                .map_err(|_| format!("{inner:?} is no IPv6 address: write \"https://[2001:db8::1]\""))?;
            return Ok(Self::Address(address.into()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        let name = text.to_ascii_lowercase();
        if is_domain_name(&name) {
            return Ok(Self::Name(name));
        }
        Err(format!("{text:?} is no host: write a name as \"headscale.example.com\" or an address"))
    }
}

/// RFC 1123 2.1, and no last label of digits only: that is a mistyped address.
pub(super) fn is_domain_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = |label: &str| label.chars().all(|c| c.is_ascii_digit());
    name.len() <= 253 && name.split('.').all(is_label) && !name.rsplit('.').next().is_some_and(is_number)
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority(), self.path)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_scheme_host_port_and_path() {
        for (text, same) in [
            ("https://am.i.mullvad.net/json", "https://am.i.mullvad.net/json"),
            ("http://192.0.2.1:8080", "http://192.0.2.1:8080/"),
            ("https://[2001:db8::1]:443/a?b=c", "https://[2001:db8::1]/a?b=c"),
            ("https://Headscale.Example.com?x", "https://headscale.example.com/?x"),
        ] {
            assert_eq!(text.parse::<Url>().unwrap().to_string(), same);
        }
        assert_eq!("https://am.i.mullvad.net/json".parse(), Ok(Url::am_i_mullvad()));
    }

    #[test]
    fn says_what_is_wrong_with_a_url() {
        for (wrong, hint) in [
            ("headscale.example.com", "begins with https://"),
            ("tls://dns.quad9.net", "begins with https://"),
            ("https://", "is no host"),
            ("https://a b", "no spaces"),
            ("https://a#b", "no '#'"),
            ("https://me:pass@a", "no user"),
            ("https://a:0", "is no port"),
            ("https://a:70000", "is no port"),
            ("https://[::1", "is no port"),
            ("https://[::g]", "is no IPv6 address"),
            ("https://192.0.2.300", "is no host"),
            ("https://-a.example", "is no host"),
            ("https://a..b", "is no host"),
        ] {
            let message = wrong.parse::<Url>().unwrap_err();
            assert!(message.contains(hint), "{wrong}: {message}");
            assert!(!message.contains("pass@"), "{message}");
        }
    }
}
