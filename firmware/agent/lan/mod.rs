//! The interface that machines of the house have to themselves: its addresses, and dnsmasq, which gives the machines theirs
//! and says that here is a router. Who may leave by it, and by which door, is the rule set's business.

mod dnsmasq;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use byway_core::{Input, View};
use ipnet::IpNet;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::sleep;

use self::dnsmasq::Dnsmasq;
use crate::net::Net;

/// Between two looks at the interface: an adapter may come and go.
const LOOK: Duration = Duration::from_secs(1);

/// Keeps it for as long as the agent lives.
#[derive(Debug)]
pub struct Lan {
    pub interface: String,
    /// The box's own there.
    pub addresses: Vec<IpNet>,
    /// Where dnsmasq remembers whom it has given what; gone with the power, and asked for again.
    pub run_dir: PathBuf,
}

impl Lan {
    /// Holds nothing while the core does not serve it: the house may have the same prefix.
    pub async fn keep(self, net: Arc<Mutex<Net>>, views: watch::Receiver<View>, tell: mpsc::Sender<Input>) {
        let mut told = None;
        let mut dnsmasq = Dnsmasq::new(&self);
        loop {
            let is_served = is_served(&views.borrow(), &self.interface);
            let addresses = if is_served { self.addresses.as_slice() } else { &[] };
            let held = net.lock().await.serve(&self.interface, addresses).await;
            let trouble = held.err().map(|error| format!("{error:#}")).or_else(|| dnsmasq.look(is_served));
            if trouble != told {
                if let Some(trouble) = &trouble {
                    tracing::warn!("{}: {trouble}", self.interface);
                }
                told.clone_from(&trouble);
                if tell.send(Input::Apart(trouble)).await.is_err() {
                    return;
                }
            }
            sleep(LOOK).await;
        }
    }
}

fn is_served(view: &View, interface: &str) -> bool {
    view.lan.as_ref().is_some_and(|lan| lan.interface.as_deref() == Some(interface))
}
