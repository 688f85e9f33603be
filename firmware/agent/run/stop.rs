//! How the agent ends: by SIGTERM, by a person's Ctrl-C, for another configuration, or by a panic; each leaves the box
//! sealed.

use tokio::signal::unix::{self, SignalKind};

use crate::last_words;
use crate::net;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGTERM: tailscaled stays, it is the owner's way in.
    Terminate,
    /// SIGINT: a person stops the whole.
    Interrupt,
    /// A stick has brought another configuration: the agent starts anew, and tailscaled stays.
    Renew,
}

pub(super) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

impl Signals {
    pub(super) fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
        })
    }

    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        }
    }
}

/// A panic anywhere, in any thread, seals the box before it ends the agent.
pub fn seal_on_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        if let Err(error) = net::seal_for_good() {
            tracing::error!("the box is not sealed: {error:#}");
        }
        last_words::panicked(panic);
        std::process::exit(101);
    }));
}
