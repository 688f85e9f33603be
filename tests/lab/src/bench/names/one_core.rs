//! One core for everybody who has a part in one question at a time. Where the kernel spreads them over several, to wake
//! the other core takes longer than a whole answer, and whom that meets is chance.

use std::fs;

use anyhow::{Context as _, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The calling thread and every thread of these processes share a core while `act` lasts.
pub(super) fn on_one_core<T>(processes: &[Pid], act: impl FnOnce() -> Result<T>) -> Result<T> {
    // Zero is the caller (sched_setaffinity(2)).
    let mut threads = Vec::from([Pid::from_raw(0)]);
    for process in processes {
        threads.extend(threads_of(*process)?);
    }
    let cores = sched_getaffinity(Pid::from_raw(0)).context("cannot ask for this thread's cores")?;
    move_to(&threads, &last_of(&cores)?)?;
    let done = act();
    move_to(&threads, &cores)?;
    done
}

fn threads_of(process: Pid) -> Result<Vec<Pid>> {
    let folder = format!("/proc/{process}/task");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))?;
    Ok(entries.flatten().filter_map(|it| it.file_name().to_str()?.parse().ok()).map(Pid::from_raw).collect())
}

/// The first is where most machines handle their interrupts.
fn last_of(cores: &CpuSet) -> Result<CpuSet> {
    let last = (0..CpuSet::count()).rev().find(|core| cores.is_set(*core).unwrap_or(false));
    let mut one = CpuSet::new();
    one.set(last.context("this thread has no core")?)?;
    Ok(one)
}

fn move_to(threads: &[Pid], cores: &CpuSet) -> Result<()> {
    threads.iter().try_for_each(|thread| {
        sched_setaffinity(*thread, cores).with_context(|| format!("cannot move thread {thread}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_is_on_one_core_and_comes_back() {
        let here = || sched_getaffinity(Pid::from_raw(0)).unwrap();
        let count = |cores: CpuSet| (0..CpuSet::count()).filter(|core| cores.is_set(*core).unwrap()).count();
        let before = here();
        let during = on_one_core(&[], || Ok(here())).unwrap();
        assert_eq!(count(during), 1);
        assert_eq!(here(), before);
    }
}
