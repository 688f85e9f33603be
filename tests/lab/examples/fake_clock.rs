//! A wall clock of a box's own, for `LD_PRELOAD`: whoever asks the C library for the time gets the machine's and an
//! offset, and whoever sets it moves the offset. The offset lives in the file that `BYWAY_LAB_CLOCK` names, so that it
//! outlives processes; the machine's own clock is never touched. A fake: adjtime's slow change happens at once.

use std::env;
use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

/// What the file holds: nanoseconds beyond the machine's clock, and whether somebody calls the clock kept.
#[repr(C)]
struct State {
    offset: AtomicI64,
    in_step: AtomicI64,
}

#[repr(C)]
#[derive(Debug)]
pub struct Timespec {
    seconds: i64,
    nanos: c_long,
}

#[repr(C)]
#[derive(Debug)]
pub struct Timeval {
    seconds: i64,
    micros: c_long,
}

/// The beginning of the kernel's `timex` on a machine of 64 bits.
#[repr(C)]
#[derive(Debug)]
pub struct Timex {
    modes: u32,
    offset: i64,
    freq: i64,
    maxerror: i64,
    esterror: i64,
    status: c_int,
}

type ClockGettime = unsafe extern "C" fn(c_int, *mut Timespec) -> c_int;

const SECOND: i64 = 1_000_000_000;
/// `CLOCK_REALTIME`, `_COARSE`, `_ALARM` and `CLOCK_TAI`.
const WALL_CLOCKS: [c_int; 4] = [0, 5, 8, 11];
const ADJ_STATUS: u32 = 0x10;
const ADJ_OFFSET_SINGLESHOT: u32 = 0x8001;
const STA_UNSYNC: c_int = 0x40;
const TIME_OK: c_int = 0;
const TIME_ERROR: c_int = 5;

#[expect(unsafe_code, reason = "the C library's own")]
unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn mmap(
        at: *mut c_void,
        length: usize,
        protection: c_int,
        flags: c_int,
        file: c_int,
        offset: i64,
    ) -> *mut c_void;
}

/// # Safety
/// As `clock_gettime(2)`.
#[expect(unsafe_code, reason = "takes the C library's place")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: c_int, told: *mut Timespec) -> c_int {
    // SAFETY: the caller's pointer is for a timespec.
    let outcome = unsafe { next()(clock, told) };
    if outcome == 0 && WALL_CLOCKS.contains(&clock) {
        // SAFETY: the kernel has just filled it.
        let told = unsafe { &mut *told };
        let shown = told.seconds * SECOND + told.nanos + state().offset.load(Ordering::Relaxed);
        *told = Timespec { seconds: shown.div_euclid(SECOND), nanos: shown.rem_euclid(SECOND) };
    }
    outcome
}

/// # Safety
/// As `gettimeofday(2)`.
#[expect(unsafe_code, reason = "takes the C library's place")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gettimeofday(told: *mut Timeval, _zone: *mut c_void) -> c_int {
    let now = wall();
    if !told.is_null() {
        // SAFETY: the caller's pointer is for a timeval.
        unsafe { *told = Timeval { seconds: now.div_euclid(SECOND), micros: now.rem_euclid(SECOND) / 1000 } };
    }
    0
}

/// # Safety
/// As `time(2)`.
#[expect(unsafe_code, reason = "takes the C library's place")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn time(told: *mut i64) -> i64 {
    let seconds = wall().div_euclid(SECOND);
    if !told.is_null() {
        // SAFETY: the caller's pointer is for a time.
        unsafe { *told = seconds };
    }
    seconds
}

/// # Safety
/// As `clock_settime(2)`.
#[expect(unsafe_code, reason = "takes the C library's place")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_settime(_clock: c_int, to: *const Timespec) -> c_int {
    // SAFETY: the caller's pointer is to a timespec.
    let to = unsafe { &*to };
    set(to.seconds * SECOND + to.nanos);
    0
}

/// # Safety
/// As `settimeofday(2)`.
#[expect(unsafe_code, reason = "takes the C library's place")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn settimeofday(to: *const Timeval, _zone: *const c_void) -> c_int {
    if !to.is_null() {
        // SAFETY: the caller's pointer is to a timeval.
        let to = unsafe { &*to };
        set(to.seconds * SECOND + to.micros * 1000);
    }
    0
}

/// # Safety
/// As `adjtimex(2)`.
#[expect(unsafe_code, reason = "takes the C library's place")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adjtimex(timex: *mut Timex) -> c_int {
    // SAFETY: the caller's pointer is to a timex, which begins like ours.
    let timex = unsafe { &mut *timex };
    let state = state();
    if timex.modes == ADJ_OFFSET_SINGLESHOT {
        state.offset.fetch_add(timex.offset * 1000, Ordering::Relaxed);
    } else if timex.modes & ADJ_STATUS != 0 {
        state.in_step.store(i64::from(timex.status & STA_UNSYNC == 0), Ordering::Relaxed);
    }
    if state.in_step.load(Ordering::Relaxed) == 1 { TIME_OK } else { TIME_ERROR }
}

fn set(to: i64) {
    state().offset.fetch_add(to - wall(), Ordering::Relaxed);
    // As the kernel: whoever kept it has to say so again.
    state().in_step.store(0, Ordering::Relaxed);
}

fn wall() -> i64 {
    let mut told = Timespec { seconds: 0, nanos: 0 };
    // SAFETY: the pointer is to a timespec.
    #[expect(unsafe_code, reason = "a call of what takes the C library's place")]
    unsafe {
        clock_gettime(0, &raw mut told);
    }
    told.seconds * SECOND + told.nanos
}

/// The C library's own.
fn next() -> ClockGettime {
    static NEXT: OnceLock<ClockGettime> = OnceLock::new();
    const NAME: &CStr = c"clock_gettime";
    *NEXT.get_or_init(|| {
        let next_in_line = std::ptr::without_provenance_mut(usize::MAX); // RTLD_NEXT
        // SAFETY: the name ends with a zero, and whoever is preloaded stands before the C library, which has it.
        #[expect(unsafe_code, reason = "there is no other way to what was replaced")]
        unsafe {
            std::mem::transmute::<*mut c_void, ClockGettime>(dlsym(next_in_line, NAME.as_ptr()))
        }
    })
}

fn state() -> &'static State {
    static STATE: OnceLock<&'static State> = OnceLock::new();
    STATE.get_or_init(|| {
        let path = env::var_os("BYWAY_LAB_CLOCK").expect("BYWAY_LAB_CLOCK names the clock's file");
        let file = File::options().read(true).write(true).open(path).expect("the clock's file is there");
        let (read_and_write, shared) = (3, 1);
        let length = size_of::<State>();
        // SAFETY: the mapping stays as long as the process; the lab makes the file as long as this.
        #[expect(unsafe_code, reason = "shared with the test and with later processes")]
        unsafe {
            let at = mmap(std::ptr::null_mut(), length, read_and_write, shared, file.as_raw_fd(), 0);
            assert!(at.addr() != usize::MAX, "the clock's file cannot be mapped");
            &*at.cast::<State>()
        }
    })
}
