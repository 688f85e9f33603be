//! What a release says of itself: to Raspberry Pi Imager, and to who reads its notes.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

const URL: &str = "https://example.net/v0.1.0/byway-rpi.img.xz";
/// 1 December 2026, a second before midnight.
const WHEN: &str = "1796169599";

#[test]
fn the_imager_hears_what_the_files_are() {
    let release = release();
    let list: Value = serde_json::from_str(&told(&os_list(&release, URL))).unwrap();
    let entry = &list["os_list"][0];
    let [image, packed] =
        ["byway-rpi.img", "byway-rpi.img.xz"].map(|name| fs::read(release.path().join(name)).unwrap());
    assert_eq!(entry["extract_size"], json!(image.len()));
    assert_eq!(entry["image_download_size"], json!(packed.len()));
    assert_eq!(entry["extract_sha256"], json!(sum_of(release.path(), "byway-rpi.img")));
    assert_eq!(entry["image_download_sha256"], json!(sum_of(release.path(), "byway-rpi.img.xz")));
    assert_eq!(entry["release_date"], json!("2026-12-01"));
    assert_eq!(entry["name"], json!(format!("byway {}", env!("CARGO_PKG_VERSION"))));
    assert_eq!(entry["icon"], json!("https://example.net/v0.1.0/byway-icon.png"));
    // What it would ask for and write onto the card reaches nobody there.
    assert_eq!(entry["init_format"], json!("none"));
}

#[test]
fn each_device_that_the_imager_offers_is_one_that_the_card_is_for() {
    let list: Value = serde_json::from_str(&told(&os_list(&release(), URL))).unwrap();
    let ours = list["os_list"][0]["devices"].as_array().unwrap();
    let offered = list["imager"]["devices"].as_array().unwrap();
    assert_eq!(offered.len(), 4);
    for device in offered {
        assert!(device["tags"].as_array().unwrap().iter().all(|tag| ours.contains(tag)), "{device}");
    }
}

#[test]
fn the_imager_is_told_nothing_of_files_that_do_not_belong_together() {
    let release = release();
    let elsewhere = os_list(&release, "https://example.net/v0.1.0/another.img.xz");
    assert!(complaint(&elsewhere).contains("ends in byway-rpi.img.xz"));
    fs::write(release.path().join("byway-rpi.img"), "another card").unwrap();
    assert!(complaint(&os_list(&release, URL)).contains("is not"), "{}", complaint(&os_list(&release, URL)));
}

#[test]
fn notes_are_the_versions_own_section_each_item_on_a_line() {
    let notes = told(&notes(&["1.2.0"]));
    assert_eq!(
        notes,
        "### Add\n- One thing that takes two lines, `code` first.\n  - A part of it.\n\nA sentence of two lines.\n"
    );
    assert!(told(&self::notes(&["1.1.0"])).contains("Older"), "the last section, in brackets");
}

#[test]
fn a_version_that_the_changelog_is_silent_about_has_no_notes() {
    for version in ["1.3.0", "9.9.9", "1.2"] {
        let silent = notes(&[version]);
        assert!(complaint(&silent).contains(&format!("says nothing of {version}")), "{}", complaint(&silent));
    }
}

#[test]
fn notes_list_files_that_are_what_their_checksums_say() {
    let release = release();
    let sums = format!("{}  byway-rpi.img.xz\n", sum_of(release.path(), "byway-rpi.img.xz"));
    fs::write(release.path().join("SHA256SUMS"), &sums).unwrap();
    let folder = release.path().to_str().unwrap();
    let row = format!("| `{}` |", &sums[..64]);
    assert!(told(&notes(&["1.2.0", folder])).contains(&row));
    fs::write(release.path().join("byway-rpi.img.xz"), "cut off").unwrap();
    assert!(complaint(&notes(&["1.2.0", folder])).contains("is not what SHA256SUMS says"));
}

/// A card of some bytes, and the same packed.
fn release() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("byway-rpi.img");
    fs::write(&image, [0; 4096]).expect("the disk has room");
    assert!(Command::new("xz").arg("--keep").arg(&image).status().is_ok_and(|status| status.success()));
    folder
}

fn os_list(release: &TempDir, url: &str) -> Output {
    let [image, packed] = ["byway-rpi.img", "byway-rpi.img.xz"].map(|name| release.path().join(name));
    script("os-list.sh")
        .env("SOURCE_DATE_EPOCH", WHEN)
        .args([&image, &packed])
        .arg(url)
        .output()
        .expect("it can be started")
}

fn notes(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let changelog = folder.path().join("CHANGELOG.md");
    let text = "# Changelog\n\n## Unreleased\n\n- Later.\n\n## 1.3.0 - 2026-12-02\n\n## 1.2.0 - 2026-12-01\n\n### Add\n- One \
                thing that takes two lines,\n  `code` first.\n  - A part of it.\n\nA sentence\nof two lines.\n\n## \
                [1.1.0] - 2026-11-01\n- Older.\n";
    fs::write(&changelog, text).expect("the disk has room");
    script("release-notes.sh")
        .env("CHANGELOG", &changelog)
        .args(arguments)
        .output()
        .expect("it can be started")
}

fn script(name: &str) -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("image").join(name))
}

fn sum_of(folder: &Path, name: &str) -> String {
    let sum = Command::new("sha256sum").current_dir(folder).arg(name).output().expect("it can be started");
    told(&sum)[..64].to_owned()
}

fn told(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn complaint(output: &Output) -> String {
    assert!(!output.status.success() && output.stdout.is_empty());
    String::from_utf8_lossy(&output.stderr).into_owned()
}
