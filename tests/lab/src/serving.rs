//! Servers of the test's own process that live in a namespace until their handle is dropped. What they answer is the
//! caller's word.

use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::namespace::Namespace;

/// A thread with a runtime of its own. Dropping it closes every socket that was opened there.
#[derive(Debug)]
pub(crate) struct Serving {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// Runs `open` inside, which opens sockets and spawns what serves them; returns when it has.
    pub(crate) fn start<F>(
        namespace: &Namespace,
        name: &str,
        open: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Self>
    where
        F: Future<Output = Result<()>>,
    {
        let (stop, stopped) = oneshot::channel();
        let (tell_ready, ready) = mpsc::sync_channel(1);
        let inside = namespace.clone();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let runtime = match inside.join().and_then(|()| runtime()) {
                Ok(runtime) => runtime,
                Err(error) => return tell_ready.send(Err(error)).unwrap_or_default(),
            };
            runtime.block_on(async {
                // A send fails only when nobody is left who could be told.
                let _ = tell_ready.send(open().await);
                let _ = stopped.await;
            });
        })?;
        ready.recv().map_err(|_| anyhow!("the thread {name} panicked"))??;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has failed the test that noticed silence.
            let _ = thread.join();
        }
    }
}

fn runtime() -> Result<Runtime> {
    // One thread: a second one would open its sockets in the machine's own namespace.
    Builder::new_current_thread().enable_all().build().context("cannot start a runtime")
}
