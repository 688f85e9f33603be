//! Keeps the box's own names known, and starts tailscaled once they are: control server and DERP hosts, found by
//! the ISP, so that a dead tunnel never keeps the owner out.

use std::collections::BTreeSet;
use std::time::Duration;

use byway_core::View;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::dns::own::OwnNames;
use crate::tailnet::{self, LocalApi, Report, Settings};

/// A house without a line yet: tailscaled starts all the same and tries for itself.
const UPLINK_PATIENCE: Duration = Duration::from_secs(10);
/// Between two rounds of look-ups: while they are refused, when all is known, when something is missing.
const REFUSED: Duration = Duration::from_millis(200);
const CALM: Duration = Duration::from_mins(10);
const QUICK: Duration = Duration::from_secs(5);
/// Between two looks at the map of relay servers: a new one is known before a sealed box needs it.
const LOOK: Duration = Duration::from_secs(30);
/// Facts of tailscaled that may wait while the core is busy.
const REPORTS: usize = 16;
/// Tailscale's own map has some hundred; each look-up may take seconds.
const MOST_DERP_HOSTS: usize = 256;

pub(super) fn join_tailnet(
    settings: Settings,
    own: OwnNames,
    control: Option<String>,
    views: watch::Receiver<View>,
) -> mpsc::Receiver<Report> {
    let (reports, told) = mpsc::channel(REPORTS);
    let tailscaled = LocalApi::new(tailnet::socket(&settings.run_dir));
    tokio::spawn(async move {
        let mut keeper = NameKeeper { own, control, tailscaled, views };
        // One that runs already has found its server, and is to be adopted before it fails.
        if keeper.tailscaled.status().await.is_err() {
            // Without a line nothing can be looked up: then the last known names stand.
            _ = timeout(UPLINK_PATIENCE, keeper.find_control()).await;
        }
        tokio::spawn(tailnet::supervise(settings, reports));
        keeper.keep().await;
    });
    told
}

struct NameKeeper {
    own: OwnNames,
    control: Option<String>,
    tailscaled: LocalApi,
    views: watch::Receiver<View>,
}

impl NameKeeper {
    async fn keep(mut self) {
        loop {
            let hosts = self.derp_hosts().await;
            let pause = if self.refresh(&hosts).await { CALM } else { QUICK };
            let uplink = self.views.borrow().uplink.clone();
            let mut views = self.views.clone();
            tokio::select! {
                () = sleep(pause) => {}
                () = self.changed_from(&hosts) => {}
                changed = views.wait_for(|view| view.uplink != uplink) => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn changed_from(&self, hosts: &BTreeSet<String>) {
        loop {
            sleep(LOOK).await;
            if self.derp_hosts().await != *hosts {
                return;
            }
        }
    }

    /// Until the control server is found: the rule set refuses a look-up at once until it knows the uplink.
    async fn find_control(&mut self) {
        // The sender lives as long as the agent.
        _ = self.views.wait_for(|view| view.uplink.is_some()).await;
        let control: BTreeSet<String> = self.control.iter().cloned().collect();
        while !self.own.refresh(&control).await {
            sleep(REFUSED).await;
        }
    }

    async fn derp_hosts(&self) -> BTreeSet<String> {
        let hosts = self.tailscaled.derp_hosts().await.unwrap_or_default();
        hosts.into_iter().take(MOST_DERP_HOSTS).collect()
    }

    /// True when every name is known, those of the DERP hosts included.
    async fn refresh(&mut self, derp: &BTreeSet<String>) -> bool {
        let names: BTreeSet<String> = derp.iter().cloned().chain(self.control.clone()).collect();
        self.own.refresh(&names).await && !derp.is_empty()
    }
}
