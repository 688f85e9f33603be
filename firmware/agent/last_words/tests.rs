use std::cell::Cell;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use byway_core::Uptime;
use byway_core::clock::{Source, Stamp};
use byway_core::last_stop::IN_GOOD_ORDER;
use tempfile::TempDir;

use super::*;
use crate::store::ClockFile;

#[test]
fn a_boot_ends_as_it_said_or_else_by_a_power_cut() {
    let machine = Machine::new();
    assert_eq!(machine.boot(1).sentence(), None, "the first one");
    assert_eq!(machine.boot(2).sentence().as_deref(), Some("the power was cut"));
    machine.boot(2).farewell(Some(Farewell::Shutdown));
    let mut life = machine.boot(3);
    assert_eq!(life.sentence().as_deref(), Some(IN_GOOD_ORDER));
    life.farewell(Some(Farewell::Button));
    life.farewell(Some(Farewell::Shutdown));
    life = machine.boot(4);
    assert_eq!(life.sentence().as_deref(), Some("restarted by the button"), "the first word counts");
    life.farewell(Some(Farewell::Button));
    life.farewell(None);
    assert_eq!(machine.boot(5).sentence().as_deref(), Some("the power was cut"), "it was taken back");
}

#[test]
fn an_agent_that_goes_on_in_the_same_boot_takes_its_farewell_back_and_knows_the_last_stop() {
    let machine = Machine::new();
    machine.boot(1).farewell(Some(Farewell::Shutdown));
    let mut life = machine.boot(2);
    life.farewell(Some(Farewell::Shutdown));
    life.story.runs = false;
    life.save();
    let note = fs::read(machine.state().join("boot.json")).unwrap();
    let life = machine.again(2);
    assert_eq!(life.sentence().as_deref(), Some(IN_GOOD_ORDER));
    assert_ne!(fs::read(machine.state().join("boot.json")).unwrap(), note);
    drop(life);
    assert_eq!(machine.boot(3).sentence().as_deref(), Some("the power was cut"));
}

#[test]
fn the_last_sign_of_life_is_told_where_the_clock_was_right() {
    let machine = Machine::new();
    let stamp = |boot, source| {
        let stamp = Stamp {
            wall: Duration::from_secs(1_795_731_059),
            uptime: Uptime::since_boot(Duration::from_mins(1)),
            boot: Boot(boot),
            source,
        };
        ClockFile::open(Store::new(machine.state())).0.write(stamp).unwrap();
    };
    drop(machine.boot(1));
    let sign = " (last sign of life 2026-11-26T22:10Z)";
    for (of, source, sign) in
        [(1, Source::Ntp, sign), (2, Source::Saved, ""), (2, Source::Ntp, ""), (4, Source::Tls, sign)]
    {
        stamp(of, source);
        let said = machine.next().sentence();
        assert_eq!(said, Some(format!("the power was cut{sign}")), "{source:?} of boot {of}");
    }
}

#[test]
fn a_killed_agent_is_seen_by_the_next_one_and_its_words_are_kept_once_in_ten_minutes() {
    let machine = Machine::new();
    let words = machine.state().join(WORDS);
    drop(machine.boot(1));
    assert!(!words.exists());
    journal::note(&machine.run(), "what it said last");
    let life = machine.again(1);
    assert_eq!(life.sentence().as_deref(), Some("byway crashed once since the boot, last: it was killed"));
    let kept = fs::read_to_string(&words).unwrap();
    assert!(kept.starts_with("it was killed\n") && kept.contains("what it said last"), "{kept}");
    assert_eq!(words.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let mut life = machine.again(1);
    life.crash("panicked at x.rs:1:2:\nno way");
    let last = "byway crashed 3 times since the boot, last: panicked at x.rs:1:2: no way";
    assert_eq!(life.sentence().as_deref(), Some(last));
    assert_eq!(fs::read_to_string(&words).unwrap(), kept, "within ten minutes");
    assert_eq!(machine.again(1).sentence().as_deref(), Some(last), "a crash is told once");
    assert!(fs::read_to_string(machine.run().join("byway.log")).unwrap().contains("no way"));
}

#[test]
fn last_words_are_no_longer_than_64_kilobytes() {
    let machine = Machine::new();
    let mut life = machine.boot(1);
    for _ in 0..100 {
        journal::note(&machine.run(), &"x".repeat(1000));
    }
    life.crash("the last line");
    let kept = fs::read_to_string(machine.state().join(WORDS)).unwrap();
    assert!((KEPT - 2000..KEPT + 100).contains(&kept.len()), "{}", kept.len());
    assert!(kept.ends_with("byway crashed: the last line\n"));
}

#[test]
fn the_kernels_log_is_moved_to_the_card_also_where_nobody_is_judged_by_it() {
    let machine = Machine::new();
    let pstore = machine.sys().join("fs/pstore");
    fs::create_dir_all(&pstore).unwrap();
    let panic = "Panic#1 Part1\n<0>[ 7.1] Kernel panic - not syncing: sysrq triggered crash\n";
    let log = pstore.join("dmesg-ramoops-0");
    fs::write(pstore.join("console-ramoops-0"), "another's").unwrap();
    for (boot, said) in [(1, None), (2, Some("kernel panic: sysrq triggered crash"))] {
        let text = format!("{panic}{boot}");
        fs::write(&log, &text).unwrap();
        assert_eq!(machine.boot(boot).sentence().as_deref(), said, "{boot}");
        assert!(!log.exists() && pstore.join("console-ramoops-0").exists());
        assert_eq!(fs::read_to_string(machine.state().join("last-kernel.log")).unwrap(), text);
    }
}

#[test]
fn the_watchdogs_word_is_heard_and_that_of_a_pis_firmware() {
    let machine = Machine::new();
    drop(machine.boot(1));
    let (bitten, cut) = ("the watchdog restarted the box: nobody fed it any more", "the power was cut");
    let tell = |name: &str, told: &[u8]| {
        let path = machine.sys().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, told).unwrap();
    };
    for (status, said) in [("32\n", bitten), ("0\n", cut), ("odd", cut), ("33", bitten), ("0", cut)] {
        tell("class/watchdog/watchdog0/bootstatus", status.as_bytes());
        assert_eq!(machine.next().sentence().as_deref(), Some(said), "{status}");
    }
    let rsts = "firmware/devicetree/base/chosen/bootloader/rsts";
    for (told, said) in [
        (&[0, 0, 0x10, 0x20][..], bitten),
        (&[0, 0, 0x10, 0], cut),
        (&[0x20, 0, 0, 0], cut),
        (&[0x20], cut),
        (&[0, 0, 0, 0x21], bitten),
    ] {
        tell(rsts, told);
        assert_eq!(machine.next().sentence().as_deref(), Some(said), "{told:?}");
    }
    // A Pi restarts by its watchdog.
    machine.again(machine.boots.get()).farewell(Some(Farewell::Shutdown));
    assert_eq!(machine.next().sentence().as_deref(), Some(IN_GOOD_ORDER));
}

#[test]
fn a_card_that_takes_nothing_is_no_reason_to_stop() {
    let mut machine = Machine::new();
    machine.paths.state_dir = "/proc/nowhere".into();
    let mut life = machine.boot(1);
    life.crash("it went wrong");
    assert_eq!(life.sentence().as_deref(), Some("byway crashed once since the boot, last: it went wrong"));
}

/// Its memory is gone with each boot, its card stays.
struct Machine {
    folder: TempDir,
    paths: Paths,
    boots: Cell<u128>,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name| folder.path().join(name);
        let paths = Paths {
            config: at("byway.toml"),
            card: None,
            state_dir: at("state"),
            spare: None,
            run_dir: at("run"),
        };
        Self { paths, folder, boots: Cell::new(0) }
    }

    fn boot(&self, nth: u128) -> Life {
        _ = fs::remove_dir_all(self.run());
        self.boots.set(nth);
        self.again(nth)
    }

    fn next(&self) -> Life {
        self.boot(self.boots.get() + 1)
    }

    fn again(&self, nth: u128) -> Life {
        Life::begin(&self.paths, Boot(nth), &self.sys())
    }

    fn state(&self) -> PathBuf {
        self.paths.state_dir.clone()
    }

    fn run(&self) -> PathBuf {
        self.paths.run_dir.clone()
    }

    fn sys(&self) -> PathBuf {
        self.folder.path().join("sys")
    }
}
