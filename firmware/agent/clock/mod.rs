//! The clocks: time since boot for every decision, wall time for people and certificates, and the task that keeps the
//! latter right. What it is set to, and on whose word, is decided in [`byway_core::clock`].

mod keeper;
mod ntp;
mod referee;
mod servers;
mod set;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use byway_core::Uptime;
use byway_core::clock::Source;
use byway_core::stamps::Boot;
use nix::time::{ClockId, clock_gettime};

use crate::control::Now;
pub use keeper::{Awake, Means, Task};
pub use referee::Referee;
pub use servers::Servers;

/// Time since boot, suspended time included.
pub fn uptime() -> Uptime {
    let since_boot =
        clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every kernel since 2.6.39 has CLOCK_BOOTTIME");
    Uptime::since_boot(Duration::from(since_boot))
}

/// No clock is right that is earlier: when the image was made, where its build says so, else when this was written.
pub const BUILT: Duration = match option_env!("SOURCE_DATE_EPOCH") {
    Some(seconds) => match u64::from_str_radix(seconds, 10) {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => panic!("SOURCE_DATE_EPOCH is not a number of seconds"),
    },
    None => Duration::from_hours(498_192), // 2026-11-01
};

/// This boot and no other; of this agent alone where the kernel does not say.
pub fn boot() -> Boot {
    let told = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = told.chars().filter(char::is_ascii_hexdigit).collect();
    Boot(u128::from_str_radix(&digits, 16).unwrap_or_else(|_| RandomState::new().hash_one(()).into()))
}

/// Whether the task that keeps the clock knows the time.
static IS_KNOWN: AtomicBool = AtomicBool::new(false);

/// Whether what the wall clock shows is the time: the log tells no other.
pub fn is_right() -> bool {
    IS_KNOWN.load(Ordering::Relaxed) || set::is_in_step()
}

fn learn_source(source: Option<Source>) {
    IS_KNOWN.store(source.is_some_and(Source::is_known), Ordering::Relaxed);
}

/// What the wall clock shows, as time since 1970.
pub fn wall() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

pub fn now() -> Now {
    Now { uptime: uptime(), wall: SystemTime::now() }
}
