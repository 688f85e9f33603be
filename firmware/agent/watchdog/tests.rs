use std::io::{ErrorKind, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::*;

/// Between two meals, in these tests.
const OFTEN: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(30);
/// Many times as long as between two meals.
const SILENT: Duration = Duration::from_millis(500);

/// A socket in the watchdog's place, which takes its time from nobody; and what it was given.
struct Kennel {
    fed: UnixStream,
    theirs: OwnedFd,
    dog: Dog,
}

impl Kennel {
    fn new() -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let dog = Dog::named(&theirs.as_raw_fd().to_string()).unwrap();
        Self { fed: ours, theirs: theirs.into(), dog }
    }

    /// Meals since the last time.
    fn meals(&mut self) -> usize {
        let mut meals = Vec::new();
        let waits = self.fed.read_to_end(&mut meals).unwrap_err();
        assert_eq!(waits.kind(), ErrorKind::WouldBlock);
        meals.len()
    }

    fn wait_for_meals(&mut self, at_least: usize) {
        let (began, mut meals) = (Instant::now(), 0);
        while meals < at_least {
            assert!(began.elapsed() < PATIENCE, "{meals} meals");
            meals += self.meals();
            thread::sleep(OFTEN);
        }
    }

    fn is_fed_within(&mut self, time: Duration) -> bool {
        let began = Instant::now();
        while began.elapsed() < time {
            if self.meals() > 0 {
                return true;
            }
            thread::sleep(OFTEN);
        }
        false
    }
}

#[test]
fn food_stays_away_while_a_part_is_silent_and_comes_again_with_its_next_tick() {
    let mut kennel = Kennel::new();
    let pulses = Pulses::default();
    let watch = Watch { food: feed(kennel.dog, &pulses, OFTEN), pulses: pulses.clone() };
    kennel.wait_for_meals(3);
    let (part, others) = (pulses.begin(Part::Inwards), pulses.begin(Part::Names));
    assert!(watch.told().is_ok_and(|told| told.starts_with("fed every 3 s")));

    // As if a long time ago.
    pulses.backdate(Part::Inwards, Part::Inwards.patience());
    let began = Instant::now();
    while kennel.is_fed_within(SILENT) {
        assert!(began.elapsed() < PATIENCE, "fed for ever");
        others.tick();
    }
    let told = watch.told().unwrap_err();
    assert!(told.starts_with("the tunnel's inward thread has not ticked for 3"), "{told}");

    part.tick();
    kennel.wait_for_meals(3);
    assert!(watch.told().is_ok());
}

#[test]
fn nothing_is_expected_of_an_agent_before_its_loop() {
    let pulses = start().pulses;
    assert_eq!(Part::ALL.map(|part| pulses.last_tick(part)), [None; Part::ALL.len()]);
}

#[test]
fn nobody_is_fed_when_the_agent_is_gone() {
    let mut kennel = Kennel::new();
    let pulses = Pulses::default();
    feed(kennel.dog, &pulses, OFTEN);
    kennel.wait_for_meals(3);
    drop(pulses);
    let began = Instant::now();
    while kennel.is_fed_within(SILENT) {
        assert!(began.elapsed() < PATIENCE, "fed for ever");
    }
}

#[test]
fn what_is_no_descriptor_is_told_in_a_sentence() {
    for named in ["", "nine", "-1", "2", "9 "] {
        let error = Dog::named(named).unwrap_err().to_string();
        assert!(error.contains("the number of an open descriptor"), "{named}: {error}");
    }
    let error = Dog::named("999999").unwrap_err().to_string();
    assert!(error.starts_with("BYWAY_WATCHDOG_FD is 999999, which is not open"), "{error}");
    let watch = Watch { pulses: Pulses::default(), food: Food::Refused(error.clone()) };
    assert_eq!(watch.told(), Err(error));
}

#[test]
fn no_program_inherits_it_but_the_next_agent() {
    let kennel = Kennel::new();
    let flags = || FdFlag::from_bits_retain(fcntl(&kennel.theirs, FcntlArg::F_GETFD).unwrap());
    assert!(flags().contains(FdFlag::FD_CLOEXEC));
    kennel.dog.inherit(true).unwrap();
    assert!(!flags().contains(FdFlag::FD_CLOEXEC));
}

#[test]
fn a_socket_has_no_time_of_its_own_and_is_fed_all_the_same() {
    let kennel = Kennel::new();
    assert!(matches!(feed(kennel.dog, &Pulses::default(), OFTEN), Food::Given(None)));
}
