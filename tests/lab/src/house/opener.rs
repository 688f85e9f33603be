//! What opens ports in the house's router for whoever asks: miniupnpd, by `UPnP`, NAT-PMP and PCP. It takes none of the lab's
//! addresses for one of the internet's, so that it offers and opens nothing, as it does behind another NAT.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::namespace::Namespace;
use crate::process::Process;
use crate::tools::path_text;
use crate::wait::{PATIENCE, wait_for};

/// The chains that it puts its rules into.
const CHAINS: &str = "table inet opener {
  chain miniupnpd { }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
}";

/// A running one. Dropping it ends it, with whatever it has opened.
#[derive(Debug)]
pub(crate) struct Opener(Process);

impl Opener {
    /// It listens when this returns.
    pub(crate) fn start(router: &Namespace, folder: &Path) -> Result<Self> {
        let config = folder.join("miniupnpd.conf");
        let text = "ext_ifname=wan\nlistening_ip=lan\nenable_upnp=yes\nenable_natpmp=yes\nipv6_disable=yes\n\
                    upnp_table_name=opener\nupnp_nat_table_name=opener\nsystem_uptime=no\n\
                    uuid=00000000-0000-0000-0000-000000000000\n";
        fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
        router.nft(CHAINS)?;
        let pid = folder.join("miniupnpd.pid");
        let args = ["-d", "-f", path_text(&config)?, "-P", path_text(&pid)?];
        let process = router.spawn("miniupnpd", Path::new("miniupnpd"), &args, &[])?;
        let opener = Self(process);
        wait_for("a router that opens ports", PATIENCE, || {
            let listening = router.run(&["ss", "-Hlun", "sport = :5351"])?;
            (!listening.is_empty()).then_some(()).context("nobody listens for NAT-PMP")
        })
        .with_context(|| opener.0.log_tail())?;
        Ok(opener)
    }

    pub(crate) fn stop(self, router: &Namespace) -> Result<()> {
        drop(self);
        router.nft("delete table inet opener")
    }
}
