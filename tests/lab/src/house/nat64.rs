//! The house's way from its IPv6 to the internet's IPv4: tayga, which translates, behind the house's usual NAT.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use anyhow::{Context, Result};

use crate::namespace::Namespace;
use crate::process::Process;
use crate::tools::path_text;

const DEVICE: &str = "nat64";
/// Whom tayga makes of the house's machines before the house's NAT sees them.
const POOL: &str = "192.168.255.0/24";

/// The network's own prefix, of 96 bits (RFC 6052): the well-known one may not stand for addresses of documentation.
const PREFIX: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x64, 0, 0, 0, 0, 0);

/// How an address of IPv4 is reached by it.
pub fn embedded(address: Ipv4Addr) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(PREFIX) | u128::from(u32::from(address)))
}

/// A running translator.
#[derive(Debug)]
pub(crate) struct Nat64(#[expect(dead_code, reason = "it runs as long as it is kept")] Process);

impl Nat64 {
    pub(crate) fn start(namespace: &Namespace, folder: &Path) -> Result<Self> {
        let folder = folder.join("nat64");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let config = folder.join("tayga.conf");
        let text = format!(
            "tun-device {DEVICE}\nipv4-addr 192.168.255.1\nipv6-addr 2001:db8:77::6464\nprefix {PREFIX}/96\n\
             dynamic-pool {POOL}\ndata-dir {}\n",
            folder.display()
        );
        fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
        namespace.ip(&format!("tuntap add dev {DEVICE} mode tun"))?;
        let args = ["--nodetach", "--config", path_text(&config)?];
        let process = namespace.spawn("nat64", Path::new("tayga"), &args, &[])?;
        namespace.ip(&format!(
            "link set {DEVICE} up\nroute replace {POOL} dev {DEVICE}\nroute replace {PREFIX}/96 dev {DEVICE}"
        ))?;
        Ok(Self(process))
    }

    /// Nobody answers at its prefix any more.
    pub(crate) fn stop(self, namespace: &Namespace) -> Result<()> {
        drop(self);
        namespace.ip(&format!("link del {DEVICE}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_embedded_at_the_end_of_the_prefix() {
        assert_eq!(embedded("192.0.2.33".parse().unwrap()).to_string(), "2001:db8:64::c000:221");
    }
}
