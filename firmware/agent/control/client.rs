//! The command line's side of the control socket.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::{Failure, Status};

/// One agent, by its socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// The agent knows nothing of that name.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotFound(String);

impl Client {
    pub fn new(run_dir: &Path) -> Self {
        Self { socket: super::socket_path(run_dir) }
    }

    pub async fn get<Answer: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Answer> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    pub async fn send<Answer: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<Answer> {
        self.ask(method, path, serde_json::to_vec(body)?.into()).await
    }

    /// Calls `each` for every change of the status until it breaks, or the agent ends.
    pub async fn watch(&self, mut each: impl FnMut(&Status) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut answer = self.request(Method::GET, "/v1/events", Bytes::new()).await?;
        let mut line = Vec::new();
        while let Some(frame) = answer.body_mut().frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            for byte in data {
                if byte != b'\n' {
                    line.push(byte);
                    continue;
                }
                if let Some(json) = line.strip_prefix(b"data: ") {
                    each(&serde_json::from_slice(json)?)?;
                }
                line.clear();
            }
        }
        bail!("the agent has ended")
    }

    async fn ask<Answer: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        let answer = self.request(method, path, body).await?;
        let code = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if code.is_success() {
            return serde_json::from_slice(&body)
                .context("the agent's answer is of another version: restart it");
        }
        let failure: Failure = serde_json::from_slice(&body).context("the agent's answer is not JSON")?;
        Err(if code == StatusCode::NOT_FOUND {
            NotFound(failure.error).into()
        } else {
            anyhow!("{}", failure.error)
        })
    }

    async fn request(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Response<Incoming>> {
        let stream = UnixStream::connect(&self.socket).await.with_context(|| {
            format!(
                "no agent answers at {}: is `byway run` up, and --run-dir the same?",
                self.socket.display()
            )
        })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "byway")
            .header("content-type", "application/json")
            .body(Full::new(body))?;
        Ok(sender.send_request(request).await?)
    }
}
