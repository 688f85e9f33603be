//! The way to the API: by the house's line, at the addresses that names give, else at the pinned one; always with a
//! certificate for its name.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use byway_core::account::Refusal;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::refusal::Asked;
use crate::config::{Host, Scheme};
use crate::dns::own::Names;
use crate::http::drive;
use crate::tls::{Trust, server_name};

const HOST: &str = "api.mullvad.net";
/// Where Mullvad's own app goes when names lead nowhere.
const PINNED: IpAddr = IpAddr::V4(Ipv4Addr::new(45, 83, 223, 196));
/// For one connection, with its handshake.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) type Body = Full<Bytes>;

pub(super) struct Server {
    host: Host,
    port: u16,
    pinned: SocketAddr,
    names: Arc<Names>,
    tls: Result<TlsConnector, String>,
    /// Where it was found last: names need not be asked for every call.
    pub(super) found: Option<SocketAddr>,
}

/// What it says to a request.
pub(super) struct Reply {
    pub(super) host: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Server {
    pub(super) fn of_mullvad(trust: &Trust, names: Arc<Names>) -> Self {
        let port = Scheme::Https.default_port();
        Self::new(Host::Name(HOST.to_owned()), port, SocketAddr::new(PINNED, port), trust, names)
    }

    pub(super) fn new(host: Host, port: u16, pinned: SocketAddr, trust: &Trust, names: Arc<Names>) -> Self {
        Self { host, port, pinned, names, tls: trust.clone().map(TlsConnector::from), found: None }
    }

    pub(super) const fn host(&self) -> &Host {
        &self.host
    }

    /// One request by a connection of its own; an answer of more than `most` bytes is none.
    pub(super) async fn ask(&mut self, mut request: Request<Body>, most: usize) -> Result<Reply, Refusal> {
        let host = self.host.to_string();
        let named = HeaderValue::from_str(&host).expect("a host's name is plain");
        request.headers_mut().insert(header::HOST, named);
        let stream = self.connect().await.map_err(Refusal::Unreachable)?;
        let (status, headers, body) =
            exchange(stream, request, most).await.map_err(|cut| cut.refusal(&host))?;
        Ok(Reply { host, status, headers, body })
    }

    /// Or why nobody who can show that he is this host is found.
    async fn connect(&mut self) -> Result<TlsStream<TcpStream>, String> {
        if let Some(found) = self.found.take()
            && let Ok(stream) = self.connect_to(found).await
        {
            self.found = Some(found);
            return Ok(stream);
        }
        let (addresses, mut reasons) = match self.names.resolve(&self.host).await {
            Ok(addresses) => (addresses, Vec::new()),
            Err(error) => (Vec::new(), vec![error.to_string()]),
        };
        for to in self.places(&addresses) {
            match self.connect_to(to).await {
                Ok(stream) => {
                    // The pinned one is for need: names are asked again.
                    self.found = Some(to).filter(|to| *to != self.pinned);
                    return Ok(stream);
                }
                Err(reason) => reasons.push(reason),
            }
        }
        Err(in_short(&reasons))
    }

    /// One of each family, as a house may have either; and the pinned one.
    fn places(&self, addresses: &[IpAddr]) -> Vec<SocketAddr> {
        let v4 = addresses.iter().find(|address| address.is_ipv4());
        let v6 = addresses.iter().find(|address| address.is_ipv6());
        let named = v4.into_iter().chain(v6).map(|address| SocketAddr::new(*address, self.port));
        named.filter(|place| *place != self.pinned).chain([self.pinned]).collect()
    }

    async fn connect_to(&self, to: SocketAddr) -> Result<TlsStream<TcpStream>, String> {
        let tls = self.tls.as_ref().map_err(Clone::clone)?;
        let name = server_name(&self.host)?;
        let connected = async {
            let stream = self.names.way().connect(to).await;
            let stream = stream.map_err(|error| format!("no connection to {to}: {error}"))?;
            let safe = tls.connect(name, stream).await;
            safe.map_err(|error| format!("no safe connection to {} at {to}: {error}", self.host))
        };
        let late = |_| Err(format!("no connection to {to} within {} s", PATIENCE.as_secs()));
        timeout(PATIENCE, connected).await.unwrap_or_else(late)
    }
}

/// Why the first place failed, and the last one.
fn in_short(reasons: &[String]) -> String {
    match reasons {
        [] => "there is nowhere to go".to_owned(),
        [reason] => reason.clone(),
        [first, .., last] => format!("{first}, and {last}"),
    }
}

pub(super) fn request(method: Method, path: &str, body: Vec<u8>) -> Request<Body> {
    let mut request = Request::new(Full::from(body));
    *request.method_mut() = method;
    *request.uri_mut() = Uri::try_from(path).expect("every path is ours, but for a name in it");
    let headers = request.headers_mut();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers
        .insert(header::USER_AGENT, HeaderValue::from_static(concat!("byway/", env!("CARGO_PKG_VERSION"))));
    request
}

/// How an exchange ends without an answer.
enum Cut {
    Short(String),
    Long(usize),
}

impl Cut {
    fn refusal(self, host: &str) -> Refusal {
        match self {
            Self::Short(reason) => Refusal::Unreachable(format!("{host} breaks off: {reason}")),
            Self::Long(most) => Refusal::Odd(format!("{host} answers more than {most} bytes")),
        }
    }
}

impl From<hyper::Error> for Cut {
    fn from(error: hyper::Error) -> Self {
        Self::Short(error.to_string())
    }
}

async fn exchange(
    stream: TlsStream<TcpStream>,
    request: Request<Body>,
    most: usize,
) -> Result<(StatusCode, HeaderMap, Bytes), Cut> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, most).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { Cut::Long(most) } else { Cut::Short(error.to_string()) }
        })?;
        Ok::<_, Cut>((parts.status, parts.headers, body.to_bytes()))
    };
    drive(connection, answer).await
}

impl Reply {
    /// The body of a success.
    pub(super) fn accepted(&self, asked: Asked) -> Result<&[u8], Refusal> {
        if self.status.is_success() { Ok(&self.body) } else { Err(super::refusal::refusal(self, asked)) }
    }

    /// A success that is none: `what` is its subject and verb.
    pub(super) fn odd(&self, what: std::fmt::Arguments<'_>) -> Refusal {
        Refusal::Odd(format!("{}'s {what}", self.host))
    }
}
