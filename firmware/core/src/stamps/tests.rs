//! Agents that come and go on one disk, under a wall clock that nobody keeps.

use std::boxed::Box;
use std::vec::Vec;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use super::*;

const BUILT: Duration = Duration::from_hours(500_000);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);
/// Of agents that are alone in theirs.
const BOOT: Boot = Boot(1);
const YEAR: Duration = Duration::from_hours(365 * 24);

#[test]
fn follows_a_clock_that_is_ahead() {
    let wall = BUILT + 30 * DAY;
    assert_eq!(Agent::on(None).begin(wall), Ok(wall));
}

#[test]
fn needs_no_clock_after_the_first_agent() {
    let mut agent = Agent::on(None);
    let first = agent.begin(BUILT + 3 * YEAR).unwrap();
    let mut next = agent.power_cut(false);
    assert!(next.begin(Duration::ZERO).unwrap() > first);
}

#[test]
fn waits_while_the_clock_cannot_be_right() {
    let mut agent = Agent::on(Some(of_another_boot(BUILT + YEAR)));
    assert_eq!(agent.begin(BUILT + 7 * YEAR), Err(NotYet::Clock));
    assert!(agent.begin(BUILT + 5 * YEAR).is_ok());
}

#[test]
fn uses_nothing_that_is_not_reserved() {
    let mut stamps = Stamps::new(None, BOOT, BUILT);
    assert_eq!(stamps.begin(at(0), BUILT), Err(NotYet::Reservation));
    let mark = stamps.reserve(at(0), BUILT).unwrap();
    assert_eq!(stamps.reserve(at(1), BUILT), None);
    assert_eq!(stamps.begin(at(1), BUILT), Err(NotYet::Reservation));
    stamps.on_reserved(mark);
    assert_eq!(stamps.begin(at(1), BUILT), Ok(BUILT));
    assert!(mark.stamp >= BUILT + LEFT);
}

#[test]
fn goes_on_without_a_disk_that_refuses_or_hangs() {
    let mut stamps = Stamps::new(None, BOOT, BUILT);
    assert_eq!(stamps.begin(at(0), BUILT), Err(NotYet::Reservation));
    assert!(stamps.reserve(at(0), BUILT).is_some());
    assert_eq!(stamps.begin(at(5), BUILT), Ok(BUILT));

    stamps.on_refused(at(5));
    assert_eq!(stamps.reserve(at(14), BUILT), None);
    assert!(stamps.reserve(at(15), BUILT).is_some());
    stamps.on_refused(at(15));
    assert!(stamps.begin(at(66), BUILT + DAY).is_ok());
}

#[test]
fn a_disk_that_takes_nothing_any_more_costs_no_session_where_the_clock_is_right() {
    let mark = of_another_boot(BUILT + 2 * DAY);
    let mut used = Duration::ZERO;
    for day in 1..9 {
        let mut stamps = Stamps::new(Some(mark), BOOT, BUILT);
        let begun = stamps.begin(at(0), BUILT + day * DAY);
        assert_eq!(begun, Err(NotYet::Reservation));
        stamps.on_refused(at(0));
        let first = stamps.begin(at(0), BUILT + day * DAY).unwrap();
        assert!(first > used, "{first:?} after {used:?}");
        used = first + DAY.saturating_sub(SECOND);
    }
}

#[test]
fn a_disk_that_takes_marks_again_costs_no_session_either() {
    let mark = of_another_boot(BUILT + 2 * DAY);
    let mut refused = Stamps::new(Some(mark), BOOT, BUILT);
    refused.on_refused(at(0));
    let used = refused.begin(at(0), BUILT + 60 * SECOND).unwrap() + 40 * 60 * SECOND;
    let mut mended = Agent::on(Some(mark));
    assert!(mended.begin(BUILT + 42 * 60 * SECOND).unwrap() > used);
}

#[test]
fn a_day_takes_one_mark_every_two_hours() {
    let mut agent = Agent::on(None);
    agent.begin(BUILT).unwrap();
    let writes = agent.pass(DAY).len();
    assert!((12..=14).contains(&writes), "{writes}");
}

/// Proofs every few minutes must not make the key useless, in a year, to whoever loses the mark.
#[test]
fn whoever_joins_a_line_does_not_make_it_run_ahead() {
    let mut agent = Agent::on(None);
    agent.begin(BUILT).unwrap();
    let mut last = Duration::ZERO;
    for minute in 1..1_000 {
        agent.pass(60 * SECOND);
        let now = Uptime::since_boot(agent.now);
        let joined = agent.stamps.join(now, BUILT + minute * 60 * SECOND).unwrap();
        assert!(joined > last && joined <= BUILT + agent.now + GAP, "{joined:?} in minute {minute}");
        last = joined;
    }
    assert!(agent.begin(BUILT + agent.now).unwrap() > last);
}

#[test]
fn an_agent_that_ends_in_order_leaves_no_gap() {
    let mut agent = Agent::on(None);
    for _ in 0..100 {
        agent.begin(BUILT).unwrap();
        agent = agent.stop();
    }
    assert!(agent.mark.unwrap().stamp < BUILT + 10 * 60 * SECOND, "{:?}", agent.mark);
}

#[test]
fn an_agent_that_is_killed_leaves_no_gap_either() {
    let mut agent = Agent::on(None);
    for _ in 0..100 {
        agent.begin(BUILT).unwrap();
        agent.pass(10 * SECOND);
        agent = agent.killed(true);
    }
    let ahead = agent.begin(BUILT).unwrap().saturating_sub(BUILT + agent.now);
    assert!(ahead < 10 * 60 * SECOND, "{ahead:?}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_stamp_is_greater_than_those_before(happenings in prop::collection::vec(happening(), 1..200)) {
        let mut wall = BUILT;
        let mut agent = Agent::on(None);
        let mut latest = Duration::ZERO;
        for happening in happenings {
            match happening {
                Happening::Clock(to) => wall = to,
                Happening::Pass(span) => drop(agent.pass(span)),
                Happening::Begin => drop(agent.begin(wall)),
                Happening::Initiate => {}
                Happening::PowerCut { written } => agent = agent.power_cut(written),
                Happening::Kill { written } => agent = agent.killed(written),
                Happening::Stop => agent = agent.stop(),
            }
            if let Some(stamp) = agent.stamp() {
                prop_assert!(stamp > latest, "{stamp:?} after {latest:?}");
                latest = stamp;
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Happening {
    Clock(Duration),
    Pass(Duration),
    Begin,
    Initiate,
    PowerCut { written: bool },
    Kill { written: bool },
    Stop,
}

fn happening() -> impl Strategy<Value = Happening> {
    let seconds = |span: Duration| (0..span.as_secs()).prop_map(Duration::from_secs);
    prop_oneof![
        seconds(BUILT + 20 * YEAR).prop_map(Happening::Clock),
        (0..YEAR.as_secs()).prop_map(|ahead| Happening::Clock(BUILT + Duration::from_secs(ahead))),
        seconds(10 * SECOND).prop_map(Happening::Pass),
        seconds(DAY).prop_map(Happening::Pass),
        Just(Happening::Begin),
        Just(Happening::Initiate),
        Just(Happening::Stop),
        any::<bool>().prop_map(|written| Happening::PowerCut { written }),
        any::<bool>().prop_map(|written| Happening::Kill { written }),
    ]
}

/// An agent with its disk, which takes every mark by the next minute, and the line that its handshakes use.
struct Agent {
    boot: u128,
    mark: Option<Mark>,
    stamps: Stamps,
    now: Duration,
    wall: Duration,
    writing: Option<Mark>,
    line: Option<(Duration, Duration)>,
    initiations: u64,
}

impl Agent {
    fn on(mark: Option<Mark>) -> Agent {
        Agent::started(mark, 1, Duration::ZERO)
    }

    fn started(mark: Option<Mark>, boot: u128, now: Duration) -> Agent {
        let stamps = Stamps::new(mark, Boot(boot), BUILT);
        Agent { boot, mark, stamps, now, wall: BUILT, writing: None, line: None, initiations: 0 }
    }

    /// Ends the boot.
    fn power_cut(mut self, written: bool) -> Agent {
        if written {
            self.write();
        }
        Agent::started(self.mark, self.boot + 1, Duration::ZERO)
    }

    /// Ends the agent alone.
    fn killed(mut self, written: bool) -> Agent {
        if written {
            self.write();
        }
        Agent::started(self.mark, self.boot, self.now)
    }

    fn stop(mut self) -> Agent {
        self.write();
        let mark = self.stamps.last(Uptime::since_boot(self.now), self.wall).or(self.mark);
        Agent::started(mark, self.boot, self.now)
    }

    fn begin(&mut self, wall: Duration) -> Result<Duration, NotYet> {
        let now = Uptime::since_boot(self.now);
        self.wall = wall;
        let mut begun = self.stamps.begin(now, wall);
        if begun == Err(NotYet::Reservation) {
            self.write();
            self.writing = self.stamps.reserve(now, wall);
            self.write();
            begun = self.stamps.begin(now, wall);
        }
        if let Ok(first) = begun {
            self.line = Some((self.now, first));
        }
        begun
    }

    /// Returns the marks that were asked for.
    fn pass(&mut self, span: Duration) -> Vec<Mark> {
        let (end, mut asked) = (self.now + span, Vec::new());
        while self.now < end {
            self.now = end.min(self.now + 60 * SECOND);
            self.write();
            self.writing = self.stamps.reserve(Uptime::since_boot(self.now), self.wall);
            asked.extend(self.writing);
        }
        asked
    }

    fn write(&mut self) {
        if let Some(mark) = self.writing.take() {
            self.mark = Some(mark);
            self.stamps.on_reserved(mark);
        }
    }

    /// Of one more initiation.
    fn stamp(&mut self) -> Option<Duration> {
        self.initiations += 1;
        let more = Duration::from_nanos(self.initiations);
        self.line.map(|(since, first)| first + self.now.saturating_sub(since) + more)
    }
}

fn of_another_boot(stamp: Duration) -> Mark {
    Mark { stamp, wall: BUILT, boot: Boot(0), lead: Duration::ZERO }
}

fn at(seconds: u64) -> Uptime {
    Uptime::since_boot(Duration::from_secs(seconds))
}
