//! A box without any configuration: sealed, it says by panel and socket what is wrong, and waits for a stick that brings a
//! good one. The card is looked at again at the next start.

use std::path::Path;

use byway_core::View;
use byway_core::watchdog::Part;
use tokio::sync::{mpsc, watch};

use super::Paths;
use super::people::{self, Hall};
use super::start::{LOOK, ORDERS, rounds};
use super::stop::{Signal, Signals};
use crate::config;
use crate::panel::Thread;
use crate::watchdog::Pulses;
use crate::{board, clock, last_words, stick};

/// `why`: what the owner has to do, in a line.
pub(super) async fn wait(
    why: String,
    paths: &Paths,
    pulses: &Pulses,
    thread: &mut Option<Thread>,
) -> anyhow::Result<Signal> {
    let mut signals = Signals::listen()?;
    tracing::error!("{why}");
    let view = View {
        board: board::look(Path::new("/sys")),
        last_stop: last_words::sentence(),
        ..View::without_configuration(clock::uptime(), why)
    };
    let (_views, told) = watch::channel(view.clone());
    let ((ask, mut orders), (questions, _)) = (mpsc::channel(ORDERS), mpsc::channel(1));
    let hall = Hall { views: told, orders: ask, questions, mullvad: None, inspector: None };
    let mut presses = people::receive(&config::Panel::default(), &paths.run_dir, hall, pulses, thread)?;
    let mut stick = stick::watch(&paths.config, &paths.run_dir);
    let mut looks = rounds(LOOK);
    let pulse = pulses.begin(Part::Loop);
    loop {
        tokio::select! {
            signal = signals.next() => return Ok(signal),
            Some(()) = stick.recv() => return Ok(Signal::Renew),
            Some(order) = orders.recv() => {
                // Whoever asked may have gone away.
                _ = order.heard.send(view.clone());
            }
            Some(_) = presses.recv() => {}
            _ = looks.tick() => {}
        }
        pulse.tick();
    }
}
