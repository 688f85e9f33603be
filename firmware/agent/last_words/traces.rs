//! Gathers what the boot before has left: what it said itself, what its kernel said, what the watchdog says, and when the
//! time was last written down.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use byway_core::clock::Source;
use byway_core::last_stop::Traces;

use super::{name, warn};
use crate::store::{BootNote, ClockFile, Store};

/// Of the kernel's log; ramoops holds no more.
const LONGEST: usize = 64 * 1024;
const KERNEL: &str = "last-kernel.log";
/// `WDIOF_CARDRESET` of linux/watchdog.h: the watchdog has reset the machine.
const RESET_BY_WATCHDOG: u32 = 0x20;
/// What a Pi's firmware found in `PM_RSTS` when it began, big-endian; the driver of its watchdog tells nothing.
const RSTS: &str = "firmware/devicetree/base/chosen/bootloader/rsts";
/// `HADWRF` in there: a full reset by the watchdog, also the one by which the kernel restarts a Pi.
const FULL_RESET_BY_WATCHDOG: u32 = 0x20;

/// `kernel`: its logs.
pub(super) fn gather(before: &BootNote, kernel: Vec<String>, state_dir: &Path, sys: &Path) -> Traces {
    Traces {
        farewell: before.farewell.clone(),
        kernel,
        bitten: is_bitten(&sys.join("class/watchdog/watchdog0/bootstatus"))
            || is_reset_by_watchdog(&sys.join(RSTS)),
        last_sign: last_sign(before, state_dir),
    }
}

/// Moved to `STATE_DIR`: where they are there is room for one or two, and the next one must find it.
pub(super) fn take_kernel_logs(state_dir: &Path, sys: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(sys.join("fs/pstore")) else { return Vec::new() };
    let is_log = |path: &Path| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"dmesg-ramoops-"))
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| is_log(path)).collect();
    paths.sort();
    let logs: Vec<String> = paths.iter().filter_map(|path| read(path).ok()).collect();
    if logs.is_empty() {
        return logs;
    }
    let all = logs.join("\n");
    let kept = Store::new(state_dir).keep(KERNEL, &all.as_bytes()[..all.len().min(LONGEST)]);
    let is_kept = kept.is_ok();
    warn("the kernel's last log is not kept", kept);
    for path in paths.iter().filter(|_| is_kept) {
        if let Err(error) = fs::remove_file(path) {
            tracing::warn!("{} cannot be removed, and will be told again: {error}", path.display());
        }
    }
    logs
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST as u64).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn is_bitten(bootstatus: &Path) -> bool {
    let told = fs::read_to_string(bootstatus).unwrap_or_default();
    told.trim().parse::<u32>().is_ok_and(|flags| flags & RESET_BY_WATCHDOG != 0)
}

fn is_reset_by_watchdog(rsts: &Path) -> bool {
    let told = fs::read(rsts).ok().and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    told.is_some_and(|bytes| u32::from_be_bytes(bytes) & FULL_RESET_BY_WATCHDOG != 0)
}

/// Where the clock was right then, and it was that boot.
fn last_sign(before: &BootNote, state_dir: &Path) -> Option<Duration> {
    let stamp = ClockFile::open(Store::new(state_dir)).1.told()?;
    let is_right = match stamp.source {
        Source::Ntp | Source::Tls | Source::Rtc => true,
        Source::None | Source::Build | Source::Saved => false,
    };
    (is_right && name(stamp.boot) == before.boot).then_some(stamp.wall)
}
