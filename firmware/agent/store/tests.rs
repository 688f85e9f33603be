//! See `store.rs`.

use super::*;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path().join("state"));
    store.make_folder().unwrap();
    (folder, store)
}

fn files(store: &Store) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(&store.folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn begins_with_the_configured_egress() {
    let (_folder, store) = store();
    let first = LastWish { wish: Wish::Residential, last_egress: Egress::Residential };
    assert_eq!(store.wish(Egress::Residential), Recalled { value: first, note: None });
}

#[test]
fn remembers_the_wish_and_the_egress_before_sealing() {
    let (_folder, store) = store();
    let sealed = LastWish::first(Egress::Privacy).then(Wish::Residential).then(Wish::Sealed);
    store.remember_wish(sealed).unwrap();
    assert_eq!(store.wish(Egress::Privacy), Recalled { value: sealed, note: None });
    assert_eq!(sealed.last_egress, Egress::Residential);
    assert_eq!(files(&store), ["wish.json"]);
}

#[test]
fn remembers_the_chosen_relay_beside_the_wish() {
    let (_folder, store) = store();
    assert_eq!(store.relay(), Recalled { value: None, note: None });
    let wish = LastWish::first(Egress::Residential);
    store.remember_wish(wish).unwrap();
    store.remember_relay("de-fra-wg-001").unwrap();
    let chosen = Some("de-fra-wg-001".to_owned());
    assert_eq!(store.relay(), Recalled { value: chosen.clone(), note: None });
    assert_eq!(files(&store), ["relay.json", "wish.json"]);

    fs::create_dir(store.folder.join("relay.new")).unwrap();
    assert!(store.remember_relay("se-got-wg-001").unwrap_err().to_string().contains("relay.new"));
    assert_eq!(store.relay().value, chosen, "the old one stays");
    fs::write(store.path(RELAY), r#"{"version":1,"relay":"de-f"#).unwrap();
    assert!(store.relay().note.unwrap().contains("the default applies"));
    assert_eq!(store.wish(Egress::Privacy), Recalled { value: wish, note: None }, "and costs no wish");
}

#[test]
fn a_chosen_place_counts_while_the_configuration_names_the_same_one() {
    let (_folder, store) = store();
    let place = |text: &str| text.parse::<Choice>().unwrap();
    let choice = |location: &str| store.choice(&place(location));
    assert_eq!(choice("se-got"), Recalled { value: None, note: None });
    store.remember_relay("se-got-wg-001").unwrap();
    assert_eq!(choice("se-got"), Recalled { value: None, note: None }, "a relay is no place");

    store.remember_choice(&place("de"), &place("se-got")).unwrap();
    assert_eq!(choice("se-got"), Recalled { value: Some(place("de")), note: None });
    assert_eq!(choice("se"), Recalled { value: None, note: None });
    assert_eq!(store.relay().value, None, "it was chosen in another place");
    store.remember_relay("de-fra-wg-001").unwrap();
    assert_eq!(choice("se-got").value, Some(place("de")), "where the relay was chosen");
    assert_eq!(store.relay().value.as_deref(), Some("de-fra-wg-001"));
    assert_eq!(files(&store), ["relay.json"]);
}

#[test]
fn what_was_chosen_is_read_of_agents_without_places_and_by_them() {
    let (_folder, store) = store();
    let location = "se".parse().unwrap();
    fs::write(store.path(RELAY), r#"{"version":1,"relay":"de-fra-wg-001"}"#).unwrap();
    assert_eq!(store.choice(&location), Recalled { value: None, note: None });
    store.remember_relay("se-got-wg-001").unwrap();
    let text = fs::read_to_string(store.path(RELAY)).unwrap();
    assert_eq!(text, r#"{"version":1,"relay":"se-got-wg-001"}"#);

    for odd in [r#"{"version":1,"relay":null,"choice":{"place":"Mars","location":"se"}}"#, "torn"] {
        fs::write(store.path(RELAY), odd).unwrap();
        assert_eq!(store.choice(&location).value, None, "{odd}");
    }
}

#[test]
fn remembers_names() {
    let (_folder, store) = store();
    let names: Addresses =
        [("control.example".into(), vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()])]
            .into();
    store.remember_names(&names).unwrap();
    assert_eq!(store.names(), Recalled { value: names, note: None });
}

#[test]
fn believes_no_torn_file_at_any_length() {
    let (_folder, store) = store();
    let saved = LastWish::first(Egress::Residential);
    store.remember_wish(saved).unwrap();
    let whole = fs::read(store.path(WISH)).unwrap();
    for length in 0..whole.len() {
        fs::write(store.path(WISH), &whole[..length]).unwrap();
        let recalled = store.wish(Egress::Privacy);
        assert_eq!(recalled.value, LastWish::first(Egress::Privacy), "{length} bytes");
        assert!(recalled.note.unwrap().contains("the default applies"));
    }
    assert_eq!(files(&store), ["wish.broken-1", "wish.broken-2", "wish.broken-3"]);
}

#[test]
fn sets_foreign_files_aside_and_says_so() {
    let (_folder, store) = store();
    let newer = r#"{"version":2,"wish":"privacy","last_egress":"privacy"}"#;
    let unknown = r#"{"version":1,"wish":"both","last_egress":"privacy"}"#;
    for (foreign, hint) in [(newer, "version 2"), (unknown, "unknown variant"), ("\0\0\0", "expected value")]
    {
        fs::write(store.path(WISH), foreign).unwrap();
        let note = store.wish(Egress::Privacy).note.unwrap();
        assert!(note.contains(hint) && note.contains("kept as"), "{note}");
    }
    assert_eq!(fs::read_to_string(store.folder.join("wish.broken-1")).unwrap(), newer);
    assert_eq!(store.wish(Egress::Privacy).note, None, "told once");
}

#[test]
fn keeps_the_old_wish_when_the_new_one_cannot_be_saved() {
    let (_folder, store) = store();
    let old = LastWish::first(Egress::Residential);
    store.remember_wish(old).unwrap();
    // Root may write anywhere, so the way is blocked by something that is no file.
    fs::create_dir(store.folder.join("wish.new")).unwrap();
    let error = store.remember_wish(old.then(Wish::Privacy)).unwrap_err().to_string();
    assert!(error.contains("could not save") && error.contains("wish.new"), "{error}");
    assert_eq!(store.wish(Egress::Privacy).value, old);
}

#[test]
fn overwrites_what_a_power_cut_left_half_written() {
    let (_folder, store) = store();
    fs::write(store.folder.join("wish.new"), "{\"version\":1,\"wi").unwrap();
    let wish = LastWish::first(Egress::Residential);
    store.remember_wish(wish).unwrap();
    assert_eq!(store.wish(Egress::Privacy).value, wish);
    assert_eq!(files(&store), ["wish.json"]);
}

#[test]
fn what_is_no_file_or_no_folder_keeps_nobody_waiting() {
    let (_folder, store) = store();
    fs::create_dir(store.path(WISH)).unwrap();
    let note = store.wish(Egress::Privacy).note.unwrap();
    assert!(note.contains("wish.json") && note.contains("directory") && note.contains("kept as"), "{note}");

    nix::unistd::mkfifo(&store.path(WISH), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(store.wish(Egress::Privacy).note.unwrap().contains("kept as"));

    for _ in 0..2 * KEPT_BROKEN {
        fs::create_dir(store.path(WISH)).unwrap();
        fs::write(store.path(WISH).join("inside"), "").unwrap();
        assert!(store.wish(Egress::Privacy).note.unwrap().contains("kept as"));
    }

    File::create(store.path(WISH)).unwrap().set_len(1 << 40).unwrap();
    assert!(store.wish(Egress::Privacy).note.unwrap().contains("longer than 1 MiB"));
    store.remember_wish(LastWish::first(Egress::Residential)).unwrap();
    assert_eq!(store.wish(Egress::Privacy).note, None);
}

#[test]
fn makes_its_folder_whenever_it_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path().join("a/state"));
    for wish in [Egress::Residential, Egress::Privacy].map(LastWish::first) {
        assert_eq!(store.wish(Egress::Privacy).note, None, "nothing is wrong with an empty disk");
        store.remember_wish(wish).unwrap();
        assert_eq!(store.wish(Egress::Residential).value, wish);
        fs::remove_dir_all(&store.folder).unwrap();
    }
    store.check().unwrap();
    assert_eq!(files(&store), [""; 0]);
}

#[test]
fn says_which_folder_cannot_be_made() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let store = Store::new(folder.path().join("file/state"));
    let wish = LastWish::first(Egress::Privacy);
    for error in [store.check().unwrap_err(), store.remember_wish(wish).unwrap_err()] {
        assert!(error.to_string().contains("file/state"), "{error}");
    }
    assert_eq!(store.wish(Egress::Privacy).value, wish, "and the default applies");
}

#[test]
fn tells_what_to_do_about_a_full_or_read_only_disk() {
    for (kind, hint) in [
        (io::ErrorKind::StorageFull, "make room"),
        (io::ErrorKind::ReadOnlyFilesystem, "writable"),
        (io::ErrorKind::IsADirectory, "look at"),
    ] {
        let error = at(Path::new("/data/wish.new"))(kind.into()).to_string();
        assert!(error.contains("/data/wish.new") && error.contains(hint), "{error}");
    }
}
