//! Speaks tailscaled's `LocalAPI` over its unix socket: one request a connection, typed answers, errors in words.
//!
//! Decides nothing and repeats nothing. What the JSON looks like is in `wire.rs`; the stream of changes in
//! `bus.rs`. Endpoints and error forms: tailscale 1.102.3 `ipn/localapi/localapi.go`.

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use byway_core::clients::Roll;
use byway_core::tailnet::{Preference, Status, Ways};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{net::UnixStream, task::JoinSet, time::timeout};

use super::{
    AuthKey,
    bus::Bus,
    wire::{Caller, DerpMapReply, DnsReply, Peer, StatusReply, TailscaledPrefs, WhoIsReply, masked},
};

/// The only Host besides none that tailscaled accepts.
const HOST: &str = "local-tailscaled.sock";
const PATIENCE: Duration = Duration::from_secs(5);
/// The same, where it waits for the control server's answer.
const PATIENCE_WITH_CONTROL: Duration = Duration::from_secs(10);
/// Tailscale's own map of relay servers is the longest, and stays well below.
const LONGEST_ANSWER: usize = 256 << 10;
/// A status with some thousand peers stays below.
const LONGEST_LIST: usize = 4 << 20;

/// Why a call failed. `call` is the method and the endpoint, as `GET status`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("nobody answers on {}", socket.display())]
    Unreachable { socket: PathBuf, source: io::Error },
    #[error("tailscaled leaves {call} unanswered for {} s", patience.as_secs())]
    Silent { call: String, patience: Duration },
    #[error("tailscaled refuses {call}: {message}")]
    Refused { call: String, status: StatusCode, message: String },
    #[error("this tailscaled is built without {call}: use the one that byway builds")]
    Missing { call: String },
    #[error("tailscaled broke off {call}")]
    Broken { call: String, source: hyper::Error },
    #[error("tailscaled answers {call} with what byway does not understand: {reason}")]
    Garbled { call: String, reason: String },
}

/// A client of one tailscaled; cheap to clone, connects anew for each call.
#[derive(Debug, Clone)]
pub struct LocalApi {
    socket: PathBuf,
    patience: Duration,
}

impl LocalApi {
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), patience: PATIENCE }
    }

    #[cfg(test)]
    pub(super) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The process that listens on the socket, even if it answers nothing (`SO_PEERCRED`).
    pub async fn pid(&self) -> Result<i32, Error> {
        let credentials = self.connect().await?.peer_cred();
        let pid = credentials.and_then(|it| it.pid().ok_or_else(|| io::ErrorKind::NotFound.into()));
        pid.map_err(|source| Error::Unreachable { socket: self.socket.clone(), source })
    }

    pub async fn status(&self) -> Result<Status, Error> {
        let reply: StatusReply = self.get("status?peers=false").await?;
        reply.status().map_err(|e| Error::Garbled { call: "GET status".into(), reason: e.to_string() })
    }

    /// Everybody else on the tailnet, by name.
    pub async fn peers(&self) -> Result<Vec<Peer>, Error> {
        let reply: StatusReply = self.get_up_to(LONGEST_LIST, "status").await?;
        Ok(reply.peers())
    }

    /// The same, and where tailscaled answers their questions for names.
    pub async fn roll(&self) -> Result<Roll, Error> {
        let reply: StatusReply = self.get_up_to(LONGEST_LIST, "status").await?;
        Ok(reply.roll())
    }

    /// How the box is reached, but for what its router has to do with it.
    pub async fn ways(&self) -> Result<Ways, Error> {
        let reply: StatusReply = self.get_up_to(LONGEST_LIST, "status").await?;
        Ok(reply.ways())
    }

    /// Makes it ask the house's router for a port, for three seconds at most; the answer is made for people.
    pub async fn debug_portmap(&self) -> Result<String, Error> {
        let answer = self.call(Method::GET, "debug-portmap?duration=3s", None).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    pub async fn prefs(&self) -> Result<TailscaledPrefs, Error> {
        self.get("prefs").await
    }

    pub async fn change_prefs(&self, changes: &[Preference]) -> Result<(), Error> {
        self.call(Method::PATCH, "prefs", Some(masked(changes))).await.map(drop)
    }

    /// Begins anew with `prefs` as changed, which is the only way to another control server.
    pub async fn start(
        &self,
        prefs: &TailscaledPrefs,
        changes: &[Preference],
        auth_key: Option<&AuthKey>,
    ) -> Result<(), Error> {
        let options = json!({
            "UpdatePrefs": prefs.changed(changes),
            "AuthKey": auth_key.map_or("", AuthKey::reveal),
        });
        self.call(Method::POST, "start", Some(options)).await.map(drop)
    }

    pub async fn login_interactive(&self) -> Result<(), Error> {
        self.call(Method::POST, "login-interactive", None).await.map(drop)
    }

    /// The control server forgets the node, and tailscaled its key.
    pub async fn log_out(&self) -> Result<(), Error> {
        let patient = Self { patience: PATIENCE_WITH_CONTROL, ..self.clone() };
        patient.call(Method::POST, "logout", None).await.map(drop)
    }

    /// Host names and addresses of the tailnet's relay servers, which the box must always be able to reach.
    pub async fn derp_hosts(&self) -> Result<BTreeSet<String>, Error> {
        let reply: DerpMapReply = self.get("derpmap").await?;
        Ok(reply.hosts())
    }

    /// What its resolver says of a name and type, as a DNS message. Only plain names: they stand in a URL as they are.
    pub async fn dns_query(&self, name: &str, kind: &str) -> Result<Vec<u8>, Error> {
        let reply: DnsReply = self.get(&format!("dns-query?name={name}&type={kind}")).await?;
        reply.message().map_err(|e| Error::Garbled { call: "GET dns-query".into(), reason: e.to_string() })
    }

    /// Who of the tailnet speaks from this address; `None`: nobody.
    pub async fn whois(&self, addr: SocketAddr) -> Result<Option<Caller>, Error> {
        match self.get::<WhoIsReply>(&format!("whois?addr={addr}")).await {
            Ok(reply) => Ok(Some(reply.caller())),
            Err(Error::Missing { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The stream of changes; the first notice comes at once.
    pub async fn watch(&self) -> Result<Bus, Error> {
        let path = format!("watch-ipn-bus?mask={}", super::bus::MASK);
        let request = request(Method::GET, &path, None);
        let (response, connection) = self.patiently("GET watch-ipn-bus", self.send(request)).await?;
        if response.status() != StatusCode::OK {
            return Err(refusal("GET watch-ipn-bus".into(), response).await);
        }
        Ok(Bus::new(response.into_body(), connection, self.patience))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.get_up_to(LONGEST_ANSWER, path).await
    }

    async fn get_up_to<T: DeserializeOwned>(&self, longest: usize, path: &str) -> Result<T, Error> {
        let answer = self.exchange(request(Method::GET, path, None), longest).await?;
        serde_json::from_slice(&answer)
            .map_err(|e| Error::Garbled { call: call_name(&Method::GET, path), reason: e.to_string() })
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Vec<u8>, Error> {
        self.exchange(request(method, path, body), LONGEST_ANSWER).await
    }

    async fn exchange(&self, request: Request<Full<Bytes>>, longest: usize) -> Result<Vec<u8>, Error> {
        let name = request_name(&request);
        let exchange = async {
            let (response, _connection) = self.send(request).await?;
            if !response.status().is_success() {
                return Err(refusal(name.clone(), response).await);
            }
            let garbled = |reason| Error::Garbled { call: name.clone(), reason };
            read(response, longest).await.map_err(garbled)
        };
        self.patiently(&name, exchange).await
    }

    async fn patiently<T>(
        &self,
        call: &str,
        exchange: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let silent = |_| Error::Silent { call: call.into(), patience: self.patience };
        timeout(self.patience, exchange).await.map_err(silent)?
    }

    /// The connection ends when the returned set is dropped: nothing lingers at a tailscaled that hangs.
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<(Response<Incoming>, JoinSet<()>), Error> {
        let broken = |source| Error::Broken { call: request_name(&request), source };
        let io = TokioIo::new(self.connect().await?);
        let (mut sender, connection) = http1::handshake(io).await.map_err(broken)?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // Whatever ends the connection early is told to whoever waits for the answer.
            let _ = connection.await;
        });
        let name = request_name(&request);
        let response = sender.send_request(request).await;
        Ok((response.map_err(|source| Error::Broken { call: name, source })?, driver))
    }

    async fn connect(&self) -> Result<UnixStream, Error> {
        let connected = UnixStream::connect(&self.socket).await;
        connected.map_err(|source| Error::Unreachable { socket: self.socket.clone(), source })
    }
}

fn request(method: Method, path: &str, body: Option<Value>) -> Request<Full<Bytes>> {
    let body = body.map(|it| it.to_string()).unwrap_or_default();
    Request::builder()
        .method(method)
        .uri(format!("/localapi/v0/{path}"))
        .header(header::HOST, HOST)
        .body(Full::from(body))
        .expect("paths are made of our own words, numbers and socket addresses")
}

fn request_name(request: &Request<Full<Bytes>>) -> String {
    call_name(request.method(), request.uri().path().trim_start_matches("/localapi/v0/"))
}

/// Without the query.
fn call_name(method: &Method, path: &str) -> String {
    let name = path.split('?').next().unwrap_or(path);
    format!("{method} {name}")
}

async fn read(response: Response<Incoming>, longest: usize) -> Result<Vec<u8>, String> {
    let (mut body, mut answer) = (response.into_body(), Vec::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|e| e.to_string())?.into_data() else { continue };
        if answer.len() + data.len() > longest {
            return Err(format!("more than {} KiB", longest >> 10));
        }
        answer.extend_from_slice(&data);
    }
    Ok(answer)
}

async fn refusal(call: String, response: Response<Incoming>) -> Error {
    let status = response.status();
    if status == StatusCode::NOT_FOUND {
        return Error::Missing { call };
    }
    let body = read(response, LONGEST_ANSWER).await.unwrap_or_default();
    Error::Refused { call, status, message: reason_in(&body).unwrap_or_else(|| status.to_string()) }
}

/// The three forms: `{"Error":".."}`, `{"error":".."}`, plain text.
fn reason_in(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let told = json.get("Error").or_else(|| json.get("error")).and_then(Value::as_str);
    let line = told.unwrap_or(&text).lines().next()?.trim();
    (!line.is_empty()).then(|| line.chars().take(200).collect())
}

#[cfg(test)]
mod tests;
