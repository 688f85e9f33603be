//! The stream of tailscaled's changes: says that something changed, and the errors that only it carries.
//!
//! What changed is read again from `status` and `prefs`, which are whole; so a lost notice costs only time.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::{task::JoinSet, time::timeout};

use super::localapi::Error;

/// Initial state, preferences and health (`ipn.NotifyWatchOpt` bits 1, 2 and 7): something at once, and then
/// nothing about peers, whose coming and going would wake the box for nothing.
pub(super) const MASK: u32 = 1 << 1 | 1 << 2 | 1 << 7;
/// What is longer is not kept: that something changed is all that byway needs of it.
const LONGEST_LINE: usize = 1 << 20;
const CALL: &str = "GET watch-ipn-bus";

/// One `ipn.Notify`, as far as byway uses it.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
pub struct Notice {
    /// A failure that the status does not tell, as a refused auth key.
    pub err_message: Option<String>,
}

/// An open `watch-ipn-bus`.
#[derive(Debug)]
pub struct Bus {
    body: Incoming,
    line: Vec<u8>,
    /// As much of it is known to hold no end of a line.
    searched: usize,
    /// The line began with more than is kept.
    is_too_long: bool,
    patience: Duration,
    _connection: JoinSet<()>,
}

impl Bus {
    pub(super) fn new(body: Incoming, connection: JoinSet<()>, patience: Duration) -> Self {
        Self { body, line: Vec::new(), searched: 0, is_too_long: false, patience, _connection: connection }
    }

    /// The notice that every watch begins with: without it the bus is as dead as if it were closed.
    pub async fn first(&mut self) -> Result<Notice, Error> {
        let silent = Error::Silent { call: CALL.into(), patience: self.patience };
        timeout(self.patience, self.next()).await.map_err(|_| silent)?
    }

    /// Waits for ever; loses nothing when dropped while waiting.
    pub async fn next(&mut self) -> Result<Notice, Error> {
        loop {
            if let Some(end) = self.line[self.searched..].iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.line.drain(..=self.searched + end).collect();
                self.searched = 0;
                if std::mem::take(&mut self.is_too_long) {
                    return Ok(Notice { err_message: None });
                }
                return serde_json::from_slice(&line).map_err(|e| garbled(&e.to_string()));
            }
            self.searched = self.line.len();
            if self.searched > LONGEST_LINE {
                self.line.clear();
                (self.searched, self.is_too_long) = (0, true);
            }
            self.receive().await?;
        }
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.line.capacity()
    }

    async fn receive(&mut self) -> Result<(), Error> {
        let frame = self.body.frame().await.ok_or_else(|| garbled("end of the stream"))?;
        let frame = frame.map_err(|source| Error::Broken { call: CALL.into(), source })?;
        if let Some(data) = frame.data_ref() {
            self.line.extend_from_slice(data);
        }
        Ok(())
    }
}

fn garbled(reason: &str) -> Error {
    Error::Garbled { call: CALL.into(), reason: reason.into() }
}
