//! What goes through the box, as the kernel has counted it: bytes of the tailnet's interface, and who has sent them. Who
//! counts as gone out lately is decided in [`byway_core::panel`].

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use byway_core::posture::TAILNET;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::inspect::Inspector;

/// Between two looks at who it is, which cost more than a look at how much.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// Looks go on for so long after the last byte, until nobody counts any more.
const LINGER: Duration = Duration::from_secs(90);

/// What each device has sent, once in a while as long as anything goes through; `None`: it cannot be told.
pub(super) fn watch_clients(
    inspector: Option<Arc<Inspector>>,
) -> mpsc::Receiver<Option<BTreeMap<String, u64>>> {
    let (tell, heard) = mpsc::channel(1);
    let Some(inspector) = inspector else { return heard };
    tokio::spawn(async move {
        let (mut before, mut moved) = (None, Instant::now());
        loop {
            let bytes = bytes();
            if bytes != before {
                (before, moved) = (bytes, Instant::now());
            }
            if moved.elapsed() < LINGER && tell.send(sent(&inspector).await).await.is_err() {
                return;
            }
            sleep(LOOK_EVERY).await;
        }
    });
    heard
}

async fn sent(inspector: &Inspector) -> Option<BTreeMap<String, u64>> {
    let mut sent = BTreeMap::<String, u64>::new();
    for client in inspector.clients().await.ok()? {
        let name = client.name.unwrap_or_else(|| client.address.to_string());
        *sent.entry(name).or_default() += client.tx_bytes;
    }
    Some(sent)
}

/// Both ways, since the interface was made; `None`: it is not there.
pub(super) fn bytes() -> Option<u64> {
    let counter = |name: &str| {
        let path = format!("/sys/class/net/{TAILNET}/statistics/{name}");
        fs::read_to_string(path).ok()?.trim().parse::<u64>().ok()
    };
    Some(counter("rx_bytes")?.wrapping_add(counter("tx_bytes")?))
}
