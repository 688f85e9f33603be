//! The panel's lines: what it shows goes there, what is pressed and asked comes from there.

use std::sync::Arc;

use byway_core::{Input, Uptime, View};
use tokio::sync::{mpsc, watch};

use crate::clock;
use crate::config;
use crate::inspect::Inspector;
use crate::panel::{self, Request, Thread, Wires};

/// A press that was not heard yet gives way to the next.
const PRESSES: usize = 1;
/// Who looks at it from afar; more than these wait.
const REQUESTS: usize = 4;

/// How the panel is spoken with.
pub(super) struct Line {
    /// Whom to tell that the agent lives.
    pub(super) beat: watch::Sender<Uptime>,
    pub(super) presses: mpsc::Receiver<Input>,
    pub(super) ask: mpsc::Sender<Request>,
}

pub(super) fn show(
    config: &config::Panel,
    views: watch::Receiver<View>,
    inspector: Option<&Arc<Inspector>>,
    thread: &mut Option<Thread>,
) -> anyhow::Result<Line> {
    let (beat, pulse) = watch::channel(clock::uptime());
    let (press, presses) = mpsc::channel(PRESSES);
    let (ask, requests) = mpsc::channel(REQUESTS);
    let wires = Wires { views, pulse, requests, inspector: inspector.cloned(), presses: press };
    *thread = Some(panel::start(config.clone(), wires)?);
    Ok(Line { beat, presses, ask })
}
