//! What the machine must bring along: a missing part is a loud error with the Debian package that has it.
//! And the two ways in which every part of the world handles paths.

use std::env;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::Uid;

/// Program and Debian package.
const WORLD: [(&str, &str); 19] = [
    ("busybox", "busybox"),
    ("conntrack", "conntrack"),
    ("curl", "curl"),
    ("dnsmasq", "dnsmasq-base"),
    ("dropbear", "dropbear-bin"),
    ("ethtool", "ethtool"),
    ("ip", "iproute2"),
    ("miniupnpd", "miniupnpd-nftables"),
    ("nft", "nftables"),
    ("nmap", "nmap"),
    ("setpriv", "util-linux"),
    ("ss", "iproute2"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("tayga", "tayga"),
    ("tc", "iproute2"),
    ("timeout", "coreutils"),
    ("unbound", "unbound"),
    ("wg", "wireguard-tools"),
];

/// Everything that raising a world needs on the machine.
pub(crate) fn require_for_world() -> Result<()> {
    ensure!(Uid::effective().is_root(), "the lab makes network namespaces: run it as root");
    ensure!(Path::new("/dev/net/tun").exists(), "/dev/net/tun is missing: load the kernel module tun");
    WORLD.iter().try_for_each(|(program, package)| require(program, package))
}

/// Everything that building the peers needs.
pub(crate) fn require_for_peers() -> Result<()> {
    const BUSYBOX: [(&str, &str); 5] =
        [("bzip2", "bzip2"), ("cc", "gcc"), ("make", "make"), ("sha256sum", "coreutils"), ("tar", "tar")];
    BUSYBOX.iter().try_for_each(|(program, package)| require(program, package))?;
    require("go", "golang-go (1.26.6 or newer)")
}

/// A path as a command's argument.
pub(crate) fn path_text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("the path {} is not UTF-8", path.display()))
}

/// Writes a file that only its owner can read.
pub(crate) fn write_secret(path: &Path, text: &str) -> Result<()> {
    let file = File::options().create(true).truncate(true).write(true).mode(0o600).open(path);
    let mut file = file.with_context(|| format!("cannot open {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

/// Where PATH has it.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn require(program: &str, package: &str) -> Result<()> {
    match find(program) {
        Some(_) => Ok(()),
        None => bail!("`{program}` is not in PATH: install the Debian package {package}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_package_of_a_missing_tool() {
        let error = require("no-such-tool-at-all", "some-package").unwrap_err().to_string();
        assert_eq!(error, "`no-such-tool-at-all` is not in PATH: install the Debian package some-package");
    }
}
