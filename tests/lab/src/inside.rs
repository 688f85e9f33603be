//! Threads that live in a network namespace until their handle is finished or dropped. Makes no namespaces.

use std::convert::Infallible;
use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{Builder, JoinHandle};

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, setns};

/// A running thread. Dropping it tells the thread to end, without waiting.
#[derive(Debug)]
pub struct Inside<T> {
    name: String,
    goes_on: SyncSender<Infallible>,
    thread: JoinHandle<Result<T>>,
}

/// Tells the thread when its handle is gone.
#[derive(Debug)]
pub struct StopSign(Receiver<Infallible>);

impl StopSign {
    pub fn is_up(&self) -> bool {
        match self.0.try_recv() {
            Err(TryRecvError::Disconnected) => true,
            Err(TryRecvError::Empty) => false,
            Ok(never) => match never {},
        }
    }
}

impl<T: Send + 'static> Inside<T> {
    /// Enters the namespace on a new thread, opens what the thread needs, and only then returns; `run` goes on
    /// from there until the stop sign is up.
    pub fn start<S: 'static>(
        netns: &Path,
        name: &str,
        open: impl FnOnce() -> Result<S> + Send + 'static,
        run: impl FnOnce(S, &StopSign) -> Result<T> + Send + 'static,
    ) -> Result<Self> {
        let namespace = File::open(netns).with_context(|| format!("open namespace {}", netns.display()))?;
        let (goes_on, stopped) = sync_channel(0);
        let (tell_opened, opened) = sync_channel(1);
        let body = move || {
            let entered =
                setns(&namespace, CloneFlags::CLONE_NEWNET).context("enter the namespace: are you root?");
            match entered.and_then(|()| open()) {
                Ok(state) => {
                    drop(tell_opened);
                    run(state, &StopSign(stopped))
                }
                Err(error) => {
                    // Room for one: the starter waits for it.
                    let _ = tell_opened.send(error);
                    Err(anyhow!("never opened"))
                }
            }
        };
        let thread =
            Builder::new().name(name.into()).spawn(body).with_context(|| format!("start thread {name}"))?;
        match opened.recv() {
            Ok(error) => Err(error.context(format!("{name} in {}", netns.display()))),
            Err(_) => Ok(Self { name: name.into(), goes_on, thread }),
        }
    }

    /// Puts the stop sign up, waits for the thread and takes what it made.
    pub fn finish(self) -> Result<T> {
        drop(self.goes_on);
        let made = self
            .thread
            .join()
            .map_err(|_| anyhow!("thread {} panicked: see its message above", self.name))?;
        made.with_context(|| self.name)
    }
}
