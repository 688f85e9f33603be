//! What becomes of a card's image before people fetch it (`image/pack.sh`), tried on a card that is none.

#![expect(clippy::unwrap_used, reason = "a test says what it stands on by failing")]

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

use serde_json::{Value, json};
use tempfile::TempDir;

#[test]
fn the_same_card_is_packed_into_the_same_bytes() {
    let first = Binaries::new(&FILES);
    let mut reversed = FILES;
    reversed.reverse();
    let second = Binaries::new(&reversed);
    // As another machine has them, at another time.
    for name in ["papers/licences/part", "papers/licences"] {
        fs::set_permissions(second.path(name), fs::Permissions::from_mode(0o700)).unwrap();
        File::open(second.path(name)).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    let [first, second] = [first, second].map(|binaries| read_all(&binaries.packed()));
    let names: Vec<&str> = first.iter().map(|(name, _)| name.as_str()).collect();
    let wanted =
        ["SHA256SUMS", "byway-licences.tar.xz", "byway-rpi.img.xz", "byway-sbom.cdx.json", "slot.vfat.zst"];
    assert_eq!(names, wanted);
    for ((name, bytes), (_, other)) in first.iter().zip(&second) {
        assert!(bytes == other, "{name} differs");
    }
}

#[test]
fn the_sums_are_of_every_other_file_and_notice_a_change() {
    let binaries = Binaries::new(&FILES);
    let packed = binaries.packed();
    let lines = fs::read_to_string(packed.join("SHA256SUMS")).unwrap().lines().count();
    assert_eq!(lines, read_all(&packed).len() - 1);
    assert!(sums_hold(&packed));
    fs::write(packed.join("slot.vfat.zst"), "another").unwrap();
    assert!(!sums_hold(&packed));
}

#[test]
fn what_was_packed_is_what_comes_out() {
    let binaries = Binaries::new(&FILES);
    let packed = binaries.packed();
    for (tool, name, original) in
        [("xz", "byway-rpi.img.xz", "byway-rpi.img"), ("zstd", "slot.vfat.zst", "slot.vfat")]
    {
        let out = Command::new(tool).args(["-dc"]).arg(packed.join(name)).output().unwrap();
        assert!(out.stdout == fs::read(binaries.path(original)).unwrap(), "{name}");
    }
}

#[test]
fn one_bill_has_what_each_part_is_made_of() {
    let binaries = Binaries::new(&FILES);
    let bill = fs::read(binaries.packed().join("byway-sbom.cdx.json")).unwrap();
    let bill: Value = serde_json::from_slice(&bill).unwrap();
    assert_eq!(bill["metadata"]["timestamp"], "2026-09-21T14:13:20Z");
    let parts: Vec<&Value> =
        bill["components"].as_array().unwrap().iter().map(|part| &part["bom-ref"]).collect();
    assert_eq!(parts, ["agent", "crate", "node"]);
    let of_all = json!({"ref": "card", "dependsOn": ["agent", "node"]});
    assert!(bill["dependencies"].as_array().unwrap().contains(&of_all), "{bill}");
}

#[test]
fn a_card_that_is_too_big_or_without_its_papers_is_refused() {
    let binaries = Binaries::new(&FILES);
    let refused = binaries.pack(&[("MOST_IMAGE", "100")]);
    assert!(!refused.status.success());
    assert!(says(&refused).ends_with("bytes, 100 are the most\n"), "{}", says(&refused));
    fs::remove_dir_all(binaries.path("papers/licences")).unwrap();
    let refused = binaries.pack(&[]);
    assert!(!refused.status.success());
    assert!(says(&refused).contains("papers/licences is missing"), "{}", says(&refused));
}

const FILES: [(&str, &str); 6] = [
    ("byway-rpi.img", "a card"),
    ("slot.vfat", "a slot"),
    (
        "papers/sbom/byway.json",
        r#"{"metadata":{"component":{"bom-ref":"agent"}},"components":[{"bom-ref":"crate"}],
            "dependencies":[{"ref":"agent","dependsOn":["crate"]}]}"#,
    ),
    ("papers/sbom/tailscaled.json", r#"{"metadata":{"component":{"bom-ref":"node"}}}"#),
    ("papers/licences/part/LICENSE", "do as you like"),
    ("papers/licences/another/LICENSE", "do not"),
];

/// What the card's image was made from, and into.
struct Binaries {
    folder: TempDir,
}

impl Binaries {
    /// Made in this order, which is told by a folder's list in memory, not on every disk.
    fn new(files: &[(&str, &str)]) -> Self {
        let binaries = Self { folder: TempDir::new_in("/dev/shm").unwrap() };
        for (name, text) in files {
            let path = binaries.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        // Mostly empty, as a card is.
        File::options().append(true).open(binaries.path("byway-rpi.img")).unwrap().set_len(1 << 20).unwrap();
        binaries
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn pack(&self, environment: &[(&str, &str)]) -> Output {
        Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("image/pack.sh"))
            .args([self.folder.path(), &self.path("out")])
            .env("SOURCE_DATE_EPOCH", "1790000000")
            .envs(environment.iter().copied())
            .output()
            .unwrap()
    }

    fn packed(&self) -> PathBuf {
        let out = self.pack(&[]);
        assert!(out.status.success(), "{}", says(&out));
        self.path("out")
    }
}

/// By name.
fn read_all(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn sums_hold(folder: &Path) -> bool {
    let check =
        Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(folder).output();
    check.unwrap().status.success()
}

fn says(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
