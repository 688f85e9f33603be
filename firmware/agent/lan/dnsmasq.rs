//! One dnsmasq for one interface: DHCP and router advertisements, no names. A child that ends with the agent.

use std::net::IpAddr;
use std::process::Stdio;

use byway_core::lent_out;
use ipnet::{IpNet, Ipv4Net};
use nix::net::if_::if_nametoindex;
use tokio::process::{Child, Command};

use super::Lan;
use crate::uplink::child;

const PROGRAM: &str = "dnsmasq";
/// RAM, of which nothing is to be kept.
const LEASES: &str = "dnsmasq.leases";
/// As long as a visit.
const LASTS: &str = "12h";

#[derive(Debug)]
pub(super) struct Dnsmasq {
    interface: String,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Dnsmasq {
    pub(super) fn new(lan: &Lan) -> Self {
        Self { interface: lan.interface.clone(), arguments: arguments(lan), child: None }
    }

    /// Starts it where it is wanted and does not run, and says what is wrong, if anything is.
    pub(super) fn look(&mut self, is_wanted: bool) -> Option<String> {
        if !is_wanted {
            self.child = None;
            return None;
        }
        if if_nametoindex(self.interface.as_str()).is_err() {
            self.child = None;
            return Some("there is no such interface".to_owned());
        }
        match self.child.as_mut().map(Child::try_wait) {
            Some(Ok(None)) => None,
            // It has said on its own what it lacks.
            Some(Ok(Some(status))) => {
                self.child = None;
                Some(format!("{PROGRAM} has ended: {status}"))
            }
            Some(Err(error)) => Some(format!("{PROGRAM}: {error}")),
            None => self.start().err().map(|error| format!("cannot start {PROGRAM}: {error}")),
        }
    }

    fn start(&mut self) -> std::io::Result<()> {
        let mut command = Command::new(PROGRAM);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null());
        self.child = Some(child::bound_to_us(&mut command).spawn()?);
        Ok(())
    }
}

fn arguments(Lan { interface, addresses, run_dir }: &Lan) -> Vec<String> {
    let mut arguments = Vec::from([
        // Nobody else's settings, nothing on the disk, and not one name: the stub answers those.
        "--keep-in-foreground".to_owned(),
        "--conf-file=/dev/null".to_owned(),
        "--pid-file=".to_owned(),
        "--port=0".to_owned(),
        "--user=root".to_owned(),
        "--log-facility=-".to_owned(),
        "--quiet-dhcp".to_owned(),
        "--quiet-dhcp6".to_owned(),
        "--quiet-ra".to_owned(),
        format!("--interface={interface}"),
        "--bind-dynamic".to_owned(),
        // It is the only one there. To ask whether somebody has an address the rule set forbids.
        "--dhcp-authoritative".to_owned(),
        "--no-ping".to_owned(),
        format!("--dhcp-leasefile={}", run_dir.join(LEASES).display()),
    ]);
    arguments.extend(addresses.iter().flat_map(|net| match net {
        IpNet::V4(net) => of_dhcp(*net),
        IpNet::V6(net) => Vec::from([
            "--enable-ra".to_owned(),
            format!("--dhcp-range={},ra-only,{}", net.network(), net.prefix_len()),
            format!("--dhcp-option=option6:dns-server,[{}]", net.addr()),
        ]),
    }));
    arguments
}

fn of_dhcp(net: Ipv4Net) -> Vec<String> {
    let (first, last) = lent_out(net);
    let (own, mask) = (IpAddr::from(net.addr()), net.netmask());
    Vec::from([
        format!("--dhcp-range={first},{last},{mask},{LASTS}"),
        format!("--dhcp-option=option:router,{own}"),
        format!("--dhcp-option=option:dns-server,{own}"),
    ])
}
