//! The owner's way in: dropbear on a box, kept by the very script of the card, and somebody with a key and OpenSSH's client.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::BywayBox;
use crate::namespace::Namespace;
use crate::process::{Process, succeed};
use crate::tools::path_text;
use crate::wait::{PATIENCE, wait_for};

const KEEP_SSH: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../overlays/rootfs/usr/libexec/byway/keep-ssh");
/// As on a card: root's home leads to the keys, and the kernel's log is the box's own.
const AS_ON_A_CARD: &str =
    "mount --bind \"$0\" /etc/passwd && mount --bind \"$1\" /dev/kmsg && shift && exec \"$@\"";

/// Nobody hangs up before the shell does.
const AT_A_TERMINAL: &str =
    "rm -f \"$0\" && mkfifo \"$0\" && exec 3<>\"$0\" && echo \"$1\" >&3 && shift && exec \"$@\" <&3";

/// Open until dropped, or until the box's power goes.
#[derive(Debug)]
pub struct WayIn {
    _keeper: Process,
    log: PathBuf,
}

impl WayIn {
    pub fn keep(byway: &BywayBox) -> Result<Self> {
        let folder = byway.run_dir();
        let [home, passwd, log] = ["home", "passwd", "kmsg"].map(|name| folder.join(name));
        let keys = byway.state_dir().join("ssh");
        if !home.exists() {
            fs::create_dir(&home).context("cannot make a home")?;
            std::os::unix::fs::symlink(&keys, home.join(".ssh")).context("cannot link its keys")?;
        }
        fs::write(&passwd, format!("root:x:0:0:root:{}:/bin/sh\n", home.display()))?;
        fs::write(&log, "")?;
        let [keys, run, passwd, kmsg] = [&keys, &folder, &passwd, &log].map(|path| path_text(path));
        let args = ["-c", AS_ON_A_CARD, passwd?, kmsg?, KEEP_SSH, keys?, run?];
        let keeper = byway.namespace().spawn("keep-ssh", Path::new("sh"), &args, &[])?;
        Ok(Self { _keeper: keeper, log })
    }

    /// What dropbear has said since it was started last.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Somebody with a key, and a memory of the boxes that he was at.
#[derive(Debug)]
pub struct Visitor {
    key: PathBuf,
    known_hosts: PathBuf,
}

impl Visitor {
    /// With a key that nobody knows of yet; all he has is in `folder`.
    pub fn with_new_key(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let key = folder.join("key");
        let words = ["-q", "-t", "ed25519", "-N", "", "-C", "owner@laptop", "-f", path_text(&key)?];
        succeed(Command::new("ssh-keygen").args(words))?;
        Ok(Self { key, known_hosts: folder.join("known_hosts") })
    }

    /// The line for `byway.toml`.
    pub fn public_key(&self) -> Result<String> {
        let line = fs::read_to_string(self.key.with_extension("pub")).context("no public key")?;
        Ok(line.trim_end().to_owned())
    }

    /// Logs in as root from there, runs a command, and returns what it printed. A box that has another key than last time
    /// is refused.
    pub fn run(&self, from: &Namespace, to: IpAddr, command: &str) -> Result<String> {
        self.ssh(from, &[&format!("root@{to}"), command])
    }

    /// Logs in and stays, until somebody ends it.
    pub fn stay(&self, from: &Namespace, to: IpAddr) -> Result<Process> {
        let known_hosts = self.known_hosts_option()?;
        let host = format!("root@{to}");
        let words = [&self.client(&known_hosts)?, &[&host, "echo inside; sleep 600"][..]].concat();
        let session = from.spawn("session", Path::new("ssh"), &words, &[])?;
        wait_for("a session", PATIENCE, || {
            ensure!(session.log().contains("inside"), "{}", session.log_tail());
            Ok(session.pid())
        })?;
        Ok(session)
    }

    /// Types this into a login shell, as whoever sits at a terminal, and returns all that was seen there until the shell ended.
    pub fn type_in(&self, from: &Namespace, to: IpAddr, lines: &str) -> Result<String> {
        let typed = self.key.with_extension("typed");
        let known_hosts = self.known_hosts_option()?;
        let host = format!("root@{to}");
        let terminal = ["sh", "-c", AT_A_TERMINAL, path_text(&typed)?, lines, "ssh", "-tt", &host];
        let said = from.output(&[&terminal[..], &self.client(&known_hosts)?].concat(), &[])?;
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    }

    /// As [`Visitor::run`] with words of `ssh`'s own.
    pub fn ssh(&self, from: &Namespace, words: &[&str]) -> Result<String> {
        let known_hosts = self.known_hosts_option()?;
        let said = from.output(&[&["ssh"], &self.client(&known_hosts)?[..], words].concat(), &[])?;
        if !said.status.success() {
            bail!("ssh: {}: {}", said.status, String::from_utf8_lossy(&said.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
    }

    fn known_hosts_option(&self) -> Result<String> {
        Ok(format!("UserKnownHostsFile={}", path_text(&self.known_hosts)?))
    }

    fn client<'a>(&'a self, known_hosts: &'a str) -> Result<Vec<&'a str>> {
        let options = ["BatchMode=yes", "ConnectTimeout=5", "StrictHostKeyChecking=accept-new", known_hosts];
        let options = options.into_iter().flat_map(|option| ["-o", option]);
        let identity = ["-F", "none", "-o", "IdentityAgent=none", "-i", path_text(&self.key)?];
        Ok(identity.into_iter().chain(options).collect())
    }
}
