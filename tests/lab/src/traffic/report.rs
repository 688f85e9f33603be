//! What a load has sent and what came back, and when.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::{Duration, SystemTime};

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

    /// For how long at most, between these moments, no answer came.
    pub fn longest_silence(&self, from: SystemTime, to: SystemTime) -> Duration {
        let received = self.answers.iter().map(|answer| answer.received);
        let mut moments: Vec<SystemTime> =
            received.filter(|at| (from..to).contains(at)).chain([from, to]).collect();
        moments.sort();
        let pairs = moments.windows(2).filter_map(|pair| pair[1].duration_since(pair[0]).ok());
        pairs.max().unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::traffic::Kind;

    #[test]
    fn silence_is_what_lies_between_answers_and_the_ends_of_the_time() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let line = Line { kind: Kind::NewUdp, target: "192.0.2.80:7".parse().unwrap() };
        let answer = |received| Answer { flow: 1, line, sent: at(received), received: at(received) };
        let answers = [15, 11, 30].map(answer).into();
        let report = LoadReport { during: at(0)..at(40), flows: BTreeMap::new(), not_opened: 0, answers };
        let silence = |from, to| report.longest_silence(at(from), at(to)).as_secs();
        assert_eq!((silence(10, 16), silence(10, 20), silence(10, 40)), (4, 5, 15));
        assert_eq!(silence(16, 29), 13, "no answer at all");
    }
}
