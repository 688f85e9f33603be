//! Keeps a phone talking to an echo server in every way that a flip could get wrong: long and short flows, UDP and
//! TCP. Counts what was answered; by which door it went is for the judge.

mod echo;
mod flow;
mod lines;
mod report;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};

use crate::inside::Inside;
pub use echo::EchoServer;
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
}

impl Default for Rates {
    fn default() -> Self {
        Self { long_udp: 300, new_udp: 50, new_tcp: 10, long_tcp: 50 }
    }
}

/// What one line of the load does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    LongUdp,
    NewUdp,
    NewTcp,
    LongTcp,
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
        let kinds = [
            (Kind::LongUdp, rates.long_udp),
            (Kind::NewUdp, rates.new_udp),
            (Kind::NewTcp, rates.new_tcp),
            (Kind::LongTcp, rates.long_tcp),
        ];
        for &target in targets {
            for (kind, rate) in kinds.into_iter().filter(|(_, rate)| *rate > 0) {
                load.lines.push(lines::start(netns, Line { kind, target }, rate, load.answers.clone())?);
            }
        }
        Ok(load)
    }

    /// Waits for an answer to any packet that was sent at or after the given moment, and says when it came.
    pub fn wait_for_answer(&self, sent_after: SystemTime, patience: Duration) -> Result<SystemTime> {
        let deadline = Instant::now() + patience;
        loop {
            let answer = self.answers.with(|answers| report::first_answer_after(answers, sent_after));
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
