//! The world's plain resolvers: dnsmasq, each with the few names that exist. No name is looked up anywhere else, and
//! every question is remembered with who has asked it.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::namespace::Namespace;
use crate::process::Process;
use crate::topology::{CONTROL_V4, SERVER_V4, SERVER_V6};
use crate::wait_for;

/// A set of names that a resolver knows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Names {
    /// The web, and the control server: what an ISP's resolver answers.
    All,
    /// The web only: a relay's resolver has no business with the owner's control server.
    Web,
}

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
    /// Starts it at `address`, port 53, and waits until it listens.
    pub(crate) fn start(namespace: &Namespace, address: IpAddr, names: Names) -> Result<Self> {
        let web = format!("{SERVER_V4},{SERVER_V6}");
        let mut args = vec![
            "--keep-in-foreground".to_owned(),
            "--conf-file=/dev/null".to_owned(),
            "--pid-file=".to_owned(),
            "--user=root".to_owned(),
            "--no-hosts".to_owned(),
            "--no-resolv".to_owned(),
            "--bind-interfaces".to_owned(),
            "--log-queries".to_owned(),
            "--log-facility=-".to_owned(),
            "--local=/example.net/".to_owned(),
            format!("--listen-address={address}"),
            format!("--host-record=web.example.net,{web}"),
            format!("--host-record=check.example.net,{web}"),
        ];
        match names {
            Names::All => args.push(format!("--host-record=hs.example.net,{CONTROL_V4}")),
            Names::Web => {}
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let name = format!("dns-{}", namespace.name());
        let process = namespace.spawn(&name, Path::new("dnsmasq"), &args, &[])?;
        wait_until_listening(namespace, address).with_context(|| process.log_tail())?;
        Ok(Self(process))
    }

    /// Every question so far, in its order.
    pub fn heard(&self) -> Vec<Heard> {
        self.0.log().lines().filter_map(heard_in).collect()
    }
}

pub(crate) fn wait_until_listening(namespace: &Namespace, address: IpAddr) -> Result<()> {
    wait_for("a resolver to listen", Duration::from_secs(5), || {
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
