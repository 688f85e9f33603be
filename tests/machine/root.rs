//! What the machine finds when it boots: this machine's own programs with their libraries, Debian's modules, the agent.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use byway_lab::machine::{Kernel, Root};

/// Program and Debian package.
const PROGRAMS: [(&str, &str); 8] = [
    ("busybox", "busybox"),
    ("dnsmasq", "dnsmasq-base"),
    ("hostapd", "hostapd"),
    ("ip", "iproute2"),
    ("iw", "iw"),
    ("nft", "nftables"),
    ("wpa_supplicant", "wpasupplicant"),
    ("conntrack", "conntrack"),
];
/// With all that they need; the rest of their kind too, since the kernel asks for what a rule set uses.
const MODULES: [&str; 23] = [
    "mac80211_hwsim",
    "ccm",
    "cmac",
    "gcm",
    "ctr",
    "veth",
    "tun",
    "xhci-pci",
    "usb-storage",
    "sd_mod",
    "vfat",
    "exfat",
    "nls_cp437",
    "nls_ascii",
    "nls_utf8",
    "nls_iso8859-1",
    "nf_tables",
    "nfnetlink",
    "nf_conntrack_netlink",
    "af_packet",
    "virtio_pci",
    "virtio_console",
    "crc32c_generic",
];
const MODULE_FOLDERS: [&str; 3] =
    ["kernel/net/netfilter/", "kernel/net/ipv4/netfilter/", "kernel/net/ipv6/netfilter/"];
const INIT: &str = include_str!("init.sh");

/// Writes it; `agent`: the binary under test.
pub(crate) fn write(path: &Path, kernel: &Kernel, agent: &Path) -> Result<()> {
    let mut root = Root::create(path, INIT)?;
    for (program, package) in PROGRAMS {
        let found = find(program).with_context(|| format!("`{program}` is missing: install {package}"))?;
        root.program(&found, &found)?;
    }
    root.program(&stripped(agent, path)?, Path::new("/usr/bin/byway"))?;
    root.modules(kernel, &MODULES, &MODULE_FOLDERS)?;
    root.finish()
}

fn find(program: &str) -> Option<PathBuf> {
    let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    folders.iter().map(|folder| Path::new(folder).join(program)).find(|file| file.is_file())
}

/// Without what a debugger needs, which is most of it.
fn stripped(program: &Path, beside: &Path) -> Result<PathBuf> {
    let name = program.file_name().context("a program without a name")?;
    let small = beside.with_file_name(name);
    let status = Command::new("strip").args(["--strip-debug", "-o"]).args([&small, program]).status();
    if !status.context("cannot run strip")?.success() {
        bail!("strip fails on {}", program.display());
    }
    Ok(small)
}
