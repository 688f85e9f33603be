//! Decides what is said of how the machine stopped last, and of the agent's crashes since: which of the traces that were
//! found tells the cause.
//!
//! | found, the first that applies | said |
//! |---|---|
//! | the kernel's log of its panic | kernel panic: .. |
//! | a part of the agent that was silent until the watchdog bit | the watchdog restarted the box: .. |
//! | a farewell: init's SIGTERM, the button | in good order, restarted by the button |
//! | the kernel's log of an oops | kernel oops: .. |
//! | the watchdog's word, or a Pi's firmware's, that it has reset the machine | the watchdog restarted the box |
//! | nothing | the power was cut |

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Day;

/// What an orderly stop is called; whoever tells people may leave it out.
pub const IN_GOOD_ORDER: &str = "in good order";
/// A sentence is no log.
const LONGEST_LINE: usize = 200;

/// Why the machine was about to stop, as it was written down before it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Farewell {
    /// The init system's SIGTERM, or a person's.
    Shutdown,
    /// Somebody held the button.
    Button,
    /// This part of the agent did not tick, so that the watchdog was no longer fed.
    Watchdog { part: String, silent_s: u64 },
}

/// What was found of the boot before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    pub farewell: Option<Farewell>,
    /// The logs that the kernel has left at its end.
    pub kernel: Vec<String>,
    /// The watchdog has reset the machine, in whatever order: a Pi's is also how its kernel restarts it.
    pub bitten: bool,
    /// The newest time that was written down, as time since 1970.
    pub last_sign: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastStop {
    Panicked(String),
    Oopsed(String),
    Bitten(Option<Silent>),
    Shutdown,
    Button,
    PowerCut(Option<Duration>),
}

/// Who did not tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silent {
    pub part: String,
    pub seconds: u64,
}

/// The agent's, since the machine was started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crashes {
    pub count: u32,
    /// How the last one was.
    pub last: String,
}

impl Traces {
    pub fn verdict(&self) -> LastStop {
        if let Some(panic) = self.kernel.iter().find_map(|log| panic_in(log)) {
            return LastStop::Panicked(panic);
        }
        match &self.farewell {
            Some(Farewell::Watchdog { part, silent_s }) => {
                LastStop::Bitten(Some(Silent { part: part.clone(), seconds: *silent_s }))
            }
            // Its own way to restart a Pi is the watchdog, whose word says nothing then.
            Some(Farewell::Shutdown) => LastStop::Shutdown,
            Some(Farewell::Button) => LastStop::Button,
            None => match self.kernel.first() {
                Some(log) => LastStop::Oopsed(oops_in(log)),
                None if self.bitten => LastStop::Bitten(None),
                None => LastStop::PowerCut(self.last_sign),
            },
        }
    }
}

impl Crashes {
    pub fn learn(&mut self, how: &str) {
        self.count = self.count.saturating_add(1);
        self.last = one_line(how);
    }
}

/// What is told of both; nothing where there was no boot before, and no crash.
pub fn sentence(last: Option<&str>, crashes: &Crashes) -> Option<String> {
    let since = if last.is_some() { "since" } else { "since the boot" };
    let times = match crashes.count {
        0 => return last.map(String::from),
        1 => String::from("once"),
        count => format!("{count} times"),
    };
    let crashes = format!("byway crashed {times} {since}, last: {}", crashes.last);
    Some(last.map_or_else(|| crashes.clone(), |last| format!("{last}; {crashes}")))
}

impl fmt::Display for LastStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(line) => write!(f, "kernel panic: {line}"),
            Self::Oopsed(line) => write!(f, "kernel oops: {line}"),
            Self::Bitten(None) => f.write_str("the watchdog restarted the box: nobody fed it any more"),
            Self::Bitten(Some(Silent { part, seconds })) => {
                write!(f, "the watchdog restarted the box: {part} did not tick for {seconds} s")
            }
            Self::Shutdown => f.write_str(IN_GOOD_ORDER),
            Self::Button => f.write_str("restarted by the button"),
            Self::PowerCut(None) => f.write_str("the power was cut"),
            Self::PowerCut(Some(last)) => {
                write!(f, "the power was cut (last sign of life {:#})", Day(*last))
            }
        }
    }
}

/// `Kernel panic - not syncing: Attempted to kill init!` without what every panic begins with.
fn panic_in(log: &str) -> Option<String> {
    let line = log.lines().find_map(|line| line.split_once("Kernel panic - not syncing: "))?;
    Some(one_line(line.1))
}

/// The line that tells the cause, or else the last one.
fn oops_in(log: &str) -> String {
    const TELLING: [&str; 4] = ["Internal error: ", "Unable to handle kernel ", "BUG: ", "kernel BUG at "];
    let telling = log.lines().find(|line| TELLING.iter().any(|words| line.contains(words)));
    let line =
        telling.or_else(|| log.lines().rfind(|line| !line.trim().is_empty())).unwrap_or("no word of it");
    one_line(without_stamp(line))
}

/// Without `<4>[   12.345678] `.
fn without_stamp(line: &str) -> &str {
    let line = line.strip_prefix('<').and_then(|line| line.split_once('>')).map_or(line, |(_, rest)| rest);
    let stamped = line.strip_prefix('[').and_then(|line| line.split_once("] "));
    stamped.map_or(line, |(_, rest)| rest)
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST_LINE) {
        None => line,
        Some((end, _)) => line[..end].to_string() + "..",
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    const PANIC: &str = "Panic#1 Part1\n<6>[    1.000000] usb: new device\n\
        <0>[   77.123456] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009\n<4>[   77.2] CPU: 0\n";
    const OOPS: &str = "Oops#1 Part1\n<1>[   12.345678] Unable to handle kernel NULL pointer dereference at virtual address 0\n\
        <0>[   12.4] Internal error: Oops: 0000000096000004 [#1] SMP\n";

    #[test]
    fn each_trace_has_its_sentence_and_the_stronger_one_wins() {
        let at = Some(Duration::from_secs(1_795_731_059));
        let watchdog = Farewell::Watchdog { part: String::from("the engine"), silent_s: 21 };
        let panic = "kernel panic: Attempted to kill init! exitcode=0x00000009";
        let oops = "kernel oops: Unable to handle kernel NULL pointer dereference at virtual address 0";
        let silent = "the watchdog restarted the box: the engine did not tick for 21 s";
        for (farewell, kernel, bitten, said) in [
            (None, vec![], false, "the power was cut (last sign of life 2026-11-26T22:10Z)"),
            (None, vec![], true, "the watchdog restarted the box: nobody fed it any more"),
            (None, vec![OOPS], true, oops),
            (None, vec![OOPS, PANIC], true, panic),
            (Some(Farewell::Shutdown), vec![OOPS], true, IN_GOOD_ORDER),
            (Some(Farewell::Shutdown), vec![PANIC], false, panic),
            (Some(Farewell::Button), vec![], true, "restarted by the button"),
            (Some(watchdog.clone()), vec![OOPS], true, silent),
            (Some(watchdog), vec![], false, silent),
        ] {
            let kernel = kernel.into_iter().map(String::from).collect();
            let traces = Traces { farewell, kernel, bitten, last_sign: at };
            assert_eq!(traces.verdict().to_string(), said, "{traces:?}");
        }
        assert_eq!(Traces::default().verdict().to_string(), "the power was cut");
    }

    #[test]
    fn a_kernels_log_of_any_form_is_one_line() {
        let said =
            |log: &str| Traces { kernel: vec![String::from(log)], ..Traces::default() }.verdict().to_string();
        assert_eq!(said(""), "kernel oops: no word of it");
        assert_eq!(said("Oops#1 Part1\n<4>[ 1.0] something\todd \n\n"), "kernel oops: something odd");
        assert_eq!(said("[ 1.0] BUG: x"), "kernel oops: BUG: x");
        assert_eq!(said("<3 no end"), "kernel oops: <3 no end");
        let long = said(&"\u{e4}".repeat(1000));
        assert!(long.ends_with("\u{e4}..") && long.chars().count() == 13 + LONGEST_LINE + 2, "{long}");
    }

    #[test]
    fn crashes_are_counted_beside_it() {
        let mut crashes = Crashes::default();
        assert_eq!(sentence(None, &crashes), None);
        assert_eq!(sentence(Some(IN_GOOD_ORDER), &crashes).as_deref(), Some(IN_GOOD_ORDER));
        crashes.learn("it was killed");
        assert_eq!(
            sentence(None, &crashes).as_deref(),
            Some("byway crashed once since the boot, last: it was killed")
        );
        crashes.learn("panicked at x.rs:1:2:\nno way");
        assert_eq!(
            sentence(Some("the power was cut"), &crashes).as_deref(),
            Some("the power was cut; byway crashed 2 times since, last: panicked at x.rs:1:2: no way")
        );
    }
}
