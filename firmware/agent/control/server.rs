//! The agent's side of the control socket.

mod clients;
mod panel;
mod relays;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use byway_core::View;
use byway_core::clients::PausedClient;
use byway_core::relays::RelayId;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::socket::{Shutdown, shutdown};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

use super::callers::{Asking, Asks, Callers, MOST, MOST_FOLLOWERS};
use super::{Asked, ClientRequest, EgressRequest, Failure, Question, Relay, Status, UseRequest, WaitRequest};
use crate::clock;
use crate::inspect::Inspector;
use crate::mullvad::Counter;
use crate::panel::Request as PanelRequest;
use crate::tailnet::LocalApi;

type Body = BoxBody<Bytes, Infallible>;

/// There are no others.
const PATHS: [&str; 13] = [
    "/v1/status",
    "/v1/events",
    "/v1/egress",
    "/v1/toggle",
    "/v1/clients",
    "/v1/doctor",
    "/v1/dns",
    "/v1/dns/log",
    "/v1/relays",
    "/v1/relays/catalogue",
    "/v1/relays/test",
    "/v1/panel",
    "/v1/panel/test",
];

/// Longest request body, and longest wait for a verdict.
const BODY_LIMIT: usize = 4096;
const WAIT_LIMIT: Duration = Duration::from_mins(2);
/// For a request's head, and once more for its body.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of each connection, either way; a longer head is refused.
const BUFFER: usize = 16 * 1024;
const MOST_TURNED_AWAY: usize = 8;

/// What somebody wishes, by whatever way.
#[derive(Clone, Debug)]
pub enum Wanted {
    Egress(byway_core::Wish),
    Toggle,
    UseRelay(RelayId),
    TestRelays,
    PauseClient(PausedClient),
    /// By its node's id.
    ResumeClient(String),
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
    /// To the stub.
    pub questions: mpsc::Sender<Question>,
    pub tailscaled: LocalApi,
    /// To the panel's thread.
    pub panel: mpsc::Sender<PanelRequest>,
    /// `None`: the configuration names no account.
    pub mullvad: Option<Counter>,
    /// `None`: there is no configuration to inspect anything by.
    pub inspector: Option<Arc<Inspector>>,
}

/// One caller's side of the desk.
#[derive(Clone, Debug)]
struct Seat {
    desk: Desk,
    asks: Asks,
    followers: Arc<Semaphore>,
    /// An inspection looks at everything: one at a time.
    inspection: Arc<Mutex<()>>,
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
    let (mut callers, mut turned_away) = (Callers::default(), VecDeque::new());
    let followers = Arc::new(Semaphore::new(MOST_FOLLOWERS));
    let inspection = Arc::default();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "control socket: a caller got lost");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if !callers.make_room() {
            turn_away(&stream);
            // For a while: whoever is about to ask shall still hear why not.
            turned_away.push_front(stream);
            turned_away.truncate(MOST_TURNED_AWAY);
            continue;
        }
        let asks = Asks::default();
        let (followers, inspection) = (Arc::clone(&followers), Arc::clone(&inspection));
        let seat = Seat { desk: desk.clone(), asks: asks.clone(), followers, inspection };
        callers.enter(asks, tokio::spawn(converse(stream, seat)).abort_handle());
    }
}

async fn converse(stream: UnixStream, seat: Seat) {
    let service = service_fn(|request| answer(seat.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "control socket: the caller went away");
    }
}

/// Without waiting: a new socket has room for it.
fn turn_away(stream: &UnixStream) {
    let error = format!("{MOST} callers wait for an answer already: end some, or try again");
    let body = serde_json::to_string(&Failure { error }).unwrap_or_default();
    let head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close";
    _ = stream.try_write(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    _ = shutdown(stream.as_raw_fd(), Shutdown::Write);
}

async fn answer(seat: Seat, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let outcome = route(&seat, request).await;
    Ok(outcome.unwrap_or_else(|Refusal(code, error)| json(code, &Failure { error })))
}

async fn route(seat: &Seat, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
    let Seat { desk, asks, followers, inspection } = seat;
    let path = request.uri().path().to_owned();
    match (request.method(), path.as_str()) {
        (&Method::GET, "/v1/status") => Ok(ok(&status(&desk.views.borrow()))),
        (&Method::GET, "/v1/events") => events(desk.views.clone(), asks.begin(), followers),
        (&Method::PUT, "/v1/egress") => {
            let asked: EgressRequest = read(request).await?;
            let _asking = asks.begin();
            order(desk, Wanted::Egress(asked.egress), asked.wait_s).await
        }
        (&Method::POST, "/v1/toggle") => {
            let asked: WaitRequest = read(request).await?;
            let _asking = asks.begin();
            order(desk, Wanted::Toggle, asked.wait_s).await
        }
        (&Method::GET, "/v1/relays") => Ok(ok(&Relay::list(&desk.views.borrow(), clock::now()))),
        (&Method::PUT, "/v1/relays") => {
            let asked: UseRequest = read(request).await?;
            let _asking = asks.begin();
            relays::use_one(desk, &asked.relay, asked.wait_s).await
        }
        (&Method::GET, "/v1/relays/catalogue") => {
            relays::catalogue(desk, request.uri().query().unwrap_or_default())
        }
        (&Method::POST, "/v1/relays/test") => {
            let asked: WaitRequest = read(request).await?;
            let _asking = asks.begin();
            relays::test(desk, asked.wait_s).await
        }
        (&Method::GET, "/v1/panel") => panel::show(desk, asks).await,
        (&Method::POST, "/v1/panel/test") => panel::test(desk, asks, read(request).await?).await,
        (&Method::GET, "/v1/clients") => clients::list(&desk.views.borrow().clone()),
        (&Method::PUT, "/v1/clients") => {
            let asked: ClientRequest = read(request).await?;
            let _asking = asks.begin();
            clients::pause(desk, &asked).await
        }
        (&Method::GET, "/v1/doctor") => {
            let (_asking, _turn) = (asks.begin(), inspection.lock().await);
            let view = desk.views.borrow().clone();
            Ok(ok(&inspector(desk)?.doctor(&view).await))
        }
        (&Method::GET, "/v1/dns") => {
            let asked = asked(request.uri().query().unwrap_or_default())?;
            let _asking = asks.begin();
            ask_name(desk, asked).await
        }
        (&Method::GET, "/v1/dns/log") => {
            let _asking = asks.begin();
            log_of_names(desk).await
        }
        (method, known) if PATHS.contains(&known) => {
            Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, format!("{known} does not take {method}")))
        }
        _ => Err(Refusal(StatusCode::NOT_FOUND, format!("no such path: {path}"))),
    }
}

fn inspector(desk: &Desk) -> Result<&Inspector, Refusal> {
    let nobody = || Refusal(StatusCode::SERVICE_UNAVAILABLE, desk.views.borrow().why.clone());
    desk.inspector.as_deref().ok_or_else(nobody)
}

/// Hands the wish on and waits until it is reached, replaced by another, or the time is over.
async fn order(desk: &Desk, wanted: Wanted, wait_s: u64) -> Result<Response<Body>, Refusal> {
    let view = hand_on(desk, wanted).await?;
    let wish = view.wish;
    let view = wait_until(desk, view, wait_s, move |view| view.wish != wish || view.is_as_wished()).await?;
    Ok(ok(&status(&view)))
}

/// The view right after the core heard of it.
async fn hand_on(desk: &Desk, wanted: Wanted) -> Result<View, Refusal> {
    let (heard, answer) = oneshot::channel();
    desk.orders.send(Order { wanted, heard }).await.map_err(|_| stopping())?;
    answer.await.map_err(|_| stopping())
}

/// The first view that is the verdict, beginning with this one, or the newest when the time is over.
async fn wait_until(
    desk: &Desk,
    view: View,
    wait_s: u64,
    mut is_verdict: impl FnMut(&View) -> bool,
) -> Result<View, Refusal> {
    if wait_s == 0 || is_verdict(&view) {
        return Ok(view);
    }
    let mut views = desk.views.clone();
    let wait = Duration::from_secs(wait_s).min(WAIT_LIMIT);
    let outcome = match timeout(wait, views.wait_for(is_verdict)).await {
        Ok(Ok(verdict)) => Some(verdict.clone()),
        Ok(Err(_)) => return Err(stopping()),
        Err(_elapsed) => None,
    };
    Ok(outcome.unwrap_or_else(|| desk.views.borrow().clone()))
}

fn stopping() -> Refusal {
    Refusal(StatusCode::SERVICE_UNAVAILABLE, "the agent is stopping".to_owned())
}

fn asked(query: &str) -> Result<Asked, Refusal> {
    let bad = |error: String| Refusal(StatusCode::BAD_REQUEST, error);
    let (mut name, mut kind) = (None, None);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match key.as_ref() {
            "name" => name = Some(value),
            "type" => kind = Some(value),
            other => return Err(bad(format!("{other:?} is not known: there are name and type"))),
        }
    }
    let name = name.ok_or_else(|| bad("no name: write /v1/dns?name=example.org".to_owned()))?;
    Asked::new(&name, kind.as_deref().unwrap_or("A")).map_err(bad)
}

async fn ask_name(desk: &Desk, asked: Asked) -> Result<Response<Body>, Refusal> {
    let told = ask_stub(desk, |answer| Question::Ask { asked, answer }).await?;
    told.map(|told| ok(&told)).map_err(|error| Refusal(StatusCode::SERVICE_UNAVAILABLE, error))
}

async fn log_of_names(desk: &Desk) -> Result<Response<Body>, Refusal> {
    let off = "questions are not kept: write log = true below [dns] and start the agent anew";
    let log = ask_stub(desk, |answer| Question::Log { answer }).await?;
    log.map(|log| ok(&log)).ok_or_else(|| Refusal(StatusCode::NOT_FOUND, off.to_owned()))
}

async fn ask_stub<T>(
    desk: &Desk,
    question: impl FnOnce(oneshot::Sender<T>) -> Question,
) -> Result<T, Refusal> {
    let unserved = || Refusal(StatusCode::SERVICE_UNAVAILABLE, "names are not served".to_owned());
    let (answer, told) = oneshot::channel();
    desk.questions.send(question(answer)).await.map_err(|_| unserved())?;
    match timeout(PATIENCE, told).await {
        Ok(Ok(told)) => Ok(told),
        Ok(Err(_)) | Err(_) => Err(unserved()),
    }
}

/// A follower that does not read is told the last change when it reads again; in between nothing is kept for it.
fn events(
    views: watch::Receiver<View>,
    asking: Asking,
    followers: &Arc<Semaphore>,
) -> Result<Response<Body>, Refusal> {
    let Ok(place) = Arc::clone(followers).try_acquire_owned() else {
        let error = format!("{MOST_FOLLOWERS} follow the events already: end one");
        return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, error));
    };
    let first = Some((views, None::<View>, (place, asking)));
    let changes = stream::unfold(first, |state| async move {
        let (mut views, told, kept) = state?;
        let view = match told {
            None => views.borrow_and_update().clone(),
            Some(told) => next_change(&mut views, &told).await?,
        };
        let json = serde_json::to_string(&status(&view)).ok()?;
        let frame = Frame::data(Bytes::from(format!("data: {json}\n\n")));
        Some((Ok::<_, Infallible>(frame), Some((views, Some(view), kept))))
    });
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(changes)));
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

async fn next_change(views: &mut watch::Receiver<View>, told: &View) -> Option<View> {
    let told = told.without_ages();
    let view = views.wait_for(|view| view.without_ages() != told).await.ok()?;
    Some(view.clone())
}

async fn read<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Refusal> {
    let bad = |error: String| Refusal(StatusCode::BAD_REQUEST, format!("the request's body: {error}"));
    let body = timeout(PATIENCE, Limited::new(request.into_body(), BODY_LIMIT).collect()).await;
    let body = body.map_err(|_| bad(format!("it did not come within {} s", PATIENCE.as_secs())))?;
    let bytes = body.map_err(|error| bad(error.to_string()))?.to_bytes();
    let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))
}

fn status(view: &View) -> Status {
    Status::new(view, clock::now())
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
