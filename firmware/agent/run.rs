//! The agent: owns the core, hands it what happens, carries out what it decides. The only file that knows every
//! neighbour; no decision is made here.

mod account;
mod engine;
mod house;
mod lock;
mod names;
mod people;
mod relays;
mod settings;
mod settle;
mod start;
mod stop;
mod wait;
mod wish;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use byway_core::relays::{Attempt, RelayId};
use byway_core::{Core, Effect, Egress, Input, View, Wish};
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, sleep};

use crate::clock;
use crate::config::ConfigError;
use crate::control::server::{Order, Wanted};
use crate::dns::{Health, ResolvConf};
use crate::net::keeper;
use crate::proof::Prober;
use crate::store::LastWish;
use crate::tailnet;
use crate::tunnel::{Engine, uapi};
use crate::watchdog::Pulse;

use self::relays::Relays;
use self::settle::Settler;
pub use start::{is_running, main};
pub use stop::seal_on_panic;

/// Where the agent finds and keeps things.
#[derive(Clone, Debug)]
pub struct Paths {
    pub config: PathBuf,
    /// Where the owner puts files: the card's first partition, if there is one.
    pub card: Option<PathBuf>,
    pub state_dir: PathBuf,
    /// The device whose gap has room for a second copy of the vital files, if there is one.
    pub spare: Option<PathBuf>,
    pub run_dir: PathBuf,
}

/// How `byway run` ended, when it did not fail.
#[derive(Debug)]
pub enum Ended {
    Stopped,
    BadConfig(ConfigError),
    /// There is another configuration: to be run anew, in the same way.
    Renewed,
}

/// The core with its hands.
struct Agent {
    core: Core,
    engine: Engine,
    relays: Relays,
    /// Whom the engine was told to talk to, and where.
    called: Option<(RelayId, SocketAddr)>,
    /// For `wg show`.
    snapshots: watch::Sender<uapi::Snapshot>,
    kernel: mpsc::Sender<keeper::Order>,
    /// By which door names of the internet are asked for.
    names: watch::Sender<Option<Egress>>,
    /// How they are answered.
    asked: Arc<Health>,
    prober: Prober,
    wishes: wish::WishKeeper,
    resolv_conf: ResolvConf,
    views: watch::Sender<View>,
    /// Of the loop: the panel shows nothing of an agent that hangs, and the watchdog ends it.
    pulse: Pulse,
    /// What is left to be done with secrets.
    settler: Settler,
}

/// Everything that the agent hears of.
struct Ears {
    inputs: mpsc::Receiver<Input>,
    orders: mpsc::Receiver<Order>,
    /// Of the panel's button.
    presses: mpsc::Receiver<Input>,
    tailnet: mpsc::Receiver<tailnet::Report>,
    /// Rounds to the tunnel alone, and to all that is looked at.
    glances: Interval,
    looks: Interval,
    /// Another configuration is there.
    stick: mpsc::Receiver<()>,
    signals: stop::Signals,
}

impl Agent {
    async fn live(&mut self, first: Vec<Effect>, mut ears: Ears) -> anyhow::Result<stop::Signal> {
        self.carry_out(first).await?;
        loop {
            let nap = self.until_deadline();
            let mut heard = None;
            let effects = tokio::select! {
                signal = ears.signals.next() => return Ok(signal),
                Some(()) = ears.stick.recv() => return Ok(stop::Signal::Renew),
                Some(input) = ears.inputs.recv() => self.step(input),
                Some(pressed) = ears.presses.recv() => self.step(pressed),
                Some(order) = ears.orders.recv() => {
                    heard = Some(order.heard);
                    self.step(match order.wanted {
                        Wanted::Egress(wish) => Input::Wished(wish),
                        Wanted::Toggle => Input::Toggled,
                        Wanted::UseRelay(relay) => Input::UseRelay(relay),
                        Wanted::TestRelays => Input::TestRelays,
                        Wanted::PauseClient(client) => Input::ClientPaused(client),
                        Wanted::ResumeClient(id) => Input::ClientResumed(id),
                    })
                }
                Some(report) = ears.tailnet.recv() => self.hear_of_tailnet(report),
                _ = ears.glances.tick() => self.glance(),
                _ = ears.looks.tick() => self.look_around(),
                () = sleep(nap) => self.step(Input::Tick),
            };
            self.carry_out(effects).await?;
            self.publish();
            self.pulse.tick();
            if let Some(heard) = heard {
                // Whoever asked may have gone away.
                _ = heard.send(self.core.view());
            }
        }
    }

    fn step(&mut self, input: Input) -> Vec<Effect> {
        self.core.step(clock::uptime(), input)
    }

    fn until_deadline(&self) -> Duration {
        let far = Duration::from_hours(1);
        self.core.deadline().map_or(far, |(at, _)| at.since(clock::uptime()))
    }

    /// Whether the relay is heard: whoever waits for it should not wait for us.
    fn glance(&mut self) -> Vec<Effect> {
        let report = engine::report(&self.engine.stats(), self.engine.offloads());
        self.step(Input::Tunnel(report))
    }

    fn look_around(&mut self) -> Vec<Effect> {
        let mut effects = self
            .wishes
            .look(clock::uptime())
            .map_or_else(Vec::new, |kept| self.step(Input::Remembered(kept)));
        let stats = self.engine.stats();
        self.snapshots.send_modify(|snapshot| engine::tell_wg(snapshot, &stats));
        for egress in [Egress::Privacy, Egress::Residential] {
            effects.extend(self.step(Input::Names(egress, self.asked.report(egress))));
        }
        if let Some(before) = self.resolv_conf.look() {
            effects.extend(self.step(Input::Mended(before)));
        }
        effects
    }

    fn hear_of_tailnet(&mut self, report: tailnet::Report) -> Vec<Effect> {
        match report {
            tailnet::Report::Facts(facts) => {
                self.settler.learn(&facts);
                self.step(Input::Tailnet(*facts))
            }
            tailnet::Report::Joined => {
                self.settler.key_has_served();
                Vec::new()
            }
        }
    }

    async fn carry_out(&mut self, effects: Vec<Effect>) -> anyhow::Result<()> {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Apply(generation, posture) | Effect::Amend(generation, posture) => {
                    self.kernel.send(keeper::Order::Apply(generation, posture)).await?;
                }
                Effect::ShutNames => _ = self.names.send_replace(None),
                Effect::OpenNames(by) => _ = self.names.send_replace(Some(by)),
                Effect::Forget(epoch) => self.kernel.send(keeper::Order::Forget(epoch)).await?,
                Effect::StopForwarding => self.kernel.send(keeper::Order::StopForwarding).await?,
                Effect::Remember(wish) => effects.extend(self.remember(wish)),
                Effect::RememberRelay(name) => effects.extend(self.remember_relay(&name)),
                Effect::RememberUsed(used) => self.wishes.remember_used(used),
                Effect::RememberPaused(paused) => {
                    let kept = self.wishes.remember_paused(clock::uptime(), paused);
                    effects.extend(self.step(Input::Remembered(kept)));
                }
                Effect::Prove(attempt) => self.prove(attempt),
                Effect::Handshake(relay, endpoint) => self.shake_hands(relay, endpoint),
                Effect::HangUp => self.hang_up(),
                Effect::LookForPortal => self.prober.look_for_portal(),
                Effect::Ping => self.prober.ping(),
                Effect::CheckExit(by) => self.prober.check_exit(by),
            }
        }
        Ok(())
    }

    fn prove(&self, attempt: Attempt) {
        if let Some(relay) = self.core.relay(attempt.relay) {
            self.relays.prove(relay, attempt);
        }
    }

    /// The relay is not called before the firewall lets the call through: a refused one is repeated only after 5 s.
    fn shake_hands(&mut self, relay: RelayId, endpoint: SocketAddr) {
        let there = (relay, endpoint);
        let is_new = self.called.replace(there) != Some(there);
        if is_new {
            let peer = self.core.relay(relay).and_then(|relay| self.relays.peer(relay.keys, endpoint));
            let Some(peer) = peer else { return };
            self.snapshots.send_modify(|snapshot| snapshot.relay = Some(uapi::Relay::new(&peer)));
            self.engine.set_peer(peer);
        } else {
            self.engine.kick();
        }
    }

    fn hang_up(&mut self) {
        self.called = None;
        self.snapshots.send_modify(|snapshot| snapshot.relay = None);
        self.engine.forget_peer();
    }

    fn remember_relay(&mut self, name: &str) -> Vec<Effect> {
        let kept = self.wishes.remember_relay(clock::uptime(), name);
        self.step(Input::Remembered(kept))
    }

    /// A wish that cannot be kept across reboots counts all the same.
    fn remember(&mut self, wish: Wish) -> Vec<Effect> {
        let (_, last_egress) = self.core.wish();
        let kept = self.wishes.remember(clock::uptime(), LastWish { wish, last_egress });
        self.step(Input::Remembered(kept))
    }

    /// What the next agent is to know that was not worth a write so far.
    fn take_leave(&mut self) {
        if let Some(used) = self.core.unkept() {
            self.wishes.remember_used(used);
        }
    }

    fn publish(&self) {
        let view = self.core.view();
        self.views.send_if_modified(|told| {
            if told.phase != view.phase || told.door != view.door || told.why != view.why {
                let door = view.door.map_or_else(|| "none".to_owned(), |door| door.to_string());
                tracing::info!(wish = %view.wish, door, "{}", view.why);
            }
            if let Some(what) = view.drift.last.as_ref().filter(|_| told.drift != view.drift) {
                tracing::warn!("somebody else changed the box: {what}");
            }
            let modified = *told != view;
            *told = view;
            modified
        });
    }
}
