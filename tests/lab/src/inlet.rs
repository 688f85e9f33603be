//! A way into the box as a client whose tailscaled and whose control server forbid it nothing: what is sent here comes
//! in by the box's `tailscale0`, past the filter of the box's own tailscaled.

use anyhow::Result;

use crate::namespace::Namespace;
use crate::wire::{Wire, mac_of};

const OUTSIDE: &str = "inlet";
const INSIDE: &str = "inlet-in";

/// Laid until dropped; lasts as long as the `tailscale0` that it was laid to.
#[derive(Debug)]
pub struct Inlet {
    pub wire: Wire,
    kernel: Namespace,
}

impl Inlet {
    pub fn lay(kernel: &Namespace) -> Result<Self> {
        kernel.ip(&format!("link add {OUTSIDE} type veth peer name {INSIDE}"))?;
        for end in [OUTSIDE, INSIDE] {
            // It says nothing of its own.
            kernel.sysctl(&format!("net/ipv6/conf/{end}/disable_ipv6"), "1")?;
            kernel.ip(&format!("link set {end} up"))?;
        }
        kernel.run(&["tc", "qdisc", "add", "dev", INSIDE, "clsact"])?;
        let everything = ["protocol", "all", "u32", "match", "u32", "0", "0"];
        let redirect = ["action", "mirred", "ingress", "redirect", "dev", "tailscale0"];
        let filter = ["tc", "filter", "add", "dev", INSIDE, "ingress"];
        kernel.run(&[&filter[..], &everything[..], &redirect[..]].concat())?;
        let wire = Wire::open(kernel, OUTSIDE, mac_of(kernel, INSIDE)?)?;
        Ok(Self { wire, kernel: kernel.clone() })
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        // What an error leaves here ends with the box's power.
        let _ = self.kernel.ip(&format!("link del {OUTSIDE}"));
    }
}
