//! Where the figures come from.

use std::fs;
use std::thread::available_parallelism;

use anyhow::{Context as _, Result};
use serde::Serialize;

#[derive(Debug, Clone, Serialize)]
pub(super) struct Machine {
    pub(super) cpu: String,
    pub(super) cores: usize,
    pub(super) memory_mib: u64,
    pub(super) kernel: String,
    pub(super) is_virtual: bool,
}

impl Machine {
    pub(super) fn here() -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
        let (cpus, memory) = (read("/proc/cpuinfo")?, read("/proc/meminfo")?);
        let memory_kib =
            field(&memory, "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        Ok(Self {
            cpu: field(&cpus, "model name").unwrap_or("unknown").to_owned(),
            cores: available_parallelism()?.get(),
            memory_mib: memory_kib.context("no MemTotal in /proc/meminfo")? / 1024,
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            is_virtual: field(&cpus, "flags").is_some_and(|flags| flags.contains(" hypervisor")),
        })
    }
}

/// The value of `name: value` in one of `/proc`'s listings.
pub(super) fn field<'a>(listing: &'a str, name: &str) -> Option<&'a str> {
    let lines = listing.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim()).next()
}
