//! The world's plain resolvers: dnsmasq, each with the few names that exist. No name is looked up anywhere else, and
//! every question is remembered with who has asked it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::{Context, Result};

use crate::house::embedded;
use crate::mullvad_api::HOST as MULLVAD_HOST;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::topology::{CONTROL_V4, MULLVAD_API, SERVER_V4, SERVER_V6};
use crate::wait::{PATIENCE, wait_for};

/// A set of names that a resolver knows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Names {
    /// The web, the control server and Mullvad's API: what an ISP's resolver answers.
    All,
    /// The same, but for the API.
    WithoutMullvad,
    /// The web only: a relay's resolver has no business with the owner's control server.
    Web,
}

/// Where a resolver listens.
#[derive(Debug, Clone, Copy)]
pub(crate) enum At {
    Address(IpAddr),
    /// At every address of this interface, whatever they become.
    Interface(&'static str),
}

/// Whether names that have only IPv4 get an address of the house's NAT64 as well.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dns64 {
    Off,
    On,
}

/// By them a machine finds out whether its network translates (RFC 7050).
const IPV4_ONLY: (&str, [Ipv4Addr; 2]) =
    ("ipv4only.arpa", [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)]);

/// What a name server was asked: by whom, and for which name, in lower case and without the dot at its end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Heard {
    pub source: IpAddr,
    pub name: String,
}

/// A running resolver.
#[derive(Debug)]
pub struct Resolver(Process);

impl Resolver {
    /// Starts it, port 53, and waits until it listens.
    pub(crate) fn start(namespace: &Namespace, at: At, names: Names, dns64: Dns64) -> Result<Self> {
        let mut args = vec![
            "--keep-in-foreground".to_owned(),
            "--conf-file=/dev/null".to_owned(),
            "--pid-file=".to_owned(),
            "--user=root".to_owned(),
            "--no-hosts".to_owned(),
            "--no-resolv".to_owned(),
            "--log-queries".to_owned(),
            "--log-facility=-".to_owned(),
            "--local=/example.net/".to_owned(),
            format!("--local=/{MULLVAD_HOST}/"),
        ];
        match at {
            At::Address(address) => {
                args.extend(["--bind-interfaces".to_owned(), format!("--listen-address={address}")]);
            }
            At::Interface(interface) => args.push(format!("--interface={interface}")),
        }
        args.extend(records(names, dns64));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let name = format!("dns-{}", namespace.name());
        let process = namespace.spawn(&name, Path::new("dnsmasq"), &args, &[])?;
        let address = match at {
            At::Address(address) => address,
            At::Interface(_) => Ipv4Addr::LOCALHOST.into(),
        };
        wait_until_listening(namespace, address).with_context(|| process.log_tail())?;
        Ok(Self(process))
    }

    /// Every question so far, in its order.
    pub fn heard(&self) -> Vec<Heard> {
        self.0.log().lines().filter_map(heard_in).collect()
    }
}

fn records(names: Names, dns64: Dns64) -> Vec<String> {
    let web = format!("{SERVER_V4},{SERVER_V6}");
    let mut records = Vec::from(["web", "check"].map(|name| format!("{name}.example.net,{web}")));
    let control = record("hs.example.net", CONTROL_V4, dns64);
    match names {
        Names::All => {
            let (v4, v6) = MULLVAD_API;
            records.extend([control, format!("{MULLVAD_HOST},{v4},{v6}")]);
        }
        Names::WithoutMullvad => records.push(control),
        Names::Web => {}
    }
    let (name, addresses) = IPV4_ONLY;
    records.extend(addresses.map(|address| record(name, address, dns64)));
    records.into_iter().map(|record| format!("--host-record={record}")).collect()
}

/// Of a name that has no address of IPv6 by itself.
fn record(name: &str, address: Ipv4Addr, dns64: Dns64) -> String {
    match dns64 {
        Dns64::Off => format!("{name},{address}"),
        Dns64::On => format!("{name},{address},{}", embedded(address)),
    }
}

pub(crate) fn wait_until_listening(namespace: &Namespace, address: IpAddr) -> Result<()> {
    wait_for("a resolver to listen", PATIENCE, || {
        namespace.enter(|| Ok(std::net::TcpStream::connect((address, 53)).map(drop)?))
    })
}

/// As `dnsmasq: query[A] web.example.net from 192.168.77.2`.
fn heard_in(line: &str) -> Option<Heard> {
    let (_, question) = line.split_once(" query[")?;
    let mut words = question.split(' ').skip(1);
    let name = words.next()?;
    let source = words.nth(1)?.parse().ok()?;
    Some(Heard { source, name: name.to_lowercase() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_question_from_an_answer() {
        let heard = heard_in("dnsmasq: query[AAAA] Web.example.net from 192.168.77.2").unwrap();
        assert_eq!(
            heard,
            Heard { source: "192.168.77.2".parse().unwrap(), name: "web.example.net".to_owned() }
        );
        assert_eq!(heard_in("dnsmasq: config web.example.net is 192.0.2.80"), None);
    }
}
