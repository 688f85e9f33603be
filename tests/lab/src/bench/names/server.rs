//! Who is compared.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Server {
    /// Whom everybody else asks, asked itself.
    Upstream,
    Byway,
    /// The same stub, which asks its upstream by DNS over HTTPS.
    BywayByHttps,
    Unbound,
    Dnsmasq,
}

impl Server {
    pub(super) const ALL: [Self; 5] =
        [Self::Upstream, Self::Byway, Self::BywayByHttps, Self::Unbound, Self::Dnsmasq];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Upstream => "the upstream itself",
            Self::Byway => "byway",
            Self::BywayByHttps => "byway, upstream by DoH",
            Self::Unbound => "unbound",
            Self::Dnsmasq => "dnsmasq",
        }
    }
}
