//! What one opening of a door has for names: connections to the door's upstream, and its answers. Nothing of it
//! outlives the opening; whoever waits in it when the door is shut is told so at once.

use std::time::Instant;

use byway_core::Egress;
use hickory_proto::op::ResponseCode;
use tokio::sync::watch;

use super::cache::Cache;
use super::health::Health;
use super::private;
use super::question::Question;
use super::reply::{By, Reply};
use super::upstream::{Failure, Upstream};

/// Which door is open, as the core says; every change of it shuts the opening before.
pub(super) type Door = watch::Receiver<Option<Egress>>;

#[derive(Debug)]
pub(super) struct Opening {
    egress: Egress,
    upstream: Upstream,
    cache: Cache,
    door: Door,
}

impl Opening {
    /// `door` has been looked at, and this is what it said.
    pub(super) fn new(egress: Egress, upstream: Upstream, door: Door) -> Self {
        Self { egress, upstream, cache: Cache::new(), door }
    }

    pub(super) fn is_shut(&self) -> bool {
        self.door.has_changed().unwrap_or(true)
    }

    pub(super) async fn shut(&self) {
        // An agent that is gone has shut every door.
        _ = self.door.clone().changed().await;
    }

    pub(super) fn remembered(&self, question: &Question) -> Option<Reply> {
        let message = self.cache.get(&question.key(), Instant::now())?;
        (!self.is_shut()).then(|| Reply::of(self.by(), message).out_of_cache())
    }

    /// Asks the upstream, unless the door is shut meanwhile.
    pub(super) async fn ask(&self, question: &Question, allowed: &[String], health: &Health) -> Reply {
        tokio::select! {
            biased;
            () = self.shut() => Reply::sealed(),
            reply = self.ask_upstream(question, allowed, health) => if self.is_shut() { Reply::sealed() } else { reply },
        }
    }

    async fn ask_upstream(&self, question: &Question, allowed: &[String], health: &Health) -> Reply {
        let asked = Instant::now();
        match self.upstream.ask(&question.to_upstream()).await {
            Ok(mut message) => {
                // That it failed to find out says neither that it is well nor that it is not.
                if message.response_code != ResponseCode::ServFail {
                    health.answered(self.egress, asked.elapsed());
                }
                let key = question.key();
                if private::leave_out(&mut message, &key.name, allowed) {
                    return Reply::of(self.by(), message).without_private();
                }
                Reply::of(self.by(), self.cache.keep(key, message, Instant::now()))
            }
            Err(Failure::Busy) => Reply::too_busy(),
            Err(failure) => {
                let reason = failure.to_string();
                let reply = Reply::no_answer(self.by(), &format!("the upstream of this door: {reason}"));
                health.failed(self.egress, reason);
                reply
            }
        }
    }

    /// So that the first question need not wait for a connection, and a wrong certificate is told before it.
    pub(super) async fn warm(&self, health: &Health) {
        tokio::select! {
            () = self.shut() => {}
            made = self.upstream.connect() => if let Err(failure) = made {
                health.failed(self.egress, failure.to_string());
            },
        }
    }

    const fn by(&self) -> By {
        By::Door(self.egress)
    }
}
