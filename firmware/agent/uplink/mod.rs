//! Attaches the box to the house: runs the DHCP client where the core's [`Attachment`] wants one, makes the interfaces hold
//! what it says, and tells what keeps them from it. Nothing is waited for by the clock: a carrier, a lease, an address each
//! lead to the next step.

mod child;
mod dhcp;
pub(crate) mod nat64;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use byway_core::Input;
use byway_core::uplink::{
    Attachment, DhcpEvent, Interfaces, LinkInput, Medium, Method, Offers, Trouble, Wanted,
};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};

use self::dhcp::Dhcp;
use crate::net::{Changes, Net};

/// Between two looks at the interfaces, when the kernel tells of no change.
const LOOK: Duration = Duration::from_secs(1);
/// Of the interfaces' helpers, under way at once.
const INPUTS: usize = 16;

/// What the owner has said.
#[derive(Clone, Debug)]
pub struct Settings {
    pub method: Method,
    pub interfaces: Interfaces,
}

/// Who hears what comes of it.
#[derive(Debug)]
pub struct Told {
    pub core: mpsc::Sender<Input>,
    /// The interface in use.
    pub interface: watch::Sender<String>,
    pub offers: watch::Sender<Offers>,
}

/// Starts attaching. Whoever asks for offers before the house has made any gets none.
pub fn start(
    Settings { method, interfaces }: Settings,
    run_dir: &Path,
    net: Arc<Mutex<Net>>,
    changes: Changes,
    told: Told,
) -> anyhow::Result<()> {
    let script = Dhcp::prepare(run_dir).context("no script for udhcpc")?;
    let attachment = Attachment::new(method, interfaces.clone());
    let house = House { interfaces, net, script, attachment, done: Wanted::default(), told, trouble: None };
    tokio::spawn(house.attend(changes));
    Ok(())
}

/// The house's side of the box.
struct House {
    interfaces: Interfaces,
    net: Arc<Mutex<Net>>,
    script: PathBuf,
    attachment: Attachment,
    /// What the interfaces were last made to hold.
    done: Wanted,
    told: Told,
    /// As the core was told it last.
    trouble: Option<Result<(), Trouble>>,
}

/// What runs for the interfaces at the moment.
struct Helpers {
    tell: mpsc::Sender<LinkInput>,
    dhcp: BTreeMap<Medium, Dhcp>,
}

impl House {
    async fn attend(mut self, mut kernel: Changes) {
        let (tell, mut inputs) = mpsc::channel(INPUTS);
        let mut helpers = Helpers { tell, dhcp: BTreeMap::new() };
        let mut looks = looks();
        loop {
            let heard = tokio::select! {
                Some(input) = inputs.recv() => Some(input),
                Ok(()) = kernel.next() => None,
                _ = looks.tick() => None,
            };
            let anew = matches!(heard, Some(LinkInput::Dhcp(_, DhcpEvent::Leased(_)) | LinkInput::Dhcp6(..)));
            if let Some(input) = heard {
                self.attachment.hear(input);
            }
            // What they are like decides what they should hold, and that again what they are like.
            self.look().await;
            self.attach(&mut helpers, anew).await;
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
                    Ok(state) => self.attachment.hear(LinkInput::Link(medium, state)),
                    Err(error) => tracing::warn!("cannot look at {name}: {error:#}"),
                }
            }
        }
    }

    async fn attach(&mut self, helpers: &mut Helpers, anew: bool) {
        let wanted = self.attachment.wanted();
        for medium in Medium::BOTH {
            let Some(name) = self.interfaces.name(medium) else { continue };
            let attached = match (wanted.link(medium), self.done.link(medium)) {
                (Some(link), before) => {
                    helpers.keep_dhcp(medium, name, link.dhcp, &self.script);
                    let mut net = self.net.lock().await;
                    let raised = if before.is_none() { net.raise(name).await } else { Ok(()) };
                    match raised {
                        Ok(()) => net.attach((medium, name), link, anew).await,
                        Err(error) => Err(error),
                    }
                }
                (None, Some(_)) => {
                    helpers.keep_dhcp(medium, name, false, &self.script);
                    self.net.lock().await.lower(name).await
                }
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

impl Helpers {
    fn keep_dhcp(&mut self, medium: Medium, interface: &str, wanted: bool, script: &Path) {
        if !wanted {
            self.dhcp.remove(&medium);
        } else if !self.dhcp.contains_key(&medium) {
            self.dhcp.insert(medium, Dhcp::start(medium, interface, script, self.tell.clone()));
        }
    }
}

fn looks() -> Interval {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}
