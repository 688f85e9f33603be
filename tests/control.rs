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
#[path = "../firmware/agent/sample.rs"]
mod sample;
#[path = "control/server.rs"]
mod server;

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use server::{Server, relays};

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
