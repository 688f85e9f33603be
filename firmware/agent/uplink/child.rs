//! Helpers that must not outlive the agent: they end when it does, however it ends.

use std::io;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use tokio::process::Command;

/// A child that is killed when it is dropped, and when the thread that starts it ends (`PR_SET_PDEATHSIG`, prctl(2)): the
/// agent's main one.
#[expect(unsafe_code, reason = "whose death it follows can only be said between fork and exec")]
pub(crate) fn bound_to_us(command: &mut Command) -> &mut Command {
    // SAFETY: the closure only makes one system call, which allocates nothing and touches no lock that another thread
    // may have held at the fork.
    unsafe {
        command.pre_exec(|| set_pdeathsig(Signal::SIGKILL).map_err(io::Error::from));
    }
    command.kill_on_drop(true)
}
