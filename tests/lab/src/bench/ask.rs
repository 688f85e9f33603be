//! Asks the agent by its socket, as a button or a page does: no process is started inside the measured time.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::judge::Door;
use crate::stage::is_as_wished;
use crate::wait_for;

/// More than the agent may take for a verdict.
const PATIENCE: Duration = Duration::from_secs(15);

/// Wishes for a door and waits until the agent says that it is open.
pub(super) fn egress(run_dir: &Path, door: Door) -> Result<()> {
    let body = format!(r#"{{"egress":"{door}","wait_s":10}}"#);
    let status = ask(run_dir, "PUT", "/v1/egress", &body)?;
    ensure!(is_as_wished(&status), "not by {door} within 10 s: {status}");
    Ok(())
}

pub(super) fn status(run_dir: &Path) -> Result<Value> {
    ask(run_dir, "GET", "/v1/status", "")
}

/// Waits until the status passes `wanted`.
pub(super) fn wait_status(
    run_dir: &Path,
    what: &str,
    timeout: Duration,
    wanted: impl Fn(&Value) -> bool,
) -> Result<()> {
    wait_for(what, timeout, || {
        let status = status(run_dir)?;
        if wanted(&status) { Ok(()) } else { bail!("{status}") }
    })
}

fn ask(run_dir: &Path, method: &str, path: &str, body: &str) -> Result<Value> {
    let mut socket = UnixStream::connect(run_dir.join("byway.sock")).context("no agent answers")?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: byway\r\nconnection: close\r\ncontent-length: {length}");
    socket.write_all(format!("{head}\r\ncontent-type: application/json\r\n\r\n{body}").as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).context("the agent does not answer")?;
    let (_, json) = answer.split_once("\r\n\r\n").with_context(|| format!("no answer: {answer}"))?;
    serde_json::from_str(json).with_context(|| format!("no JSON: {answer}"))
}
