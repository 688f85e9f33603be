//! What a machine finds when it boots: programs with their libraries, Debian's modules, a first process.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::archive::Archive;

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

/// Debian's kernel, as `./dev` has unpacked it.
#[derive(Debug)]
pub struct Kernel {
    pub image: PathBuf,
    modules: PathBuf,
    release: String,
}

impl Kernel {
    pub fn find(folder: &Path) -> Result<Self> {
        let modules = folder.join("lib/modules");
        let mut releases = fs::read_dir(&modules)
            .with_context(|| format!("{} is not there: ./dev fetches it", modules.display()))?;
        let release = releases
            .next()
            .with_context(|| format!("no kernel: remove {}, ./dev fetches it", folder.display()))??;
        let release = release.file_name().to_string_lossy().into_owned();
        let image = folder.join(format!("boot/vmlinuz-{release}"));
        Ok(Self { image, modules: modules.join(&release), release })
    }

    fn list(&self, name: &str) -> Result<String> {
        let path = self.modules.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}

/// The archive that the kernel unpacks as its first root, while it is written.
#[derive(Debug)]
pub struct Root {
    archive: Archive,
    has: BTreeSet<String>,
}

impl Root {
    /// `init` is the text of its first process.
    pub fn create(path: &Path, init: &str) -> Result<Self> {
        let mut root = Self { archive: Archive::create(path)?, has: BTreeSet::new() };
        for folder in FOLDERS {
            root.archive.folder(folder)?;
            root.has.insert(folder.to_owned());
        }
        for (name, target) in LINKS {
            root.archive.link(name, target)?;
        }
        root.archive.program("init", init.as_bytes())?;
        root.archive.program("etc/passwd", b"root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")?;
        root.archive.program("etc/group", b"root:x:0:\nnogroup:x:65534:\n")?;
        Ok(root)
    }

    pub fn finish(self) -> Result<()> {
        self.archive.finish()
    }

    /// One of this machine's, with the libraries that it needs.
    pub fn program(&mut self, file: &Path, place: &Path) -> Result<()> {
        self.file(file, place)?;
        let libraries = Command::new("ldd").arg(file).output().context("cannot run ldd")?;
        let libraries = String::from_utf8_lossy(&libraries.stdout).into_owned();
        for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
            self.file(Path::new(library), Path::new(library))?;
        }
        Ok(())
    }

    /// All files and links below this folder, in places of the same names below `place`.
    pub fn tree(&mut self, folder: &Path, place: &Path) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let entry = entry?;
            let (path, place) = (entry.path(), place.join(entry.file_name()));
            if entry.file_type()?.is_dir() {
                self.tree(&path, &place)?;
            } else if entry.file_type()?.is_symlink() {
                let target = fs::read_link(&path)?;
                if let Some(place) = self.place(&place)? {
                    self.archive.link(&place, target.to_str().context("a link that is not UTF-8")?)?;
                }
            } else {
                self.file(&path, &place)?;
            }
        }
        Ok(())
    }

    /// The modules of these names and in these folders, with all that they need, and with lists of these alone: an emulated
    /// machine reads the whole ones for too long.
    pub fn modules(&mut self, kernel: &Kernel, modules: &[&str], folders: &[&str]) -> Result<()> {
        let place = Path::new("/usr/lib/modules").join(&kernel.release);
        let list = kernel.list("modules.dep")?;
        let mut wanted = BTreeSet::new();
        for line in list.lines() {
            let (module, needs) = line.split_once(':').unwrap_or((line, ""));
            if modules.contains(&name(module)) || folders.iter().any(|folder| module.starts_with(folder)) {
                wanted.insert(module);
                wanted.extend(needs.split_whitespace());
            }
        }
        ensure!(wanted.len() > modules.len(), "modules.dep names hardly any module");
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

    pub fn file(&mut self, file: &Path, place: &Path) -> Result<()> {
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
