//! What image/ refuses: a kernel or a BusyBox that lacks what was asked for, and a tree of which Buildroot has not been asked;
//! and what it takes away.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

const FRAGMENT: &str =
    "# the tunnels\nCONFIG_TUN=y\nCONFIG_PPTP=m\nCONFIG_TIMEOUT=10\n# CONFIG_SOUND is not set\n";
const CONFIG: &str = "CONFIG_TUN=y\nCONFIG_TUNNEL=m\nCONFIG_PPTP=m\nCONFIG_TIMEOUT=10\n";

#[test]
fn what_has_stuck_is_enough() {
    assert_eq!(stuck(CONFIG, FRAGMENT), "");
    // Kconfig does not write what has no dependency fulfilled; it says of the rest that it is not set.
    assert_eq!(stuck(&format!("{CONFIG}# CONFIG_SOUND is not set\n"), FRAGMENT), "");
}

#[test]
fn an_option_that_kconfig_dropped_is_named() {
    let told = stuck(&CONFIG.replace("CONFIG_TUN=y\n", ""), FRAGMENT);
    assert!(told.contains("CONFIG_TUN is not set, not y\n") && !told.contains("PPTP"), "{told}");
    let told = stuck(&CONFIG.replace("CONFIG_TUN=y", "# CONFIG_TUN is not set"), FRAGMENT);
    assert!(told.contains("CONFIG_TUN is n, not y\n"), "{told}");
}

#[test]
fn a_module_in_place_of_what_is_built_in_is_named() {
    let told = stuck(&CONFIG.replace("CONFIG_TUN=y", "CONFIG_TUN=m"), FRAGMENT);
    assert!(told.contains("CONFIG_TUN is m, not y\n"), "{told}");
}

#[test]
fn another_value_and_what_was_not_to_be_are_named() {
    let told = stuck(&CONFIG.replace("=10", "=100"), FRAGMENT);
    assert!(told.contains("CONFIG_TIMEOUT is 100, not 10\n"), "{told}");
    let told = stuck(&format!("{CONFIG}CONFIG_SOUND=m\n"), FRAGMENT);
    assert!(told.contains("CONFIG_SOUND is m, not n\n"), "{told}");
}

#[test]
fn nothing_to_compare_is_no_agreement() {
    let told = stuck(CONFIG, "# CONFIG_TUN=y\n");
    assert!(told.contains("no option in "), "{told}");
    let told = stuck("", FRAGMENT);
    assert!(told.contains("CONFIG_TUN is not set, not y"), "{told}");
    let told =
        complaint(Command::new(tree("image/stuck.sh")).arg("/nowhere").arg(tree("board/rpi/linux.fragment")));
    assert!(told.contains("cannot read /nowhere"), "{told}");
    let told =
        complaint(Command::new(tree("image/stuck.sh")).arg(tree("board/rpi/linux.fragment")).arg("/nowhere"));
    assert!(told.contains("/nowhere: No such file"), "{told}");
}

#[test]
fn the_fragments_are_read_to_their_ends() {
    for name in ["board/rpi/linux.fragment", "board/rpi/busybox.fragment"] {
        let text = fs::read_to_string(tree(name)).unwrap();
        assert_eq!(stuck(&text, &text), "", "{name}");
        let options = text.lines().filter(|line| line.contains("CONFIG_")).count();
        let all_set = text.replace(" is not set", "=y").replace("# CONFIG", "CONFIG");
        let told = stuck("CONFIG_NOTHING=y\n", &all_set);
        assert_eq!(told.matches(" is not set, not ").count(), options, "{name}: {told}");
    }
}

#[test]
fn a_root_keeps_what_is_called_and_what_that_needs() {
    let root = Root::fill();
    assert_eq!(root.trim(), "");
    // Links of BusyBox's, and whoever stands in for them; `libfirst` is needed by `libsecond` alone.
    assert_eq!(root.names("usr/bin"), ["busybox", "byway", "dmesg"]);
    assert_eq!(root.names("usr/sbin"), ["nft"]);
    assert_eq!(root.names("usr/lib"), ["libfirst.so.1", "libgcc_s.so.1", "libsecond.so.1", "modules"]);
    assert_eq!(root.names("etc/ssl/certs"), ["ca-certificates.crt"]);
    let kept = root.names("usr/lib/modules/6.12/kernel");
    assert!(kept.contains(&"cfg80211.ko".to_owned()) && !kept.contains(&"hid.ko".to_owned()), "{kept:?}");
    assert_eq!(kept.len(), modules().len() + 1, "{kept:?}");
}

#[test]
fn a_kernel_without_the_radio_is_refused() {
    let root = Root::fill();
    let list = root.path("usr/lib/modules/6.12/modules.dep");
    fs::write(&list, fs::read_to_string(&list).unwrap().replace("brcmfmac.ko:", "b43.ko:")).unwrap();
    let told = root.trim();
    assert!(told.contains("has no brcmfmac, which board/rpi/modules names"), "{told}");
    fs::write(root.path("usr/lib/modules/6.12/modules.builtin"), "kernel/brcmfmac.ko\n").unwrap();
    assert_eq!(root.trim(), "", "it is built in");
}

/// `just check` runs the real one; here it must also say no.
#[test]
fn a_tree_of_which_buildroot_was_not_asked_is_refused() {
    assert_eq!(check(copy().path()), "");
    for name in [
        "image/configs/byway_rpi_defconfig",
        "image/package/byway-agent/byway-agent.mk",
        "board/rpi/linux.fragment",
    ] {
        let folder = copy();
        let file = folder.path().join(name);
        fs::write(&file, fs::read_to_string(&file).unwrap() + "# another line\n").unwrap();
        let told = check(folder.path());
        assert!(
            told.contains("image/stamp is not of this tree") && told.contains("--stamp"),
            "{name}: {told}"
        );
    }
}

#[test]
fn a_pin_that_the_image_does_not_follow_is_refused() {
    let folder = copy();
    let pins = folder.path().join("board/rpi/pins");
    fs::write(&pins, fs::read_to_string(&pins).unwrap().replace("KERNEL=", "KERNEL=0")).unwrap();
    let told = check(folder.path());
    assert!(told.contains("asks for another kernel than board/rpi/pins"), "{told}");
}

/// `p2p_disabled`, which only a `wpa_supplicant` with P2P understands, and what else the agent counts on.
#[test]
fn the_radios_program_understands_what_the_agent_writes() {
    let written = fs::read_to_string(tree("firmware/agent/uplink/wifi/text.rs")).unwrap();
    let asked = fs::read_to_string(tree("image/configs/byway_rpi_defconfig")).unwrap();
    for (word, option) in [("p2p_disabled", "AP_SUPPORT"), ("SAE", "WPA3"), ("ctrl_interface", "CTRL_IFACE")]
    {
        assert!(written.contains(word), "the agent has no {word} any more: {option} may go");
        assert!(
            asked.contains(&format!("\nBR2_PACKAGE_WPA_SUPPLICANT_{option}=y\n")),
            "{word} needs {option}"
        );
    }
}

/// As Buildroot leaves one, with more than is called.
struct Root(TempDir);

impl Root {
    fn fill() -> Self {
        let root = Self(tempfile::tempdir().expect("a folder"));
        for folder in ["usr/bin", "usr/sbin", "usr/lib/modules/6.12/kernel", "etc/ssl/certs"] {
            fs::create_dir_all(root.path(folder)).expect("a folder");
        }
        root.link(&["-shared", "-Wl,-soname,libfirst.so.1"], "usr/lib/libfirst.so.1");
        root.link(&["-shared", "-Wl,-soname,libsecond.so.1", "-l:libfirst.so.1"], "usr/lib/libsecond.so.1");
        root.link(&["-shared", "-Wl,-soname,libthird.so.1"], "usr/lib/libthird.so.1.0");
        root.link(&["-shared", "-Wl,-soname,libfourth.so.1", "-l:libthird.so.1.0"], "usr/lib/libfourth.so.1");
        root.link(&["-shared", "-Wl,-soname,libgcc_s.so.1"], "usr/lib/libgcc_s.so.1");
        root.link(&["-Dunused=main", "-Wl,--entry=main", "-l:libsecond.so.1"], "usr/sbin/nft");
        root.link(&["-Dunused=main", "-Wl,--entry=main", "-l:libfourth.so.1"], "usr/bin/lsblk");
        symlink("libthird.so.1.0", root.path("usr/lib/libthird.so.1")).expect("a link");
        for name in
            ["usr/bin/busybox", "usr/bin/byway", "etc/ssl/certs/ca-certificates.crt", "etc/ssl/certs/one.pem"]
        {
            fs::write(root.path(name), "").expect("it can be written");
        }
        for name in ["usr/bin/dmesg", "usr/bin/awk"] {
            symlink("busybox", root.path(name)).expect("a link");
        }
        root.fill_modules();
        root
    }

    /// Each needs another one.
    fn fill_modules(&self) {
        let folder = self.path("usr/lib/modules/6.12");
        let kept = modules().into_iter().map(|name| format!("kernel/{name}.ko: kernel/cfg80211.ko"));
        let list: Vec<String> =
            ["kernel/cfg80211.ko:", "kernel/hid.ko:"].map(str::to_owned).into_iter().chain(kept).collect();
        for line in &list {
            let (module, _) = line.split_once(':').expect("a line of a module");
            fs::write(folder.join(module), "").expect("it can be written");
        }
        fs::write(folder.join("modules.dep"), list.join("\n") + "\n").expect("it can be written");
        fs::write(folder.join("modules.builtin"), "kernel/exfat.ko\n").expect("it can be written");
        // A made-up module tells depmod nothing.
        let depmod = self.path("depmod");
        fs::write(&depmod, "#!/bin/sh\n").expect("it can be written");
        fs::set_permissions(&depmod, Permissions::from_mode(0o755)).expect("its mode can be set");
    }

    fn link(&self, words: &[&str], name: &str) {
        let mut cc = Command::new("cc");
        cc.args(["-x", "c", "-", "-nostdlib", "-Wl,--no-as-needed,--unresolved-symbols=ignore-all"]);
        cc.arg("-L")
            .arg(self.path("usr/lib"))
            .arg("-o")
            .arg(self.path(name))
            .args(words)
            .stdin(Stdio::piped());
        let mut running = cc.spawn().expect("cc can be run");
        running.stdin.take().expect("piped").write_all(b"void unused(void) {}\n").expect("it reads");
        assert!(running.wait().expect("it ends").success(), "{name}");
    }

    fn trim(&self) -> String {
        let path = format!("{}:{}", self.path("").display(), env!("PATH"));
        complaint(Command::new(tree("image/trim.sh")).arg(self.path("")).env("PATH", path))
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Of which a card keeps.
fn modules() -> Vec<String> {
    let list = fs::read_to_string(tree("board/rpi/modules")).expect("a list");
    list.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

fn stuck(config: &str, fragment: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let [is, asked] = [(".config", config), ("fragment", fragment)].map(|(name, text)| {
        let file = folder.path().join(name);
        fs::write(&file, text).expect("it can be written");
        file
    });
    complaint(Command::new(tree("image/stuck.sh")).arg(is).arg(asked))
}

/// Of a tree, without Buildroot.
fn check(tree: &Path) -> String {
    complaint(Command::new(tree.join("image/check.sh")).env_remove("BUILDROOT_DIR"))
}

/// Nothing where it agrees.
fn complaint(command: &mut Command) -> String {
    let output = command.output().expect("it can be run");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), told.is_empty(), "{}: {told}", output.status);
    told
}

/// Of what `image/check.sh` reads.
fn copy() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("board")).expect("a folder");
    for name in ["image", "board/rpi"] {
        let copied = Command::new("cp").arg("-r").arg(tree(name)).arg(folder.path().join(name)).status();
        assert!(copied.expect("cp can be run").success());
    }
    folder
}

fn tree(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
