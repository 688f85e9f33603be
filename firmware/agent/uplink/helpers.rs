//! The programs that run for the interfaces: a DHCP client for each that wants one, the radio's program while the radio is
//! wanted. Each ends when it is not wanted any more, and with the agent.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use byway_core::uplink::wifi::WifiState;
use byway_core::uplink::{Interfaces, LinkInput, Medium, Wanted};
use tokio::sync::mpsc;

use super::Settings;
use super::dhcp::Dhcp;
use super::wifi::Supplicant;
use crate::config::Wifi;

/// Of what they say, under way at once.
const INPUTS: usize = 16;

pub(super) struct Helpers {
    wifi: Option<Wifi>,
    run_dir: PathBuf,
    script: PathBuf,
    dhcp: BTreeMap<Medium, Dhcp>,
    radio: Option<Supplicant>,
    tell: mpsc::Sender<LinkInput>,
    told: mpsc::Receiver<LinkInput>,
}

impl Helpers {
    pub(super) fn new(Settings { wifi, run_dir, .. }: &Settings) -> Result<Self> {
        let script = Dhcp::prepare(run_dir).context("no script for udhcpc")?;
        let (tell, told) = mpsc::channel(INPUTS);
        let (wifi, run_dir) = (wifi.clone(), run_dir.clone());
        Ok(Self { wifi, run_dir, script, dhcp: BTreeMap::new(), radio: None, tell, told })
    }

    /// What one of them says next. Nothing is lost if this is dropped early.
    pub(super) async fn next(&mut self) -> LinkInput {
        tokio::select! {
            // One sender is ours.
            Some(input) = self.told.recv() => input,
            state = heard(&mut self.radio) => LinkInput::Wifi(self.why_not_joined(state)),
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
async fn heard(radio: &mut Option<Supplicant>) -> WifiState {
    match radio {
        Some(radio) => radio.next().await,
        None => std::future::pending().await,
    }
}
