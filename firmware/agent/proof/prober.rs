//! Carries out what the core asks to know: the gateway's ping and the exit checks. Every question is answered with a
//! report, whatever becomes of it; the core judges.

use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use byway_core::{Egress, Exit, ExitReport, Expect, Input, PingReport};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::exit::ExitCheck;
use super::ping::ping;
use super::portal;
use crate::clock;
use crate::config::Host;
use crate::dns::own::Names;

/// The far end of every Mullvad relay's tunnel, its resolver too (`mullvad-api` relay list, `ipv4_gateway`).
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 1);
/// A relay on another continent answers within 400 ms.
const PATIENCE: Duration = Duration::from_secs(1);
/// A line that is full of a client's uploads is no dead one.
const LATEST: Duration = Duration::from_secs(10);

/// Cheap to clone: one for the core's questions, one for the doctor's.
#[derive(Clone, Debug)]
pub struct Prober {
    check: Arc<ExitCheck>,
    /// Of the check host, and of the control server where it has one.
    hosts: Arc<[Host]>,
    /// In whose place a network that wants a login would answer.
    control: Host,
    by_isp: Arc<Names>,
    by_tunnel: Arc<Names>,
    expect: Expect,
    reports: mpsc::Sender<Input>,
}

impl Prober {
    /// `hosts` are the names that the doctor looks up.
    pub fn new(
        check: Arc<ExitCheck>,
        (control, hosts): (Host, &[Host]),
        (by_isp, by_tunnel): (Arc<Names>, Arc<Names>),
        expect: Expect,
        reports: mpsc::Sender<Input>,
    ) -> Self {
        Self { check, hosts: hosts.into(), control, by_isp, by_tunnel, expect, reports }
    }

    /// Reports [`Input::Ping`]: what is late counts as lost at first.
    pub fn ping(&self) {
        let prober = self.clone();
        tokio::spawn(async move {
            let sent = clock::uptime();
            let mut answer = pin!(ping(GATEWAY.into(), prober.by_tunnel.way(), LATEST));
            // Nobody receives any more when the agent is stopping; so below.
            let tell = async |round_trip| {
                _ = prober.reports.send(Input::Ping(PingReport { sent, round_trip })).await;
            };
            let in_time = timeout(PATIENCE, &mut answer).await;
            if !matches!(in_time, Ok(Ok(_))) {
                tell(None).await;
            }
            let outcome = match in_time {
                Ok(outcome) => outcome,
                Err(_) => answer.await,
            };
            match outcome {
                Ok(round_trip) => tell(Some(round_trip)).await,
                Err(error) => tracing::debug!("{error}"),
            }
        });
    }

    /// Reports [`Input::Exit`].
    pub fn check_exit(&self, by: Egress) {
        let prober = self.clone();
        tokio::spawn(async move {
            let asked = clock::uptime();
            let result = prober.exits(by).await.map_err(|error| format!("{error:#}"));
            _ = prober.reports.send(Input::Exit(ExitReport { by, asked, result })).await;
        });
    }

    /// Reports [`Input::Portal`].
    pub fn look_for_portal(&self) {
        let prober = self.clone();
        tokio::spawn(async move {
            let page = portal::look(&prober.control, &prober.by_isp).await;
            _ = prober.reports.send(Input::Portal(page)).await;
        });
    }

    /// Who the internet sees by that door; never an empty list.
    pub async fn exits(&self, by: Egress) -> anyhow::Result<Vec<Exit>> {
        let names = match by {
            Egress::Privacy => &self.by_tunnel,
            Egress::Residential => &self.by_isp,
        };
        Ok(self.check.ask(names).await?)
    }

    /// Whether the relay's far end answers right now; where no gateway is known, the check host stands for it.
    pub async fn round_trip(&self) -> anyhow::Result<Duration> {
        match self.expect {
            Expect::Mullvad => Ok(ping(GATEWAY.into(), self.by_tunnel.way(), PATIENCE).await?),
            Expect::Any => {
                let asked = clock::uptime();
                self.exits(Egress::Privacy).await?;
                Ok(clock::uptime().since(asked))
            }
        }
    }

    /// Looks the box's own names up, by the ISP; tells how many.
    pub async fn resolve_own(&self) -> anyhow::Result<usize> {
        for host in self.hosts.iter() {
            let addresses = self.by_isp.resolve(host).await.context("the box's own names")?;
            if addresses.is_empty() {
                bail!("{host} has no address");
            }
        }
        Ok(self.hosts.len())
    }
}
