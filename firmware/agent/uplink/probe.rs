//! Asks the LAN, before an address of the owner's choice is held, whether another machine has it (RFC 5227 2.1): arping,
//! again and again while one has.

use std::io;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::Duration;

use byway_core::uplink::{LinkInput, Medium, Probed};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::child;

const PROGRAM: &str = "arping";
/// Between two questions for an address that is taken.
const PAUSE: Duration = Duration::from_secs(10);

/// Asks until the address is free, or this is dropped, which takes the child with it.
#[derive(Debug)]
pub(super) struct Probe {
    _asking: JoinSet<()>,
}

impl Probe {
    pub(super) fn start(
        medium: Medium,
        interface: &str,
        address: Ipv4Addr,
        tell: mpsc::Sender<LinkInput>,
    ) -> Self {
        let interface = interface.to_owned();
        let ask = async move {
            loop {
                let probed = ask(&interface, address).await.unwrap_or_else(|error| {
                    tracing::warn!("nobody knows whether {address} is taken: {PROGRAM}: {error}");
                    Probed::Free
                });
                // Nobody listens any more when the agent is stopping.
                _ = tell.send(LinkInput::Probed(medium, address, probed)).await;
                match probed {
                    Probed::Free => return,
                    Probed::Taken => sleep(PAUSE).await,
                }
            }
        };
        let mut asking = JoinSet::new();
        asking.spawn(ask);
        Self { _asking: asking }
    }
}

/// Twice within two seconds, as somebody who has no address yet.
async fn ask(interface: &str, address: Ipv4Addr) -> io::Result<Probed> {
    let mut command = Command::new(PROGRAM);
    command.args(["-D", "-q", "-c", "2", "-w", "2", "-I", interface, &address.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match child::bound_to_us(&mut command).status().await?.code() {
        Some(0) => Ok(Probed::Free),
        Some(1) => Ok(Probed::Taken),
        other => Err(io::Error::other(format!("ended with {other:?}"))),
    }
}
