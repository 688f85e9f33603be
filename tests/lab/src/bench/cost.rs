//! What the box's programs take of the machine, by the kernel's own books.

use std::collections::BTreeMap;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::unistd::{Pid, SysconfVar, sysconf};

use super::machine::field;
use super::progress;
use super::results::{Idle, Memory};
use crate::namespace::Namespace;

/// Processor time so far in seconds, by program; a program's children that have ended are an entry of their own.
#[derive(Debug, Clone)]
pub(super) struct Books(BTreeMap<String, f64>);

impl Books {
    pub(super) fn of(namespace: &Namespace) -> Result<Self> {
        let tick = ticks_per_second()?;
        let mut books = BTreeMap::new();
        for pid in namespace.pids()? {
            // One that has ended since the listing is its parent's child.
            let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
            let Some((name, [own, children])) = times(&stat) else { continue };
            *books.entry(name.clone()).or_default() += own / tick;
            *books.entry(format!("{name}'s children")).or_default() += children / tick;
        }
        Ok(Self(books))
    }

    /// What was spent between two looks.
    pub(super) fn since(&self, before: &Self) -> BTreeMap<String, f64> {
        let before = |name: &String| before.0.get(name).copied().unwrap_or_default();
        self.0.iter().map(|(name, seconds)| (name.clone(), seconds - before(name))).collect()
    }
}

/// The phone does nothing meanwhile.
pub(super) fn idle(namespace: &Namespace, during: Duration) -> Result<Idle> {
    progress(&format!("idle for {} s", during.as_secs()));
    let (began, before) = (Instant::now(), Books::of(namespace)?);
    sleep(during);
    let (after, seconds) = (Books::of(namespace)?, began.elapsed().as_secs_f64());
    let spent = after.since(&before).into_iter();
    Ok(Idle {
        seconds,
        cpu_percent: spent.map(|(name, spent)| (name, 100.0 * spent / seconds)).collect(),
        memory: memory(namespace, "byway")?,
    })
}

pub(super) fn memory(namespace: &Namespace, program: &str) -> Result<Memory> {
    memory_of(pid_of(namespace, program)?)
}

pub(super) fn memory_of(pid: Pid) -> Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("cannot read its status")?;
    let kib = |name: &str| {
        let value = field(&status, name).and_then(|text| text.split(' ').next()?.parse().ok());
        value.with_context(|| format!("no {name} in {status}"))
    };
    Ok(Memory { resident_kib: kib("VmRSS")?, most_resident_kib: kib("VmHWM")? })
}

/// The process inside whose name begins so.
pub(super) fn pid_of(namespace: &Namespace, program: &str) -> Result<Pid> {
    let is_it = |pid: &Pid| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.starts_with(program))
    };
    namespace.pids()?.into_iter().find(is_it).with_context(|| format!("no {program} runs on the box"))
}

/// Spent in soft interrupts by the whole machine so far, in seconds.
pub(super) fn softirq() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    // cpu user nice system idle iowait irq softirq
    let ticks = stat.split_whitespace().nth(7).and_then(|word| word.parse::<f64>().ok());
    Ok(ticks.context("no softirq in /proc/stat")? / ticks_per_second()?)
}

/// Name, and user and system time of itself and of its children, from `proc_pid_stat(5)`.
fn times(stat: &str) -> Option<(String, [f64; 2])> {
    let (head, tail) = stat.rsplit_once(") ")?;
    let (_, name) = head.split_once('(')?;
    let ticks: Vec<f64> = tail.split(' ').skip(11).take(4).filter_map(|word| word.parse().ok()).collect();
    let [user, system, child_user, child_system] = ticks[..] else { return None };
    Some((name.to_owned(), [user + system, child_user + child_system]))
}

fn ticks_per_second() -> Result<f64> {
    let ticks = sysconf(SysconfVar::CLK_TCK)?.context("the kernel has no clock tick")?;
    Ok(f64::from(u32::try_from(ticks)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_times_behind_a_name_with_brackets() {
        let stat = "4711 (a) b) S 1 4711 4711 0 -1 4194560 9 8 0 0 100 20 30 4 20 0 7 0 1 2 3";
        assert_eq!(times(stat), Some(("a) b".to_owned(), [120.0, 34.0])));
    }
}
