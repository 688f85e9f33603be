//! How much memory the machine has, as the kernel tells it.

use std::fs;
use std::io;

use byway_core::resources::Memory;

pub fn now() -> io::Result<Memory> {
    read(&fs::read_to_string("/proc/meminfo")?)
        .ok_or_else(|| io::Error::other("/proc/meminfo is not understood"))
}

fn read(told: &str) -> Option<Memory> {
    let kib = |name: &str| -> Option<u64> {
        let line = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    };
    Some(Memory { total: kib("MemTotal")? << 10, available: kib("MemAvailable")? << 10 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_there_is_and_what_is_left() {
        let told = "MemTotal:         440256 kB\nMemFree:    1 kB\nMemAvailable:     301072 kB\n";
        assert_eq!(read(told), Some(Memory { total: 440_256 << 10, available: 301_072 << 10 }));
        assert_eq!(read("MemTotal: 1 kB\n"), None);
        assert!(now().unwrap().available > 0);
    }
}
