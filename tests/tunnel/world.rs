//! A box and its relays, each in a network namespace without a name, which ends with the thread that made it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use byway::tunnel::{Engine, Outside, Peer, PublicKey, Stamps, StaticSecret};
use byway::watchdog::Pulses;
use nix::sched::{CloneFlags, unshare};

use crate::flood::Flood;
use crate::flow;

/// In the box's namespace, so that tests may run side by side.
pub(crate) const DEVICE: &str = "wg0";
/// The relay, for who comes through the tunnel.
pub(crate) const INSIDE_V4: &str = "10.64.0.1";
pub(crate) const INSIDE_V6: &str = "fd00:64::1";
const MARK: u32 = 0x0400_0000;
/// As byway starts it, but from any port.
pub(crate) const OUTSIDE: Outside = Outside { mark: MARK, port: 0 };
/// Long enough that only something broken misses it.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn eventually(what: &str, condition: impl FnMut() -> bool) {
    within(PATIENCE, what, condition);
}

pub(crate) fn within(bound: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < bound, "{what}: not within {bound:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn boot_time() -> Duration {
    nix::time::ClockId::CLOCK_BOOTTIME.now().expect("the clock is there").into()
}

/// Moves the calling thread into a namespace of its own. A test's thread becomes the box by it, and
/// everything below happens there.
pub(crate) fn enter_namespace() {
    unshare(CloneFlags::CLONE_NEWNET).expect("run as root: a network namespace is needed");
    ip("link set lo up");
}

pub(crate) fn start_engine() -> Engine {
    let engine =
        Engine::start(DEVICE, OUTSIDE, Stamps::in_memory(), &Pulses::default()).expect("the engine starts");
    configure_device();
    engine
}

pub(crate) fn configure_device() {
    ip(&format!("address add 10.64.0.2/32 dev {DEVICE}"));
    ip(&format!("address add fd00:64::2/128 dev {DEVICE} nodad"));
    ip(&format!("link set {DEVICE} mtu 1380 up"));
    ip(&format!("route add 10.64.0.1/32 dev {DEVICE}"));
    ip(&format!("route add fd00:64::1/128 dev {DEVICE}"));
}

/// As `[mullvad] mtu` would.
pub(crate) fn narrow_device(mtu: u16) {
    ip(&format!("link set {DEVICE} mtu {mtu}"));
}

/// The box's end of a client's cable: the client is not told.
pub(crate) fn narrow_client(mtu: u16) {
    ip(&format!("link set client mtu {mtu}"));
}

/// Of the cable to a relay, at the box's end: nothing longer leaves in one piece.
pub(crate) fn narrow_cable(number: u8, mtu: u16) {
    ip(&format!("link set cable{number} mtu {mtu}"));
}

pub(crate) fn delete_device() {
    ip(&format!("link delete {DEVICE}"));
}

pub(crate) fn device_index() -> Option<u32> {
    nix::net::if_::if_nametoindex(DEVICE).ok()
}

/// As a firewall would.
pub(crate) fn refuse_mark() {
    ip(&format!("rule add priority 1 fwmark {MARK} prohibit"));
}

pub(crate) fn allow_mark() {
    ip(&format!("rule delete priority 1 fwmark {MARK} prohibit"));
}

/// Which relay answers through the tunnel now.
pub(crate) fn answer_v4() -> Option<u8> {
    ask("0.0.0.0:0", "10.64.0.1:7")
}

pub(crate) fn answer_v6() -> Option<u8> {
    ask("[::]:0", "[fd00:64::1]:7")
}

/// A datagram to the relay's end of the cable that is not the tunnel's.
pub(crate) fn speak_outside_the_tunnel(relay: &Relay) {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.send_to(&[0], (relay.endpoint_v4().ip(), 9)).expect("a route");
}

fn ask(from: &str, to: &str) -> Option<u8> {
    let socket = UdpSocket::bind(from).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(250))).expect("a timeout");
    socket.send_to(&[0; 1_000], to).ok()?;
    let mut answer = [0];
    socket.recv(&mut answer).ok().map(|_| answer[0])
}

/// A relay behind a cable of its own, which answers to whatever comes out of the tunnel with its number.
pub(crate) struct Relay {
    number: u8,
    pub(crate) namespace: Namespace,
    process: Option<Process>,
}

impl Relay {
    /// On the other end of a cable from the box that the calling thread is.
    pub(crate) fn new(number: u8) -> Relay {
        let namespace = Namespace::new();
        let cable = format!("cable{number}");
        ip(&format!("link add {cable} type veth peer name cable netns {}", namespace.thread));
        join_cable(&cable, number, 2);
        namespace.run(move || {
            join_cable("cable", number, 1);
            answer_all(number);
            flow::answer_all(number);
        });
        let mut relay = Relay { number, namespace, process: None };
        relay.start();
        relay
    }

    pub(crate) fn start(&mut self) {
        let number = self.number;
        self.process = Some(self.namespace.run(move || Process::start(number)));
    }

    /// As a power cut would.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    pub(crate) fn number(&self) -> u8 {
        self.number
    }

    /// Moves to another port, without a word to anybody.
    pub(crate) fn listen_at(&self, port: u16) {
        self.running().order(&format!("listen_port={port}\n"));
    }

    /// A time server on its machine answers one client, for whom any time will do (RFC 5905).
    pub(crate) fn tells_the_time(&self) {
        self.namespace.run(|| {
            let socket = UdpSocket::bind("0.0.0.0:123").expect("the port of time");
            std::thread::spawn(move || {
                let mut question = [0; 48];
                let (_, client) = socket.recv_from(&mut question).expect("a question");
                let asked = &question[40..48];
                // A server of the first stratum, never in doubt; then what was asked, when it came and when it went.
                let head = [0b0010_0100, 1, 6, 0xec, 0, 0, 0, 0, 0, 0, 0, 0, b'G', b'P', b'S', 0];
                let answer = [&head[..], asked, asked, asked, asked].concat();
                _ = socket.send_to(&answer, client);
            });
        });
    }

    /// A packet for the box, which did not ask for it.
    pub(crate) fn speaks(&self) {
        self.namespace.run(|| {
            let socket = UdpSocket::bind("10.64.0.1:0").expect("a socket");
            socket.send_to(&[0; 100], "10.64.0.2:9").expect("a route");
        });
    }

    /// Begins a handshake with the box at `endpoint`, soon.
    pub(crate) fn calls(&self, endpoint: &str) {
        let key = hex(PublicKey::from(&box_key()).as_bytes());
        let peer = format!("public_key={key}\nendpoint={endpoint}\npersistent_keepalive_interval=1\n");
        self.running().order(&peer);
    }

    pub(crate) fn forget_ipv6(&self) {
        let address = format!("2001:db8:{}::1/64", self.number);
        self.namespace.run(move || ip(&format!("address delete {address} dev cable")));
    }

    /// At the relay's end.
    pub(crate) fn narrow_cable(&self, mtu: u16) {
        self.namespace.run(move || ip(&format!("link set cable mtu {mtu}")));
    }

    /// By somebody beside the relay.
    pub(crate) fn flood(&self) -> Flood {
        let (relay, key) = (self.endpoint_v4(), PublicKey::from(&relay_key(self.number)));
        self.namespace.run(move || Flood::start(relay, key))
    }

    /// Another relay at the same place, whose key is that of `number`.
    pub(crate) fn becomes(&self, number: u8) {
        self.running().order(&format!("private_key={}\n", hex(&relay_key(number).to_bytes())));
    }

    /// The relay that it [`becomes`](Relay::becomes).
    pub(crate) fn peer_of(&self, number: u8, endpoint: SocketAddr) -> Peer {
        Peer { public_key: PublicKey::from(&relay_key(number)), ..self.peer(endpoint) }
    }

    /// All bytes of datagrams that the relay says it has received and sent.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        let told = self.running().tell();
        let number = |name: &str| {
            let value = told.lines().find_map(|line| line.strip_prefix(name));
            value.expect("wireguard-go counts").parse().expect("a number")
        };
        (number("rx_bytes="), number("tx_bytes="))
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("the relay was not stopped")
    }

    pub(crate) fn endpoint_v4(&self) -> SocketAddr {
        format!("192.0.2.{}:51820", self.number * 4 + 1).parse().expect("an address")
    }

    pub(crate) fn endpoint_v6(&self) -> SocketAddr {
        format!("[2001:db8:{}::1]:51820", self.number).parse().expect("an address")
    }

    pub(crate) fn peer(&self, endpoint: SocketAddr) -> Peer {
        Peer {
            private_key: box_key(),
            public_key: PublicKey::from(&relay_key(self.number)),
            preshared_key: None,
            endpoint,
            keepalive_s: 25,
        }
    }
}

fn box_key() -> StaticSecret {
    StaticSecret::from([0x42; 32])
}

fn relay_key(number: u8) -> StaticSecret {
    StaticSecret::from([number; 32])
}

fn join_cable(device: &str, number: u8, end: u8) {
    ip(&format!("address add 192.0.2.{}/30 dev {device}", number * 4 + end));
    ip(&format!("address add 2001:db8:{number}::{end}/64 dev {device} nodad"));
    ip(&format!("link set {device} up"));
}

/// Answers every question on UDP port 7 of both families, from now on.
fn answer_all(number: u8) {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 7)).expect("a socket");
    std::thread::spawn(move || {
        let mut question = [0; 2_048];
        while let Ok((_, asker)) = socket.recv_from(&mut question) {
            let _ = socket.send_to(&[number], asker);
        }
    });
}

/// A thread in a network namespace of its own, which does what it is told.
pub(crate) struct Namespace {
    pub(crate) thread: i32,
    tasks: SyncSender<Task>,
}

type Task = Box<dyn FnOnce() + Send>;

impl Namespace {
    pub(crate) fn new() -> Namespace {
        let (tasks, incoming) = sync_channel::<Task>(1);
        let (tell, told) = sync_channel(1);
        std::thread::spawn(move || {
            enter_namespace();
            tell.send(nix::unistd::gettid().as_raw()).expect("somebody waits");
            for task in incoming {
                task();
            }
        });
        Namespace { thread: told.recv().expect("the namespace was made"), tasks }
    }

    pub(crate) fn run<T: Send + 'static>(&self, task: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = sync_channel(1);
        let task = move || tell.send(task()).expect("somebody waits");
        self.tasks.send(Box::new(task)).expect("the namespace's thread lives");
        told.recv().expect("the task did not fail")
    }
}

/// A running wireguard-go, in the namespace of the thread that starts it.
struct Process {
    child: Child,
    socket: PathBuf,
}

impl Process {
    fn start(number: u8) -> Process {
        let device = unused_device();
        let child = Command::new(wireguard_go())
            .args(["-f", &device])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("wireguard-go starts");
        let process =
            Process { child, socket: Path::new("/var/run/wireguard").join(format!("{device}.sock")) };
        eventually("wireguard-go's control socket", || UnixStream::connect(&process.socket).is_ok());
        process.configure(number);
        ip(&format!("address add {INSIDE_V4}/24 dev {device}"));
        ip(&format!("address add {INSIDE_V6}/64 dev {device} nodad"));
        ip(&format!("link set {device} up"));
        ip(&format!("route add 10.99.0.0/24 dev {device}"));
        ip(&format!("route add fd00:99::/64 dev {device}"));
        process
    }

    /// The box may speak for a client behind it.
    fn configure(&self, number: u8) {
        self.order(&format!(
            "private_key={}\nlisten_port=51820\npublic_key={}\nallowed_ip=10.64.0.2/32\nallowed_ip=fd00:64::2/128\nallowed_ip=10.99.0.0/24\nallowed_ip=fd00:99::/64\n",
            hex(&relay_key(number).to_bytes()),
            hex(PublicKey::from(&box_key()).as_bytes()),
        ));
    }

    /// By the protocol of wireguard.com/xplatform.
    fn order(&self, settings: &str) {
        let mut control = UnixStream::connect(&self.socket).expect("wireguard-go listens");
        control.write_all(format!("set=1\n{settings}\n").as_bytes()).expect("wireguard-go listens");
        let mut verdict = String::new();
        BufReader::new(control).read_line(&mut verdict).expect("wireguard-go answers");
        assert_eq!(verdict, "errno=0\n");
    }

    fn tell(&self) -> String {
        let mut control = UnixStream::connect(&self.socket).expect("wireguard-go listens");
        control.write_all(b"get=1\n\n").expect("wireguard-go listens");
        let lines = BufReader::new(control).lines().map(|line| line.expect("wireguard-go answers"));
        lines.take_while(|line| !line.is_empty()).map(|line| line + "\n").collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"))
}

/// wireguard-go's control sockets are in one folder for all namespaces: their names must differ.
fn unused_device() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("bwt{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn wireguard_go() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers");
    let folder = std::env::var_os("BYWAY_PEERS").map_or(built, PathBuf::from);
    let program = folder.join("wireguard-go");
    assert!(
        program.is_file(),
        "{} is missing: build the peers, or set BYWAY_PEERS to their folder",
        program.display()
    );
    program
}

/// How many bytes and packets have gone by the cable to a relay, both ways, with all headers.
pub(crate) fn carried_by_cable(number: u8) -> (u64, u64) {
    let devices = std::fs::read_to_string("/proc/thread-self/net/dev").expect("a list of devices");
    let prefix = format!("cable{number}:");
    let counts = devices.lines().find_map(|line| line.trim().strip_prefix(&prefix)).expect("the cable");
    let count = |at| counts.split_whitespace().nth(at)?.parse::<u64>().ok();
    let both = |inwards, outwards| Some(count(inwards)? + count(outwards)?);
    both(0, 8).zip(both(1, 9)).expect("numbers")
}

/// Of TCP, those of which either end has something to say or to hear (`include/net/tcp_states.h`).
pub(crate) fn open_connections() -> usize {
    const ENDED: [&str; 3] = ["06", "07", "0A"]; // TIME_WAIT, CLOSE, LISTEN
    let tables =
        ["tcp", "tcp6"].map(|table| std::fs::read_to_string(format!("/proc/thread-self/net/{table}")));
    let lines = tables.iter().flatten().flat_map(|table| table.lines().skip(1));
    lines.filter_map(|line| line.split_whitespace().nth(3)).filter(|state| !ENDED.contains(state)).count()
}

/// How often the kernel has told somebody that nobody takes its datagrams.
pub(crate) fn refusals_sent() -> u64 {
    let counts = std::fs::read_to_string("/proc/thread-self/net/snmp").expect("the kernel counts");
    let mut icmp = counts.lines().filter_map(|line| line.strip_prefix("Icmp: ")).map(str::split_whitespace);
    let (names, values) = icmp.next().zip(icmp.next()).expect("names and numbers");
    let refusals = names.zip(values).find(|(name, _)| *name == "OutDestUnreachs");
    refusals.and_then(|(_, count)| count.parse().ok()).expect("a number")
}

/// In the namespace of the calling thread.
pub(crate) fn nft(rules: &str) {
    let mut nft =
        Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("install nftables");
    nft.stdin.take().expect("it is piped").write_all(rules.as_bytes()).expect("nft reads");
    assert!(nft.wait().expect("it is our child").success(), "{rules}");
}

/// In the namespace of the calling thread.
pub(crate) fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().expect("install iproute2");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {complaint}");
}
