//! What `nft` must list for a posture: the same text, loaded by the same nft into the same kernel, but in a scratch
//! network namespace that holds nothing else.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use anyhow::{Context as _, Result};
use byway_core::Posture;
use byway_core::posture::ruleset;
use nix::sched::{CloneFlags, unshare};
use tokio::sync::oneshot;

use super::listing::Listing;
use super::nft;

struct Order {
    text: String,
    answer: oneshot::Sender<Result<Listing, nft::Error>>,
}

/// The thread that lives in the scratch namespace; both end with this.
#[derive(Debug)]
pub(super) struct Reference {
    orders: SyncSender<Order>,
    last: Option<(Posture, Listing)>,
}

impl Reference {
    pub(super) async fn start() -> Result<Self> {
        // One asks at a time and waits.
        let (orders, inbox) = sync_channel(1);
        let (ready, started) = oneshot::channel();
        thread::Builder::new()
            .name(String::from("nft-reference"))
            .spawn(move || {
                // A thread has a network namespace of its own if it asks for one; so have the children it starts.
                let outcome = unshare(CloneFlags::CLONE_NEWNET);
                let alone = outcome.is_ok();
                if ready.send(outcome).is_ok() && alone {
                    serve(&inbox);
                }
            })
            .context("no thread for the scratch namespace")?;
        started
            .await
            .context("the scratch namespace's thread died")?
            .context("no scratch network namespace, is this root?")?;
        Ok(Self { orders, last: None })
    }

    pub(super) async fn of(&mut self, posture: &Posture) -> Result<Listing> {
        if let Some((known, listing)) = &self.last
            && known == posture
        {
            return Ok(listing.clone());
        }
        let (answer, listing) = oneshot::channel();
        let gone = "the scratch namespace's thread is gone, restart the agent";
        self.orders.try_send(Order { text: ruleset::whole(posture), answer }).ok().context(gone)?;
        let listing = listing.await.context(gone)?.context("in the scratch namespace")?;
        self.last = Some((posture.clone(), listing.clone()));
        Ok(listing)
    }
}

fn serve(orders: &Receiver<Order>) {
    while let Ok(Order { text, answer }) = orders.recv() {
        // Nobody may be waiting any more; the next order starts from scratch in any case.
        _ = answer.send(nft::load(&text).and_then(|()| nft::listing()));
    }
}
