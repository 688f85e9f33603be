//! Sets the kernel's clock and asks how it is kept (`clock_settime(2)`, `adjtimex(2)`).

use std::io;
use std::path::Path;
use std::time::Duration;

use byway_core::clock::{Adjustment, Offset};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_settime};

use super::uptime;

/// What the kernel is told of the clock's error: it stops to call the clock kept when this has grown to 16 s.
const ERROR_MICROS: i64 = 500_000;

/// Whether the kernel says that somebody keeps the clock in step.
pub(super) fn is_in_step() -> bool {
    let state = adjtimex(&mut nothing()).unwrap_or(libc::TIME_ERROR);
    state != libc::TIME_ERROR
}

pub(super) fn has_rtc() -> bool {
    Path::new("/dev/rtc0").exists()
}

pub(super) fn to(wall: Duration) -> io::Result<()> {
    Ok(clock_settime(ClockId::CLOCK_REALTIME, TimeSpec::from_duration(wall))?)
}

pub(super) fn adjust(adjustment: Adjustment) -> io::Result<()> {
    match adjustment {
        Adjustment::Slew(offset) => slew(offset)?,
        Adjustment::Step(at_boot) => to(at_boot + uptime().elapsed_since_boot())?,
    }
    Ok(())
}

/// As adjtime(3) does.
fn slew(offset: Offset) -> io::Result<()> {
    let mut timex = nothing();
    timex.modes = libc::ADJ_OFFSET_SINGLESHOT;
    timex.offset = offset.as_micros();
    adjtimex(&mut timex).map(drop)
}

/// From now on the kernel writes the time into the chip with the battery, where there is one, every 11 minutes.
pub(super) fn mark_in_step() -> io::Result<()> {
    let mut timex = nothing();
    timex.modes = libc::ADJ_STATUS | libc::ADJ_MAXERROR | libc::ADJ_ESTERROR;
    timex.status = 0;
    (timex.maxerror, timex.esterror) = (ERROR_MICROS, ERROR_MICROS);
    adjtimex(&mut timex).map(drop)
}

/// Asks for nothing to be changed.
fn nothing() -> libc::timex {
    // SAFETY: all its fields are numbers.
    #[expect(unsafe_code, reason = "libc's type has fields for padding, which cannot be named")]
    unsafe {
        std::mem::zeroed()
    }
}

fn adjtimex(timex: &mut libc::timex) -> io::Result<libc::c_int> {
    // SAFETY: the kernel reads and writes this one structure.
    #[expect(unsafe_code, reason = "no wrapper of adjtimex in nix")]
    let state = unsafe { libc::adjtimex(&raw mut *timex) };
    if state < 0 { Err(io::Error::last_os_error()) } else { Ok(state) }
}
