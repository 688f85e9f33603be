//! The last questions of clients, only in memory, and only if the owner asked for it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::question::Question;
use super::reply::Reply;
use crate::control::Logged;

const MOST: usize = 200;

#[derive(Debug)]
pub(super) struct Log(Option<Mutex<VecDeque<Logged>>>);

impl Log {
    pub(super) fn kept(kept: bool) -> Self {
        Self(kept.then(Mutex::default))
    }

    pub(super) fn note(&self, client: IpAddr, question: &Question, reply: &Reply, took: Duration) {
        let Some(log) = &self.0 else { return };
        let logged = Logged {
            at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            client,
            name: question.name(),
            kind: question.query.query_type().to_string(),
            rcode: reply.code_name(),
            by: reply.by.to_string(),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        };
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_back(logged);
        if log.len() > MOST {
            log.pop_front();
        }
    }

    /// The oldest first; `None`: they are not kept.
    pub(super) fn told(&self) -> Option<Vec<Logged>> {
        let log = self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(log.iter().cloned().collect())
    }
}
