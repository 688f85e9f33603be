//! The agent's socket, spoken to without the agent's own client: each change that it tells, with the time at which it
//! came, and requests as a script would make them. Judges nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::wait::PATIENCE;

/// A stream of `GET /v1/events`, which ends with the agent.
#[derive(Debug)]
pub struct Events(Receiver<(SystemTime, Value)>);

impl Events {
    pub(crate) fn follow(socket: &Path) -> Result<Self> {
        let mut stream = connect(socket)?;
        // HTTP/1.0: the body comes as it is, without chunks.
        stream.write_all(b"GET /v1/events HTTP/1.0\r\n\r\n")?;
        let (tell, told) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let Some(status) =
                    line.strip_prefix("data: ").and_then(|json| serde_json::from_str(json).ok())
                else {
                    continue;
                };
                if tell.send((SystemTime::now(), status)).is_err() {
                    return; // nobody listens any more
                }
            }
        });
        let events = Self(told);
        events.wait("the agent's first word", PATIENCE, |_| true)?;
        Ok(events)
    }

    /// All that was told since somebody looked last.
    pub fn so_far(&self) -> Vec<Value> {
        self.0.try_iter().map(|(_, status)| status).collect()
    }

    /// The next status that passes `wanted`, and when it came; what came before it is forgotten.
    pub fn wait(
        &self,
        what: &str,
        patience: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<(SystemTime, Value)> {
        let deadline = Instant::now() + patience;
        let mut last = Value::Null;
        loop {
            match self.0.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((at, status)) if wanted(&status) => return Ok((at, status)),
                Ok((_, status)) => last = status,
                Err(RecvTimeoutError::Timeout) => bail!("waited {patience:?} for {what}; told last: {last}"),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("the agent ended before {what}; told last: {last}")
                }
            }
        }
    }
}

/// One request, such as `POST /v1/toggle`, without waiting for more than its answer; the status that it tells.
pub fn request(socket: &Path, call: &str, body: &str) -> Result<Value> {
    let mut stream = connect(socket)?;
    write!(stream, "{call} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, json) = answer.split_once("\r\n\r\n").context("no answer")?;
    ensure!(head.contains(" 200 "), "{call}: {head}: {json}");
    Ok(serde_json::from_str(json)?)
}

fn connect(socket: &Path) -> Result<UnixStream> {
    UnixStream::connect(socket).with_context(|| format!("nobody listens on {}", socket.display()))
}
