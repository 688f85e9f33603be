//! See `key_ring.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use byway_core::account::Device;

use super::*;

const NUMBER: &str = "1234123412341234";

fn open(folder: &Path) -> (KeyRing, Recalled<Record>) {
    KeyRing::open(Store::new(folder), &NUMBER.parse().unwrap())
}

fn file(folder: &Path) -> PathBuf {
    folder.join("mullvad.json")
}

fn device(key: PublicKey) -> Device {
    Device {
        id: "aaaaaaaa-0001".to_owned(),
        name: "happy seal".to_owned(),
        key,
        addresses: vec!["10.64.0.2".parse().unwrap(), "fc00:bbbb:bbbb:bb01::2".parse().unwrap()],
    }
}

fn record(key: PublicKey, next: Option<PublicKey>) -> Record {
    Record {
        device: Some(device(key)),
        made: Some(Duration::from_hours(500_000)),
        next,
        before: None,
        expiry: Some(Duration::from_hours(520_000)),
    }
}

#[test]
fn begins_empty_and_keeps_the_record_with_its_keys_for_root_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, recalled) = open(folder.path());
    assert_eq!(recalled, Recalled { value: Record::default(), note: None });
    let [key, next, before] = [(); 3].map(|()| ring.make_key().unwrap());
    let record = Record { before: Some(before), ..record(key, Some(next)) };
    ring.keep(&record).unwrap();

    let (again, recalled) = open(folder.path());
    assert_eq!(recalled, Recalled { value: record, note: None });
    for key in [key, next, before] {
        assert_eq!(public_half(&again.private(&key).unwrap()), key);
    }
    assert_ne!(key, next);
    assert_eq!(file(folder.path()).metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_key_is_on_the_disk_before_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let key = open(folder.path()).0.make_key().unwrap();
    let (again, recalled) = open(folder.path());
    assert_eq!(recalled.value, Record::default(), "no record names it yet");
    assert!(again.private(&key).is_some());
}

#[test]
fn forgets_what_the_record_does_not_name() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(folder.path());
    let [old, new, other] = [(); 3].map(|()| ring.make_key().unwrap());
    ring.keep(&record(old, Some(new))).unwrap();
    assert!(ring.private(&other).is_none());
    ring.keep(&record(new, None)).unwrap();
    for ring in [ring, open(folder.path()).0] {
        assert!(ring.private(&old).is_none() && ring.private(&new).is_some());
    }
}

/// The one in use must not be lost, and neither may the one that the disk will name after the next power cut.
#[test]
fn a_disk_that_takes_nothing_costs_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(folder.path());
    let [old, new] = [(); 2].map(|()| ring.make_key().unwrap());
    ring.keep(&record(old, Some(new))).unwrap();
    let in_the_way = folder.path().join("mullvad.new");
    fs::create_dir(&in_the_way).unwrap();
    let errors = [ring.make_key().unwrap_err(), ring.keep(&record(new, None)).unwrap_err()];
    assert!(errors.iter().all(|error| error.to_string().contains("mullvad.new")), "{errors:?}");
    assert!(ring.private(&old).is_some() && ring.private(&new).is_some());
    assert_eq!(ring.keys.len(), 2, "the key that was not saved is none");
    assert_eq!(open(folder.path()).1.value, record(old, Some(new)));

    fs::remove_dir(in_the_way).unwrap();
    ring.make_key().unwrap();
    assert_eq!(open(folder.path()).1.value, record(new, None), "what it refused is made up for");
}

#[test]
fn the_record_of_another_account_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(folder.path());
    let key = ring.make_key().unwrap();
    ring.keep(&record(key, None)).unwrap();
    let other: Secret = "5678567856785678".parse().unwrap();
    let (mut ring, recalled) = KeyRing::open(Store::new(folder.path()), &other);
    assert_eq!(recalled.value, Record::default());
    assert!(recalled.note.unwrap().contains("another one than before"));
    assert!(ring.private(&key).is_none());
    assert_eq!(open(folder.path()).1.value, record(key, None), "nothing is written yet");
    ring.make_key().unwrap();
    assert_eq!(open(folder.path()).1.value, Record::default());
}

#[test]
fn a_device_without_its_private_key_or_with_an_odd_id_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(folder.path());
    let key = ring.make_key().unwrap();
    let odd = Record { device: Some(Device { id: "../me".to_owned(), ..device(key) }), ..Record::default() };
    ring.keep(&odd).unwrap();
    assert_eq!(open(folder.path()).1.value, Record::default());
    ring.keep(&record(PublicKey([9; 32]), Some(PublicKey([8; 32])))).unwrap();
    let kept = open(folder.path()).1.value;
    assert_eq!((kept.device, kept.next), (None, None));
}

#[test]
fn believes_no_torn_ring() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(folder.path());
    let key = ring.make_key().unwrap();
    ring.keep(&record(key, None)).unwrap();
    let whole = fs::read(file(folder.path())).unwrap();
    for length in (0..whole.len()).step_by(40) {
        fs::write(file(folder.path()), &whole[..length]).unwrap();
        let recalled = open(folder.path()).1;
        assert_eq!(recalled.value, Record::default(), "{length} bytes");
        assert!(recalled.note.unwrap().contains("mullvad.json is not what was saved"));
    }
}

#[test]
fn tells_neither_the_number_nor_a_private_key() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(folder.path());
    let key = ring.make_key().unwrap();
    ring.keep(&record(key, None)).unwrap();
    let text = fs::read_to_string(file(folder.path())).unwrap();
    let private = STANDARD.encode(ring.private(&key).unwrap());
    assert!(text.contains(&private) && !text.contains(NUMBER), "{text}");
    let told = format!("{ring:?}");
    assert!(told.contains("PublicKey(") && !told.contains(&private) && !told.contains(NUMBER), "{told}");
    fs::write(file(folder.path()), text.replace(&private, &private[1..])).unwrap();
    let note = open(folder.path()).1.note.unwrap();
    assert!(note.contains("not 32 bytes") && !note.contains(&private[1..]), "{note}");
}
