//! Decides what the wall clock is set to, on whose word, and when they are asked; and what may be told of it. The time
//! servers have to agree; a step that people would notice has to be confirmed by a host with a certificate.
//!
//! ```text
//!            due, with an uplink              more than a minute off,
//!   Idle ───────────────────────► Asking ───────────────────────────► Referring
//!    ▲ ▲                            │         or no agreement             │
//!    │ └─────────── in doubt ───────┼─────────────────────────────────────┤
//!    │                              │ believed                            │ confirmed
//!    └──────── set, or not ────── Setting ◄───────────────────────────────┘
//! ```
//!
//! Times of the wall clock are kept as what it showed at the boot ([`Now::at_boot`]): that stays the same while the
//! clock goes, so a step in the middle of a measurement harms none.

mod agree;
mod offset;
mod report;
mod wake;
mod words;

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

pub use agree::{Date, Sample};
pub use offset::Offset;
pub(crate) use report::Day;
pub use report::{ClockReport, Trouble};
pub use wake::{Found, Woken};
pub use words::{Adjustment, Effect, Input, Keep, Now, Source, Stamp};

use self::agree::{Verdict, Word};
use crate::Uptime;
use crate::stamps::Boot;
use crate::time::PLAUSIBLE;

/// What nobody notices is left alone, and what is within a measurement's own error.
const NEGLIGIBLE: Duration = Duration::from_millis(20);
/// Up to here the clock is made to go faster or slower, which takes the kernel 2000 s at most (adjtime(3)).
const SLEWED: Duration = Duration::from_millis(500);
/// Beyond it, time servers alone are not believed.
const UNQUESTIONED: Duration = Duration::from_mins(1);
/// The date of an answer has whole seconds, and the answer was on its way.
const DATE_ERROR: Duration = Duration::from_secs(2);
/// A clock that somebody else keeps is told to be right up to here.
const IN_STEP: Duration = Duration::from_secs(1);
/// Until the time is known: 1, 2, 4 s and so on up to the second.
const QUICK: Duration = Duration::from_secs(1);
const SLOW: Duration = Duration::from_secs(64);
/// Afterwards. A Pi's crystal goes wrong by 100 ms meanwhile, at worst.
const CALM: Duration = Duration::from_secs(2048);
/// The newest stamp is no older while the time is kept, and none is written sooner without a reason.
const SAVE_AFTER: Duration = Duration::from_hours(2);
/// Whether somebody else has set the clock is looked at this often.
const LOOK: Duration = Duration::from_secs(4);
/// Silent time servers are no reason to ask others while the clock was right as lately.
const FRESH: Duration = Duration::from_hours(24);

/// The wall clock, from the agent's start on.
#[derive(Debug)]
pub struct Clock {
    built: Duration,
    boot: Boot,
    keep: Keep,
    /// Somebody else keeps it in step, by the kernel's word.
    is_others: bool,
    has_uplink: bool,
    /// When the clock was last looked at.
    seen: Now,
    /// What it showed at the boot when it was last known to be right: whoever else sets it does not move that.
    right: Option<Duration>,
    state: State,
    due: Uptime,
    /// Since the time servers were last believed.
    tries: u32,
    report: ClockReport,
    saved: Option<Uptime>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Asking,
    Referring(Verdict),
    Setting { source: Source, offset: Offset },
}

impl Clock {
    /// `woken` is what was made of what was found, `raised` whether the clock could be set so.
    pub fn start(now: Now, found: &Found, woken: &Woken, raised: Result<(), String>) -> Self {
        let trouble = match raised {
            Err(error) => Some(Trouble::CannotRaise { shown: now.wall, error }),
            Ok(()) => (woken.source == Source::None).then_some(Trouble::Impossible(now.wall)),
        };
        let source = if trouble.is_some() { Source::None } else { woken.source };
        Self {
            built: found.built,
            boot: found.boot,
            keep: found.keep,
            is_others: woken.is_others,
            has_uplink: false,
            seen: now,
            right: found.right_at_boot(),
            state: State::Idle,
            due: now.uptime,
            tries: 0,
            report: ClockReport { source: Some(source), trouble, ..ClockReport::default() },
            saved: None,
        }
    }

    pub fn step(&mut self, now: Now, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.look(now, &input);
        match input {
            Input::Uplink(is_there) => self.on_uplink(now, is_there),
            Input::Answers(samples) => self.on_answers(now, samples, &mut effects),
            Input::Dates(dates) => self.on_dates(now, &dates, &mut effects),
            Input::Set(result) => self.on_set(now, result, &mut effects),
            Input::Tick => {}
        }
        if self.may_ask() && self.due <= now.uptime {
            self.on_due(now, &mut effects);
        }
        effects
    }

    /// When `step` wants to be called though nothing happened.
    pub fn deadline(&self) -> Option<Uptime> {
        self.may_ask().then(|| self.due.min(self.seen.uptime + LOOK))
    }

    pub const fn report(&self) -> &ClockReport {
        &self.report
    }

    /// What to keep when the agent ends.
    pub fn last(&self, now: Now) -> Option<Stamp> {
        let source = self.report.source.filter(|source| *source > Source::None && !self.is_others)?;
        Some(Stamp { wall: now.wall, uptime: now.uptime, boot: self.boot, source })
    }

    fn look(&mut self, now: Now, input: &Input) {
        let jump = Offset::between(self.seen.at_boot(), now.at_boot());
        if jump.magnitude() > IN_STEP && !self.is_others && !matches!(input, Input::Set(_)) {
            self.on_jump(now);
        }
        self.seen = now;
    }

    /// A clock that somebody else has set is not known to be right any more.
    fn on_jump(&mut self, now: Now) {
        let is_plausible = self.is_plausible(now, now.at_boot());
        self.report.source = Some(if is_plausible { Source::Saved } else { Source::None });
        self.report.trouble = (!is_plausible).then_some(Trouble::Impossible(now.wall));
        (self.report.checked, self.report.offset) = (None, None);
        self.ask_anew(now);
    }

    /// A line that comes back may be another house's.
    fn on_uplink(&mut self, now: Now, is_there: bool) {
        if is_there && !self.has_uplink {
            self.ask_anew(now);
        }
        self.has_uplink = is_there;
    }

    fn on_due(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.is_others = self.is_others && now.in_step;
        if self.is_others {
            self.to_idle(now, CALM);
        } else {
            self.state = State::Asking;
            effects.push(Effect::Ask);
        }
    }

    fn on_answers(&mut self, now: Now, samples: Vec<Sample>, effects: &mut Vec<Effect>) {
        if self.state != State::Asking {
            return;
        }
        self.report.answered = samples.len();
        let verdict = Verdict::of(samples);
        self.report.agreed = verdict.agreed();
        match &verdict {
            Verdict::Agreed { best, .. } if self.is_unquestioned(now, best.at_boot) => {
                self.report.trouble = None;
                self.tries = 0;
                self.to_setting(now, Source::Ntp, best.at_boot, best.round_trip / 2, effects);
            }
            Verdict::Silence if !self.is_worth_a_referee(now) => self.to_doubting(now, Trouble::Silence),
            Verdict::Silence | Verdict::Disagreed(_) | Verdict::Agreed { .. } => {
                self.state = State::Referring(verdict);
                effects.push(Effect::Refer);
            }
        }
    }

    fn on_dates(&mut self, now: Now, dates: &[Date], effects: &mut Vec<Effect>) {
        let State::Referring(verdict) = &self.state else { return };
        let word = Word::of(dates, |date| self.is_plausible(now, date));
        let confirmed = match (&word, verdict) {
            (Word::Date(date), verdict) => verdict.confirmed_by(date),
            (Word::Silence, Verdict::Agreed { best, .. }) if self.may_be_taken(now, best) => Some(best),
            (Word::Silence | Word::Disagreed(..), _) => None,
        };
        if let Some(sample) = confirmed.cloned() {
            self.report.trouble = None;
            self.tries = 0;
            return self.to_setting(now, Source::Ntp, sample.at_boot, sample.round_trip / 2, effects);
        }
        let trouble = Trouble::of(verdict, &word, now);
        match word {
            Word::Date(date) => {
                self.report.trouble = Some(trouble);
                self.to_setting(now, Source::Tls, date.at_boot, DATE_ERROR, effects);
            }
            Word::Silence | Word::Disagreed(..) => self.to_doubting(now, trouble),
        }
    }

    fn on_set(&mut self, now: Now, result: Result<(), String>, effects: &mut Vec<Effect>) {
        let State::Setting { source, offset } = self.state else { return };
        match result {
            Ok(()) => self.to_kept(now, source, offset, effects),
            // It is measured to be right, only not kept so.
            Err(_) if offset.magnitude() <= SLEWED => self.to_kept(now, source, offset, effects),
            Err(error) => self.to_doubting(now, Trouble::CannotSet { offset, error }),
        }
    }

    fn to_setting(
        &mut self,
        now: Now,
        source: Source,
        at_boot: Duration,
        error: Duration,
        effects: &mut Vec<Effect>,
    ) {
        let offset = Offset::between(now.at_boot(), at_boot);
        self.report.offset = Some(offset);
        self.report.checked = Some(now.uptime);
        match (self.keep, offset.magnitude()) {
            (_, distance) if distance <= NEGLIGIBLE.max(error) => self.to_kept(now, source, offset, effects),
            (Keep::None, distance) if distance <= IN_STEP => self.to_kept(now, source, offset, effects),
            (Keep::None, _) => self.to_doubting(now, Trouble::LeftAlone(offset)),
            (Keep::Ntp, distance) => {
                let adjustment =
                    if distance <= SLEWED { Adjustment::Slew(offset) } else { Adjustment::Step(at_boot) };
                self.state = State::Setting { source, offset };
                effects.push(Effect::Set(adjustment));
            }
        }
    }

    fn to_kept(&mut self, now: Now, source: Source, offset: Offset, effects: &mut Vec<Effect>) {
        self.report.source = Some(source);
        self.right = Some(now.at_boot());
        if self.keep == Keep::Ntp {
            effects.push(Effect::InStep);
            self.save(now, offset, effects);
        }
        // The time servers may answer again long before a certificate's date is wrong by a second.
        let pause = if source == Source::Ntp { CALM } else { self.doubled().clamp(SLOW, CALM) };
        self.to_idle(now, pause);
    }

    /// Where the last stamp is old, or wrong since.
    fn save(&mut self, now: Now, offset: Offset, effects: &mut Vec<Effect>) {
        let is_due = self.saved.is_none_or(|saved| now.uptime.since(saved) >= SAVE_AFTER);
        if is_due || offset.magnitude() > UNQUESTIONED {
            self.saved = Some(now.uptime);
            effects.extend(self.last(now).map(Effect::Save));
        }
    }

    fn to_doubting(&mut self, now: Now, trouble: Trouble) {
        self.report.trouble = Some(trouble);
        let pause = self.doubled().min(SLOW);
        self.to_idle(now, pause);
    }

    fn to_idle(&mut self, now: Now, pause: Duration) {
        self.state = State::Idle;
        self.due = now.uptime + pause;
    }

    fn ask_anew(&mut self, now: Now) {
        self.tries = 0;
        self.due = now.uptime;
    }

    fn may_ask(&self) -> bool {
        self.state == State::Idle && self.has_uplink
    }

    fn doubled(&mut self) -> Duration {
        self.tries += 1;
        QUICK * (1 << (self.tries - 1).min(16))
    }

    fn is_unquestioned(&self, now: Now, at_boot: Duration) -> bool {
        let expected = self.right.unwrap_or(now.at_boot());
        self.is_plausible(now, at_boot) && Offset::between(expected, at_boot).magnitude() <= UNQUESTIONED
    }

    /// No time is right that is earlier than this agent, and none much later.
    fn is_plausible(&self, now: Now, at_boot: Duration) -> bool {
        let wall = at_boot + now.uptime.elapsed_since_boot();
        (self.built..=self.built + PLAUSIBLE).contains(&wall)
    }

    /// One lost packet is no silence.
    fn is_worth_a_referee(&self, now: Now) -> bool {
        let is_fresh = self.report.source == Some(Source::Ntp)
            && self.report.checked.is_some_and(|checked| now.uptime.since(checked) < FRESH);
        self.tries > 0 && !is_fresh
    }

    /// Where nobody can confirm it: forward only, and only a clock that nobody has set in this boot.
    fn may_be_taken(&self, now: Now, best: &Sample) -> bool {
        self.is_plausible(now, best.at_boot)
            && Offset::between(now.at_boot(), best.at_boot).is_forward()
            && self.right.is_none()
    }
}

#[cfg(test)]
mod tests;
