//! A client behind the box that talks TCP with the relay through it, in packets that each stand for many.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use crate::world::{INSIDE_V4, INSIDE_V6, Namespace, Relay, ip};

/// Many round trips, and a moment's work.
pub(crate) const BULK: usize = 2_000_000;
const SWALLOW: u16 = 9;
const POUR: u16 = 19;
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const CLIENT: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(10, 99, 0, 2)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, 2))];

pub(crate) struct Client {
    namespace: Namespace,
}

impl Client {
    /// On a cable of 1500 bytes to the box that the calling thread is, which forwards from now on.
    pub(crate) fn new() -> Client {
        for switch in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            std::fs::write(format!("/proc/sys/net/{switch}"), "1").expect("a namespace's own switch");
        }
        let namespace = Namespace::new();
        ip(&format!("link add client type veth peer name box netns {}", namespace.thread));
        join_cable("client", 1);
        namespace.run(|| {
            join_cable("box", 2);
            ip("route add default via 10.99.0.1");
            ip("route add default via fd00:99::1");
        });
        Client { namespace }
    }

    /// How much of [`BULK`] the relay says it has got.
    pub(crate) fn upload(&self, to: IpAddr) -> usize {
        self.namespace.run(move || {
            let mut stream = connect(to, SWALLOW);
            stream.write_all(&vec![7; BULK]).expect("the upload goes on");
            stream.shutdown(Shutdown::Write).expect("it is connected");
            let mut count = String::new();
            stream.read_to_string(&mut count).expect("the relay counts");
            count.parse().expect("a number")
        })
    }

    /// How much the relay has sent.
    pub(crate) fn download(&self, from: IpAddr) -> usize {
        self.namespace.run(move || {
            let mut got = Vec::new();
            connect(from, POUR).read_to_end(&mut got).expect("the download goes on");
            got.len()
        })
    }

    /// What it has learned of the way there.
    pub(crate) fn mtu_to(&self, destination: IpAddr) -> Option<u32> {
        self.namespace.run(move || learned_mtu(destination))
    }
}

/// How many packets the box has had from its client, each of which may stand for many.
pub(crate) fn packets_from_client() -> usize {
    let devices = std::fs::read_to_string("/proc/thread-self/net/dev").expect("a list of devices");
    let counts = devices.lines().find_map(|line| line.trim().strip_prefix("client:")).expect("a client");
    counts.split_whitespace().nth(1).and_then(|packets| packets.parse().ok()).expect("a number of packets")
}

impl Relay {
    /// Swallows what comes to one port and counts it, and pours out as much by another.
    pub(crate) fn serve_bulk(&self) {
        self.namespace.run(|| {
            serve(SWALLOW, |mut stream| {
                let count = std::io::copy(&mut stream, &mut std::io::sink())?;
                stream.write_all(count.to_string().as_bytes())
            });
            serve(POUR, |mut stream| stream.write_all(&vec![7; BULK]));
        });
    }

    pub(crate) fn mtu_to(&self, destination: IpAddr) -> Option<u32> {
        self.namespace.run(move || learned_mtu(destination))
    }
}

/// The relay as its clients know it.
pub(crate) fn inside() -> [IpAddr; 2] {
    [INSIDE_V4, INSIDE_V6].map(|address| address.parse().expect("an address"))
}

fn join_cable(device: &str, end: u8) {
    ip(&format!("address add 10.99.0.{end}/24 dev {device}"));
    ip(&format!("address add fd00:99::{end}/64 dev {device} nodad"));
    ip(&format!("link set {device} up"));
}

fn connect(address: IpAddr, port: u16) -> TcpStream {
    let stream = TcpStream::connect_timeout(&SocketAddr::new(address, port), PATIENCE).expect("it answers");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

fn serve(port: u16, talk: fn(TcpStream) -> std::io::Result<()>) {
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).expect("a socket");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Who goes away early fails its own test.
            let _ = talk(stream);
        }
    });
}

fn learned_mtu(destination: IpAddr) -> Option<u32> {
    let output = Command::new("ip").args(["route", "get", &destination.to_string()]).output();
    let told = String::from_utf8(output.expect("install iproute2").stdout).expect("text");
    let mut words = told.split_whitespace();
    words.find(|word| *word == "mtu")?;
    words.next()?.parse().ok()
}
