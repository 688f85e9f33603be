//! A box that carries under load and is hurt, fault after fault: judged over all of it, and what each fault cost goes
//! into the table at the end of the run.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use byway_lab::judge::Door;
use byway_lab::stage::{Outcome, Stage, Watch, is_as_wished};
use byway_lab::traffic::Rates;
use serde_json::Value;

/// How long anything may take that has no bound of its own.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
/// By a relay server, or beside many processes that come and go.
pub(super) const GENTLE: Rates = Rates { long_udp: 50, new_udp: 10, new_tcp: 4, long_tcp: 10, ..Rates::NONE };

/// What is done to a box or to its world.
pub(super) type Hurt = fn(&mut Stage) -> Result<()>;

static TABLE: Mutex<Vec<Row>> = Mutex::new(Vec::new());

pub(super) struct Ordeal {
    pub(super) watch: Watch,
    costs: Vec<Cost>,
}

struct Cost {
    fault: String,
    sealed_after: Option<Duration>,
    carried_after: Option<Duration>,
}

struct Row {
    cost: Cost,
    wrong_door: u64,
    linked: u64,
}

impl Ordeal {
    /// The privacy door is open, and everything is listened to: from before it was opened, since a connection that
    /// an earlier test has left would be one whose beginning nobody saw.
    pub(super) fn begin(stage: &mut Stage, rates: Rates) -> Result<Self> {
        Self::begin_by(stage, Door::Privacy, rates)
    }

    /// The same with the given door.
    pub(super) fn begin_by(stage: &mut Stage, door: Door, rates: Rates) -> Result<Self> {
        stage.carry()?;
        let said = stage.byway.cli(&["egress", "sealed"])?;
        ensure!(said.code == Some(0), "byway egress sealed: {said:?}");
        let mut watch = stage.watch(None, rates)?;
        watch.flip(&stage.byway, Some(door))?;
        watch.wait_answered(PATIENCE)?;
        Ok(Self { watch, costs: Vec::new() })
    }

    /// Hurts the box so that it must seal, and waits until it has: from then on nothing may leave.
    pub(super) fn until_sealed(
        &mut self,
        stage: &mut Stage,
        hurt: impl FnOnce(&mut Stage) -> Result<()>,
    ) -> Result<(Duration, Value)> {
        let events = stage.byway.events()?;
        let hurt_at = SystemTime::now();
        hurt(stage)?;
        let (sealed_at, status) = events.wait("the seal", PATIENCE, is_sealed)?;
        self.watch.decide(hurt_at, None);
        ensure!(stage.byway.cli(&["status"])?.code == Some(3), "status must end with 3");
        Ok((sealed_at.duration_since(hurt_at)?, status))
    }

    /// Mends what was hurt and waits until the box carries again by itself.
    pub(super) fn until_carried(
        &mut self,
        stage: &mut Stage,
        mend: impl FnOnce(&mut Stage) -> Result<()>,
    ) -> Result<Duration> {
        let mended_at = SystemTime::now();
        self.until_carried_since(stage, |stage| mend(stage).map(|()| mended_at))
    }

    /// The same, counted from the moment that the mender names.
    pub(super) fn until_carried_since(
        &mut self,
        stage: &mut Stage,
        mend: impl FnOnce(&mut Stage) -> Result<SystemTime>,
    ) -> Result<Duration> {
        let began = SystemTime::now();
        let mended_at = mend(stage)?;
        let status = stage.byway.wait_status("the wished door again", PATIENCE, is_as_wished)?;
        self.watch.decide(began, door_in(&status));
        let answered_at = self.watch.wait_answered(PATIENCE)?;
        Ok(answered_at.duration_since(mended_at)?)
    }

    /// The agent ends in good order, and leaves the box sealed.
    pub(super) fn until_closed(&mut self, stage: &mut Stage) -> Result<()> {
        let asked = SystemTime::now();
        stage.byway.sigterm()?;
        self.watch.decide(asked, None);
        Ok(())
    }

    /// A new agent opens the wished door; whether anybody can come in by it is another matter.
    pub(super) fn until_open(&mut self, stage: &mut Stage) -> Result<()> {
        let started = SystemTime::now();
        stage.byway.start()?;
        let status = stage.byway.wait_status("the wished door", PATIENCE, is_as_wished)?;
        self.watch.decide(started, door_in(&status));
        Ok(())
    }

    pub(super) fn note(
        &mut self,
        fault: impl Into<String>,
        sealed_after: impl Into<Option<Duration>>,
        carried_after: impl Into<Option<Duration>>,
    ) {
        let (sealed_after, carried_after) = (sealed_after.into(), carried_after.into());
        self.costs.push(Cost { fault: fault.into(), sealed_after, carried_after });
    }

    /// Judges, enters the costs, and fails if a single packet was wrong.
    pub(super) fn end(self) -> Result<Outcome> {
        let outcome = self.watch.end()?;
        let (wrong_door, linked) = (outcome.verdict.wrong_door.count, outcome.verdict.linked.count);
        let rows = self.costs.into_iter().map(|cost| Row { cost, wrong_door, linked });
        TABLE.lock().unwrap_or_else(PoisonError::into_inner).extend(rows);
        outcome.assert_clean()?;
        Ok(outcome)
    }
}

/// Read back, not only ordered.
pub(super) fn is_sealed(status: &Value) -> bool {
    status["door"].is_null() && status["why"].as_str().is_some_and(|why| !why.starts_with("sealing"))
}

pub(super) fn door_in(status: &Value) -> Option<Door> {
    Door::ALL.into_iter().find(|door| status["door"] == door.to_string())
}

pub(super) fn says(status: &Value, words: &str) -> bool {
    status["why"].as_str().is_some_and(|why| why.contains(words))
}

/// Of a number of tries, as `p50 1.2 s, p95 3.4 s, longest 5.6 s`.
pub(super) fn spread(tries: &mut [Duration]) -> (Duration, String) {
    tries.sort();
    let at = |percent: usize| tries[(tries.len() * percent / 100).min(tries.len() - 1)];
    let text = format!("p50 {}, p95 {}, longest {}", seconds(at(50)), seconds(at(95)), seconds(at(100)));
    (at(95), text)
}

/// What every fault of this run cost; nothing where none was tried.
#[expect(clippy::print_stdout, reason = "the table is what the run is for")]
pub(super) fn print_table() {
    let table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    if !table.is_empty() {
        println!("| fault | wrong door | linked | sealed after | carried after |\n|---|---|---|---|---|");
    }
    for row in table.iter() {
        println!("{row}");
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cost: Cost { fault, sealed_after, carried_after }, wrong_door, linked } = self;
        let time = |time: &Option<Duration>| time.map_or_else(|| "-".to_owned(), seconds);
        write!(f, "| {fault} | {wrong_door} | {linked} | {} | {} |", time(sealed_after), time(carried_after))
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
