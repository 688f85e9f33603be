//! Flips of any box under load: how long until the new door carries, how long the old one still does.

use std::time::{Duration, SystemTime};

use anyhow::Result;

use super::progress;
use super::results::{Flips, Judged};
use crate::judge::Door;
use crate::stage::{Outcome, Stage};
use crate::traffic::Rates;

pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// One judged piece; even, so that it ends by privacy as it began.
const BATCH: usize = 100;

struct Change {
    door: Door,
    requested: SystemTime,
    told: SystemTime,
}

/// There and back, `count` times in all; the box is by privacy before and afterwards.
pub(super) fn flips(
    stage: &Stage,
    whose: &str,
    count: usize,
    rates: Rates,
    mut flip: impl FnMut(Door) -> Result<()>,
) -> Result<Flips> {
    let mut flips = Flips::default();
    while flips.asked < count {
        progress(&format!("{whose}: {} of {count} flips", flips.asked));
        flips.add(batch(stage, (count - flips.asked).min(BATCH), rates, &mut flip)?);
    }
    Ok(flips)
}

fn batch(
    stage: &Stage,
    count: usize,
    rates: Rates,
    flip: &mut impl FnMut(Door) -> Result<()>,
) -> Result<Flips> {
    let mut watch = stage.watch(Some(Door::Privacy), rates)?;
    watch.wait_answered(PATIENCE)?;
    let mut changes = Vec::new();
    for number in 0..count {
        let door = if number % 2 == 0 { Door::Residential } else { Door::Privacy };
        let requested = SystemTime::now();
        flip(door)?;
        let told = SystemTime::now();
        watch.decide(requested, Some(door));
        watch.wait_answered(PATIENCE)?;
        changes.push(Change { door, requested, told });
    }
    let outcome = watch.end()?;
    outcome.verdict.heard_something()?;
    Ok(measured(&changes, &outcome))
}

fn measured(changes: &[Change], outcome: &Outcome) -> Flips {
    let mut flips = Flips { asked: changes.len(), judged: Judged::by(&outcome.verdict), ..Flips::default() };
    let nexts = changes.iter().skip(1).map(|next| next.requested).chain([outcome.load.during.end]);
    for (Change { door, requested, told }, next) in changes.iter().zip(nexts) {
        flips.told.push(millis(*requested, *told));
        let first = outcome.judge.first_by(*door, *requested, &outcome.witnesses);
        let first = first.filter(|first| *first < next);
        let (firsts, lates, old) = match door {
            Door::Privacy => (&mut flips.to_privacy, &mut flips.late_by_house, Door::Residential),
            Door::Residential => (&mut flips.to_residential, &mut flips.late_by_relay, Door::Privacy),
        };
        firsts.extend(first.map(|first| millis(*requested, first)));
        let open = first.unwrap_or(*told).min(*told);
        lates.push(last_by(old, open, next, outcome).map_or(0.0, |last| millis(open, last)));
    }
    flips
}

/// The last client packet by a door within a window.
fn last_by(door: Door, from: SystemTime, until: SystemTime, outcome: &Outcome) -> Option<SystemTime> {
    let mut last = None;
    let mut after = from;
    while let Some(at) = outcome.judge.first_by(door, after, &outcome.witnesses).filter(|at| *at < until) {
        last = Some(at);
        after = at + Duration::from_nanos(1);
    }
    last
}

pub(super) fn millis(from: SystemTime, to: SystemTime) -> f64 {
    to.duration_since(from).unwrap_or_default().as_secs_f64() * 1e3
}
