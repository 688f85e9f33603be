//! Everything the fuzzers ever found worth keeping (`tests/fuzz/corpus`, a folder for each), once more through what
//! they call: on the stable compiler, with every change.

use std::path::Path;

#[expect(unreachable_pub, reason = "the fuzzers have this file as their library")]
#[path = "fuzz/bodies.rs"]
mod bodies;

#[test]
fn cutting_a_read_holds() {
    replay("segment", bodies::segment);
}

#[test]
fn joining_a_batch_holds() {
    replay("coalesce", bodies::coalesce);
}

#[test]
fn opening_a_datagram_holds() {
    replay("datagram", bodies::datagram);
}

#[test]
fn reading_a_ping_s_answer_holds() {
    replay("ping", bodies::ping);
}

#[test]
fn reading_mullvad_s_file_holds() {
    replay("conf", bodies::conf);
}

#[test]
fn reading_mullvad_s_relays_holds() {
    replay("relay_list", bodies::relay_list);
}

#[test]
fn answering_a_name_holds() {
    replay("dns", bodies::dns);
}

#[test]
fn answering_wireguard_tools_holds() {
    replay("uapi", bodies::uapi);
}

#[test]
fn every_fuzzer_s_corpus_is_replayed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let mut names: Vec<_> =
        entries(&folder).iter().map(|path| path.file_name().map(ToOwned::to_owned)).collect();
    names.sort();
    assert_eq!(
        names,
        ["coalesce", "conf", "datagram", "dns", "ping", "relay_list", "segment", "uapi"]
            .map(|name| Some(name.into()))
    );
}

fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let inputs = entries(&folder);
    assert!(!inputs.is_empty(), "{} holds nothing", folder.display());
    for path in inputs {
        let input = std::fs::read(&path).expect("it was listed");
        let tried = std::panic::catch_unwind(|| body(&input));
        assert!(tried.is_ok(), "{} fails, see above", path.display());
    }
}

fn entries(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder);
    let entries = entries.unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
    entries.map(|entry| entry.expect("a folder can be listed").path()).collect()
}
