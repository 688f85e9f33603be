//! Keeps a phone talking to servers in every way that a flip could get wrong: long and short flows, UDP and TCP, flows
//! that never end, and what makes others speak. Counts what was answered; by which door it went is for the judge.

mod echo;
mod flow;
mod kind;
mod lines;
mod odd_server;
mod report;
mod shape;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};

use crate::inside::Inside;
pub use echo::EchoServer;
pub use flow::a_port_for_life;
pub use kind::Kind;
pub use odd_server::OddServer;
pub use report::{Answer, Counts, FlowReport, LoadReport};

/// How much of each kind, a second and target. Zero leaves a kind out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Packets of one long-lived flow.
    pub long_udp: u32,
    /// New flows, of three packets each.
    pub new_udp: u32,
    /// New connections, of one small exchange each.
    pub new_tcp: u32,
    /// Writes on one long-lived connection.
    pub long_tcp: u32,
    /// Packets of each kind in [`Kind::FOR_LIFE`].
    pub for_life: u32,
    /// New flows of each kind in [`Kind::ODD`].
    pub odd: u32,
}

impl Rates {
    pub const NONE: Self = Self { long_udp: 0, new_udp: 0, new_tcp: 0, long_tcp: 0, for_life: 0, odd: 0 };

    /// Whether an [`OddServer`] is talked to.
    pub fn need_odd_server(self) -> bool {
        self.for_life > 0 || self.odd > 0
    }

    fn of(self, kind: Kind) -> u32 {
        match kind {
            Kind::LongUdp => self.long_udp,
            Kind::NewUdp => self.new_udp,
            Kind::NewTcp => self.new_tcp,
            Kind::LongTcp => self.long_tcp,
            Kind::OnePort | Kind::Ping | Kind::Esp | Kind::Gre | Kind::Sctp => self.for_life,
            Kind::PendingSyn | Kind::Objection | Kind::LastHop | Kind::BigAnswer | Kind::DyingAnswer => {
                self.odd
            }
        }
    }
}

/// What most tests want: enough to notice everything, little enough for two cores.
impl Default for Rates {
    fn default() -> Self {
        Self { long_udp: 300, new_udp: 50, new_tcp: 10, long_tcp: 50, ..Self::NONE }
    }
}

/// One kind of traffic to one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    pub kind: Kind,
    pub target: SocketAddr,
}

/// A running load: one thread a line. It ends when stopped or dropped.
#[derive(Debug)]
pub struct Load {
    began: SystemTime,
    answers: Answers,
    lines: Vec<Inside<lines::Tally>>,
}

/// Shared by the threads of a load, so that a test can watch it.
#[derive(Debug, Clone, Default)]
struct Answers(Arc<Mutex<Vec<Answer>>>);

impl Load {
    /// Starts talking from inside the namespace to every target (a family each, say).
    pub fn start(netns: &Path, targets: &[SocketAddr], rates: Rates) -> Result<Self> {
        let mut load = Self { began: SystemTime::now(), answers: Answers::default(), lines: Vec::new() };
        for &target in targets {
            for kind in Kind::all().filter(|kind| rates.of(*kind) > 0) {
                let line = Line { kind, target: kind.addressed(target) };
                load.lines.push(lines::start(netns, line, rates.of(kind), load.answers.clone())?);
            }
        }
        Ok(load)
    }

    /// Waits for an answer to any packet that was sent at or after the given moment, and says when it came. What is
    /// sent for life does not count: after a flip it is dead for a while.
    pub fn wait_for_answer(&self, sent_after: SystemTime, patience: Duration) -> Result<SystemTime> {
        self.wait_for_answer_to(sent_after, patience, |line| !Kind::FOR_LIFE.contains(&line.kind))
    }

    /// The same for lines of this sort.
    pub fn wait_for_answer_to(
        &self,
        sent_after: SystemTime,
        patience: Duration,
        of_the_sort: impl Fn(Line) -> bool,
    ) -> Result<SystemTime> {
        let deadline = Instant::now() + patience;
        loop {
            let first = |answers: &mut Vec<Answer>| {
                let mut sorted = answers.iter().filter(|answer| of_the_sort(answer.line));
                sorted.find(|answer| answer.sent >= sent_after).map(|answer| answer.received)
            };
            let answer = self.answers.with(first);
            if let Some(answered) = answer {
                return Ok(answered);
            }
            ensure!(Instant::now() < deadline, "the load had no answer within {patience:?}");
            sleep(Duration::from_millis(5));
        }
    }

    /// Stops talking and sums up. Answers still on their way are not waited for.
    pub fn stop(self) -> Result<LoadReport> {
        let mut tally = lines::Tally::default();
        for line in self.lines {
            tally.add(line.finish()?);
        }
        let answers = self.answers.with(std::mem::take);
        Ok(LoadReport {
            during: self.began..SystemTime::now(),
            flows: tally.flows,
            not_opened: tally.not_opened,
            answers,
        })
    }
}

impl Answers {
    fn with<T>(&self, act: impl FnOnce(&mut Vec<Answer>) -> T) -> T {
        // A line that panicked is reported when it is finished; its answers stay true.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
