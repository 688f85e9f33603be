//! Where resolvers of the internet are found that people write by name: their operators' own anycast addresses, so
//! that nobody has to be asked for a resolver's name first.

use std::net::IpAddr;

/// Host and addresses; `*` stands for one label or more. From the operators' pages: quad9.net "service addresses",
/// docs.controld.com "IP ranges", adguard-dns.io "known DNS providers", mullvad.net "DNS over HTTPS and DNS over
/// TLS", nextdns.io (anycast), developers.cloudflare.com/1.1.1.1, developers.google.com/speed/public-dns.
const HOSTS: &[(&str, &[&str])] = &[
    // Ended on 2 November 2026, its operator says; until an owner changes it, the status tells that nobody answers.
    ("dns.mullvad.net", &["194.242.2.2", "2a07:e340::2"]),
    ("adblock.dns.mullvad.net", &["194.242.2.3", "2a07:e340::3"]),
    ("base.dns.mullvad.net", &["194.242.2.4", "2a07:e340::4"]),
    ("extended.dns.mullvad.net", &["194.242.2.5", "2a07:e340::5"]),
    ("family.dns.mullvad.net", &["194.242.2.6", "2a07:e340::6"]),
    ("all.dns.mullvad.net", &["194.242.2.9", "2a07:e340::9"]),
    ("dns.quad9.net", QUAD9),
    ("dns9.quad9.net", QUAD9),
    ("dns10.quad9.net", &["9.9.9.10", "149.112.112.10", "2620:fe::10", "2620:fe::fe:10"]),
    ("dns11.quad9.net", &["9.9.9.11", "149.112.112.11", "2620:fe::11", "2620:fe::fe:11"]),
    ("dns.nextdns.io", NEXTDNS),
    ("*.dns.nextdns.io", NEXTDNS),
    ("freedns.controld.com", CONTROLD_FREE),
    ("*.freedns.controld.com", CONTROLD_FREE),
    ("dns.controld.com", CONTROLD),
    ("*.dns.controld.com", CONTROLD),
    ("cloudflare-dns.com", CLOUDFLARE),
    ("one.one.one.one", CLOUDFLARE),
    ("security.cloudflare-dns.com", &["1.1.1.2", "1.0.0.2", "2606:4700:4700::1112", "2606:4700:4700::1002"]),
    ("family.cloudflare-dns.com", &["1.1.1.3", "1.0.0.3", "2606:4700:4700::1113", "2606:4700:4700::1003"]),
    ("dns.google", &["8.8.8.8", "8.8.4.4", "2001:4860:4860::8888", "2001:4860:4860::8844"]),
    ("dns.adguard-dns.com", &["94.140.14.14", "94.140.15.15", "2a10:50c0::ad1:ff", "2a10:50c0::ad2:ff"]),
    ("family.adguard-dns.com", &["94.140.14.15", "94.140.15.16", "2a10:50c0::bad1:ff", "2a10:50c0::bad2:ff"]),
    ("unfiltered.adguard-dns.com", &["94.140.14.140", "94.140.14.141", "2a10:50c0::1:ff", "2a10:50c0::2:ff"]),
];
const QUAD9: &[&str] = &["9.9.9.9", "149.112.112.112", "2620:fe::fe", "2620:fe::9"];
const NEXTDNS: &[&str] = &["45.90.28.0", "45.90.30.0", "2a07:a8c0::", "2a07:a8c1::"];
const CONTROLD_FREE: &[&str] = &["76.76.2.11", "76.76.10.11", "2606:1a40::11", "2606:1a40:1::11"];
const CONTROLD: &[&str] = &["76.76.2.22", "76.76.10.22", "2606:1a40::22", "2606:1a40:1::22"];
const CLOUDFLARE: &[&str] = &["1.1.1.1", "1.0.0.1", "2606:4700:4700::1111", "2606:4700:4700::1001"];

/// Empty for a host that is not known. The name is in lower case.
pub(super) fn addresses(host: &str) -> Vec<IpAddr> {
    let known = entry(host).map_or(&[][..], |(_, addresses)| *addresses);
    known.iter().filter_map(|address| address.parse().ok()).collect()
}

/// The host as it may be told: what its operator puts before the name is one customer's own.
pub(super) fn told(host: &str) -> &str {
    entry(host).map_or(host, |(pattern, _)| if pattern.starts_with('*') { pattern } else { host })
}

fn entry(host: &str) -> Option<&'static (&'static str, &'static [&'static str])> {
    HOSTS.iter().find(|(pattern, _)| match pattern.strip_prefix('*') {
        Some(domain) => host.strip_suffix(domain).is_some_and(|label| !label.is_empty()),
        None => host == *pattern,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_one_and_none_is_private() {
        for (host, known) in HOSTS {
            let host = host.replace('*', "abc123");
            let parsed = addresses(&host);
            assert_eq!(parsed.len(), known.len(), "{host}");
            assert!(!parsed.iter().any(|address| byway_core::names::is_private(*address)), "{host}");
        }
    }

    #[test]
    fn finds_a_customers_own_host_and_tells_only_whose_it_is() {
        assert_eq!(addresses("abc123.dns.nextdns.io"), addresses("dns.nextdns.io"));
        assert_eq!(told("abc123.dns.nextdns.io"), "*.dns.nextdns.io");
        assert_eq!(told("dns.nextdns.io"), "dns.nextdns.io");
        assert_eq!(told("dns.example.net"), "dns.example.net");
        for stranger in ["", ".dns.nextdns.io", "xdns.nextdns.io", "quad9.net", "dns.nextdns.io.example"] {
            assert_eq!(addresses(stranger), Vec::<IpAddr>::new(), "{stranger}");
        }
    }
}
