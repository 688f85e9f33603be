//! What the machine has for the traffic of others: memory, places in the connection table, a processor that runs as fast as
//! it is asked to. How much of it connections may take, and what is said of each.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

/// In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    pub total: u64,
    pub available: u64,
}

/// The connection table at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    pub tracked: u32,
    pub room: u32,
    pub kept: Kept,
}

/// How long a silent one is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    pub tcp: Duration,
    pub udp: Duration,
    /// Nobody has answered.
    pub udp_unanswered: Duration,
}

/// Who decides how fast the processor runs, and for what driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Governor {
    pub name: String,
    pub driver: String,
}

/// A connection costs up to 800 bytes, so a full table takes a twentieth of the memory.
const MEMORY_FOR_ONE: u64 = 16 << 10;
/// Enough for some people who browse, on whatever machine.
const LEAST: u32 = 16_384;
/// As many as Linux itself tracks on the largest machines.
const MOST: u32 = 262_144;
/// Of a table: from here on those that come new may find no place.
const NEARLY_FULL: (u32, u32) = (9, 10);

impl Memory {
    /// How many connections may be tracked at once. Linux has room for 4096 in 512 MB, which two people's phones fill.
    pub fn connections(self) -> u32 {
        u32::try_from(self.total / MEMORY_FOR_ONE).unwrap_or(MOST).clamp(LEAST, MOST)
    }

    /// Whether there is some left, in words.
    pub fn told(self) -> Result<String, String> {
        let mib = |bytes: u64| bytes >> 20;
        let told = format!("{} of {} MiB are free", mib(self.available), mib(self.total));
        if self.available < self.total / 16 {
            return Err(format!("{told}: something takes nearly all; `byway report` helps to find out what"));
        }
        Ok(told)
    }
}

impl Connections {
    /// Whether there is room for more, in words.
    pub fn told(self) -> Result<String, String> {
        let Self { tracked, room, kept } = self;
        let (part, whole) = NEARLY_FULL;
        if u64::from(tracked) * u64::from(whole) >= u64::from(room) * u64::from(part) {
            return Err(format!(
                "{tracked} of {room}: those that come new may find no place (`byway clients` tells who has many)"
            ));
        }
        let seconds = |kept: Duration| kept.as_secs();
        Ok(format!(
            "{tracked} of {room}; silent ones are kept for {} s (TCP), {} s (UDP), {} s (UDP that nobody answers)",
            seconds(kept.tcp),
            seconds(kept.udp),
            seconds(kept.udp_unanswered)
        ))
    }
}

impl Governor {
    /// In words. What byway's own card has is not to be put right by anybody; on another machine it is its owner's.
    pub fn told(&self) -> String {
        let Self { name, driver } = self;
        // Those of the processor's own choose a speed by themselves under this name.
        let holds_back =
            name == "powersave" && !driver.ends_with("pstate") && !driver.ends_with("pstate-epp");
        if holds_back {
            return format!(
                "{name}: the processor stays at its slowest, and so does the tunnel (schedutil does not)"
            );
        }
        name.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn memory(total: u64) -> Memory {
        Memory { total, available: total }
    }

    #[test]
    fn connections_take_a_bounded_part_of_the_memory() {
        let of = [64 << 20, GIB / 2, GIB, 4 * GIB, 64 * GIB].map(|total| memory(total).connections());
        assert_eq!(of, [16_384, 32_768, 65_536, 262_144, 262_144]);
    }

    #[test]
    fn a_memory_that_is_nearly_used_up_is_told() {
        assert_eq!(memory(GIB).told().as_deref(), Ok("1024 of 1024 MiB are free"));
        let short = Memory { total: GIB, available: (64 << 20) - 1 };
        assert!(short.told().unwrap_err().starts_with("63 of 1024 MiB are free: something"));
        assert!(Memory { available: 64 << 20, ..short }.told().is_ok());
    }

    #[test]
    fn a_table_that_is_nearly_full_is_told() {
        let seconds = Duration::from_secs;
        let kept = Kept { tcp: seconds(7440), udp: seconds(300), udp_unanswered: seconds(30) };
        let table = Connections { tracked: 899, room: 1000, kept };
        assert_eq!(
            table.told().as_deref(),
            Ok(
                "899 of 1000; silent ones are kept for 7440 s (TCP), 300 s (UDP), 30 s (UDP that nobody answers)"
            )
        );
        assert!(Connections { tracked: 900, ..table }.told().unwrap_err().starts_with("900 of 1000: those"));
    }

    #[test]
    fn a_governor_that_holds_the_processor_back_is_told() {
        let told = |name: &str, driver: &str| Governor { name: name.into(), driver: driver.into() }.told();
        assert_eq!(told("schedutil", "cpufreq-dt"), "schedutil");
        assert!(told("powersave", "cpufreq-dt").starts_with("powersave: the processor stays"));
        for driver in ["intel_pstate", "amd-pstate-epp"] {
            assert_eq!(told("powersave", driver), "powersave");
        }
    }
}
