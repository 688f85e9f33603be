//! What the paper is that is printed on: how wide and high, and whether it has colours.

use std::env;
use std::io::{IsTerminal as _, stdout};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

/// In letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paper {
    pub(super) columns: u16,
    pub(super) lines: u16,
    pub(super) ink: Ink,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    /// By ANSI's sequences, and what is printed may be printed over.
    Coloured,
    /// The same without colours: somebody wants none (no-color.org).
    Grey,
}

impl Paper {
    /// Such as every terminal is.
    pub(super) const fn small(self) -> Self {
        Self { columns: 80, lines: 24, ..self }
    }

    /// A file is as large as one likes.
    pub(super) fn of_stdout() -> Self {
        let is_terminal = stdout().is_terminal();
        let no_colour = env::var_os("NO_COLOR").is_some_and(|word| !word.is_empty());
        let of_terminal = if is_terminal { size(stdout().as_fd()) } else { None };
        let (columns, lines) = of_terminal.unwrap_or((u16::MAX, u16::MAX));
        let ink = match (is_terminal, no_colour) {
            (false, _) => Ink::Plain,
            (true, false) => Ink::Coloured,
            (true, true) => Ink::Grey,
        };
        Self { columns, lines, ink }
    }
}

mod ioctl {
    nix::ioctl_read_bad!(tiocgwinsz, libc::TIOCGWINSZ, libc::winsize);
}

/// Nothing where the terminal does not know.
fn size(terminal: BorrowedFd<'_>) -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    #[expect(unsafe_code, reason = "no safe wrapper for TIOCGWINSZ exists")]
    // SAFETY: the descriptor is open as long as it is borrowed; the kernel writes one `struct winsize`, which is ours.
    let told = unsafe { ioctl::tiocgwinsz(terminal.as_raw_fd(), &raw mut size) };
    told.ok().map(|_| (size.ws_col, size.ws_row)).filter(|(columns, lines)| *columns > 0 && *lines > 0)
}
