//! The scripts that DHCP clients call at every event: files in memory, since a run folder may be full, or hold nothing that
//! can be run.

use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use nix::sys::memfd::{MFdFlags, memfd_create};

/// One script, for as long as the agent lives.
#[derive(Debug)]
pub struct Script {
    file: std::fs::File,
}

impl Script {
    pub fn new(text: &str) -> io::Result<Self> {
        let mut file = std::fs::File::from(memfd_create("dhcp-script", MFdFlags::MFD_CLOEXEC)?);
        file.write_all(text.as_bytes())?;
        Ok(Self { file })
    }

    /// By which another process of ours runs and reads it.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()).into()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn it_is_run_again_and_again() {
        let script = Script::new("#!/bin/sh\necho \"$1 $ip\"\n").unwrap();
        for event in ["bound", "renew"] {
            let said = Command::new(script.path()).arg(event).env("ip", "192.0.2.1").output().unwrap();
            assert_eq!(said.stdout, format!("{event} 192.0.2.1\n").into_bytes());
        }
    }
}
