//! Where people meet the box: the panel shows it and hears the button, the socket tells it and hears the commands.

use std::path::Path;
use std::sync::Arc;

use byway_core::watchdog::Part;
use byway_core::{Input, View};
use tokio::sync::{mpsc, watch};

use crate::config;
use crate::control::Question;
use crate::control::server::{self, Desk, Order};
use crate::inspect::Inspector;
use crate::mullvad::Counter;
use crate::panel::{self, Thread, Wires};
use crate::tailnet::{self, LocalApi};
use crate::watchdog::Pulses;

/// A press that was not heard yet gives way to the next.
const PRESSES: usize = 1;
/// Who looks at the panel from afar; more than these wait.
const REQUESTS: usize = 4;

/// What both are told, and whom they ask.
pub(super) struct Hall {
    pub(super) views: watch::Receiver<View>,
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) questions: mpsc::Sender<Question>,
    /// `None`: the configuration names no account.
    pub(super) mullvad: Option<Counter>,
    /// `None`: there is no configuration to inspect anything by.
    pub(super) inspector: Option<Arc<Inspector>>,
}

/// What is pressed. `thread`: the panel's.
pub(super) fn receive(
    panel: &config::Panel,
    run_dir: &Path,
    Hall { views, orders, questions, mullvad, inspector }: Hall,
    pulses: &Pulses,
    thread: &mut Option<Thread>,
) -> anyhow::Result<mpsc::Receiver<Input>> {
    let (press, presses) = mpsc::channel(PRESSES);
    let (ask, requests) = mpsc::channel(REQUESTS);
    let wires = Wires {
        views: views.clone(),
        agent: pulses.of(Part::Loop),
        requests,
        presses: press,
        pulses: pulses.clone(),
    };
    *thread = Some(panel::start(panel.clone(), wires)?);
    let tailscaled = LocalApi::new(tailnet::socket(run_dir));
    let desk = Desk { views, orders, questions, tailscaled, panel: ask, mullvad, inspector };
    tokio::spawn(server::serve(server::listen(run_dir)?, desk));
    Ok(presses)
}
