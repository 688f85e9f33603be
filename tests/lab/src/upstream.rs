//! The name servers that the two doors are meant to ask: unbound, by DNS over HTTPS, over TLS and plain. Each hears one
//! door only, remembers every question, and can be told to go wrong; what the box makes of it is the test's word.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::certs::{Certs, Identity, TwoFaces};
use crate::dns::{Heard, wait_until_listening};
use crate::liar::Liar;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::tools::{self, path_text};
use crate::topology::{CONTROL_V4, MORE_SERVERS, PRIVACY_DNS, RELAYS, RESIDENTIAL_DNS, SERVER_V4, SERVER_V6};

/// Where the residential door's come from, also in a renumbered house.
const FROM_THE_HOUSE: [&str; 2] = ["198.51.100.10", "2001:db8:77::/64, 2001:db8:88::/64"];
/// Nobody answers at this port of the last server, nor says so.
const DEAF_PORT: u16 = 5300;
/// More than any datagram takes.
const BIG_STRINGS: usize = 40;

/// Both of them.
#[derive(Debug)]
pub struct Upstreams {
    /// `dns-privacy.example.net`: hears the relays.
    pub privacy: Upstream,
    /// `dns-residential.example.net`: hears the house.
    pub residential: Upstream,
}

/// One name server, whose names are these, below `example.net`: `web`, `check` and `hs` as everywhere; anything below
/// `q` leads to the server's own addresses, so that an answer tells who has given it; below `rebind` to the house's
/// router; below `half` to there and to the web; `big` has more text than a datagram takes; below `slow` nothing is
/// known for many seconds. `example.org` leads to the web, and below `broken.example.org` every look-up fails.
#[derive(Debug)]
pub struct Upstream {
    name: &'static str,
    v4: Ipv4Addr,
    v6: Ipv6Addr,
    faces: TwoFaces,
    namespace: Namespace,
    folder: PathBuf,
    server: Server,
}

#[derive(Debug)]
enum Server {
    Dead,
    Honest(#[expect(dead_code, reason = "it runs as long as it is kept")] Process),
    Lying(#[expect(dead_code, reason = "it runs as long as it is kept")] Liar),
}

impl Upstreams {
    /// Starts both in the internet's place; they answer when this returns.
    pub(crate) fn start(namespace: &Namespace, folder: &Path, certs: &Certs) -> Result<Self> {
        let start = |name, (v4, v6), faces: &TwoFaces, hears: [&str; 2]| -> Result<_> {
            let (namespace, folder) = (namespace.clone(), folder.to_owned());
            let server = Server::Dead;
            let mut upstream = Upstream { name, v4, v6, faces: faces.clone(), namespace, folder, server };
            upstream.hear_only(hears)?;
            upstream.come_back()?;
            Ok(upstream)
        };
        // Where the privacy door's questions come from.
        let from_relays = [
            RELAYS.map(|relay| relay.v4.to_string()).join(", "),
            RELAYS.map(|relay| relay.v6.to_string()).join(", "),
        ];
        Ok(Self {
            privacy: start(
                "privacy",
                PRIVACY_DNS,
                &certs.privacy_dns,
                from_relays.each_ref().map(String::as_str),
            )?,
            residential: start("residential", RESIDENTIAL_DNS, &certs.residential_dns, FROM_THE_HOUSE)?,
        })
    }
}

impl Upstream {
    /// What its certificate says.
    pub fn host(&self) -> String {
        format!("dns-{}.example.net", self.name)
    }

    /// Its IPv4 and its IPv6 address, which are also its answer to any name below `q.example.net`.
    pub fn addresses(&self) -> [IpAddr; 2] {
        [self.v4.into(), self.v6.into()]
    }

    /// Every question that has reached it so far, in its order.
    pub fn heard(&self) -> Vec<Heard> {
        // No log yet: it was never asked.
        let log = fs::read_to_string(self.folder.join(format!("{}.log", self.log_name())));
        log.unwrap_or_default().lines().filter_map(heard_in).collect()
    }

    /// Packets that came from where it hears nobody, by TCP or UDP, answered or not.
    pub fn refused(&self) -> Result<u64> {
        let listing = self.namespace.run(&["nft", "list", "counter", "inet", &self.table(), "refused"])?;
        let mut words = listing.split_whitespace().skip_while(|word| *word != "packets");
        let packets = words.nth(1).and_then(|packets| packets.parse().ok());
        packets.with_context(|| format!("no counter in {listing}"))
    }

    /// Dies: whoever calls is refused.
    pub fn die(&mut self) {
        self.server = Server::Dead;
    }

    /// Answers honestly, under its own name.
    pub fn come_back(&mut self) -> Result<()> {
        let own = self.faces.own.clone();
        self.answer_as(&own)
    }

    /// From now on a stranger vouches for its name.
    pub fn wear_a_strangers_certificate(&mut self) -> Result<()> {
        let strangers = self.faces.strangers.clone();
        self.answer_as(&strangers)
    }

    /// From now on it answers, under its own name and over TLS only, a question that nobody has asked.
    pub fn lie(&mut self) -> Result<()> {
        self.die();
        self.server = Server::Lying(Liar::start(&self.namespace, self.addresses(), &self.faces.own)?);
        Ok(())
    }

    /// Falls silent at once: nothing is answered and nobody is told.
    pub fn silence(&self) -> Result<()> {
        let Self { name, v4, v6, .. } = self;
        self.namespace.nft(&format!(
            "table inet silence_{name} {{ chain in {{ type filter hook input priority raw; iifname lo accept; \
             ip daddr {v4} drop; ip6 daddr {v6} meta l4proto {{ tcp, udp }} drop; }}\n}}"
        ))
    }

    /// Hears again.
    pub fn resume(&self) -> Result<()> {
        self.namespace.nft(&format!("delete table inet silence_{}", self.name))
    }

    fn answer_as(&mut self, identity: &Identity) -> Result<()> {
        self.die();
        let config = self.folder.join(format!("unbound-{}.conf", self.name));
        fs::write(&config, self.config(identity)).context("cannot write a name server's configuration")?;
        let args = ["-d", "-c", path_text(&config)?];
        let process = self.namespace.spawn(&self.log_name(), &unbound(&self.folder)?, &args, &[])?;
        for address in self.addresses() {
            wait_until_listening(&self.namespace, address).with_context(|| process.log_tail())?;
        }
        self.server = Server::Honest(process);
        Ok(())
    }

    fn hear_only(&self, [from_v4, from_v6]: [&str; 2]) -> Result<()> {
        let (table, Self { v4, v6, .. }) = (self.table(), self);
        let deaf = MORE_SERVERS[2][0];
        // Neighbours may be looked for by anybody.
        self.namespace.nft(&format!(
            "table inet {table} {{
  counter refused {{}}
  chain in {{
    type filter hook input priority raw
    ip daddr {deaf} udp dport {DEAF_PORT} drop
    iifname lo accept
    ip daddr {v4} ip saddr != {{ {from_v4} }} counter name refused drop
    ip6 daddr {v6} meta l4proto {{ tcp, udp }} ip6 saddr != {{ {from_v6} }} counter name refused drop
  }}
}}"
        ))
    }

    fn table(&self) -> String {
        format!("upstream_{}", self.name)
    }

    fn log_name(&self) -> String {
        format!("unbound-{}", self.name)
    }

    fn config(&self, identity: &Identity) -> String {
        let Self { v4, v6, folder, .. } = self;
        let (folder, names) = (folder.display(), self.names());
        let (certificate, key) = (identity.certificate.display(), identity.key.display());
        let interfaces =
            [53, 443, 853].map(|port| format!("  interface: {v4}@{port}\n  interface: {v6}@{port}\n"));
        let interfaces = interfaces.concat();
        format!(
            r#"server:
{interfaces}  https-port: 443
  tls-port: 853
  tls-service-pem: "{certificate}"
  tls-service-key: "{key}"
  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  log-queries: yes
  log-replies: yes
  log-tag-queryreply: yes
  module-config: "iterator"
{names}"#
        )
    }

    /// What exists, and whom it asks about the rest.
    fn names(&self) -> String {
        let (Self { v4, v6, .. }, deaf) = (self, MORE_SERVERS[2][0]);
        let big: Vec<String> = (0..BIG_STRINGS)
            .map(|n| format!("  local-data: 'big.example.net. 300 IN TXT \"{n:0200}\"'\n"))
            .collect();
        let big = big.concat();
        format!(
            r#"{big}  local-zone: "." static
  local-zone: "example.net." static
  local-data: "example.net. 60 IN SOA ns.example.net. hostmaster.example.net. 1 3600 600 86400 60"
  local-data: "web.example.net. 300 IN A {SERVER_V4}"
  local-data: "web.example.net. 300 IN AAAA {SERVER_V6}"
  local-data: "check.example.net. 300 IN A {SERVER_V4}"
  local-data: "check.example.net. 300 IN AAAA {SERVER_V6}"
  local-data: "hs.example.net. 300 IN A {CONTROL_V4}"
  local-data: "example.org. 300 IN A {SERVER_V4}"
  local-zone: "q.example.net." redirect
  local-data: "q.example.net. 300 IN A {v4}"
  local-data: "q.example.net. 300 IN AAAA {v6}"
  local-zone: "rebind.example.net." redirect
  local-data: "rebind.example.net. 300 IN A 192.168.77.1"
  local-data: "rebind.example.net. 300 IN AAAA fd00::77"
  local-zone: "half.example.net." redirect
  local-data: "half.example.net. 300 IN A 192.168.77.1"
  local-data: "half.example.net. 300 IN A {SERVER_V4}"
  local-zone: "slow.example.net." transparent
  local-zone: "broken.example.org." transparent
forward-zone:
  name: "slow.example.net."
  forward-addr: {deaf}@{DEAF_PORT}
forward-zone:
  name: "broken.example.org."
  forward-addr: {SERVER_V4}
"#
        )
    }
}

/// The package's program by another path: where a profile of `AppArmor` confines it, it may read its configuration
/// nowhere but in `/etc/unbound`.
pub(crate) fn unbound(folder: &Path) -> Result<PathBuf> {
    let copy = folder.join("unbound");
    if !copy.exists() {
        let installed =
            tools::find("unbound").context("unbound is not in PATH: install the Debian package unbound")?;
        fs::copy(&installed, &copy).with_context(|| format!("cannot copy {}", installed.display()))?;
    }
    Ok(copy)
}

/// As `[1700000000] unbound[4711:0] query: 192.0.2.130 web.example.net. A IN`.
fn heard_in(line: &str) -> Option<Heard> {
    let (_, question) = line.split_once("] query: ")?;
    let mut words = question.split(' ');
    let source = words.next()?.parse().ok()?;
    let name = words.next()?.trim_end_matches('.').to_lowercase();
    Some(Heard { source, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_question_from_an_answer() {
        let heard =
            heard_in("[1700000000] unbound[4711:0] query: 192.0.2.130 Web.example.net. A IN").unwrap();
        assert_eq!(
            heard,
            Heard { source: "192.0.2.130".parse().unwrap(), name: "web.example.net".to_owned() }
        );
        let reply = "[1700000000] unbound[4711:0] reply: 192.0.2.130 web.example.net. A IN NOERROR 0.0 0 61";
        assert_eq!(heard_in(reply), None);
    }
}
