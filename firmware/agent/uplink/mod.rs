//! Attaches the box to the house: runs the DHCP client where the core's [`Attachment`] wants one, makes the interfaces hold
//! what it says, and tells what keeps them from it. Nothing is waited for by the clock: a carrier, a lease, an address each
//! lead to the next step.

pub(crate) mod child;
mod dhcp;
mod dhcp6;
mod helpers;
pub(crate) mod nat64;
mod probe;
mod router;
mod script;
pub mod wifi;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use byway_core::Input;
use byway_core::uplink::{
    Attachment, DhcpEvent, Interfaces, Link, LinkInput, Medium, Method, Offers, Trouble, Wanted,
};
use ipnet::IpNet;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};

pub use self::dhcp6::Dhcp6;
use self::helpers::Helpers;
pub use self::router::{Heard, RouterOptions};
pub use self::script::Script;
use crate::clock;
use crate::config::Wifi;
use crate::net::{Changes, Net};
use crate::watchdog::Pulse;

/// Between two looks at the interfaces, when the kernel tells of no change.
const LOOK: Duration = Duration::from_secs(1);

/// What the owner has said.
#[derive(Clone, Debug)]
pub struct Settings {
    pub method: Method,
    pub interfaces: Interfaces,
    pub wifi: Option<Wifi>,
    /// Where helpers find their files.
    pub run_dir: PathBuf,
}

/// Who hears what comes of it.
#[derive(Debug)]
pub struct Told {
    pub core: mpsc::Sender<Input>,
    /// The interface in use.
    pub interface: watch::Sender<String>,
    pub offers: watch::Sender<Offers>,
    pub pulse: Pulse,
}

/// Starts attaching. Whoever asks for offers before the house has made any gets none.
pub fn start(settings: Settings, net: Arc<Mutex<Net>>, changes: Changes, told: Told) -> Result<()> {
    let helpers = Helpers::new(&settings)?;
    let Settings { method, interfaces, .. } = settings;
    let attachment = Attachment::new(method, interfaces.clone());
    let (done, lent) = (Wanted::default(), BTreeMap::new());
    let house = House { interfaces, net, attachment, helpers, done, lent, told, trouble: None };
    tokio::spawn(house.attend(changes));
    Ok(())
}

/// The house's side of the box.
struct House {
    interfaces: Interfaces,
    net: Arc<Mutex<Net>>,
    attachment: Attachment,
    helpers: Helpers,
    /// What the interfaces were last made to hold, and which addresses they may still hold because of us.
    done: Wanted,
    lent: BTreeMap<Medium, BTreeSet<IpNet>>,
    told: Told,
    /// As the core was told it last.
    trouble: Option<Result<(), Trouble>>,
}

impl House {
    async fn attend(mut self, mut kernel: Changes) {
        let mut looks = looks();
        loop {
            self.told.pulse.tick();
            let heard = tokio::select! {
                input = self.helpers.next(&self.interfaces) => Some(input),
                Ok(()) = kernel.next() => None,
                _ = looks.tick() => None,
            };
            let anew = matches!(heard, Some(LinkInput::Dhcp(_, DhcpEvent::Leased(_)) | LinkInput::Dhcp6(..)));
            if let Some(input) = heard {
                self.attachment.hear(clock::uptime(), input);
            }
            self.attachment.forget(clock::uptime());
            // What they are like decides what they should hold, and that again what they are like.
            self.look().await;
            self.attach(anew).await;
            self.look().await;
            if !self.tell().await {
                return;
            }
        }
    }

    async fn look(&mut self) {
        for medium in Medium::BOTH {
            if let Some(name) = self.interfaces.name(medium) {
                match self.net.lock().await.link_state(name).await {
                    Ok(state) => self.attachment.hear(clock::uptime(), LinkInput::Link(medium, state)),
                    Err(error) => tracing::warn!("cannot look at {name}: {error:#}"),
                }
            }
        }
    }

    async fn attach(&mut self, anew: bool) {
        let wanted = self.attachment.wanted();
        self.helpers.keep(&self.interfaces, &wanted);
        for medium in Medium::BOTH {
            let Some(name) = self.interfaces.name(medium) else { continue };
            let attached = match (wanted.link(medium), self.done.link(medium)) {
                (Some(link), _) => {
                    let lent = self.lent.entry(medium).or_default();
                    hold(&mut *self.net.lock().await, (medium, name), link, lent, anew).await
                }
                (None, Some(_)) => self.net.lock().await.lower(name).await,
                (None, None) => Ok(()),
            };
            if let Err(error) = attached {
                tracing::warn!("{name} does not hold what it should: {error:#}");
            }
        }
        self.done = wanted;
    }

    /// False when nobody listens any more.
    async fn tell(&mut self) -> bool {
        let interface = self.attachment.interface();
        self.told.interface.send_if_modified(|told| {
            let modified = told != interface;
            interface.clone_into(told);
            modified
        });
        let offers = self.attachment.offers();
        self.told.offers.send_if_modified(|told| {
            let modified = *told != offers;
            *told = offers;
            modified
        });
        let trouble = self.attachment.trouble().map_or(Ok(()), Err);
        if self.trouble.as_ref() == Some(&trouble) {
            return true;
        }
        self.trouble = Some(trouble.clone());
        self.told.core.send(Input::Attached(trouble)).await.is_ok()
    }
}

/// `lent`: the addresses that it may hold because of us. One that is over before its time the kernel would keep.
async fn hold(
    net: &mut Net,
    interface: (Medium, &str),
    link: &Link,
    lent: &mut BTreeSet<IpNet>,
    anew: bool,
) -> Result<()> {
    let wanted: BTreeSet<IpNet> = link.addresses.iter().map(|lent| lent.net).collect();
    lent.extend(&wanted);
    let attached = net.attach(interface, link, anew).await;
    let over: Vec<IpNet> = lent.difference(&wanted).copied().collect();
    if over.is_empty() {
        return attached;
    }
    // What stands in the way of the one may stand in the way of the other: the first error is told.
    let taken_back = net.take_back(interface.1, &over).await;
    attached.and(taken_back)?;
    *lent = wanted;
    Ok(())
}

fn looks() -> Interval {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}
