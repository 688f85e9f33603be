//! Who lends addresses by DHCP, and who advertises a router: dnsmasq, with what it is told to offer and nothing else. It
//! knows the box, and lends to nobody else.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::namespace::Namespace;
use crate::process::Process;
use crate::topology::{BOX_MAC, Numbering};
use crate::wait::{PATIENCE, wait_for};

/// Both halves of the internet: more specific than any default route.
const EVERYWHERE: [&str; 2] = ["0.0.0.0/1", "128.0.0.0/1"];

/// What a server offers to the box. A router that is not named is the server itself, and so is a resolver.
#[derive(Debug, Clone)]
pub struct Offer {
    ipv4: bool,
    ipv6: bool,
    address: Option<Ipv4Addr>,
    lease: String,
    options: Vec<String>,
}

impl Offer {
    /// What nearly every router offers: an address of IPv4, a prefix of IPv6.
    pub fn both() -> Self {
        Self { ipv4: true, ipv6: true, address: None, lease: "1h".to_owned(), options: Vec::new() }
    }

    pub fn v4_only() -> Self {
        Self { ipv6: false, ..Self::both() }
    }

    pub fn v6_only() -> Self {
        Self { ipv4: false, ..Self::both() }
    }

    /// Another address than the house has for the box.
    #[must_use]
    pub fn of(self, address: Ipv4Addr) -> Self {
        Self { address: Some(address), ..self }
    }

    /// For as long; dnsmasq lends for two minutes at least.
    #[must_use]
    pub fn lent_for(self, lease: Duration) -> Self {
        Self { lease: lease.as_secs().to_string(), ..self }
    }

    /// Routes to everywhere by `stranger`, in all the ways that DHCP knows (options 33, 121, 249), whether asked for or
    /// not; among them one to the relay.
    #[must_use]
    pub fn with_routes_by(self, stranger: IpAddr, relay: IpAddr) -> Self {
        let ways = EVERYWHERE.map(|half| format!("{half},{stranger}")).join(",");
        self.with("33", &format!("{relay},{stranger}")).with("121", &ways).with("249", &ways)
    }

    /// Resolvers that are not the router, first of all.
    #[must_use]
    pub fn with_dns(self, resolver: Ipv4Addr) -> Self {
        self.with("option:dns-server", &resolver.to_string())
    }

    #[must_use]
    pub fn with_ntp(self, server: Ipv4Addr) -> Self {
        self.with("option:ntp-server", &server.to_string())
    }

    /// Any option, as dnsmasq's `--dhcp-option` has it, whether asked for or not.
    #[must_use]
    pub fn with(mut self, option: &str, value: &str) -> Self {
        self.options.push(format!("--dhcp-option-force={option},{value}"));
        self
    }

    /// By DHCP, in a network that is numbered so; a request from any other is refused.
    fn lending(&self, numbering: Numbering) -> Vec<String> {
        let (network, lease) = (numbering.network(), &self.lease);
        let address = self.address.unwrap_or_else(|| numbering.of_the_box());
        let mut arguments = vec![
            "--no-ping".to_owned(),
            "--dhcp-authoritative".to_owned(),
            "--leasefile-ro".to_owned(),
            format!("--dhcp-range={network},static,255.255.255.0,{lease}"),
            format!("--dhcp-host={BOX_MAC},{address}"),
            "--dhcp-option=option:dns-server,0.0.0.0".to_owned(),
        ];
        arguments.extend(self.options.iter().cloned());
        arguments
    }

    /// Every prefix that the device has, whatever they become; one that has gone is told to be old.
    fn advertising(&self, device: &str) -> Vec<String> {
        vec![
            "--enable-ra".to_owned(),
            format!("--dhcp-range=::,constructor:{device},ra-only,64,{}", self.lease),
            "--dhcp-option=option6:dns-server,[::]".to_owned(),
        ]
    }
}

/// A running server. Dropping it leaves everything lent as it is.
#[derive(Debug)]
pub struct DhcpServer {
    process: Process,
    log_before: usize,
}

impl DhcpServer {
    /// None where the offer has no IPv4.
    pub(crate) fn lend(
        namespace: &Namespace,
        device: &str,
        offer: &Offer,
        numbering: Numbering,
    ) -> Result<Option<Self>> {
        let start = || Self::start(namespace, device, "dhcp", offer.lending(numbering));
        offer.ipv4.then(start).transpose()
    }

    /// None where the offer has no IPv6.
    pub(crate) fn advertise(namespace: &Namespace, device: &str, offer: &Offer) -> Result<Option<Self>> {
        let start = || Self::start(namespace, device, "advertisements", offer.advertising(device));
        offer.ipv6.then(start).transpose()
    }

    /// It listens when this returns.
    fn start(namespace: &Namespace, device: &str, name: &str, more: Vec<String>) -> Result<Self> {
        let mut args = vec![
            "--keep-in-foreground".to_owned(),
            "--conf-file=/dev/null".to_owned(),
            "--pid-file=".to_owned(),
            "--user=root".to_owned(),
            "--port=0".to_owned(),
            "--log-dhcp".to_owned(),
            "--log-facility=-".to_owned(),
            format!("--interface={device}"),
        ];
        args.extend(more);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let name = format!("{name}-{}", namespace.name());
        let process = namespace.spawn(&name, Path::new("dnsmasq"), &args, &[])?;
        let mut server = Self { process, log_before: 0 };
        server.wait_until_started().with_context(|| server.process.log_tail())?;
        Ok(server)
    }

    /// What it has said so far, each message of DHCP with its options.
    pub fn log(&self) -> String {
        self.process.log().split_off(self.log_before)
    }

    /// Another server may have written into the same log before.
    fn wait_until_started(&mut self) -> Result<()> {
        let started = format!("dnsmasq[{}]: started", self.process.pid());
        wait_for("a DHCP server to start", PATIENCE, || {
            ensure!(self.process.is_alive(), "it has ended");
            self.log_before = self.process.log().find(&started).context("not a word yet")?;
            Ok(())
        })
    }
}
