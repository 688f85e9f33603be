//! The control socket against callers who want too much: whatever they do, memory stays bounded and others are
//! served. Needs root, because an agent's inspector does.
#![expect(clippy::unwrap_used, reason = "a test says what it stands on by failing")]

#[path = "control/catalogue.rs"]
mod of_catalogue;
#[path = "control/logs.rs"]
mod of_logs;
#[path = "control/panel.rs"]
mod of_panel;
#[path = "control/relays.rs"]
mod of_relays;
#[path = "control/report.rs"]
mod of_report;

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

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
use byway_core::uplink::{Interfaces, Offers};
use byway_core::{
    Core, Egress, Expect, HouseAccess, RelaySettings, Serve, Settings, TunnelEnd, Upstreams, Uptime, View,
    Wish,
};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use of_panel::FakePanel;
use tokio::sync::{mpsc, watch};

/// As many as the socket serves at once, and as many of these may follow.
const MOST: usize = 64;
const MOST_FOLLOWERS: usize = 16;
/// What all of them together may cost, with what the test itself holds: 64 connections with 16 KiB each way.
const COST: u64 = 6 << 20;
const PATIENCE: Duration = Duration::from_secs(5);
/// More than a process may hold is asked for nowhere.
const CROWD: usize = 400;

#[test]
fn a_crowd_that_says_nothing_makes_room_for_whoever_asks() {
    let server = Server::start();
    let crowd: Vec<UnixStream> = (0..CROWD).map(|_| server.connect()).collect();
    server.assert_serves();
    let gone = crowd.iter().filter(|caller| is_hung_up(caller)).count();
    assert!(gone >= CROWD - MOST, "{gone} of {CROWD} were sent away");
    server.assert_cheap();
}

#[test]
fn a_request_that_never_ends_holds_no_place() {
    let server = Server::start();
    let begun = ["GET /v1/status HTTP/1.1\r\n", "PUT /v1/egress HTTP/1.1\r\nContent-Length: 40\r\n\r\n{"];
    let _slow: Vec<UnixStream> = begun.iter().cycle().take(2 * MOST).map(|part| server.say(part)).collect();
    server.assert_serves();
    server.assert_cheap();
}

#[test]
fn many_long_heads_are_not_gathered() {
    let server = Server::start();
    let head = format!("GET /v1/status HTTP/1.1\r\nX: {}", "x".repeat(300_000));
    let _slow: Vec<UnixStream> = (0..MOST)
        .map(|_| {
            let mut caller = server.connect();
            caller.set_write_timeout(Some(PATIENCE)).unwrap();
            // Refused before its end, or taken whole.
            _ = caller.write_all(head.as_bytes());
            caller
        })
        .collect();
    server.assert_cheap();
    server.assert_serves();
}

#[test]
fn a_head_without_end_and_a_body_of_100_megabytes_are_refused() {
    let server = Server::start();
    let with_body = "POST /v1/toggle HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n";
    let more = vec![b'x'; 65536];
    let chunked = "POST /v1/toggle HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2000000\r\n";
    for (head, code) in [("GET /v1/status HTTP/1.1\r\nX: ", "431"), (with_body, "400"), (chunked, "400")] {
        let mut caller = server.say(head);
        let (mut sent, started) = (0, Instant::now());
        while caller.write_all(&more).is_ok() {
            sent += 65536;
            assert!(sent < 32 << 20 && started.elapsed() < PATIENCE, "{head:?}: {sent} bytes were taken");
        }
        let answer = hear(&mut caller);
        assert!(answer.starts_with(&format!("HTTP/1.1 {code}")), "{head:?}: {answer}");
    }
    server.assert_serves();
    server.assert_cheap();
}

#[test]
fn questions_without_end_and_nobody_who_reads_the_answers() {
    let server = Server::start();
    let questions = "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    let _deaf: Vec<UnixStream> = (0..MOST)
        .map(|_| {
            let mut caller = server.connect();
            caller.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
            while caller.write_all(questions.as_bytes()).is_ok() {}
            caller
        })
        .collect();
    server.assert_serves();
    server.assert_cheap();
}

/// Whoever waits for a verdict keeps the place; the next one hears why there is none.
#[test]
fn those_who_wait_for_a_verdict_are_not_sent_away() {
    let server = Server::start();
    let wait = "PUT /v1/egress HTTP/1.1\r\nHost: x\r\nContent-Length: 34\r\n\r\n{\"egress\":\"privacy\",\"wait_s\": 100}";
    let mut waiting = Vec::new();
    for nth in 1..=MOST {
        waiting.push(server.say(wait));
        eventually("the wish to be heard", || server.heard.load(Ordering::Relaxed) == nth);
    }
    let answer = server.ask("GET /v1/status");
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("{\"error\":\"64 callers"), "{answer}");
    assert!(waiting.iter().all(|caller| !is_hung_up(caller)), "somebody was sent away");
    server.assert_cheap();
    waiting.truncate(MOST / 2);
    eventually("a place", || server.ask("GET /v1/status").starts_with("HTTP/1.1 200"));
}

#[test]
fn names_are_asked_of_the_stub_and_nonsense_of_nobody() {
    let server = Server::start();
    for (call, code, words) in [
        ("/v1/dns?name=Example.org", "200", "\"name\":\"example.org\",\"type\":\"A\",\"rcode\":\"NOERROR\""),
        (
            "/v1/dns?type=aaaa&name=b%C3%BCcher.example.",
            "200",
            "\"name\":\"xn--bcher-kva.example\",\"type\":\"AAAA\"",
        ),
        ("/v1/dns", "400", "no name: write /v1/dns?name=example.org"),
        ("/v1/dns?name=a..b", "400", "is no name: write one as example.org"),
        ("/v1/dns?name=a%20b", "400", "is no name: write one as example.org"),
        ("/v1/dns?name=a&type=B", "400", "is no type to ask for: write A"),
        ("/v1/dns?name=a&class=CH", "400", "there are name and type"),
        ("/v1/dns?name=nobody.example", "503", "{\"error\":\"names are not served\"}"),
        ("/v1/dns?name=refused.example", "503", "{\"error\":\"the stub is busy\"}"),
        ("/v1/dns/log", "404", "write log = true below [dns]"),
    ] {
        let answer = server.ask(&format!("GET {call}"));
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {code}")) && answer.contains(words),
            "{call}: {answer}"
        );
    }
    let answer = server.ask("POST /v1/dns?name=example.org");
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
}

#[test]
fn followers_who_never_read_cost_nothing() {
    let server = Server::start();
    let followers: Vec<UnixStream> =
        (0..MOST_FOLLOWERS).map(|_| server.say("GET /v1/events HTTP/1.0\r\n\r\n")).collect();
    eventually("one too many", || {
        let answer = server.ask("GET /v1/events");
        answer.starts_with("HTTP/1.1 503") && answer.contains("16 follow")
    });
    for change in 0..20_000 {
        server.views.send_modify(|view| view.why = format!("change {change}"));
        if change % 100 == 0 {
            server.assert_serves();
        }
    }
    server.views.send_modify(|view| view.why = "the last change".to_owned());
    server.assert_cheap();
    for mut follower in followers {
        let mut told = Vec::new();
        follower.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        eventually("the last change", || {
            _ = follower.read_to_end(&mut told);
            String::from_utf8_lossy(&told).contains("the last change")
        });
    }
}

/// One at a time: they are told apart by what the process has used.
static TURN: Mutex<()> = Mutex::new(());

/// An agent's socket with a core behind it that never reaches a door.
struct Server {
    folder: tempfile::TempDir,
    views: watch::Sender<View>,
    /// Wishes that reached the core.
    heard: Arc<AtomicUsize>,
    /// The last of them.
    wanted: Arc<Mutex<String>>,
    panel: Arc<Mutex<FakePanel>>,
    before: u64,
    _turn: MutexGuard<'static, ()>,
}

impl Server {
    fn start() -> Self {
        Self::with(None)
    }

    fn with(mullvad: Option<Counter>) -> Self {
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

    fn socket(&self) -> PathBuf {
        socket_path(self.folder.path())
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn say(&self, words: &str) -> UnixStream {
        let mut stream = self.connect();
        stream.write_all(words.as_bytes()).unwrap();
        stream
    }

    fn ask(&self, call: &str) -> String {
        hear(&mut self.say(&format!("{call} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")))
    }

    /// Until the core has heard of it, and the caller waits.
    fn begin(&self, call: &str, body: &str) -> UnixStream {
        self.begin_with(|| self.say(&with_body(call, body)))
    }

    fn begin_with<Caller>(&self, call: impl FnOnce() -> Caller) -> Caller {
        let before = self.heard.load(Ordering::Relaxed);
        let caller = call();
        eventually("the wish to be heard", || self.heard.load(Ordering::Relaxed) == before + 1);
        self.settle();
        caller
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_byway"));
        command.args(words.split(' ')).arg("--run-dir").arg(self.folder.path());
        command
    }

    fn byway(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }

    fn last_wanted(&self) -> String {
        self.wanted.lock().unwrap().clone()
    }

    /// Until whoever waits has seen it.
    fn change(&self, change: impl FnOnce(&mut View)) {
        self.views.send_modify(change);
        self.settle();
    }

    /// The server's one thread takes new callers when nothing else is to be done: before the second one is answered,
    /// everything that was there before the first one is.
    fn settle(&self) {
        self.assert_serves();
        self.assert_serves();
    }

    fn assert_serves(&self) {
        let asked = Instant::now();
        let answer = self.ask("GET /v1/status");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"wish\":\"privacy\""), "{answer}");
        assert!(asked.elapsed() < Duration::from_secs(1), "only after {:?}", asked.elapsed());
    }

    fn assert_cheap(&self) {
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
        &settings(),
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
fn relays() -> [RelayView; 3] {
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
    Core::start(Uptime::default(), settings(), Wish::Privacy, None).0
}

fn settings() -> Settings {
    Settings {
        name: "byway".to_owned(),
        relays: vec![RelaySettings {
            name: "se-got-wg-001".to_owned(),
            keys: Keys::File(0),
            end: TunnelEnd { addresses: Vec::new(), relay: "192.0.2.130:51820".parse().unwrap(), mtu: 1380 },
            ports: Vec::new(),
        }],
        preferred: None,
        interfaces: Interfaces { cable: String::from("eth0"), wifi: None },
        expect: Expect::Any,
        control: None,
        last_egress: Egress::Privacy,
        flow_table: 65_536,
        upstreams: Upstreams { privacy: String::new(), residential: String::new() },
        refuse_dot: false,
        refuse_smtp: true,
        limit_mbit: None,
        daily_gb: None,
        used: byway_core::Used::default(),
        serve: Serve::Nobody,
        reach: false,
        house_access: HouseAccess::default(),
        paused: Vec::new(),
        last_stop: None,
        seed: 0,
    }
}

/// Everything until the other side ends; what came before an error.
fn hear(stream: &mut UnixStream) -> String {
    let mut answer = Vec::new();
    _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn with_body(call: &str, body: &str) -> String {
    let length = body.len();
    format!("{call} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// Nothing is taken of what came.
fn is_answered(stream: &UnixStream) -> bool {
    let looked = recv(stream.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT);
    looked != Err(Errno::EAGAIN)
}

fn is_hung_up(mut stream: &UnixStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let heard = stream.read(&mut [0; 16]);
    !matches!(heard, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Bytes, of this process.
fn memory(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() << 10
}
