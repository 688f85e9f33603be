//! BusyBox, as little of it as the box runs: no Debian package has its DHCPv6 client. `./dev` fetches the source.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::available_parallelism;

use anyhow::{Context, Result};

use super::lab_folder;
use crate::process::succeed;
use crate::tools::path_text;

pub(super) const PROGRAM: &str = "busybox";
const SOURCE: &str = "busybox_1.37.0.orig.tar.bz2";
/// It is what the name says by which it is called.
const APPLETS: [&str; 3] = ["arping", "udhcpc", "udhcpc6"];
/// What the archive unpacks to.
const UNPACKED: &str = "busybox-1.37.0";

/// Everything that decides the program's content.
pub(super) fn made_of() -> Result<String> {
    let compiler = succeed(command("cc", Path::new("."), &["--version"]))?;
    Ok(format!("{compiler}\n{}\n{}", read("SHA256SUMS")?, read("config")?))
}

pub(super) fn build(folder: &Path, fresh: &Path) -> Result<()> {
    let sums = lab_folder().join("peers/busybox/SHA256SUMS");
    succeed(command("sha256sum", folder, &["--quiet", "--check", path_text(&sums)?]))
        .with_context(|| format!("{SOURCE} is not there or not as it should be: ./dev peers fetches it"))?;
    succeed(command("tar", folder, &["-xjf", SOURCE]))?;
    let source = folder.join(UNPACKED);
    succeed(command("make", &source, &["allnoconfig"]))?;
    configure(&source.join(".config"))?;
    succeed(command("make", &source, &["oldconfig"]))?;
    let jobs = format!("-j{}", available_parallelism().map_or(1, usize::from));
    succeed(command("make", &source, &[&jobs, PROGRAM]))?;
    fs::rename(source.join(PROGRAM), fresh).context("it was not built")?;
    fs::remove_dir_all(&source).with_context(|| format!("cannot remove {}", source.display()))
}

/// A folder for somebody's PATH.
pub(super) fn link_applets(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for applet in APPLETS {
        let link = folder.join(applet);
        match symlink(Path::new("..").join(PROGRAM), &link) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            linked => linked.with_context(|| format!("cannot make {}", link.display()))?,
        }
    }
    Ok(())
}

/// Every option stands in the file already, as `# CONFIG_X is not set` or `CONFIG_X=..`.
fn configure(path: &Path) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let wanted = read("config")?;
    let name = |line: &str| line.trim_start_matches("# ").split(['=', ' ']).next().map(str::to_owned);
    let wanted: Vec<&str> = wanted.lines().filter(|line| line.starts_with("CONFIG_")).collect();
    let replaced = text.lines().map(|line| {
        let ours = wanted.iter().find(|ours| line.contains("CONFIG_") && name(ours) == name(line));
        ours.map_or(line, |ours| *ours)
    });
    let text = replaced.collect::<Vec<_>>().join("\n") + "\n";
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn read(name: &str) -> Result<String> {
    let path = lab_folder().join("peers/busybox").join(name);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn command(program: &str, folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(folder).stdin(Stdio::null());
    command
}
