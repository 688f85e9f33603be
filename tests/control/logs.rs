//! `byway logs`, which needs no agent.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn logs(run_dir: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_byway"));
    command.arg("logs").args(words).arg("--run-dir").arg(run_dir);
    command
}

fn told(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

#[test]
fn a_dead_agents_log_is_told_with_tailscaleds_in_between() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = logs(folder.path(), &[]).output().unwrap();
    assert_eq!(nothing.status.code(), Some(1));
    let said = String::from_utf8(nothing.stderr).unwrap();
    assert!(said.starts_with("byway: nothing is logged in ") && said.contains("--run-dir"), "{said}");

    let old = "- +1.000  INFO starting\n";
    let new = "2026-11-26T08:00:05.000Z +9.000 ERROR \u{1b}[31mpanicked\n";
    fs::write(folder.path().join("byway.log.old"), old).unwrap();
    fs::write(folder.path().join("byway.log"), new).unwrap();
    fs::write(folder.path().join("tailscaled.log"), "2026/11/26 08:00:01 logtail started\n").unwrap();
    let all = logs(folder.path(), &[]).output().unwrap();
    let escaped = new.replace('\u{1b}', "\\u{1b}");
    assert_eq!(told(&all), format!("{old}2026-11-26T08:00:01Z tailscaled: logtail started\n{escaped}"));
    let last = logs(folder.path(), &["-n", "1"]).output().unwrap();
    assert_eq!(told(&last), escaped);
}

#[test]
fn a_log_is_followed_across_its_new_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("byway.log");
    fs::write(&path, "- +1.000  INFO one\n- +2.000  INFO two\n").unwrap();
    let mut child = logs(folder.path(), &["-f", "-n", "1"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!(next(), "- +2.000  INFO two");
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"- +3.000  INFO three\n").unwrap();
    assert_eq!(next(), "- +3.000  INFO three");
    fs::rename(&path, folder.path().join("byway.log.old")).unwrap();
    fs::write(&path, "- +4.000  INFO four\n").unwrap();
    assert_eq!(next(), "- +4.000  INFO four");
    fs::write(folder.path().join("tailscaled.log"), "2026/11/26 08:00:01 a\n").unwrap();
    assert_eq!(next(), "2026-11-26T08:00:01Z tailscaled: a");

    // Nobody reads any more: it notices with the next line.
    drop(lines);
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"- +5.000  INFO five\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
