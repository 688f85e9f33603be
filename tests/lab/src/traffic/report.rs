//! What a load has sent and what came back, and when.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::SystemTime;

use super::Line;

/// The sum of one load.
#[derive(Debug, Clone)]
pub struct LoadReport {
    pub during: Range<SystemTime>,
    /// By the number in their tags.
    pub flows: BTreeMap<u32, FlowReport>,
    /// Flows whose socket the phone's own kernel refused, for want of a route or a port.
    pub not_opened: u64,
    pub answers: Vec<Answer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowReport {
    pub line: Line,
    pub opened: SystemTime,
    pub sent: u64,
    pub answered: u64,
    pub last_answered: Option<SystemTime>,
}

/// One packet that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub flow: u32,
    pub line: Line,
    pub sent: SystemTime,
    pub received: SystemTime,
}

/// One line of a load, summed up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub flows: u64,
    pub sent: u64,
    pub answered: u64,
}

impl LoadReport {
    pub fn counts(&self) -> BTreeMap<Line, Counts> {
        let mut lines = BTreeMap::<Line, Counts>::new();
        for flow in self.flows.values() {
            let counts = lines.entry(flow.line).or_default();
            counts.flows += 1;
            counts.sent += flow.sent;
            counts.answered += flow.answered;
        }
        lines
    }

    /// The first answer to a packet that was sent at or after the given moment.
    pub fn first_answer_after(&self, at: SystemTime) -> Option<SystemTime> {
        self.answers.iter().filter(|answer| answer.sent >= at).map(|answer| answer.received).min()
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (Line { kind, target }, Counts { flows, sent, answered }) in self.counts() {
            writeln!(f, "{kind:?} to {target}: {flows} flows, {sent} sent, {answered} answered")?;
        }
        write!(f, "{} flows not opened", self.not_opened)
    }
}
