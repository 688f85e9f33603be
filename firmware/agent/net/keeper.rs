//! Keeps the kernel as ordered, one order after the other, and tells the core what it sees there: the uplink, the
//! house's router, and whatever somebody else changed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use byway_core::{Epoch, Generation, Input, Mac, Posture, Unapplied, Uplink};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::{Changes, Net, forget};
use crate::watchdog::Pulse;

/// Between two looks at the kernel, when it tells of no change.
const LOOK: Duration = Duration::from_secs(1);

/// What the core wants done to the kernel.
#[derive(Debug)]
pub enum Order {
    Apply(Generation, Box<Posture>),
    Forget(Epoch),
    StopForwarding,
}

/// The house's side at one moment.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    uplink: Option<Uplink>,
    /// Those of its routers that are there.
    routers: Vec<(IpAddr, Mac)>,
}

impl Look {
    /// Whether the router is there by which the box itself leaves.
    fn has_gateway(&self) -> bool {
        let gateway = self.uplink.as_ref().and_then(|uplink| uplink.gateways().next());
        gateway.is_some_and(|gateway| self.routers.iter().any(|(router, _)| *router == gateway))
    }
}

/// One for the life of the agent; [`Keeper::keep`] ends when nobody sends orders any more.
#[derive(Debug)]
pub struct Keeper {
    net: Arc<Mutex<Net>>,
    /// The one in use.
    interface: watch::Receiver<String>,
    inputs: mpsc::Sender<Input>,
    pulse: Pulse,
    /// Whether all routers of the house are looked for, or only the box's own.
    all_routers: bool,
    /// What was told last.
    told: Option<Look>,
}

impl Keeper {
    pub const fn new(
        net: Arc<Mutex<Net>>,
        interface: watch::Receiver<String>,
        inputs: mpsc::Sender<Input>,
        pulse: Pulse,
        all_routers: bool,
    ) -> Self {
        Self { net, interface, inputs, pulse, all_routers, told: None }
    }

    pub async fn keep(mut self, mut orders: mpsc::Receiver<Order>, mut kernel: Changes) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut deaf = false;
        loop {
            self.pulse.tick();
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(order) => self.carry_out(order).await,
                    None => return,
                },
                told = kernel.next(), if !deaf => {
                    if let Err(error) = told {
                        tracing::warn!("from now on the kernel is only looked at every second: {error:#}");
                        deaf = true;
                    }
                    self.look_around(&mut kernel).await;
                }
                // Its sender lives as long as the agent.
                Ok(()) = self.interface.changed() => kernel.suppose_one(),
                _ = ticks.tick() => if deaf {
                    self.look_around(&mut kernel).await;
                } else {
                    kernel.suppose_one();
                }
            }
        }
    }

    /// What a change of the house takes with it, its routes say, is nobody's doing: the core hears of the house first.
    async fn look_around(&mut self, kernel: &mut Changes) {
        let drift = self.read_back(kernel).await;
        self.look().await;
        if let Some(what) = drift {
            self.tell(Input::Drifted(what)).await;
        }
    }

    async fn carry_out(&self, order: Order) {
        match order {
            Order::Apply(generation, posture) => self.apply(generation, &posture).await,
            // A full table takes a second: no flip shall wait for that.
            Order::Forget(epoch) => _ = tokio::spawn(forget_or_tell(epoch)),
            Order::StopForwarding => {
                if let Err(error) = self.net.lock().await.stop_forwarding() {
                    tracing::error!("cannot stop forwarding: {error:#}");
                }
            }
        }
    }

    async fn apply(&self, generation: Generation, posture: &Posture) {
        let outcome = self.net.lock().await.apply(posture).await;
        match &outcome {
            Ok(()) => tracing::info!(generation = generation.0, "{posture}"),
            Err(error) => tracing::error!(generation = generation.0, "not applied: {posture}: {error:#}"),
        }
        let result = outcome.map_err(|error| Unapplied(format!("{error:#}")));
        self.tell(Input::Applied(generation, result)).await;
    }

    async fn look(&mut self) {
        let look = match self.look_at_house().await {
            Ok(look) => look,
            Err(error) => return tracing::warn!("cannot look at the house's interface: {error:#}"),
        };
        if self.told.as_ref() == Some(&look) {
            return;
        }
        let has_gateway = look.has_gateway();
        let (uplink, gateway) = (Input::Uplink(look.uplink.clone()), Input::Gateway(has_gateway));
        // Bad news first: a new house is never judged by the old one's router.
        let in_order = if has_gateway { [uplink, gateway] } else { [gateway, uplink] };
        for input in in_order.into_iter().chain([Input::Routers(look.routers.clone())]) {
            self.tell(input).await;
        }
        self.told = Some(look);
    }

    async fn look_at_house(&self) -> anyhow::Result<Look> {
        let mut net = self.net.lock().await;
        let interface = self.interface.borrow().clone();
        let uplink = net.uplink(&interface).await?;
        let looked_for = if self.all_routers { usize::MAX } else { 1 };
        let gateways: Vec<IpAddr> = uplink.iter().flat_map(Uplink::gateways).take(looked_for).collect();
        let routers = net.routers(&interface, &gateways).await?;
        Ok(Look { uplink, routers })
    }

    /// What differs from the posture, and who made it so where that is known.
    async fn read_back(&self, kernel: &mut Changes) -> Option<String> {
        let mut net = self.net.lock().await;
        let differences = match net.drift().await {
            Ok(differences) => differences,
            Err(error) => Vec::from([format!("the kernel cannot be read back: {error:#}")]),
        };
        let ours = net.generation();
        drop(net);
        (!differences.is_empty()).then(|| {
            // That it was somebody is told in any case.
            let strangers = kernel.strangers(ours).unwrap_or_default().join(" and ");
            let by = if strangers.is_empty() { strangers } else { format!(", by {strangers}") };
            format!("{}{by}", differences.join("; "))
        })
    }

    async fn tell(&self, input: Input) {
        // Nobody receives any more when the agent is stopping.
        _ = self.inputs.send(input).await;
    }
}

async fn forget_or_tell(epoch: Epoch) {
    if let Err(error) = forget(epoch).await {
        tracing::warn!("flows of older epochs stay refused until they end: {error:#}");
    }
}
