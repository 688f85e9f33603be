//! How it is spoken to: HTTPS, at each of its addresses, a request of which becomes an answer and is remembered.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use futures_util::{StreamExt as _, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::answer::{Answer, Refusal};
use super::{Mood, Replacing, State, addresses, locked};
use crate::internet::{accept, listen_at};

/// A request that has reached it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub at: SystemTime,
    /// Whom it saw.
    pub from: IpAddr,
    /// At which of its addresses.
    pub to: IpAddr,
    pub method: String,
    pub path: String,
    /// What was answered, whether it arrived or not.
    pub status: u16,
}

/// The parts of a request that count.
struct Call<'a> {
    method: &'a str,
    path: &'a str,
    token: Option<&'a str>,
    tag: Option<&'a str>,
    body: &'a [u8],
}

impl Call<'_> {
    fn is_for_a_new_key(&self) -> bool {
        matches!(self.method, "POST" | "PUT") && self.path.starts_with("/accounts/v1/devices")
    }
}

#[derive(Deserialize)]
struct Login {
    account_number: String,
}

#[derive(Deserialize)]
struct NewDevice {
    pubkey: String,
    hijack_dns: bool,
}

#[derive(Deserialize)]
struct NewKey {
    pubkey: String,
}

/// Who speaks to whom.
#[derive(Clone, Copy)]
struct Ends {
    from: IpAddr,
    to: IpAddr,
}

/// Listens when this returns.
pub(super) async fn open(own: TlsAcceptor, strangers: TlsAcceptor, state: Arc<Mutex<State>>) -> Result<()> {
    for to in addresses() {
        let (own, strangers, state) = (own.clone(), strangers.clone(), Arc::clone(&state));
        tokio::spawn(accept(listen_at((to, 443).into()).await?, move |stream, from| {
            let is_strange = locked(&state).mood == Mood::Stranger;
            let tls = if is_strange { strangers.clone() } else { own.clone() };
            serve(tls, stream, Ends { from, to }, Arc::clone(&state))
        }));
    }
    Ok(())
}

async fn serve(tls: TlsAcceptor, stream: TcpStream, ends: Ends, state: Arc<Mutex<State>>) -> Result<()> {
    let stream = TokioIo::new(tls.accept(stream).await?);
    let service = service_fn(move |request| hear(request, ends, Arc::clone(&state)));
    Ok(http1::Builder::new().serve_connection(stream, service).await?)
}

async fn hear(
    request: Request<Incoming>,
    ends: Ends,
    state: Arc<Mutex<State>>,
) -> Result<Response<BoxBody<Bytes, io::Error>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let of = |name| head.headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let call = Call {
        method: head.method.as_str(),
        path: head.uri.path(),
        token: of(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer ")),
        tag: of(header::IF_NONE_MATCH),
        body: &body,
    };
    let (answer, delivery) = locked(&state).take(&call, ends);
    match delivery {
        Delivery::Whole => {}
        Delivery::After(pause) => tokio::time::sleep(pause).await,
        Delivery::Cut => return Ok(response(&answer, cut(&answer.body))),
    }
    let whole = Full::new(Bytes::from(answer.body.clone())).map_err(|never: Infallible| match never {});
    Ok(response(&answer, whole.boxed()))
}

/// How an answer gets to whoever waits for it.
enum Delivery {
    Whole,
    After(Duration),
    Cut,
}

impl State {
    fn take(&mut self, call: &Call<'_>, ends: Ends) -> (Answer, Delivery) {
        let at = SystemTime::now();
        let (answer, delivery) = match self.mood {
            Mood::Good | Mood::Stranger => (self.answer(call, at), Delivery::Whole),
            Mood::Cut => (self.answer(call, at), Delivery::Cut),
            Mood::CutDevices => {
                let delivery = if call.is_for_a_new_key() { Delivery::Cut } else { Delivery::Whole };
                (self.answer(call, at), delivery)
            }
            Mood::Slow(pause) => (self.answer(call, at), Delivery::After(pause)),
            Mood::Busy(pause) => (Answer::later(pause), Delivery::Whole),
            Mood::Garbage => (Answer::garbage(), Delivery::Whole),
        };
        let Ends { from, to } = ends;
        let (method, path) = (call.method.to_owned(), call.path.to_owned());
        self.asked.push(Asked { at, from, to, method, path, status: answer.status });
        (answer, delivery)
    }

    fn answer(&mut self, call: &Call<'_>, now: SystemTime) -> Answer {
        let answer = self.route(call, now).unwrap_or_else(Answer::from);
        match self.tell_relays() {
            Ok(()) => answer,
            Err(error) => Answer { status: 500, header: None, body: format!("{error:#}") },
        }
    }

    fn route(&mut self, call: &Call<'_>, now: SystemTime) -> Result<Answer, Refusal> {
        let path: Vec<&str> = call.path.split('/').skip(1).collect();
        match (call.method, &path[..]) {
            ("GET", ["app", "v1", "relays"]) => Ok(self.list.answer(call.tag)),
            ("POST", ["auth", "v1", "token"]) => {
                let Login { account_number } = read(call.body)?;
                Ok(Answer::json(200, &self.accounts.log_in(&account_number, now)?))
            }
            (method, ["accounts", "v1", rest @ ..]) => {
                let account = self.accounts.owner(call.token, now)?;
                self.of_account(&account, (method, rest), call.body, now)
            }
            _ => Err(Refusal::NoSuchPath),
        }
    }

    fn of_account(
        &mut self,
        account: &str,
        (method, path): (&str, &[&str]),
        body: &[u8],
        now: SystemTime,
    ) -> Result<Answer, Refusal> {
        match (method, path) {
            ("GET", ["accounts", "me"]) => Ok(Answer::json(200, &self.accounts.me(account)?)),
            ("GET", ["devices"]) => Ok(Answer::json(200, &self.accounts.devices(account))),
            ("POST", ["devices"]) => {
                let NewDevice { pubkey, hijack_dns } = read(body)?;
                require_key(&pubkey)?;
                let device = self.accounts.register(account, (&pubkey, hijack_dns), now)?;
                Ok(Answer::json(201, &device))
            }
            ("GET", ["devices", id]) => Ok(Answer::json(200, &self.accounts.device(account, id)?)),
            ("DELETE", ["devices", id]) => {
                self.accounts.remove(account, id, now)?;
                Ok(Answer::empty(204))
            }
            ("PUT", ["devices", id, "pubkey"]) => {
                let NewKey { pubkey } = read(body)?;
                require_key(&pubkey)?;
                let elsewhere = self.replacing == Replacing::Elsewhere;
                Ok(Answer::json(200, &self.accounts.replace(account, id, (&pubkey, elsewhere), now)?))
            }
            _ => Err(Refusal::NoSuchPath),
        }
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::BadRequest)
}

/// 32 bytes in Base64.
fn require_key(text: &str) -> Result<(), Refusal> {
    if text.len() == 44 && text.ends_with('=') { Ok(()) } else { Err(Refusal::BadRequest) }
}

fn response(answer: &Answer, body: BoxBody<Bytes, io::Error>) -> Response<BoxBody<Bytes, io::Error>> {
    let mut response = Response::builder().status(answer.status);
    if !answer.body.is_empty() {
        response = response
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, answer.body.len());
    }
    if let Some((name, value)) = &answer.header {
        response = response.header(*name, value);
    }
    response.body(body).expect("numbers and texts of this file make a head")
}

/// Half of it, and then nothing but the connection's end.
fn cut(body: &str) -> BoxBody<Bytes, io::Error> {
    let half = Bytes::copy_from_slice(&body.as_bytes()[..body.len() / 2]);
    let end = async {
        // What was handed over before is sent meanwhile.
        tokio::task::yield_now().await;
        Err(io::Error::from(ErrorKind::ConnectionReset))
    };
    let parts = stream::iter([Ok(Frame::data(half))]).chain(stream::once(end));
    BoxBody::new(StreamBody::new(parts))
}
