//! What the card's text files promise each other, and the firmware.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// documentation of Raspberry Pi's autoboot.txt
const LONGEST_AUTOBOOT: usize = 512;

#[test]
fn the_firmware_selects_another_slot_for_a_trial() {
    let autoboot = read("board/rpi/autoboot.txt");
    assert!(autoboot.len() <= LONGEST_AUTOBOOT);
    let (always, trial) = autoboot.split_once("[tryboot]\n").unwrap();
    assert!(always.starts_with("[all]\ntryboot_a_b=1\n"), "{autoboot}");
    assert_eq!((value(always, "boot_partition"), value(trial, "boot_partition")), ("2", "3"));
}

#[test]
fn the_firmware_reads_one_line_for_the_kernel() {
    let line = read("board/rpi/cmdline.txt");
    assert_eq!(line.lines().count(), 1);
    assert!(line.contains("rdinit=/init") && overlay("init").starts_with("#!/bin/sh\n"), "{line}");
    // Nothing else is to be found in the slot than what post-image.sh puts there by these names.
    let config = read("board/rpi/config.txt");
    assert_eq!(value(&config, "kernel"), "kernel8.img");
    assert!(config.contains("\ninitramfs rootfs.cpio.zst followkernel\n"));
    let image = read("board/post-image.sh");
    assert!(image.contains("/kernel8.img") && image.contains("/rootfs.cpio.zst"));
}

/// QEMU's kernel is Debian's; a Pi's must have the rule set's parts too, and not as modules: their sysctls are there then
/// before the rule set.
#[test]
fn what_the_virtual_card_loads_for_the_rule_set_a_pi_has_built_in() {
    let fragment = read("board/rpi/linux.fragment");
    let built_in: BTreeSet<&str> = fragment.lines().filter_map(|line| line.strip_suffix("=y")).collect();
    let modules = read("board/virt/modules");
    let (always, _) = modules.split_once("-\n").unwrap();
    let modules: Vec<&str> = always.lines().filter(|line| line.starts_with("nf")).collect();
    assert!(modules.len() > 10, "{modules:?}");
    for module in modules {
        // One option for the two of them.
        let option = if module == "nft_chain_nat" { "nft_nat" } else { module };
        let option = format!("CONFIG_{}", option.to_uppercase());
        assert!(built_in.contains(option.as_str()), "linux.fragment has no {option}=y for {module}");
    }
}

/// Both are partition numbers' arithmetic, in bytes.
#[test]
fn whoever_opens_an_image_by_offset_knows_the_layout() {
    let layout = read("board/genimage.cfg");
    assert!(layout.contains("offset = 4M") && layout.contains("size = 64M") && layout.contains("align = 4M"));
    assert!(read("board/put-config.sh").contains(&format!("readonly FIRST={}\n", 4 << 20)));
    assert!(read("board/virt/boot.sh").contains(&format!("readonly SLOT_A={} ", (4 + 64) << 20)));
}

#[test]
fn the_owner_reads_windows_lines_and_an_example_that_is_nearly_good() {
    for name in ["board/rpi/readme.txt", "board/rpi/byway.example.toml"] {
        let text = read(name);
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{name}");
    }
    let example = read("board/rpi/byway.example.toml");
    let by_file = example.replace("\naccount", "\n# account").replace("\nlocation", "\n# location");
    for text in [&example, &by_file.replace("# config", "config")] {
        let parsed = byway::config::parse(text, Path::new("byway.toml"), &|named| {
            assert_eq!(named, Path::new("se-got-wg-001.conf"));
            Ok(read("tests/vm/nobody.conf"))
        });
        let mullvad = parsed.unwrap_or_else(|error| panic!("{error}")).mullvad;
        assert_eq!(mullvad.relays.len() + usize::from(mullvad.account.is_some()), 1, "{text}");
    }
}

/// A Pi's shell knows no other of BusyBox's than what has a name in its folders. Debian's, on the virtual card, knows all.
#[test]
fn every_program_that_a_script_calls_is_on_the_card() {
    let programs = read("board/programs");
    let programs: BTreeSet<&str> = programs.lines().filter(|line| !line.starts_with('#')).collect();
    let folders =
        ["overlays/rootfs/etc/init.d", "overlays/rootfs/usr/libexec/byway", "firmware/agent/uplink"];
    let scripts: Vec<String> = folders.iter().flat_map(|folder| scripts_in(folder)).collect();
    let functions: BTreeSet<&str> = scripts
        .iter()
        .flat_map(|script| script.lines())
        .filter_map(|line| Some(line.split_once("() {")?.0))
        .collect();
    let called: BTreeSet<String> = scripts.iter().flat_map(|script| called(script)).collect();
    let is_there = |word: &&String| {
        let word = word.as_str();
        programs.contains(word) || functions.contains(word) || SHELLS_OWN.contains(&word)
    };
    let missing: Vec<&String> = called.iter().filter(|word| !is_there(word)).collect();
    assert!(missing.is_empty(), "board/programs does not name {missing:?}");
    assert!(called.len() > 40, "are these all that is called? {called:?}");
}

/// Of the words that begin a command: its language, and what it does itself.
const SHELLS_OWN: [&str; 30] = [
    "break", "case", "cd", "command", "continue", "do", "done", "echo", "elif", "else", "esac", "eval",
    "exec", "exit", "export", "false", "fi", "for", "if", "local", "printf", "read", "readonly", "return",
    "set", "shift", "then", "trap", "true", "wait",
];

fn scripts_in(folder: &str) -> Vec<String> {
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).expect(folder);
    let paths = files.map(|file| file.expect(folder).path());
    let scripts = paths.filter(|path| path.is_file() && path.extension().is_none_or(|kind| kind == "sh"));
    scripts.map(|path| fs::read_to_string(path).expect(folder)).collect()
}

/// The first word of each command; more than those where a text looks like one.
fn called(script: &str) -> Vec<String> {
    let code: Vec<&str> =
        script.lines().filter(|line| !line.trim_start().starts_with('#')).map(without_comment).collect();
    let code = without(&without(&code.join("\n"), "$((", "))"), "${", "}");
    let commands = code.split(['\n', '|', ';', '&', '(', ')', '{', '}']);
    commands.filter_map(first_word).map(str::to_owned).collect()
}

fn without_comment(line: &str) -> &str {
    line.split(" # ").next().unwrap_or(line)
}

/// From each `open` to the next `close`.
fn without(text: &str, open: &str, close: &str) -> String {
    let mut parts = text.split(open);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |kept, part| kept + part.split_once(close).map_or("", |(_, rest)| rest))
}

fn first_word(command: &str) -> Option<&str> {
    let leads_in = |word: &&str| {
        let is_set = word
            .split_once('=')
            .is_some_and(|(name, _)| name.chars().all(|it| it.is_alphanumeric() || it == '_'));
        is_set || ["!", "if", "then", "do", "else", "elif", "while", "until"].contains(word)
    };
    let word = command.split_whitespace().find(|word| !leads_in(word))?;
    let is_name = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || "._-".contains(it);
    (word.starts_with(|it: char| it.is_ascii_lowercase()) && word.chars().all(is_name)).then_some(word)
}

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn overlay(name: &str) -> String {
    read(&format!("overlays/rootfs/{name}"))
}

fn value<'t>(text: &'t str, key: &str) -> &'t str {
    let mut values = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    values.next().unwrap_or_else(|| panic!("no {key} in {text}"))
}
