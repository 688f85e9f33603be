//! What the virtual Pi finds when it boots: Debian's programs and modules for arm64, the agent that was built for it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use byway_lab::machine::{Kernel, Root};

/// With all that they need; the rest of netfilter too, since the kernel asks for what a rule set uses.
const MODULES: [&str; 13] = [
    "leds-gpio",
    "ledtrig-timer",
    "gpio_keys",
    "evdev",
    "xhci-pci",
    "i2c-tiny-usb",
    "i2c-dev",
    "virtio_net",
    "tun",
    "nf_tables",
    "nfnetlink",
    "nf_conntrack_netlink",
    "crc32c_generic",
];
const MODULE_FOLDERS: [&str; 3] =
    ["kernel/net/netfilter/", "kernel/net/ipv4/netfilter/", "kernel/net/ipv6/netfilter/"];
const INIT: &str = include_str!("shell.sh");

/// Writes it.
pub(crate) fn write(path: &Path, kernel: &Kernel, programs: &Path) -> Result<()> {
    let agent = agent();
    ensure!(agent.is_file(), "there is no agent at {}: run `just cross pi`", agent.display());
    let mut root = Root::create(path, INIT)?;
    root.tree(&programs.join("usr"), Path::new("/usr")).context("./dev fetches the programs")?;
    root.file(&agent, Path::new("/usr/bin/byway"))?;
    root.modules(kernel, &MODULES, &MODULE_FOLDERS)?;
    root.finish()
}

/// Beside this machine's own, which cargo knows.
fn agent() -> PathBuf {
    let own = Path::new(env!("CARGO_BIN_EXE_byway"));
    let target = own.ancestors().nth(2).unwrap_or(own);
    target.join("aarch64-unknown-linux-musl/pi/byway")
}
