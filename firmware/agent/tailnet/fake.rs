//! A tailscaled of words for tests: answers `LocalAPI` over a unix socket as told, and remembers what it was
//! asked. Checks, as the real one does, the Host of every request.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response,
    body::{Bytes, Frame, Incoming},
    header::HOST,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::mpsc,
    task::JoinSet,
};

use super::localapi::LocalApi;

type Body = UnsyncBoxBody<Bytes, Infallible>;

pub(super) struct Fake {
    folder: tempfile::TempDir,
    words: Arc<Mutex<Words>>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct Words {
    answers: BTreeMap<String, (u16, String)>,
    /// What is said for ever, call by call, and how many bytes of it were taken.
    endless: BTreeMap<String, &'static [u8]>,
    taken: Arc<AtomicUsize>,
    asked: Vec<(String, Value)>,
    watchers: Vec<mpsc::Sender<String>>,
}

impl Fake {
    /// Knows its preferences, accepts every change, and has a bus; the rest has to be told.
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let words = Arc::new(Mutex::new(Words::default()));
        let mut serving = JoinSet::new();
        serving.spawn(serve(bind(&super::socket(folder.path())), words.clone()));
        let fake = Self { folder, words, _serving: serving };
        fake.answer("GET prefs", 200, IN_ORDER);
        for call in ["PATCH prefs", "POST start", "POST login-interactive"] {
            fake.answer(call, 204, "");
        }
        fake
    }

    pub(super) fn run_dir(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn api(&self) -> LocalApi {
        LocalApi::new(super::socket(self.run_dir()))
    }

    pub(super) fn answer(&self, call: &str, status: u16, body: &str) {
        self.words().answers.insert(call.into(), (status, body.into()));
    }

    /// From now on the answer begins so and never ends.
    pub(super) fn never_end(&self, call: &str, beginning: &'static [u8]) {
        self.words().endless.insert(call.into(), beginning);
    }

    /// How much was taken of answers that never end.
    pub(super) fn taken(&self) -> usize {
        self.words().taken.load(Ordering::Relaxed)
    }

    /// What changed something, in order, with its body.
    pub(super) fn asked(&self) -> Vec<(String, Value)> {
        self.words().asked.clone()
    }

    pub(super) fn notify(&self, text: &str) {
        self.words().watchers.retain(|watcher| watcher.try_send(text.into()).is_ok());
    }

    /// False while the watchers have not taken what was said before.
    pub(super) fn try_notify(&self, text: &str) -> bool {
        self.words().watchers.iter().all(|watcher| watcher.try_send(text.into()).is_ok())
    }

    /// From now on its status has this complaint.
    pub(super) fn worry(&self, complaint: &str) {
        let mut words = self.words();
        let (_, text) = words.answers.get_mut("GET status").unwrap();
        let mut status: Value = serde_json::from_str(text).unwrap();
        status["Health"] = json!([complaint]);
        *text = status.to_string();
    }

    pub(super) fn hang_up(&self) {
        self.words().watchers.clear();
    }

    fn words(&self) -> MutexGuard<'_, Words> {
        self.words.lock().unwrap()
    }
}

/// Serves this status on this socket for ever.
pub(super) async fn serve_status(socket: PathBuf, status: &str) {
    let words = Arc::new(Mutex::new(Words::default()));
    words.lock().unwrap().answers.insert("GET status".into(), (200, status.into()));
    serve(bind(&socket), words).await;
}

/// One that was killed has left its socket.
fn bind(socket: &Path) -> UnixListener {
    let _ = std::fs::remove_file(socket);
    UnixListener::bind(socket).unwrap()
}

async fn serve(listener: UnixListener, words: Arc<Mutex<Words>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(converse(stream, words.clone()));
    }
}

async fn converse(stream: UnixStream, words: Arc<Mutex<Words>>) {
    let service = service_fn(move |request| answer(request, words.clone()));
    // A client that hangs up early is its own affair.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, words: Arc<Mutex<Words>>) -> Result<Response<Body>, Infallible> {
    assert_eq!(request.headers()[HOST], "local-tailscaled.sock");
    let endpoint = request.uri().path().strip_prefix("/localapi/v0/").unwrap();
    let call = format!("{} {endpoint}", request.method());
    let is_change = request.method() != Method::GET;
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut words = words.lock().unwrap();
    if is_change {
        words.asked.push((call.clone(), serde_json::from_slice(&body).unwrap_or_default()));
    }
    if let Some(beginning) = words.endless.get(&call) {
        return Ok(Response::new(words.go_on_for_ever(beginning)));
    }
    if call == "GET watch-ipn-bus" {
        return Ok(Response::new(words.watch()));
    }
    let (status, text) = words.answers.get(&call).cloned().unwrap_or((404, String::new()));
    Ok(Response::builder().status(status).body(Full::from(text).boxed_unsync()).unwrap())
}

impl Words {
    fn go_on_for_ever(&self, beginning: &'static [u8]) -> Body {
        let taken = Arc::clone(&self.taken);
        let more = stream::repeat_with(|| Bytes::from_static(&[b' '; 16384]));
        let frames = stream::iter([Bytes::from_static(beginning)]).chain(more).map(move |data| {
            taken.fetch_add(data.len(), Ordering::Relaxed);
            Ok(Frame::data(data))
        });
        StreamBody::new(frames).boxed_unsync()
    }

    fn watch(&mut self) -> Body {
        let (sender, receiver) = mpsc::channel(16);
        sender.try_send("{\"Version\":\"1.102.3\",\"SessionID\":\"x\",\"State\":2}\n".into()).unwrap();
        self.watchers.push(sender);
        let frames = stream::unfold(receiver, |mut receiver| async {
            let text: String = receiver.recv().await?;
            Some((Ok(Frame::data(Bytes::from(text))), receiver))
        });
        StreamBody::new(frames).boxed_unsync()
    }
}

/// Preferences as byway wants them.
const IN_ORDER: &str = r#"{"ControlURL":"https://hs.example.net","RouteAll":false,"ExitNodeID":"","ExitNodeIP":"",
    "CorpDNS":false,"RunSSH":false,"WantRunning":true,"LoggedOut":false,"ShieldsUp":false,"AdvertiseTags":null,
    "Hostname":"byway","AdvertiseRoutes":["0.0.0.0/0","::/0"],"NoSNAT":false,"NetfilterMode":0,
    "AutoUpdate":{"Check":false,"Apply":false},"Config":null}"#;

/// The status of an approved exit node with two peers.
pub(super) const RUNNING: &str = r#"{"BackendState":"Running","HaveNodeKey":true,"AuthURL":"","Health":[],"TUN":true,
    "Self":{"ID":"7","HostName":"byway","DNSName":"byway-1.t.example.net.","TailscaleIPs":["100.64.0.2"],
        "AllowedIPs":["100.64.0.2/32","0.0.0.0/0","::/0"],"KeyExpiry":"2027-05-01T00:00:00Z","Online":true},
    "Peer":{"nodekey:b":{"ID":"3","HostName":"iPhone","DNSName":"phone.t.example.net.","TailscaleIPs":["100.64.0.7"],
        "CurAddr":"203.0.113.20:41641","Relay":"lab","RxBytes":5,"TxBytes":9,"Online":true,"Active":true},
        "nodekey:a":{"ID":"2","HostName":"laptop","DNSName":"","TailscaleIPs":null,"CurAddr":"","Relay":"lab"}}}"#;
