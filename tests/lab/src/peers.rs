//! Builds the real peers from their pinned Go modules, each once: a peer whose sources, tags and tool chain are
//! unchanged is not built again. It runs none of them.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::succeed;
use crate::tools;

/// The parts of tailscaled that the box needs beside the bare minimum; featuretags turns them into build tags.
const BOX_FEATURES: &str =
    "osrouter,advertiseexitnode,dns,ipnbus,health,unixsocketidentity,portmapper,listenrawdisco,cachenetmap";

/// One program: its file, its module's folder in `tests/lab/peers`, its package, whole or trimmed.
struct Recipe {
    program: &'static str,
    module: &'static str,
    package: &'static str,
    extent: Extent,
}

/// How much of a peer is built.
enum Extent {
    Whole,
    /// Only what [`BOX_FEATURES`] names, as the image ships it.
    Trimmed,
}

const RECIPES: [Recipe; 5] = [
    Recipe {
        program: "wireguard-go",
        module: "wireguard-go",
        package: "golang.zx2c4.com/wireguard",
        extent: Extent::Whole,
    },
    Recipe {
        program: "headscale",
        module: "headscale",
        package: "github.com/juanfont/headscale/cmd/headscale",
        extent: Extent::Whole,
    },
    Recipe {
        program: "tailscale",
        module: "tailscale",
        package: "tailscale.com/cmd/tailscale",
        extent: Extent::Whole,
    },
    Recipe {
        program: "tailscaled",
        module: "tailscale",
        package: "tailscale.com/cmd/tailscaled",
        extent: Extent::Whole,
    },
    Recipe {
        program: "tailscaled-box",
        module: "tailscale",
        package: "tailscale.com/cmd/tailscaled",
        extent: Extent::Trimmed,
    },
];

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
        Ok(Self { folder })
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

    pub fn wireguard_go(&self) -> PathBuf {
        self.folder.join("wireguard-go")
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
        let (program, stamp) = (folder.join(self.program), folder.join(format!("{}.stamp", self.program)));
        let made_of = self.made_of(&module, go_version)?;
        if program.exists() && fs::read_to_string(&stamp).is_ok_and(|old| old == made_of) {
            return Ok(());
        }
        announce(self.program);
        let fresh = folder.join(format!("{}.new", self.program));
        succeed(self.compile(&module, &fresh)?).with_context(|| format!("cannot build {}", self.program))?;
        fs::rename(&fresh, &program).with_context(|| format!("cannot put {} in place", program.display()))?;
        fs::write(&stamp, made_of).with_context(|| format!("cannot write {}", stamp.display()))
    }

    /// Everything that decides the program's content, word for word: no hash that could collide or change.
    fn made_of(&self, module: &Path, go_version: &str) -> Result<String> {
        let read = |name: &str| {
            let path = module.join(name);
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let features = match self.extent {
            Extent::Whole => "whole",
            Extent::Trimmed => BOX_FEATURES,
        };
        Ok(format!("{go_version}\n{}\n{features}\n{}\n{}", self.package, read("go.mod")?, read("go.sum")?))
    }

    fn compile(&self, module: &Path, output: &Path) -> Result<Command> {
        let mut build = go(module, &["build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w"]);
        match self.extent {
            Extent::Whole => {}
            Extent::Trimmed => {
                build.args(["-tags", &trimming_tags(module)?]);
            }
        }
        build.arg("-o").arg(output).arg(self.package);
        Ok(build)
    }
}

fn trimming_tags(module: &Path) -> Result<String> {
    let add = format!("--add={BOX_FEATURES}");
    succeed(go(module, &["run", "tailscale.com/cmd/featuretags", "--min", &add]))
        .context("cannot generate the build tags of the trimmed tailscaled")
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
    fn another_tool_chain_or_another_extent_is_another_program() {
        let [_, _, _, whole, trimmed] = &RECIPES;
        let module = lab_folder().join("peers/tailscale");
        let made_of = whole.made_of(&module, "go1").unwrap();
        assert_ne!(made_of, whole.made_of(&module, "go2").unwrap());
        assert_ne!(made_of, trimmed.made_of(&module, "go1").unwrap());
    }

    #[test]
    fn every_module_of_a_recipe_is_committed_with_its_sums() {
        for recipe in &RECIPES {
            recipe.made_of(&lab_folder().join("peers").join(recipe.module), "go").unwrap();
        }
    }
}
