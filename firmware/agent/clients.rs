//! Looks who goes out by the box: what the kernel has counted, and who tailscaled says they are. What is told of them is
//! decided in [`byway_core::clients`].

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use byway_core::clients::{Ledger, Roll};
use byway_core::stamps::Boot;
use byway_core::{Input, Serve};
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::clock;
use crate::config::TimeZone;
use crate::net::{Net, tailnet_bytes};
use crate::store::Store;
use crate::tailnet::LocalApi;

/// Between two looks, while anything goes through.
const LOOK: Duration = Duration::from_secs(5);
/// The same while nothing does: names and addresses may change.
const SELDOM: Duration = Duration::from_mins(1);

struct Watch {
    net: Arc<Mutex<Net>>,
    tailscaled: LocalApi,
    /// In memory, for the next agent of this boot.
    store: Store,
    boot: Boot,
    ledger: Ledger,
    /// As they were told last.
    roll: Option<Roll>,
    inputs: mpsc::Sender<Input>,
    /// Whose days count.
    zone: Option<TimeZone>,
    /// After which it is looked though nothing went through.
    seldom: Duration,
}

/// To be called before the first order to the kernel, which ends what was counted until then; goes on by itself.
pub async fn watch(
    net: Arc<Mutex<Net>>,
    tailscaled: LocalApi,
    store: Store,
    inputs: mpsc::Sender<Input>,
    (zone, serve): (Option<TimeZone>, &Serve),
) {
    // What machines of the house move does not show at the tailnet's interface: they are looked at every time.
    let seldom = if *serve == Serve::Nobody { SELDOM } else { Duration::ZERO };
    let boot = clock::boot();
    let ledger = store.ledger(boot).told().unwrap_or_default();
    let mut watch = Watch { net, tailscaled, store, boot, ledger, roll: None, inputs, zone, seldom };
    watch.count().await;
    tokio::spawn(watch.go_on());
}

impl Watch {
    /// Until nobody listens any more.
    async fn go_on(mut self) {
        let mut rounds = interval(LOOK);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut seen, mut looked) = (None, None::<Instant>);
        while !self.inputs.is_closed() {
            rounds.tick().await;
            let bytes = tailnet_bytes();
            let is_time = looked.is_none_or(|looked| looked.elapsed() >= self.seldom);
            if bytes != seen || is_time {
                (seen, looked) = (bytes, Some(Instant::now()));
                self.count().await;
                self.learn_peers().await;
                self.tell(Input::Counted(self.ledger.clone(), self.today())).await;
            }
        }
    }

    async fn count(&mut self) {
        match self.net.lock().await.count().await {
            Ok(count) => self.ledger.enter(clock::uptime(), &count),
            Err(error) => return tracing::debug!("clients are not counted: {error:#}"),
        }
        if let Err(error) = self.store.remember_ledger(self.boot, &self.ledger) {
            tracing::warn!("what was counted of clients is forgotten when the agent ends: {error}");
        }
    }

    async fn learn_peers(&mut self) {
        let roll = match self.tailscaled.roll().await {
            Ok(roll) => roll,
            Err(error) => return tracing::debug!("tailscaled does not tell its peers: {error}"),
        };
        if self.roll.as_ref() != Some(&roll) {
            self.roll = Some(roll.clone());
            self.tell(Input::Peers(roll)).await;
        }
    }

    /// Where somebody knows what time it is.
    fn today(&self) -> Option<u32> {
        let now = SystemTime::now();
        let utc = || u32::try_from(clock::wall().as_secs() / 86_400).unwrap_or_default();
        clock::is_right().then(|| self.zone.as_ref().map_or_else(utc, |zone| zone.day(now)))
    }

    async fn tell(&self, input: Input) {
        // Nobody receives any more when the agent is stopping.
        _ = self.inputs.send(input).await;
    }
}
