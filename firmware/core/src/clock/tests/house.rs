//! A clock in a house that a test furnishes: what its time servers say, what hosts with certificates say, and by how
//! much it is wrong. Only what the machine asks for is answered.

use alloc::vec;
use std::net::{IpAddr, Ipv4Addr};
use std::string::ToString;

use super::super::*;

pub(super) const BUILT: Duration = Duration::from_hours(498_192);
pub(super) const DAY: Duration = Duration::from_hours(24);
pub(super) const YEAR: Duration = Duration::from_hours(365 * 24);
/// The truth, at the boot of all of these.
pub(super) const TRUTH: Duration = Duration::from_hours(498_192 + 100 * 24);
pub(super) const BOOT: Boot = Boot(7);

pub(super) struct House {
    pub(super) clock: Clock,
    pub(super) now: Now,
    /// Of each time server, by how much its clock is ahead; `None`: silent.
    pub(super) servers: Vec<Option<Duration>>,
    pub(super) houses_own: Vec<Duration>,
    pub(super) dates: Vec<Duration>,
    pub(super) refuses: bool,
    pub(super) steps: u32,
    pub(super) slews: u32,
    pub(super) referred: u32,
    pub(super) marked: u32,
    pub(super) asked: Vec<Uptime>,
    pub(super) saved: Vec<Stamp>,
}

pub(super) fn at(seconds: u64) -> Uptime {
    Uptime::since_boot(Duration::from_secs(seconds))
}

pub(super) fn now(seconds: u64, at_boot: Duration) -> Now {
    Now { uptime: at(seconds), wall: at_boot + Duration::from_secs(seconds), in_step: false }
}

pub(super) fn found() -> Found {
    Found { boot: BOOT, built: BUILT, keep: Keep::Ntp, saved: None, last_write: None, has_rtc: false }
}

impl House {
    /// Just woken with this clock, three good time servers, two good hosts.
    pub(super) fn woken(at_boot: Duration) -> Self {
        Self::found(&found(), at_boot)
    }

    pub(super) fn found(found: &Found, at_boot: Duration) -> Self {
        let mut now = now(10, at_boot);
        let woken = found.wake(now);
        now.wall = woken.raise.unwrap_or(now.wall);
        Self {
            clock: Clock::start(now, found, &woken, Ok(())),
            now,
            servers: vec![Some(Duration::ZERO); 3],
            houses_own: Vec::new(),
            dates: vec![TRUTH; 2],
            refuses: false,
            steps: 0,
            slews: 0,
            referred: 0,
            marked: 0,
            asked: Vec::new(),
            saved: Vec::new(),
        }
    }

    pub(super) fn lying(mut self, servers: &[Option<Duration>]) -> Self {
        self.servers = servers.to_vec();
        self
    }

    pub(super) fn without_referee(mut self) -> Self {
        self.dates.clear();
        self
    }

    /// Lets time pass until the machine has nothing to do before then.
    pub(super) fn run(&mut self, seconds: u64) {
        let until = self.now.uptime + Duration::from_secs(seconds);
        self.feed(Input::Uplink(true));
        while let Some(due) = self.clock.deadline().filter(|due| *due <= until) {
            self.pass(due.since(self.now.uptime));
            self.feed(Input::Tick);
        }
        self.pass(until.since(self.now.uptime));
    }

    pub(super) fn pass(&mut self, span: Duration) {
        self.now.uptime = self.now.uptime + span;
        self.now.wall += span;
    }

    pub(super) fn feed(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for effect in self.clock.step(self.now, input) {
                match effect {
                    Effect::Ask => {
                        self.asked.push(self.now.uptime);
                        inputs.push(Input::Answers(self.answers()));
                    }
                    Effect::Refer => {
                        self.referred += 1;
                        inputs.push(Input::Dates(self.dates()));
                    }
                    Effect::Set(adjustment) => inputs.push(Input::Set(self.set(adjustment))),
                    Effect::InStep => self.marked += 1,
                    Effect::Save(stamp) => self.saved.push(stamp),
                }
            }
        }
    }

    pub(super) fn answers(&self) -> Vec<Sample> {
        let sample = |nth: u8, ahead: Duration, is_houses| Sample {
            server: IpAddr::V4(Ipv4Addr::new(192, 0, 2, nth)),
            is_houses,
            at_boot: TRUTH + ahead,
            round_trip: Duration::from_millis(20),
        };
        let fixed = (1..).zip(&self.servers);
        let fixed = fixed.filter_map(|(nth, ahead)| Some(sample(nth, (*ahead)?, false)));
        fixed.chain(self.houses_own.iter().map(|ahead| sample(100, *ahead, true))).collect()
    }

    pub(super) fn dates(&self) -> Vec<Date> {
        let dates = ["hs.example.net", "check.example.net"].iter().zip(&self.dates);
        dates.map(|(host, at_boot)| Date { host: host.to_string(), at_boot: *at_boot }).collect()
    }

    fn set(&mut self, adjustment: Adjustment) -> Result<(), String> {
        if self.refuses {
            return Err("Operation not permitted".to_string());
        }
        let at_boot = match adjustment {
            Adjustment::Slew(_) => {
                self.slews += 1;
                TRUTH
            }
            Adjustment::Step(at_boot) => {
                self.steps += 1;
                at_boot
            }
        };
        self.now.wall = at_boot + self.now.uptime.elapsed_since_boot();
        Ok(())
    }

    pub(super) fn source(&self) -> Source {
        self.clock.report().source.unwrap()
    }

    pub(super) fn trouble(&self) -> String {
        self.clock.report().trouble.as_ref().map_or_else(String::new, ToString::to_string)
    }

    pub(super) fn complaint(&self) -> Option<String> {
        self.clock.report().complaint()
    }

    pub(super) fn is_right(&self) -> bool {
        self.now.at_boot().abs_diff(TRUTH) < DATE_ERROR
    }
}
