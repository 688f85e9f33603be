//! What image/ refuses: a kernel or a BusyBox that lacks what was asked for, and a tree of which Buildroot has not been asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
