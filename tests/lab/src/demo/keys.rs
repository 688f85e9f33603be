//! Single keys from the terminal, without Enter; the terminal is put back when this is dropped.

use std::io::{Read as _, stdin};
use std::os::fd::AsFd as _;
use std::time::Duration;

use anyhow::Result;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Space,
    Seal,
    Quit,
}

#[derive(Debug)]
pub(super) struct Keys {
    before: Termios,
}

impl Keys {
    /// An error when standard input is no terminal.
    pub(super) fn listen() -> Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        tcsetattr(stdin(), SetArg::TCSANOW, &raw)?;
        Ok(Self { before })
    }

    /// The next key that means something, or none within `patience`.
    #[expect(clippy::unused_self, reason = "keys come one by one only while the terminal is ours")]
    pub(super) fn next(&self, patience: Duration) -> Result<Option<Key>> {
        let input = stdin();
        let mut ready = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, PollTimeout::try_from(patience)?)? == 0 {
            return Ok(None);
        }
        let mut key = [0];
        let length = stdin().read(&mut key)?;
        Ok(match (length, key[0]) {
            (0, _) | (_, b'q' | 0x03) => Some(Key::Quit),
            (_, b' ') => Some(Key::Space),
            (_, b's') => Some(Key::Seal),
            _ => None,
        })
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that has gone away.
        let _ = tcsetattr(stdin(), SetArg::TCSANOW, &self.before);
    }
}
