//! Makes the kernel look like a [`Posture`] and reads it back; what it must look like is rendered in `byway-core`.
//!
//! Netlink and nftables have no stand-in here: `tests/kernel.rs` runs all this on the real kernel.

mod changes;
mod conntrack;
mod flow_table;
mod generation;
mod house;
mod links;
mod listing;
mod netlink;
mod nft;
mod reconcile;
mod reference;
mod routes;
mod rules;
mod seal;
mod switches;
mod sysctl;
mod uplink;
mod usage;

pub mod keeper;

use std::net::IpAddr;
use std::time::Instant;

use anyhow::{Context as _, Result};
use byway_core::clients::Count;
use byway_core::posture::sysctl::{after_forwarding, before_forwarding, forwarding};
use byway_core::posture::{Difference, TUNNEL, routing, ruleset};
use byway_core::uplink::{Link, LinkState, Medium};
use byway_core::{Epoch, Mac, Posture, Uplink};
use ipnet::IpNet;
use rtnetlink::Handle;
use rtnetlink::sys::AsyncSocket as _;

pub use self::changes::Changes;
pub use self::flow_table::{connections, make_room};
use self::listing::Listing;
use self::reference::Reference;
pub use self::seal::{seal_for_good, seal_now};
use self::switches::Turned;
pub use self::switches::read as switches;
pub use self::usage::tailnet_bytes;

/// Why the kernel does not look as ordered.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("interface {TUNNEL} is not there yet: start the tunnel first")]
    NoTunnel,
    #[error("read back, and the kernel differs: {}", .0.join("; "))]
    Differs(Vec<String>),
    #[error("{0:#}")]
    Failed(anyhow::Error),
}

/// Its own causes are in its words already.
impl From<anyhow::Error> for ApplyError {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// The one owner of rtnetlink: `&mut self` nearly everywhere, because the kernel answers EBUSY to a second dump on
/// one socket. For the same reason a call should be waited for, not dropped halfway.
///
/// It works in the network namespace of the thread that opened it and runs its runtime.
#[derive(Debug)]
pub struct Net {
    handle: Handle,
    /// Of the netlink socket behind `handle`.
    port: u32,
    reference: Reference,
    /// Read back and equal; from here a flip suffices.
    proven: Option<Posture>,
    /// Of the rule set that was read back; none where somebody changed it in the same moment.
    generation: Option<u32>,
    turned: Turned,
    /// How often this has loaded a whole rule set, whose counters begin anew.
    loads: u64,
}

impl Net {
    /// Needs a tokio runtime, which carries the netlink connection, and root.
    pub async fn open() -> Result<Self> {
        let (mut connection, handle, _) = rtnetlink::new_connection().context("no netlink socket")?;
        let address = connection.socket_mut().socket_mut().bind_auto().context("no netlink address")?;
        tokio::spawn(connection);
        let reference = Reference::start().await?;
        let (port, turned) = (address.port_number(), Turned::default());
        Ok(Self { handle, port, reference, proven: None, generation: None, turned, loads: 0 })
    }

    /// The netlink port from which this changes the kernel.
    pub const fn port(&self) -> u32 {
        self.port
    }

    /// Makes the kernel look so and reads it back; `Ok` is what may be told as true.
    ///
    /// The rule set comes first, because it alone keeps the promise, and forwarding last. After an error nothing is
    /// known but what the error says.
    pub async fn apply(&mut self, posture: &Posture) -> Result<(), ApplyError> {
        let proven = self.proven.take();
        self.load(posture, proven.as_ref()).await?;
        self.make_beside_rule_set(posture).await?;
        let differences = self.differences_beside_rule_set(posture).await?;
        if !differences.is_empty() {
            return Err(ApplyError::Differs(differences));
        }
        self.proven = Some(posture.clone());
        Ok(())
    }

    /// What in the kernel is not as `posture` says, as readable lines; none if it is. For whoever asks beside the
    /// looks of [`Net::drift`], which must find the same.
    pub async fn differences(&mut self, posture: &Posture) -> Result<Vec<String>> {
        Ok(self.compare(posture).await?.0)
    }

    /// And the generation that was listed.
    async fn compare(&mut self, posture: &Posture) -> Result<(Vec<String>, Option<u32>)> {
        let wanted = self.reference.of(posture).await?;
        let (listing, generation) = on_a_blocking_thread(listing_of_one_generation).await??;
        let mut lines = match listing {
            Ok(found) => found.differences(&wanted),
            Err(error) => vec![format!("the rule set cannot be read: {error}")],
        };
        lines.extend(self.differences_beside_rule_set(posture).await?);
        Ok((lines, generation))
    }

    /// As [`Net::differences`] from what was read back last, for a look every second: the rule set is listed only if
    /// there was a transaction since. Nothing while nothing is proven.
    pub async fn drift(&mut self) -> Result<Vec<String>> {
        let Some(posture) = self.proven.clone() else { return Ok(Vec::new()) };
        if self.generation.is_none() || self.generation != Some(generation::now()?) {
            let (lines, generation) = self.compare(&posture).await?;
            if lines.is_empty() {
                self.generation = generation;
            } else {
                self.proven = None;
            }
            return Ok(lines);
        }
        self.differences_beside_rule_set(&posture).await
    }

    /// Of the rule set that was read back last.
    pub const fn generation(&self) -> Option<u32> {
        self.generation
    }

    /// What the kernel held when it was last read back; `None` after a failure, or before the first order.
    pub const fn proven(&self) -> Option<&Posture> {
        self.proven.as_ref()
    }

    /// Whether the kernel forwards, in both families.
    pub fn forwards(&self) -> Result<bool> {
        Ok(sysctl::differences(&forwarding())?.is_empty())
    }

    /// What the rule set has counted since it was loaded.
    pub async fn count(&self) -> Result<Count> {
        let load = self.loads;
        Ok(on_a_blocking_thread(move || usage::count(load)).await??)
    }

    /// Switches forwarding off until a posture is applied again.
    pub fn stop_forwarding(&self) -> Result<()> {
        sysctl::stop_forwarding()
    }

    /// The house's interface as it is now; `None` if it is missing, down, unplugged or without an address.
    pub async fn uplink(&mut self, interface: &str) -> Result<Option<Uplink>> {
        uplink::uplink(&self.handle, interface).await
    }

    /// What this interface of the house is like.
    pub async fn link_state(&mut self, interface: &str) -> Result<LinkState> {
        house::state(&self.handle, interface).await
    }

    /// Takes it down with all that it holds.
    pub async fn lower(&mut self, interface: &str) -> Result<()> {
        house::lower(&self.handle, interface).await
    }

    /// Makes an interface of the house come up and hold what it should, if there is one of this name; `anew`: what is lent to it begins to last from now.
    pub async fn attach(&mut self, interface: (Medium, &str), wanted: &Link, anew: bool) -> Result<()> {
        self.turned.keep(interface.1);
        house::make(&self.handle, interface, wanted, anew).await
    }

    /// Removes these from an interface of the house: they are not lent any more.
    pub async fn take_back(&mut self, interface: &str, over: &[IpNet]) -> Result<()> {
        house::take_back(&self.handle, interface, over).await
    }

    /// Those of the gateways that have a valid neighbour entry, with it. The kernel is nudged to look for the others: ask
    /// again.
    pub async fn routers(&mut self, interface: &str, gateways: &[IpAddr]) -> Result<Vec<(IpAddr, Mac)>> {
        uplink::routers(&self.handle, interface, gateways).await
    }

    /// Makes an interface come up and hold these addresses alone, if there is one of this name.
    pub async fn serve(&mut self, interface: &str, addresses: &[IpNet]) -> Result<()> {
        house::serve(&self.handle, interface, addresses).await
    }

    async fn load(&mut self, posture: &Posture, proven: Option<&Posture>) -> Result<(), ApplyError> {
        let suffices = match proven.map(|proven| (proven, posture.facts.differ(&proven.facts))) {
            Some((proven, _)) if posture.differs_in_refused_alone(proven) => Some(ruleset::refuse(posture)),
            Some((_, Difference::Nothing)) => Some(ruleset::flip(posture)),
            Some((_, Difference::Candidates | Difference::Relay)) => Some(ruleset::flip_to_relay(posture)),
            Some((_, Difference::Addresses | Difference::More)) | None => None,
        };
        if let Some(text) = suffices {
            match self.load_and_compare(text, posture).await {
                Ok(()) => return Ok(()),
                Err(error) => tracing::debug!(%error, "a flip does not suffice, loading the whole rule set"),
            }
        }
        commit(ruleset::whole(posture)).await?;
        self.loads += 1;
        self.compare_rule_set(posture).await
    }

    async fn load_and_compare(&mut self, text: String, posture: &Posture) -> Result<(), ApplyError> {
        commit(text).await?;
        self.compare_rule_set(posture).await
    }

    /// The reference is made beside the reading, and not before: the door counts, so it goes first.
    async fn compare_rule_set(&mut self, posture: &Posture) -> Result<(), ApplyError> {
        let reading = on_a_blocking_thread(listing_of_one_generation);
        let (found, wanted) = tokio::join!(reading, self.reference.of(posture));
        let (found, generation) = found??;
        let differences = found.context("the rule set was loaded but not read back")?.differences(&wanted?);
        self.generation = generation;
        if differences.is_empty() { Ok(()) } else { Err(ApplyError::Differs(differences)) }
    }

    async fn make_beside_rule_set(&self, posture: &Posture) -> Result<(), ApplyError> {
        if let Some(end) = &posture.facts.tunnel
            && !links::make(&self.handle, end).await?
        {
            return Err(ApplyError::NoTunnel);
        }
        let plan = routing::plan(posture);
        routes::make(&self.handle, &plan.routes).await?;
        rules::make(&self.handle, &plan.rules).await?;
        sysctl::write(&before_forwarding(posture))?;
        sysctl::write(&forwarding())?;
        sysctl::write(&after_forwarding(posture))?;
        Ok(())
    }

    async fn differences_beside_rule_set(&self, posture: &Posture) -> Result<Vec<String>> {
        let plan = routing::plan(posture);
        let mut lines = rules::differences(&self.handle, &plan.rules).await?;
        lines.extend(routes::differences(&self.handle, &plan.routes).await?);
        if let Some(end) = &posture.facts.tunnel {
            lines.extend(links::differences(&self.handle, end).await?);
        }
        for sysctls in [before_forwarding(posture), forwarding(), after_forwarding(posture)] {
            lines.extend(sysctl::differences(&sysctls)?);
        }
        Ok(lines)
    }
}

async fn commit(text: String) -> Result<()> {
    let began = Instant::now();
    on_a_blocking_thread(move || nft::commit(&text)).await?.context("the rule set was not loaded")?;
    tracing::debug!(elapsed_us = began.elapsed().as_micros(), "rule set committed");
    Ok(())
}

/// Drops the tracked flows of every epoch before this one. A flip meanwhile does not matter: those flows were of
/// neither door any more.
pub async fn forget(epoch: Epoch) -> Result<()> {
    on_a_blocking_thread(move || conntrack::forget_older(epoch)).await?
}

/// With the generation that it is of; none if there was a transaction in between.
fn listing_of_one_generation() -> Result<(Result<Listing, nft::Error>, Option<u32>)> {
    let before = generation::now()?;
    let listing = nft::listing();
    Ok((listing, Some(before).filter(|before| generation::now().is_ok_and(|after| after == *before))))
}

/// It inherits the calling thread's network namespace.
async fn on_a_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.context("a blocking call did not end")
}
