//! The threads of a load: one long-lived flow that an app reopens when it seems dead, one that is never given up, or a
//! stream of short ones. A flow that was given up keeps trying for a while: it must not come through by another door.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;

use super::flow::{Flow, is_stream};
use super::kind::{Life, ShortLife};
use super::{Answers, FlowReport, Line};
use crate::inside::{Inside, StopSign};

/// An app takes a flow without answers for dead after this time.
const PATIENCE: Duration = Duration::from_millis(500);
/// An app whose flow was refused tries a new one after this time.
const SECOND_TRY: Duration = Duration::from_millis(50);
/// How long a flow that was given up keeps trying.
const LAST_TRIES: Duration = Duration::from_secs(2);
/// Flows that were given up and still try, at most: bounds the load on a sealed box.
const MOST_GIVEN_UP: usize = 2;
/// How often short flows are looked at.
const STEP: Duration = Duration::from_millis(5);
/// So many that a late wake has missed are opened at once: a rate is reached on a busy machine too, and no queue overflows.
const MADE_UP_FOR: u32 = 5;

/// What a line adds to the report.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) flows: BTreeMap<u32, FlowReport>,
    pub(super) not_opened: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.flows.extend(other.flows);
        self.not_opened += other.not_opened;
    }

    fn open(&mut self, line: Line) -> Option<Flow> {
        let flow = Flow::open(line, SystemTime::now());
        self.not_opened += u64::from(flow.is_err());
        flow.ok()
    }

    fn close(&mut self, flow: &Flow) {
        self.flows.insert(flow.number, flow.report);
    }
}

pub(super) fn start(netns: &Path, line: Line, rate: u32, answers: Answers) -> Result<Inside<Tally>> {
    let name = format!("{:?} to {}", line.kind, line.target);
    let every = Duration::from_secs(1) / rate;
    Inside::start(
        netns,
        &name,
        || Ok(()),
        move |(), stop| {
            Ok(match line.kind.life() {
                Life::UntilDead => LongFlow::new(line).run(every, &answers, stop),
                Life::Whole => one_for_life(line, every, &answers, stop),
                Life::Short(habit) => ShortFlows::new(line, habit).run(every, &answers, stop),
            })
        },
    )
}

/// The same socket whatever the network says; opened anew only while the phone's own kernel has no way at all.
fn one_for_life(line: Line, every: Duration, answers: &Answers, stop: &StopSign) -> Tally {
    let (mut tally, mut pace, mut flow) = (Tally::default(), Pace::new(every), None);
    while !stop.is_up() {
        pace.wait();
        if flow.is_none() {
            flow = tally.open(line);
        }
        if let Some(flow) = &mut flow {
            // Refusals are heard and do not matter.
            exchange(flow, answers);
        }
    }
    if let Some(flow) = flow {
        tally.close(&flow);
    }
    tally
}

/// One flow at a time, and those given up before it.
struct LongFlow {
    line: Line,
    current: Option<Flow>,
    next_try: Instant,
    alive_at: Instant,
    given_up: VecDeque<(Flow, Instant)>,
    tally: Tally,
}

impl LongFlow {
    fn new(line: Line) -> Self {
        let now = Instant::now();
        Self {
            line,
            current: None,
            next_try: now,
            alive_at: now,
            given_up: VecDeque::new(),
            tally: Tally::default(),
        }
    }

    fn run(mut self, every: Duration, answers: &Answers, stop: &StopSign) -> Tally {
        let mut pace = Pace::new(every);
        while !stop.is_up() {
            pace.wait();
            self.talk(Instant::now(), answers);
            self.try_the_dead(Instant::now(), answers);
        }
        for flow in self.current.iter().chain(self.given_up.iter().map(|(flow, _)| flow)) {
            self.tally.close(flow);
        }
        self.tally
    }

    fn talk(&mut self, now: Instant, answers: &Answers) {
        if self.current.is_none() && now >= self.next_try {
            self.current = self.tally.open(self.line);
            self.next_try = now + SECOND_TRY;
            self.alive_at = now;
        }
        let Some(flow) = &mut self.current else { return };
        let before = flow.report.answered;
        let works = exchange(flow, answers);
        if flow.report.answered > before {
            self.alive_at = now;
        }
        if !works || now.duration_since(self.alive_at) > PATIENCE {
            self.give_up(now);
        }
    }

    fn give_up(&mut self, now: Instant) {
        self.given_up.extend(self.current.take().map(|flow| (flow, now + LAST_TRIES)));
        if self.given_up.len() > MOST_GIVEN_UP {
            self.close_oldest();
        }
    }

    fn try_the_dead(&mut self, now: Instant, answers: &Answers) {
        for (flow, _) in &mut self.given_up {
            // Refusals are what it should get.
            exchange(flow, answers);
        }
        while self.given_up.front().is_some_and(|(_, until)| now >= *until) {
            self.close_oldest();
        }
    }

    fn close_oldest(&mut self) {
        if let Some((flow, _)) = self.given_up.pop_front() {
            self.tally.close(&flow);
        }
    }
}

/// Opens flows at a rate and lets each send a few packets.
struct ShortFlows {
    line: Line,
    habit: ShortLife,
    open: Vec<(Flow, Instant)>,
    tally: Tally,
}

impl ShortFlows {
    fn new(line: Line, habit: ShortLife) -> Self {
        Self { line, habit, open: Vec::new(), tally: Tally::default() }
    }

    fn run(mut self, every: Duration, answers: &Answers, stop: &StopSign) -> Tally {
        let mut next_open = Instant::now();
        let mut pace = Pace::new(STEP.min(every));
        while !stop.is_up() {
            pace.wait();
            let now = Instant::now();
            next_open = next_open.max(now.checked_sub(every * MADE_UP_FOR).unwrap_or(now));
            while now >= next_open {
                next_open += every;
                self.open.extend(self.tally.open(self.line).map(|flow| (flow, now)));
            }
            self.step(now, answers);
        }
        for (flow, _) in &self.open {
            self.tally.close(flow);
        }
        self.tally
    }

    fn step(&mut self, now: Instant, answers: &Answers) {
        let (habit, tally) = (self.habit, &mut self.tally);
        self.open.retain_mut(|(flow, opened)| {
            let age = now.duration_since(*opened);
            let goes_on = step_short(flow, age, habit, answers) && age < habit.ends_after;
            if !goes_on {
                tally.close(flow);
            }
            goes_on
        });
    }
}

/// Whether the short flow still has something to send or to hear.
fn step_short(flow: &mut Flow, age: Duration, habit: ShortLife, answers: &Answers) -> bool {
    let ShortLife { packets, gap, .. } = habit;
    let gaps = age.as_millis().checked_div(gap.as_millis()).and_then(|gaps| u64::try_from(gaps).ok());
    let due = gaps.map_or(packets, |gaps| gaps + 1);
    let sent = flow.report.sent;
    let works = if sent < due.min(packets) { exchange(flow, answers) } else { listen(flow, answers) };
    let hung_up = !works && is_stream(flow.report.line.kind);
    !hung_up && flow.report.answered < packets
}

/// Sends one packet and takes what has come; false: the network has refused it.
fn exchange(flow: &mut Flow, answers: &Answers) -> bool {
    let sent = flow.send(SystemTime::now()).is_ok();
    listen(flow, answers) && sent
}

fn listen(flow: &mut Flow, answers: &Answers) -> bool {
    let mut heard = Vec::new();
    let works = flow.collect(&mut heard).is_ok();
    if !heard.is_empty() {
        answers.with(|answers| answers.append(&mut heard));
    }
    works
}

/// Wakes at a rate; time that was missed is not made up for in a burst.
struct Pace {
    every: Duration,
    next: Instant,
}

impl Pace {
    fn new(every: Duration) -> Self {
        Self { every, next: Instant::now() }
    }

    fn wait(&mut self) {
        let now = Instant::now();
        if let Some(rest) = self.next.checked_duration_since(now) {
            sleep(rest.min(Duration::from_millis(100)));
        }
        self.next = self.next.max(now) + self.every;
    }
}
