//! How many may talk to the control socket at once, and who makes room: a caller that asks nothing, or takes its time
//! to ask, for one that comes new. So whatever holds connections open, memory and descriptors stay bounded and others
//! are served.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::AbortHandle;

/// Connections at once.
pub(super) const MOST: usize = 64;
/// Of these, as many may follow `GET /v1/events`.
pub(super) const MOST_FOLLOWERS: usize = 16;

/// Everybody who is connected, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Callers(VecDeque<Caller>);

#[derive(Debug)]
struct Caller {
    asks: Asks,
    connection: AbortHandle,
}

/// How many questions of one caller wait for their answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Asks(Arc<AtomicUsize>);

/// A question, until it is answered: whoever has one is not sent away.
#[derive(Debug)]
pub(super) struct Asking(Asks);

impl Callers {
    /// True when there is room for one more, which the one that was silent for longest may have had to make.
    pub(super) fn make_room(&mut self) -> bool {
        self.0.retain(|caller| !caller.connection.is_finished());
        if self.0.len() < MOST {
            return true;
        }
        let silent = self.0.iter().position(|caller| caller.asks.none());
        let Some(sent_away) = silent.and_then(|index| self.0.remove(index)) else { return false };
        sent_away.connection.abort();
        true
    }

    pub(super) fn enter(&mut self, asks: Asks, connection: AbortHandle) {
        self.0.push_back(Caller { asks, connection });
    }
}

impl Asks {
    pub(super) fn begin(&self) -> Asking {
        self.0.fetch_add(1, Ordering::Relaxed);
        Asking(self.clone())
    }

    fn none(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
