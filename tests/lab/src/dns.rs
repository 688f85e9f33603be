//! The world's resolvers: dnsmasq, each with the few names that exist. No name is looked up anywhere else.

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

/// Starts a resolver at `address`, port 53, and waits until it listens.
pub(crate) fn resolve(namespace: &Namespace, address: IpAddr, names: Names) -> Result<Process> {
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
    wait_for("a resolver to listen", Duration::from_secs(5), || {
        namespace.enter(|| Ok(std::net::TcpStream::connect((address, 53)).map(drop)?))
    })
    .with_context(|| process.log_tail())?;
    Ok(process)
}
