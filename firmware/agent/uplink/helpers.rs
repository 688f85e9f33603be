//! Who speaks for the interfaces: DHCP clients for those that want one, the radio's program while the radio is wanted, the
//! house's routers. A program ends when it is not wanted any more, and with the agent.

use std::collections::BTreeMap;
use std::future::pending;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use byway_core::uplink::wifi::WifiState;
use byway_core::uplink::{Interfaces, Lease6, Link, LinkInput, Medium, Wanted};
use futures_util::future::select_all;
use nix::net::if_::if_nametoindex;
use tokio::sync::mpsc;

use super::Settings;
use super::dhcp::Dhcp;
use super::dhcp6::Dhcp6;
use super::probe::Probe;
use super::router::{Heard, RouterOptions};
use super::script::Script;
use super::wifi::Supplicant;
use crate::config::Wifi;

/// Of what they say, under way at once.
const INPUTS: usize = 16;

pub(super) struct Helpers {
    wifi: Option<Wifi>,
    run_dir: PathBuf,
    script: Script,
    script6: Script,
    dhcp: BTreeMap<Medium, Dhcp>,
    dhcp6: BTreeMap<Medium, Dhcp6>,
    probes: BTreeMap<(Medium, Ipv4Addr), Probe>,
    routers: RouterOptions,
    radio: Option<Supplicant>,
    tell: mpsc::Sender<LinkInput>,
    told: mpsc::Receiver<LinkInput>,
}

impl Helpers {
    pub(super) fn new(settings: &Settings) -> Result<Self> {
        let (wifi, run_dir) = (settings.wifi.clone(), settings.run_dir.clone());
        let script = Dhcp::script().context("no script for udhcpc")?;
        let (tell, told) = mpsc::channel(INPUTS);
        Ok(Self {
            wifi,
            run_dir,
            script,
            script6: Dhcp6::script().context("no script for udhcpc6")?,
            dhcp: BTreeMap::new(),
            dhcp6: BTreeMap::new(),
            probes: BTreeMap::new(),
            routers: RouterOptions::open()?,
            radio: None,
            tell,
            told,
        })
    }

    /// What one of them says next. Nothing is lost if this is dropped early.
    pub(super) async fn next(&mut self, interfaces: &Interfaces) -> LinkInput {
        loop {
            let heard = tokio::select! {
                // One sender is ours.
                Some(input) = self.told.recv() => return input,
                state = joined(&mut self.radio) => return LinkInput::Wifi(self.why_not_joined(state)),
                (medium, lease) = lent(&mut self.dhcp6) => return LinkInput::Dhcp6(medium, lease),
                heard = self.routers.next() => heard,
            };
            match heard {
                Ok(Heard { index, said }) => {
                    if let Some(medium) = medium(interfaces, index) {
                        return LinkInput::Said(medium, said);
                    }
                }
                Err(error) => {
                    tracing::warn!("{error:#}");
                    // Resolvers and DHCPv6 are of no use without it, and nothing else depends on it.
                    pending::<()>().await;
                }
            }
        }
    }

    /// Starts what is wanted and ends what is not.
    pub(super) fn keep(&mut self, interfaces: &Interfaces, wanted: &Wanted) {
        self.keep_radio(wanted.link(Medium::Wifi).is_some());
        for medium in Medium::BOTH {
            let asks = wanted.link(medium).is_some_and(|link| link.dhcp);
            match (interfaces.name(medium), asks) {
                (Some(name), true) => {
                    let start = || Dhcp::start(medium, name, &self.script, self.tell.clone());
                    self.dhcp.entry(medium).or_insert_with(start);
                }
                (_, _) => _ = self.dhcp.remove(&medium),
            }
            self.keep_probes(medium, interfaces.name(medium), wanted.link(medium));
            let asks6 = wanted.link(medium).is_some_and(|link| link.dhcp6);
            self.keep_dhcp6(medium, interfaces.name(medium).filter(|_| asks6));
        }
    }

    fn keep_probes(&mut self, medium: Medium, interface: Option<&str>, link: Option<&Link>) {
        let wanted = link.map(|link| link.probes.as_slice()).unwrap_or_default();
        self.probes.retain(|(of, address), _| *of != medium || wanted.contains(address));
        for (interface, address) in
            interface.into_iter().flat_map(|name| wanted.iter().map(move |it| (name, *it)))
        {
            let start = || Probe::start(medium, interface, address, self.tell.clone());
            self.probes.entry((medium, address)).or_insert_with(start);
        }
    }

    fn keep_dhcp6(&mut self, medium: Medium, interface: Option<&str>) {
        let Some(interface) = interface else {
            self.dhcp6.remove(&medium);
            return;
        };
        if !self.dhcp6.contains_key(&medium) {
            match Dhcp6::start(interface, &self.script6) {
                Ok(client) => _ = self.dhcp6.insert(medium, client),
                Err(error) => tracing::warn!("no DHCPv6 on {interface}: {error:#}"),
            }
        }
    }

    fn keep_radio(&mut self, wanted: bool) {
        let Some(wifi) = self.wifi.as_ref().filter(|_| wanted) else {
            self.radio = None;
            return;
        };
        if self.radio.is_none() {
            match Supplicant::start(wifi, &self.run_dir) {
                Ok(radio) => self.radio = Some(radio),
                Err(error) => tracing::warn!("no wi-fi: {}: {error}", self.run_dir.display()),
            }
        }
    }

    fn why_not_joined(&self, state: WifiState) -> Option<String> {
        let wifi = self.wifi.as_ref().filter(|_| state != WifiState::Joined)?;
        Some(state.sentence(wifi.ssid.as_str(), wifi.interface.as_str()))
    }
}

/// For ever nothing, of a radio that is off.
async fn joined(radio: &mut Option<Supplicant>) -> WifiState {
    match radio {
        Some(radio) => radio.next().await,
        None => pending().await,
    }
}

/// For ever nothing, where nobody is asked.
async fn lent(clients: &mut BTreeMap<Medium, Dhcp6>) -> (Medium, Option<Lease6>) {
    let nexts = clients.iter_mut().map(|(medium, client)| {
        Box::pin(async move {
            match client.next().await {
                Ok(lease) => (*medium, lease),
                Err(error) => {
                    tracing::warn!("{error:#}");
                    pending().await
                }
            }
        })
    });
    let nexts: Vec<_> = nexts.collect();
    if nexts.is_empty() { pending().await } else { select_all(nexts).await.0 }
}

fn medium(interfaces: &Interfaces, index: u32) -> Option<Medium> {
    let has_index = |name: &str| if_nametoindex(name).is_ok_and(|found| found == index);
    Medium::BOTH.into_iter().find(|medium| interfaces.name(*medium).is_some_and(has_index))
}
