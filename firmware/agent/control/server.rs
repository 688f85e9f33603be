//! The agent's side of the control socket.

use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use byway_core::View;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::{EgressRequest, Failure, Status, ToggleRequest};
use crate::clock;
use crate::inspect::Inspector;

type Body = BoxBody<Bytes, Infallible>;

/// Longest request body, and longest wait for a verdict.
const BODY_LIMIT: usize = 4096;
const WAIT_LIMIT: Duration = Duration::from_mins(2);

/// What somebody wishes, by whatever way.
#[derive(Clone, Copy, Debug)]
pub enum Wanted {
    Egress(byway_core::Wish),
    Toggle,
}

/// A wish on its way to the core; the answer is the view right after the core heard of it.
#[derive(Debug)]
pub struct Order {
    pub wanted: Wanted,
    pub heard: oneshot::Sender<View>,
}

/// What the server needs of the rest of the agent.
#[derive(Clone, Debug)]
pub struct Desk {
    pub views: watch::Receiver<View>,
    pub orders: mpsc::Sender<Order>,
    pub inspector: Arc<Inspector>,
}

/// A refusal, with its status code.
struct Refusal(StatusCode, String);

/// Replaces a socket that a dead agent left; the lock has made sure that none lives.
pub fn listen(run_dir: &Path) -> anyhow::Result<UnixListener> {
    let path = super::socket_path(run_dir);
    if path.exists() {
        fs::remove_file(&path).with_context(|| format!("cannot remove the old {}", path.display()))?;
    }
    let listener =
        UnixListener::bind(&path).with_context(|| format!("cannot listen at {}", path.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660))
        .with_context(|| format!("cannot set the mode of {}", path.display()))?;
    Ok(listener)
}

pub async fn serve(listener: UnixListener, desk: Desk) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "control socket: a caller got lost");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let desk = desk.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(desk.clone(), request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "control socket: the caller went away");
            }
        });
    }
}

async fn answer(desk: Desk, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let outcome = route(&desk, request).await;
    Ok(outcome.unwrap_or_else(|Refusal(code, error)| json(code, &Failure { error })))
}

async fn route(desk: &Desk, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
    let path = request.uri().path().to_owned();
    match (request.method(), path.as_str()) {
        (&Method::GET, "/v1/status") => Ok(ok(&status(&desk.views.borrow()))),
        (&Method::GET, "/v1/events") => Ok(events(desk.views.clone())),
        (&Method::PUT, "/v1/egress") => {
            let asked: EgressRequest = read(request).await?;
            order(desk, Wanted::Egress(asked.egress), asked.wait_s).await
        }
        (&Method::POST, "/v1/toggle") => {
            let asked: ToggleRequest = read(request).await?;
            order(desk, Wanted::Toggle, asked.wait_s).await
        }
        (&Method::GET, "/v1/clients") => match desk.inspector.clients().await {
            Ok(clients) => Ok(ok(&clients)),
            Err(error) => Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}"))),
        },
        (&Method::GET, "/v1/doctor") => {
            let view = desk.views.borrow().clone();
            Ok(ok(&desk.inspector.doctor(&view).await))
        }
        (_, "/v1/status" | "/v1/events" | "/v1/egress" | "/v1/toggle" | "/v1/clients" | "/v1/doctor") => {
            Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, format!("{path} does not take {}", request.method())))
        }
        _ => Err(Refusal(StatusCode::NOT_FOUND, format!("no such path: {path}"))),
    }
}

/// Hands the wish on and waits until it is reached, replaced by another, or the time is over.
async fn order(desk: &Desk, wanted: Wanted, wait_s: u64) -> Result<Response<Body>, Refusal> {
    let gone = || Refusal(StatusCode::SERVICE_UNAVAILABLE, "the agent is stopping".to_owned());
    let mut views = desk.views.clone();
    let (heard, answer) = oneshot::channel();
    desk.orders.send(Order { wanted, heard }).await.map_err(|_| gone())?;
    let mut view = answer.await.map_err(|_| gone())?;
    let wish = view.wish;
    let wait = Duration::from_secs(wait_s).min(WAIT_LIMIT);
    let reached = views.wait_for(|view| view.wish != wish || view.is_as_wished());
    if wait_s > 0 && !view.is_as_wished() {
        match timeout(wait, reached).await {
            Ok(Ok(verdict)) => view = verdict.clone(),
            Ok(Err(_)) => return Err(gone()),
            Err(_elapsed) => {}
        }
        if !view.is_as_wished() {
            view = desk.views.borrow().clone();
        }
    }
    Ok(ok(&status(&view)))
}

fn events(views: watch::Receiver<View>) -> Response<Body> {
    let first = Some((views, None::<View>));
    let changes = stream::unfold(first, |state| async move {
        let (mut views, told) = state?;
        let view = match told {
            None => views.borrow_and_update().clone(),
            Some(told) => next_change(&mut views, &told).await?,
        };
        let json = serde_json::to_string(&status(&view)).ok()?;
        let frame = Frame::data(Bytes::from(format!("data: {json}\n\n")));
        Some((Ok::<_, Infallible>(frame), Some((views, Some(view)))))
    });
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(changes)));
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("text/event-stream"));
    response
}

async fn next_change(views: &mut watch::Receiver<View>, told: &View) -> Option<View> {
    let told = told.without_ages();
    let view = views.wait_for(|view| view.without_ages() != told).await.ok()?;
    Some(view.clone())
}

async fn read<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Refusal> {
    let bad = |error: String| Refusal(StatusCode::BAD_REQUEST, format!("the request's body: {error}"));
    let body = Limited::new(request.into_body(), BODY_LIMIT).collect().await;
    let bytes = body.map_err(|error| bad(error.to_string()))?.to_bytes();
    let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))
}

fn status(view: &View) -> Status {
    Status::new(view, clock::now(), clock::source())
}

fn ok(answer: &impl Serialize) -> Response<Body> {
    json(StatusCode::OK, answer)
}

fn json(code: StatusCode, answer: &impl Serialize) -> Response<Body> {
    let text = serde_json::to_vec(answer).expect("our types have string keys only");
    let mut response = Response::new(BodyExt::boxed(Full::from(text)));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    response
}
