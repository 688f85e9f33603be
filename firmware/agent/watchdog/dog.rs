//! The watchdog device, held open by whoever starts the agent: how it is taken from there, told its time, and fed.

use std::env;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};

use byway_core::watchdog::BITES_AFTER_S;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// Names the descriptor. Who holds it open feeds the watchdog while no agent runs.
const VARIABLE: &str = "BYWAY_WATCHDOG_FD";
/// Those below are the agent's input and output.
const FIRST: RawFd = 3;
/// Any byte feeds it, but for the V that means a wish to stop it.
const FOOD: [u8; 1] = [0];

/// Why there is no watchdog though there is to be one.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{VARIABLE} is {0:?}: it is to be the number of an open descriptor, from {FIRST} on")]
    NoNumber(String),
    #[error("{VARIABLE} is {number}, which is not open: {cause}; open /dev/watchdog and leave it open")]
    NotOpen { number: RawFd, cause: io::Error },
}

/// Never closed here: it stays open in whoever has opened it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dog {
    descriptor: BorrowedFd<'static>,
}

mod ioctl {
    // `linux/watchdog.h`, WDIOC_SETTIMEOUT: takes seconds, and gives back those that the driver makes of them.
    nix::ioctl_readwrite!(set_timeout, b'W', 6, libc::c_int);
}

impl Dog {
    /// None where there is to be none. No program that the agent starts inherits it.
    pub(super) fn inherited() -> Result<Option<Self>, Error> {
        let Some(named) = env::var_os(VARIABLE) else { return Ok(None) };
        Self::named(&named.to_string_lossy()).map(Some)
    }

    pub(super) fn named(named: &str) -> Result<Self, Error> {
        let number = named.parse().ok().filter(|number| *number >= FIRST);
        let number: RawFd = number.ok_or_else(|| Error::NoNumber(named.to_owned()))?;
        // SAFETY: the number is not -1. Nobody in this process closes it, and fcntl(2) says whether it is open at all.
        #[expect(unsafe_code, reason = "an inherited descriptor has no owner here")]
        let dog = Self { descriptor: unsafe { BorrowedFd::borrow_raw(number) } };
        dog.inherit(false).map_err(|cause| Error::NotOpen { number, cause })?;
        Ok(dog)
    }

    /// Whether a program that takes this one's place, or is started by it, has it too.
    pub(super) fn inherit(self, may: bool) -> io::Result<()> {
        let flag = if may { FdFlag::empty() } else { FdFlag::FD_CLOEXEC };
        Ok(fcntl(self.descriptor, FcntlArg::F_SETFD(flag)).map(drop)?)
    }

    /// In seconds, what it gives instead of what it is asked for.
    pub(super) fn set_timeout(self) -> io::Result<u16> {
        let mut seconds = libc::c_int::from(BITES_AFTER_S);
        // SAFETY: the descriptor is open; the driver reads an int and writes one back, and keeps no pointer.
        #[expect(unsafe_code, reason = "no safe wrapper for the watchdog's ioctls exists")]
        unsafe { ioctl::set_timeout(self.descriptor.as_raw_fd(), &raw mut seconds) }?;
        u16::try_from(seconds).map_err(io::Error::other)
    }

    pub(super) fn feed(self) -> io::Result<()> {
        Ok(nix::unistd::write(self.descriptor, &FOOD).map(drop)?)
    }
}
