//! Two hosts and a cable, as root: whatever the load says it has sent, the capture has seen.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use byway_lab::capture::{Capture, Heading, Recording};
use byway_lab::inside::Inside;
use byway_lab::packet::{Packet, Transport};
use byway_lab::traffic::{EchoServer, Kind, Load, LoadReport, Rates};

const FOUR: &str = "192.0.2.80:7";
const SIX: &str = "[2001:db8:40::80]:7";

#[test]
fn every_packet_of_an_echo_exchange_is_seen_at_both_ends_of_the_cable() {
    let cable = Cable::new();
    let targets: [SocketAddr; 2] = [FOUR.parse().unwrap(), SIX.parse().unwrap()];
    let servers = targets.map(|target| EchoServer::start(&cable.server.path(), target).unwrap());
    for target in targets {
        cable.wait_until_it_carries(target).unwrap();
    }
    // The kernels of both ends have something to say from the first moment on.
    let began = SystemTime::now();
    let phone = Capture::start(&cable.phone.path(), "cable", "phone").unwrap();
    let server = Capture::start(&cable.server.path(), "cable", "server").unwrap();
    let load = Load::start(&cable.phone.path(), &targets, Rates::default()).unwrap();
    sleep(Duration::from_secs(1)); // The load's duration, not a wait for a condition.
    let report = load.stop().unwrap();
    let (phone, server) = (phone.stop().unwrap(), server.stop().unwrap());
    for server in servers {
        server.stop().unwrap();
    }

    for recording in [&phone, &server] {
        assert_eq!(recording.dropped, 0, "{}", recording.link);
        let ended = SystemTime::now();
        assert!(recording.seen.iter().all(|seen| (began..ended).contains(&seen.at)), "{}", recording.link);
        assert!(!recording.seen.iter().any(|seen| matches!(seen.packet, Packet::Unreadable { .. })));
    }
    let sent = usize::try_from(udp_sent(&report)).unwrap();
    assert_eq!(udp_requests(&phone, Heading::Out), sent, "{report}");
    assert_eq!(udp_requests(&server, Heading::In), sent, "{report}");
    for (line, counts) in report.counts() {
        assert!(counts.answered > 0, "{line:?} heard nothing\n{report}");
    }
    assert_eq!(report.counts().len(), 8, "{report}");
    assert!(report.first_answer_after(began).is_some());
}

#[test]
fn a_load_without_a_server_ends_when_it_is_stopped() {
    let cable = Cable::new();
    let nobody: SocketAddr = "192.0.2.99:7".parse().unwrap();
    let load = Load::start(&cable.phone.path(), &[nobody, FOUR.parse().unwrap()], Rates::default()).unwrap();
    load.wait_for_answer(SystemTime::UNIX_EPOCH, Duration::from_millis(300)).unwrap_err();
    let asked = Instant::now();
    let report = load.stop().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(2), "took {:?}", asked.elapsed());
    assert!(report.flows.values().all(|flow| flow.answered == 0));
}

#[test]
fn a_capture_that_cannot_keep_up_says_how_much_it_has_lost() {
    let cable = Cable::new();
    let capture = Capture::start_with_buffer(&cable.phone.path(), "cable", "phone", 1).unwrap();
    let flood = Inside::start(
        &cable.phone.path(),
        "flood",
        || Ok(UdpSocket::bind("192.0.2.20:0")?),
        |socket, _| {
            for _ in 0..5000 {
                socket.send_to(&[0; 1000], FOUR)?;
            }
            Ok(())
        },
    );
    flood.unwrap().finish().unwrap();
    assert!(capture.stop().unwrap().dropped > 0);
}

#[test]
fn a_capture_of_an_interface_that_is_not_there_does_not_start() {
    let cable = Cable::new();
    let error = Capture::start(&cable.phone.path(), "nowhere0", "phone").unwrap_err();
    assert!(format!("{error:#}").contains("find interface nowhere0"), "{error:#}");
}

#[test]
fn a_capture_whose_interface_goes_away_is_no_evidence() {
    let cable = Cable::new();
    let capture = Capture::start(&cable.phone.path(), "cable", "phone").unwrap();
    ip(&["-n", &cable.phone.0, "link", "del", "cable"]);
    let error = capture.stop().unwrap_err();
    assert!(format!("{error:#}").contains("interface cable went away"), "{error:#}");
}

fn udp_sent(report: &LoadReport) -> u64 {
    let is_udp = |kind| matches!(kind, Kind::LongUdp | Kind::NewUdp);
    report.flows.values().filter(|flow| is_udp(flow.line.kind)).map(|flow| flow.sent).sum()
}

fn udp_requests(recording: &Recording, heading: Heading) -> usize {
    let tagged_udp = |packet: &Packet| {
        packet.tag().is_some()
            && packet.datagram().is_some_and(|packet| matches!(packet.transport, Transport::Udp { .. }))
    };
    let requests = recording.seen.iter().filter(|seen| seen.heading == heading && tagged_udp(&seen.packet));
    requests.count()
}

/// A namespace of this test's own; removed by its exact name.
struct Host(String);

impl Host {
    fn new(role: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let host =
            Self(format!("bywayjudge-{}-{}-{role}", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)));
        ip(&["netns", "add", &host.0]);
        host
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.0)
    }

    fn give(&self, four: &str, six: &str) {
        ip(&["-n", &self.0, "address", "add", four, "dev", "cable"]);
        ip(&["-n", &self.0, "address", "add", six, "dev", "cable", "nodad"]);
        ip(&["-n", &self.0, "link", "set", "cable", "up"]);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // A failure here must not hide the one that the test is about.
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

struct Cable {
    phone: Host,
    server: Host,
}

impl Cable {
    fn new() -> Self {
        let cable = Self { phone: Host::new("phone"), server: Host::new("server") };
        let (phone, server) = (&cable.phone.0, &cable.server.0);
        ip(&["-n", phone, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", server]);
        cable.phone.give("192.0.2.20/24", "2001:db8:40::20/64");
        cable.server.give("192.0.2.80/24", "2001:db8:40::80/64");
        cable
    }

    /// IPv6 takes a moment to notice that a link is up.
    fn wait_until_it_carries(&self, target: SocketAddr) -> Result<()> {
        let one_flow = Rates { long_udp: 50, ..Rates::NONE };
        let load = Load::start(&self.phone.path(), &[target], one_flow)?;
        load.wait_for_answer(SystemTime::UNIX_EPOCH, Duration::from_secs(20))?;
        load.stop().map(drop)
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("ip of iproute2 runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {}: {complaint} (are you root?)", arguments.join(" "));
}
