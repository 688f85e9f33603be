//! Builds the real peers from their pinned Go modules, crates and sources, each once: a peer whose sources, options and
//! tool chain are unchanged is not built again. It runs none of them.

mod busybox;

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::succeed;
use crate::tools::{self, path_text};

const APPLETS: &str = "applets";

/// One program: its file, its module's folder in `tests/lab/peers`, and how it is built.
struct Recipe {
    program: &'static str,
    module: &'static str,
    build: Build,
}

/// How a peer is built.
enum Build {
    /// This package, whole, for this machine.
    Whole(&'static str),
    /// By the module's [`TRIM`], which the image is built by too.
    Trimmed(Processor),
}

const TRIM: &str = "box.sh";

/// What a trimmed peer is built for.
enum Processor {
    /// This machine's.
    Own,
    /// A Pi's.
    Arm64,
}

const RECIPES: [Recipe; 6] = [
    Recipe {
        program: "wireguard-go",
        module: "wireguard-go",
        build: Build::Whole("golang.zx2c4.com/wireguard"),
    },
    Recipe {
        program: "headscale",
        module: "headscale",
        build: Build::Whole("github.com/juanfont/headscale/cmd/headscale"),
    },
    Recipe { program: "tailscale", module: "tailscale", build: Build::Whole("tailscale.com/cmd/tailscale") },
    Recipe {
        program: "tailscaled",
        module: "tailscale",
        build: Build::Whole("tailscale.com/cmd/tailscaled"),
    },
    Recipe { program: "tailscaled-box", module: "tailscale", build: Build::Trimmed(Processor::Own) },
    Recipe { program: "tailscaled-arm64", module: "tailscale", build: Build::Trimmed(Processor::Arm64) },
];

/// The library that gives a box a wall clock of its own: one file, which needs no crate.
const FAKE_CLOCK: &str = "fake_clock.so";

/// A published crate of that name, version and own lock file, which only `just bench` needs.
struct CrateRecipe {
    program: &'static str,
    name: &'static str,
    version: &'static str,
}

const CRATES: [CrateRecipe; 2] = [
    CrateRecipe { program: "boringtun-cli", name: "boringtun-cli", version: "0.7.1" },
    CrateRecipe { program: "gotatun", name: "gotatun-cli", version: "0.10.2" },
];

/// How byway itself is built: the comparison is between programs, not between profiles.
const CRATE_PROFILE: [(&str, &str); 2] =
    [("CARGO_PROFILE_RELEASE_LTO", "true"), ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")];

/// The built programs, in one folder.
#[derive(Debug, Clone)]
pub struct Peers {
    folder: PathBuf,
}

impl Peers {
    /// Builds what is missing or out of date in `target/peers`; `announce` is called with the name of each
    /// program that has to be built. Minutes at the first time, milliseconds afterwards.
    pub fn build(mut announce: impl FnMut(&str)) -> Result<Self> {
        tools::require_for_peers()?;
        let folder = target_folder().join("peers");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let _only_builder = lock(&folder)?;
        let go_version = succeed(go(&lab_folder(), &["version"]))?;
        for recipe in &RECIPES {
            recipe.build(&folder, &go_version, &mut announce)?;
        }
        once(&folder, busybox::PROGRAM, &busybox::made_of()?, &mut announce, |fresh| {
            busybox::build(&folder, fresh)
        })?;
        busybox::link_applets(&folder.join(APPLETS))?;
        build_fake_clock(&folder, &mut announce)?;
        Ok(Self { folder })
    }

    /// The same, and the other implementations that `just bench` sets beside byway.
    pub fn build_for_bench(mut announce: impl FnMut(&str)) -> Result<Self> {
        let peers = Self::build(&mut announce)?;
        let _only_builder = lock(&peers.folder)?;
        let rustc_version = succeed(in_lab(Command::new("rustc"), &["--version", "--verbose"]))?;
        for recipe in &CRATES {
            recipe.build(&peers.folder, &rustc_version, &mut announce)?;
        }
        Ok(peers)
    }

    pub fn headscale(&self) -> PathBuf {
        self.folder.join("headscale")
    }

    /// The command-line client of either tailscaled.
    pub fn tailscale(&self) -> PathBuf {
        self.folder.join("tailscale")
    }

    /// The whole daemon, as a phone or laptop runs it.
    pub fn tailscaled(&self) -> PathBuf {
        self.folder.join("tailscaled")
    }

    /// The trimmed daemon, as the box runs it.
    pub fn tailscaled_box(&self) -> PathBuf {
        self.folder.join("tailscaled-box")
    }

    /// The same, as the card has it.
    pub fn tailscaled_arm64(&self) -> PathBuf {
        self.folder.join("tailscaled-arm64")
    }

    /// A folder with what the box runs of BusyBox, for its PATH: `arping`, `udhcpc`, `udhcpc6`.
    pub fn applets(&self) -> PathBuf {
        self.folder.join(APPLETS)
    }

    pub fn wireguard_go(&self) -> PathBuf {
        self.folder.join("wireguard-go")
    }

    /// For `LD_PRELOAD`.
    pub fn fake_clock(&self) -> PathBuf {
        self.folder.join(FAKE_CLOCK)
    }

    /// There after [`Peers::build_for_bench`] only.
    pub fn boringtun_cli(&self) -> PathBuf {
        self.folder.join("boringtun-cli")
    }

    /// There after [`Peers::build_for_bench`] only.
    pub fn gotatun(&self) -> PathBuf {
        self.folder.join("gotatun")
    }
}

/// Cargo's target folder of this workspace.
pub fn target_folder() -> PathBuf {
    let workspace = lab_folder().join("../..");
    // `join` keeps an absolute CARGO_TARGET_DIR as it is.
    workspace.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

impl Recipe {
    fn build(&self, folder: &Path, go_version: &str, announce: &mut impl FnMut(&str)) -> Result<()> {
        let module = lab_folder().join("peers").join(self.module);
        let made_of = self.made_of(&module, go_version)?;
        once(folder, self.program, &made_of, announce, |fresh| {
            succeed(self.compile(&module, fresh)?).map(drop)
        })
    }

    /// Everything that decides the program's content, word for word: no hash that could collide or change.
    fn made_of(&self, module: &Path, go_version: &str) -> Result<String> {
        let read = |name: &str| {
            let path = module.join(name);
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let how = match &self.build {
            Build::Whole(package) => format!("{package}\nwhole"),
            Build::Trimmed(Processor::Own) => read(TRIM)?,
            Build::Trimmed(Processor::Arm64) => format!("for arm64\n{}", read(TRIM)?),
        };
        let sums = [read("go.mod")?, read("go.sum")?].join("\n");
        Ok(format!("{go_version}\n{how}\n{sums}"))
    }

    fn compile(&self, module: &Path, output: &Path) -> Result<Command> {
        let flags = ["build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", path_text(output)?];
        let mut trim = Command::new(module.join(TRIM));
        trim.arg(output);
        match &self.build {
            Build::Whole(package) => Ok(go(module, &[&flags[..], &[package]].concat())),
            Build::Trimmed(Processor::Own) => Ok(trim),
            Build::Trimmed(Processor::Arm64) => {
                trim.env("GOARCH", "arm64");
                Ok(trim)
            }
        }
    }
}

impl CrateRecipe {
    fn build(&self, folder: &Path, rustc_version: &str, announce: &mut impl FnMut(&str)) -> Result<()> {
        once(folder, self.program, &self.made_of(rustc_version), announce, |fresh| {
            let root = folder.join(format!("{}.root", self.program));
            succeed(self.install(&root)?)?;
            let built = root.join("bin").join(self.program);
            fs::rename(&built, fresh).with_context(|| format!("{} was not installed", built.display()))?;
            fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))
        })
    }

    fn made_of(&self, rustc_version: &str) -> String {
        let Self { name, version, .. } = self;
        format!("{rustc_version}\n{name} {version}\n{CRATE_PROFILE:?}\n")
    }

    fn install(&self, root: &Path) -> Result<Command> {
        let words = ["install", "--locked", "--force", self.name, "--version", self.version, "--root"];
        let mut cargo = in_lab(Command::new("cargo"), &[&words[..], &[path_text(root)?]].concat());
        cargo.envs(CRATE_PROFILE);
        Ok(cargo)
    }
}

fn build_fake_clock(folder: &Path, announce: &mut impl FnMut(&str)) -> Result<()> {
    let source = lab_folder().join("examples/fake_clock.rs");
    let text = fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let rustc_version = succeed(in_lab(Command::new("rustc"), &["--version", "--verbose"]))?;
    once(folder, FAKE_CLOCK, &format!("{rustc_version}\n{text}"), announce, |fresh| {
        // The lints are clippy's business, which sees it as an example of this package.
        let words = ["--edition", "2024", "--crate-type", "cdylib", "--allow", "warnings", "-O", "-o"];
        let files = [path_text(fresh)?, path_text(&source)?];
        succeed(in_lab(Command::new("rustc"), &[&words[..], &files].concat())).map(drop)
    })
}

/// Makes the program with `make`, at the path that it is given, unless the stamp says that it is there already.
fn once(
    folder: &Path,
    program: &str,
    made_of: &str,
    announce: &mut impl FnMut(&str),
    make: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let (path, stamp) = (folder.join(program), folder.join(format!("{program}.stamp")));
    if path.exists() && fs::read_to_string(&stamp).is_ok_and(|old| old == made_of) {
        return Ok(());
    }
    announce(program);
    let fresh = folder.join(format!("{program}.new"));
    make(&fresh).with_context(|| format!("cannot build {program}"))?;
    fs::rename(&fresh, &path).with_context(|| format!("cannot put {} in place", path.display()))?;
    fs::write(&stamp, made_of).with_context(|| format!("cannot write {}", stamp.display()))
}

fn go(folder: &Path, args: &[&str]) -> Command {
    let mut go = Command::new("go");
    go.args(args)
        .current_dir(folder)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .env("GOFLAGS", "-mod=readonly");
    go
}

/// In the lab's folder rustup finds the tool chain that the workspace pins.
fn in_lab(mut command: Command, args: &[&str]) -> Command {
    command.args(args).current_dir(lab_folder());
    command
}

fn lab_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Two test binaries must not build into the same folder at once.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_tool_chain_extent_or_processor_is_another_program() {
        let [_, _, _, whole, trimmed, for_a_pi] = &RECIPES;
        let module = lab_folder().join("peers/tailscale");
        let made_of = whole.made_of(&module, "go1").unwrap();
        assert_ne!(made_of, whole.made_of(&module, "go2").unwrap());
        assert_ne!(made_of, trimmed.made_of(&module, "go1").unwrap());
        assert_ne!(trimmed.made_of(&module, "go1").unwrap(), for_a_pi.made_of(&module, "go1").unwrap());
    }

    #[test]
    fn another_compiler_or_another_version_is_another_program() {
        let [old, _] = &CRATES;
        let new = CrateRecipe { version: "0.7.2", ..*old };
        assert_ne!(old.made_of("rustc 1"), new.made_of("rustc 1"));
        assert_ne!(old.made_of("rustc 1"), old.made_of("rustc 2"));
    }

    #[test]
    fn every_module_of_a_recipe_is_committed_with_its_sums() {
        for recipe in &RECIPES {
            recipe.made_of(&lab_folder().join("peers").join(recipe.module), "go").unwrap();
        }
    }
}
