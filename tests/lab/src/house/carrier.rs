//! The carrier's NAT between the house and the internet: the house's router has an address of 100.64.0.0/10 like its
//! neighbours, and the internet sees the one that was the router's own.

use anyhow::Result;

use crate::namespace::Namespace;

/// What the router has of its own, and what its carrier lends it.
const OWN: [&str; 2] = ["198.51.100.1", "198.51.100.10"];
const LENT: [&str; 2] = ["100.64.100.1", "100.64.100.10"];
const NAT: &str = "table ip carrier {
  chain post { type nat hook postrouting priority srcnat; ip saddr 100.64.100.10 snat to 198.51.100.10; }
}";

pub(super) fn stand_between(router: &Namespace, core: &Namespace) -> Result<()> {
    core.nft(NAT)?;
    // A server's late words for a flow of before end here, without an error from a router to the server.
    core.ip(&format!("route add blackhole {}/32", OWN[1]))?;
    renumber(router, core, OWN, LENT)
}

pub(super) fn step_aside(router: &Namespace, core: &Namespace) -> Result<()> {
    renumber(router, core, LENT, OWN)?;
    core.ip(&format!("route del blackhole {}/32", OWN[1]))?;
    core.nft("delete table ip carrier")
}

/// Both ends of the house's line; the old route goes with the old address.
fn renumber(
    router: &Namespace,
    core: &Namespace,
    [old_gateway, old]: [&str; 2],
    [gateway, new]: [&str; 2],
) -> Result<()> {
    core.ip(&format!("addr add {gateway}/24 dev c-house\naddr del {old_gateway}/24 dev c-house"))?;
    router.ip(&format!(
        "addr add {new}/24 dev wan\naddr del {old}/24 dev wan\nroute replace default via {gateway}"
    ))
}
