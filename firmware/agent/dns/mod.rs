//! The stub: answers names for the tailnet's clients and for tailscaled. Whose a name is and when names of the internet
//! may be asked for is decided in `byway-core`; here they are asked for, by the open door or not at all.
//!
//! It has a thread of its own: whatever its clients ask, the core hears of the world in time.

mod cache;
mod domain;
#[cfg(test)]
mod fake;
mod guests;
mod health;
mod house;
mod inquiry;
mod listen;
mod log;
mod opening;
pub mod own;
mod private;
mod probe;
mod question;
mod rehearsal;
mod reply;
mod resolv_conf;
mod tailnet;
#[cfg(test)]
mod tests;
mod upstream;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use byway_core::names::{Territory, Whose, may_know_peers};
use byway_core::posture::{Mark, TUNNEL};
use byway_core::tailnet::BackendState;
use byway_core::{Egress, View};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

pub use health::Health;
pub use house::HouseResolvers;
pub use probe::probe;
pub use rehearsal::rehearse;
pub use resolv_conf::ResolvConf;

use crate::clock;
use crate::config::Dns;
use crate::control::Question;
use crate::store::Store;
use crate::tailnet::LocalApi;
use crate::tls::Trust;
use crate::watchdog::Pulse;
use crate::way::Way;
use domain::Domain;
use house::HouseResolver;
use listen::Entrance;
use log::Log;
use opening::{Door, Opening};
use question::Question as Asked;
use reply::{By, Reply};
use tailnet::Peers;
use upstream::Upstream;

const DNS_PORT: u16 = 53;
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

/// What the stub is told once.
#[derive(Debug)]
pub struct Settings {
    pub dns: Dns,
    /// The house's interface at the moment.
    pub interface: watch::Receiver<String>,
    pub resolvers: HouseResolvers,
    pub trust: Trust,
    pub tailscaled: LocalApi,
    /// Remembers the tailnet's domain.
    pub store: Store,
    pub pulse: Pulse,
}

/// Answers questions, wherever they come from.
#[derive(Debug)]
struct Stub {
    dns: Dns,
    interface: watch::Receiver<String>,
    trust: Trust,
    peers: Peers,
    domain: Domain,
    views: watch::Receiver<View>,
    house: HouseResolver,
    log: Log,
    health: Arc<Health>,
    doorway: Mutex<Doorway>,
}

/// The door as it was seen last, and what was opened then.
#[derive(Debug)]
struct Doorway {
    door: Door,
    opening: Option<Arc<Opening>>,
}

/// What the stub hears of the rest of the agent.
#[derive(Debug)]
pub struct Ears {
    /// By which door names of the internet may be asked for at this moment.
    pub door: watch::Receiver<Option<Egress>>,
    pub views: watch::Receiver<View>,
    pub inquiries: mpsc::Receiver<Question>,
}

/// Starts answering.
pub fn start(settings: Settings, ears: Ears) -> anyhow::Result<Arc<Health>> {
    let health = Arc::new(Health::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let told = Arc::clone(&health);
    let serve = move || runtime.block_on(serve(settings, ears, told));
    thread::Builder::new().name("dns".to_owned()).spawn(serve).context("no thread for names")?;
    Ok(health)
}

async fn serve(settings: Settings, Ears { door, views, inquiries }: Ears, health: Arc<Health>) {
    tokio::spawn(show_life(settings.pulse.clone()));
    let stub = Arc::new(Stub::new(settings, door.clone(), views, health));
    tokio::spawn(inquiry::serve(Arc::clone(&stub), inquiries));
    for entrance in [Entrance::loopback(), Entrance::tailnet()] {
        tokio::spawn(listen::keep(entrance, Arc::clone(&stub)));
    }
    tokio::spawn(listen::keep_in_house(stub.views.clone(), Arc::clone(&stub)));
    stub.follow(door).await;
}

/// The thread goes round, whether anybody asks or not.
async fn show_life(pulse: Pulse) {
    loop {
        pulse.tick();
        sleep(SIGN_OF_LIFE).await;
    }
}

impl Stub {
    fn new(settings: Settings, mut door: Door, views: watch::Receiver<View>, health: Arc<Health>) -> Self {
        let Settings { dns, interface, resolvers, trust, tailscaled, store, pulse: _ } = settings;
        // Whatever it says is news to the first question.
        door.mark_changed();
        Self {
            house: HouseResolver::first_of(resolvers),
            peers: Peers::known_to(tailscaled),
            domain: Domain::recall(store),
            log: Log::kept(dns.log),
            doorway: Mutex::new(Doorway { door, opening: None }),
            dns,
            interface,
            trust,
            views,
            health,
        }
    }

    /// Hangs up as soon as the door is shut, and connects as soon as it is open, also when nobody asks.
    async fn follow(&self, mut door: Door) {
        loop {
            if let Some(opening) = self.opening() {
                opening.warm(&self.health).await;
            }
            if door.changed().await.is_err() {
                return;
            }
        }
    }

    /// A client's question.
    async fn answer(&self, question: &Asked, from: IpAddr) -> Reply {
        match self.answer_at_once(question, from) {
            Some(reply) => reply,
            None => self.answer_by_asking(question, from).await,
        }
    }

    /// What needs no waiting.
    fn answer_at_once(&self, question: &Asked, from: IpAddr) -> Option<Reply> {
        let reply = self.at_once(question, Some(from))?;
        self.log.note(from, question, &reply, Duration::ZERO);
        Some(reply)
    }

    /// What could not be answered at once.
    async fn answer_by_asking(&self, question: &Asked, from: IpAddr) -> Reply {
        let began = clock::uptime();
        let reply = self.ask(question, Some(from)).await;
        self.log.note(from, question, &reply, clock::uptime().since(began));
        reply
    }

    /// An inquiry of the agent's own, which the log leaves out.
    async fn reply(&self, question: &Asked) -> Reply {
        match self.at_once(question, None) {
            Some(reply) => reply,
            None => self.ask(question, None).await,
        }
    }

    fn at_once(&self, question: &Asked, from: Option<IpAddr>) -> Option<Reply> {
        match self.whose(question, from) {
            Whose::Nobody(zone) => Some(Reply::nobodys(question, zone)),
            Whose::Tailnet | Whose::House => None,
            Whose::Internet => match self.opening() {
                Some(opening) => opening.remembered(question),
                None => Some(Reply::sealed()),
            },
        }
    }

    async fn ask(&self, question: &Asked, from: Option<IpAddr>) -> Reply {
        match self.whose(question, from) {
            Whose::Nobody(zone) => Reply::nobodys(question, zone),
            Whose::Tailnet => {
                let knows = self.views.borrow().tailnet.state == Some(BackendState::Running);
                self.peers.ask(question, self.domain().as_deref(), knows).await
            }
            Whose::House => self.ask_house(question).await,
            Whose::Internet => match self.opening() {
                Some(opening) => opening.ask(question, &self.dns.allow_private, &self.health).await,
                None => Reply::sealed(),
            },
        }
    }

    async fn ask_house(&self, question: &Asked) -> Reply {
        let Some(house) = self.house.upstream() else {
            return Reply::no_answer(By::House, "the house offers no resolver: see [uplink] dns");
        };
        match house.ask(&question.to_upstream()).await {
            Ok(message) => Reply::of(By::House, message),
            Err(failure) => Reply::no_answer(By::House, &format!("the house's resolver: {failure}")),
        }
    }

    /// Of the tailnet's peers a machine of the house hears nothing.
    fn whose(&self, question: &Asked, from: Option<IpAddr>) -> Whose {
        let house = self.dns.house_domain.clone();
        match (Territory { tailnet: self.domain(), house }.whose(&question.name()), from) {
            (Whose::Tailnet, Some(from)) if !may_know_peers(from) => Whose::Nobody(""),
            (whose, _) => whose,
        }
    }

    fn domain(&self) -> Option<String> {
        self.domain.last(self.views.borrow().tailnet.domain.as_deref())
    }

    /// Of the door that is open now. What was opened before goes with its connections and answers.
    fn opening(&self) -> Option<Arc<Opening>> {
        let mut doorway = self.doorway.lock().unwrap_or_else(PoisonError::into_inner);
        let Doorway { door, opening } = &mut *doorway;
        if door.has_changed().unwrap_or(false) {
            let egress = *door.borrow_and_update();
            *opening = egress.map(|egress| Arc::new(self.open(egress, door.clone())));
        }
        opening.clone()
    }

    fn open(&self, egress: Egress, door: Door) -> Opening {
        let Self { dns, interface, trust, .. } = self;
        let (configured, device) = match egress {
            Egress::Privacy => (&dns.privacy, TUNNEL.to_owned()),
            Egress::Residential => (&dns.residential, interface.borrow().clone()),
        };
        let way = Way::Door { device, mark: Mark::STUB.0 };
        Opening::new(egress, Upstream::new(configured, way, trust), door)
    }
}
