//! An agent's control socket with a core behind it that never reaches a door, in this process.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use byway::config::Url;
use byway::control::server::{Desk, Order, listen, serve};
use byway::control::{Question, Told, socket_path};
use byway::dns::HouseResolvers;
use byway::dns::own::Names;
use byway::inspect::Inspector;
use byway::mullvad::Counter;
use byway::net::Net;
use byway::panel::Request;
use byway::proof::{ExitCheck, Prober};
use byway::store::Store;
use byway::tailnet::LocalApi;
use byway::watchdog::Watch;
use byway_core::relays::{Keys, RelayId, RelayView, Role};
use byway_core::uplink::Offers;
use byway_core::{Core, Expect, Uptime, View, Wish};
use tokio::sync::{mpsc, watch};

use crate::of_panel::{self, FakePanel};
use crate::{COST, PATIENCE, eventually, hear, memory, sample, with_body};

/// One at a time: they are told apart by what the process has used.
static TURN: Mutex<()> = Mutex::new(());

/// An agent's socket with a core behind it that never reaches a door.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    pub(crate) views: watch::Sender<View>,
    /// Wishes that reached the core.
    pub(crate) heard: Arc<AtomicUsize>,
    /// The last of them.
    wanted: Arc<Mutex<String>>,
    pub(crate) panel: Arc<Mutex<FakePanel>>,
    before: u64,
    _turn: MutexGuard<'static, ()>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(None)
    }

    pub(crate) fn with(mullvad: Option<Counter>) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let (views, told) = watch::channel(core().view());
        let heard = Arc::new(AtomicUsize::new(0));
        let wanted = Arc::default();
        let panel = Arc::new(Mutex::new(FakePanel::new(core().view())));
        let run_dir = folder.path().to_owned();
        let (count, last) = (Arc::clone(&heard), Arc::clone(&wanted));
        let (asked, lookers) = mpsc::channel(4);
        let answered = Arc::clone(&panel);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.spawn(of_panel::answer(answered, lookers));
            runtime.block_on(run(&run_dir, told, (count, last), asked, mullvad));
        });
        eventually("the socket", || UnixStream::connect(socket_path(folder.path())).is_ok());
        let server = Self { folder, views, heard, wanted, panel, before: 0, _turn: turn };
        server.assert_serves();
        Self { before: memory("VmRSS"), ..server }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        socket_path(self.folder.path())
    }

    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub(crate) fn say(&self, words: &str) -> UnixStream {
        let mut stream = self.connect();
        stream.write_all(words.as_bytes()).unwrap();
        stream
    }

    pub(crate) fn ask(&self, call: &str) -> String {
        hear(&mut self.say(&format!("{call} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")))
    }

    /// Until the core has heard of it, and the caller waits.
    pub(crate) fn begin(&self, call: &str, body: &str) -> UnixStream {
        self.begin_with(|| self.say(&with_body(call, body)))
    }

    pub(crate) fn begin_with<Caller>(&self, call: impl FnOnce() -> Caller) -> Caller {
        let before = self.heard.load(Ordering::Relaxed);
        let caller = call();
        eventually("the wish to be heard", || self.heard.load(Ordering::Relaxed) == before + 1);
        self.settle();
        caller
    }

    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_byway"));
        command.args(words.split(' ')).arg("--run-dir").arg(self.folder.path());
        command
    }

    pub(crate) fn byway(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }

    pub(crate) fn last_wanted(&self) -> String {
        self.wanted.lock().unwrap().clone()
    }

    /// Until whoever waits has seen it.
    pub(crate) fn change(&self, change: impl FnOnce(&mut View)) {
        self.views.send_modify(change);
        self.settle();
    }

    /// The server's one thread takes new callers when nothing else is to be done: before the second one is answered,
    /// everything that was there before the first one is.
    pub(crate) fn settle(&self) {
        self.assert_serves();
        self.assert_serves();
    }

    pub(crate) fn assert_serves(&self) {
        let asked = Instant::now();
        let answer = self.ask("GET /v1/status");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"wish\":\"privacy\""), "{answer}");
        assert!(asked.elapsed() < PATIENCE, "only after {:?}", asked.elapsed());
    }

    pub(crate) fn assert_cheap(&self) {
        let grown = memory("VmRSS").saturating_sub(self.before);
        assert!(grown < COST, "{} KiB more than before", grown >> 10);
    }
}

async fn run(
    run_dir: &Path,
    views: watch::Receiver<View>,
    (heard, wanted): (Arc<AtomicUsize>, Arc<Mutex<String>>),
    panel: mpsc::Sender<Request>,
    mullvad: Option<Counter>,
) {
    let net = Arc::new(tokio::sync::Mutex::new(Net::open().await.unwrap()));
    let nobody = HouseResolvers::new(&[], watch::channel(Offers::default()).1);
    let names = || Arc::new(Names::by_isp(nobody.clone()));
    let check = ExitCheck::new(
        "http://192.0.2.80/".parse::<Url>().unwrap(),
        &byway::tls::trust(&byway::tls::authorities()),
    );
    let (tell, _inputs) = mpsc::channel(1);
    let prober = Prober::new(
        Arc::new(check),
        ("192.0.2.80".parse().unwrap(), &[]),
        (names(), names()),
        Expect::Any,
        tell,
    );
    let inspector = Inspector::new(
        (net, prober),
        Store::new(run_dir.join("state")),
        &sample::settings(),
        Vec::new(),
        Watch::default(),
        None,
    );
    let (ask, mut orders) = mpsc::channel::<Order>(16);
    let view = views.clone();
    tokio::spawn(async move {
        while let Some(order) = orders.recv().await {
            *wanted.lock().unwrap() = format!("{:?}", order.wanted);
            heard.fetch_add(1, Ordering::Relaxed);
            _ = order.heard.send(view.borrow().clone());
        }
    });
    let (questions, asked) = mpsc::channel(16);
    tokio::spawn(answer_names(asked));
    let tailscaled = LocalApi::new(run_dir.join("tailscaled.sock"));
    let desk = Desk {
        views,
        orders: ask,
        questions,
        tailscaled,
        panel,
        mullvad,
        inspector: Some(Arc::new(inspector)),
    };
    serve(listen(run_dir).unwrap(), desk).await;
}

/// A stub that asks nobody and keeps no log.
async fn answer_names(mut asked: mpsc::Receiver<Question>) {
    while let Some(question) = asked.recv().await {
        match question {
            Question::Ask { asked, answer } if asked.name == "refused.example" => {
                _ = answer.send(Err("the stub is busy".to_owned()));
            }
            Question::Ask { asked, answer } if asked.name != "nobody.example" => {
                let told = Told {
                    answers: Vec::from([format!("{}. 300 {} 192.0.2.1", asked.name, asked.kind)]),
                    name: asked.name,
                    kind: asked.kind,
                    rcode: "NOERROR".to_owned(),
                    by: "box".to_owned(),
                    upstream: None,
                    cached: false,
                    took_ms: 0,
                    note: None,
                };
                _ = answer.send(Ok(told));
            }
            // Falls silent.
            Question::Ask { .. } => {}
            Question::Log { answer } => _ = answer.send(None),
        }
    }
}

/// The first carries, and none was ever tested.
pub(crate) fn relays() -> [RelayView; 3] {
    let roles = [("b", Role::Active), ("a", Role::Standby), ("c", Role::Spare)];
    let mut places = 0..;
    roles.map(|(name, role)| RelayView {
        id: RelayId(places.next().unwrap()),
        keys: Keys::File(0),
        name: name.to_owned(),
        endpoint: "192.0.2.130:51820".parse().unwrap(),
        role,
        round_trip: None,
        mtu: None,
        proven: None,
        tested: None,
        failures: 0,
        obstacle: None,
        seen_as: Vec::new(),
    })
}

fn core() -> Core {
    Core::start(Uptime::default(), sample::settings(), Wish::Privacy, None).0
}
