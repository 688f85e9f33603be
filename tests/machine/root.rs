//! What the machine finds when it boots: this machine's own programs with their libraries, Debian's modules, the agent.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::archive::Archive;

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
const FOLDERS: [&str; 15] = [
    "usr",
    "usr/bin",
    "usr/sbin",
    "usr/lib",
    "usr/lib64",
    "proc",
    "sys",
    "dev",
    "run",
    "tmp",
    "etc",
    "var",
    "var/run",
    "boot",
    "data",
];
/// As Debian has them since its programs live in `/usr`.
const LINKS: [(&str, &str); 5] = [
    ("bin", "usr/bin"),
    ("sbin", "usr/sbin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
    ("sbin/modprobe", "../bin/busybox"),
];
const INIT: &str = include_str!("init.sh");

/// Debian's kernel, as `./dev` has unpacked it.
pub(crate) struct Kernel {
    pub(crate) image: PathBuf,
    modules: PathBuf,
    release: String,
}

impl Kernel {
    pub(crate) fn find() -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/machine/kernel");
        let modules = folder.join("lib/modules");
        let mut releases = fs::read_dir(&modules)
            .with_context(|| format!("{} is not there: run `./dev machine`", modules.display()))?;
        let release =
            releases.next().context("no kernel: remove target/machine and run `./dev machine`")??;
        let release = release.file_name().to_string_lossy().into_owned();
        let image = folder.join(format!("boot/vmlinuz-{release}"));
        Ok(Self { image, modules: modules.join(&release), release })
    }
}

impl Kernel {
    fn list(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.modules.join(name))
            .with_context(|| format!("no {name}: remove target/machine and run `./dev machine`"))
    }
}

/// Writes it; `agent`: the binary under test.
pub(crate) fn write(path: &Path, kernel: &Kernel, agent: &Path) -> Result<()> {
    let mut root = Root { archive: Archive::create(path)?, has: BTreeSet::new() };
    for folder in FOLDERS {
        root.archive.folder(folder)?;
        root.has.insert(folder.to_owned());
    }
    for (name, target) in LINKS {
        root.archive.link(name, target)?;
    }
    root.archive.program("init", INIT.as_bytes())?;
    root.archive.program("etc/passwd", b"root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")?;
    root.archive.program("etc/group", b"root:x:0:\nnogroup:x:65534:\n")?;
    for (program, package) in PROGRAMS {
        let found = find(program).with_context(|| format!("`{program}` is missing: install {package}"))?;
        root.program(&found, &found)?;
    }
    root.program(&stripped(agent, path)?, Path::new("/usr/bin/byway"))?;
    root.modules(kernel)?;
    root.archive.finish()
}

struct Root {
    archive: Archive,
    has: BTreeSet<String>,
}

impl Root {
    fn program(&mut self, file: &Path, place: &Path) -> Result<()> {
        self.file(file, place)?;
        let libraries = Command::new("ldd").arg(file).output().context("cannot run ldd")?;
        let libraries = String::from_utf8_lossy(&libraries.stdout).into_owned();
        for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
            self.file(Path::new(library), Path::new(library))?;
        }
        Ok(())
    }

    /// With lists of these alone: an emulated machine reads the whole ones for too long.
    fn modules(&mut self, kernel: &Kernel) -> Result<()> {
        let place = Path::new("/usr/lib/modules").join(&kernel.release);
        let list = kernel.list("modules.dep")?;
        let mut wanted = BTreeSet::new();
        for line in list.lines() {
            let (module, needs) = line.split_once(':').unwrap_or((line, ""));
            if MODULES.contains(&name(module))
                || MODULE_FOLDERS.iter().any(|folder| module.starts_with(folder))
            {
                wanted.insert(module);
                wanted.extend(needs.split_whitespace());
            }
        }
        ensure!(wanted.len() > MODULES.len(), "modules.dep names hardly any module");
        let names: BTreeSet<String> = wanted.iter().map(|module| name(module).replace('-', "_")).collect();
        let is_wanted = |line: &&str| line.split(':').next().is_some_and(|module| wanted.contains(module));
        self.list(&place.join("modules.dep"), &list.lines().filter(is_wanted).collect::<Vec<_>>())?;
        let aliases = kernel.list("modules.alias")?;
        let is_wanted = |line: &&str| line.rsplit(' ').next().is_some_and(|module| names.contains(module));
        self.list(&place.join("modules.alias"), &aliases.lines().filter(is_wanted).collect::<Vec<_>>())?;
        for module in &wanted {
            self.file(&kernel.modules.join(module), &place.join(module))?;
        }
        Ok(())
    }

    fn list(&mut self, place: &Path, lines: &[&str]) -> Result<()> {
        let text = lines.join("\n") + "\n";
        let place = self.place(place)?.context("a list that is there already")?;
        self.archive.program(&place, text.as_bytes())
    }

    fn file(&mut self, file: &Path, place: &Path) -> Result<()> {
        let Some(place) = self.place(place)? else { return Ok(()) };
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        self.archive.program(&place, &bytes)
    }

    /// With its folders made, and below `/usr`, as on this machine; `None` if it is taken.
    fn place(&mut self, place: &Path) -> Result<Option<String>> {
        let place = place.to_str().context("a path that is not UTF-8")?.trim_start_matches('/');
        let place = if place.starts_with("usr/") { place.to_owned() } else { format!("usr/{place}") };
        for (end, _) in place.match_indices('/') {
            if self.has.insert(place[..end].to_owned()) {
                self.archive.folder(&place[..end])?;
            }
        }
        Ok(self.has.insert(place.clone()).then_some(place))
    }
}

/// As `modprobe` calls it.
fn name(module: &str) -> &str {
    module.rsplit('/').next().and_then(|file| file.split('.').next()).unwrap_or_default()
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
