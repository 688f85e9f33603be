use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::config::{self, Config, ConfigError};
use crate::tailnet;
use crate::tunnel::{Outside, uapi};

#[test]
fn keeps_the_newest_half_a_megabyte_for_root_alone() {
    let (folder, journal) = new();
    for number in 0..20_000 {
        journal.append(format!("- +{number}.000  INFO {}\n", "x".repeat(40)).as_bytes()).unwrap();
    }
    let (_, lines) = Tail::begin(folder.path()).unwrap();
    assert!(lines.last().unwrap().starts_with("- +19999.000"), "{:?}", lines.last());
    let first: usize = lines[0][3..8].parse().unwrap();
    assert_eq!(lines.len(), 20_000 - first, "without a gap");
    let mut whole = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let metadata = entry.unwrap().metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        whole += metadata.len();
    }
    assert!((HALF..=2 * HALF).contains(&whole), "{whole}");
}

#[test]
fn goes_on_where_another_agent_of_this_boot_has_stopped() {
    let (folder, journal) = new();
    journal.append(b"- +1.000  INFO one\n").unwrap();
    drop(journal);
    Journal::open(folder.path()).unwrap().append(b"- +2.000  INFO two\n").unwrap();
    note(folder.path(), "panicked at x.rs");
    let (_, lines) = Tail::begin(folder.path()).unwrap();
    assert_eq!(lines[..2], ["- +1.000  INFO one", "- +2.000  INFO two"]);
    assert!(lines[2].ends_with(" ERROR panicked at x.rs"), "{}", lines[2]);
}

#[test]
fn a_line_of_any_length_is_cut_to_what_fits() {
    let (folder, journal) = new();
    let long = vec![b'x'; 3 << 20];
    journal.append(&long).unwrap();
    journal.append(b"\n- +1.000  INFO after it\n").unwrap();
    let kept: u64 =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(kept <= 2 * HALF, "{kept}");
    assert_eq!(Tail::begin(folder.path()).unwrap().1.last().unwrap(), "- +1.000  INFO after it");
}

#[test]
fn follows_both_across_a_new_beginning_and_a_cut() {
    let (folder, journal) = new();
    let theirs = tailnet::log(folder.path());
    fs::write(&theirs, "2026/11/26 08:00:01 first\n").unwrap();
    journal.append(b"- +1.000  INFO first\n").unwrap();
    let (mut tail, lines) = Tail::begin(folder.path()).unwrap();
    assert_eq!(lines.len(), 2);
    assert!(tail.since().unwrap().is_empty());

    journal.append(b"- +2.000  INFO in the old one\n- +2.1").unwrap();
    fs::rename(&journal.path, &journal.older).unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    journal.append(b"00  INFO in two\n- +3.000  INFO in the new one\n").unwrap();
    fs::write(&theirs, "cut\n").unwrap();
    assert_eq!(
        tail.since().unwrap(),
        [
            "- +2.000  INFO in the old one",
            "- +2.100  INFO in two",
            "- +3.000  INFO in the new one",
            "tailscaled: cut"
        ]
    );
    assert!(tail.since().unwrap().is_empty());
}

#[test]
fn last_words_begin_with_a_line() {
    let (folder, journal) = new();
    for number in 100..200 {
        journal.append(format!("{number} \u{e4}\u{f6}\n").as_bytes()).unwrap();
    }
    let words = last_words(folder.path(), 31).unwrap();
    assert_eq!(words, "197 \u{e4}\u{f6}\n198 \u{e4}\u{f6}\n199 \u{e4}\u{f6}\n");
    assert_eq!(last_words(folder.path(), 1 << 20).unwrap().lines().count(), 100);
    assert_eq!(last_words(&folder.path().join("nowhere"), 64).unwrap(), "");
}

fn new() -> (TempDir, Journal) {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    (folder, journal)
}

/// Everything of a configuration that can be logged, and every complaint about one that has a secret in the wrong place.
#[test]
fn no_secret_gets_there() {
    let (folder, journal) = new();
    let subscriber = tracing_subscriber::registry().with(in_memory(Arc::new(journal)));
    tracing::subscriber::with_default(subscriber, || {
        let config = parse(&TOML.join("\n")).unwrap();
        let peer = &config.mullvad.relays[0].conf.peer;
        let key = config.tailnet.auth_key.as_ref().map(|key| tailnet::AuthKey::new(key.reveal()));
        let snapshot =
            uapi::Snapshot { outside: Outside { mark: 1, port: 2 }, relay: Some(uapi::Relay::new(peer)) };
        tracing::info!(?config, ?key, ?snapshot, dns = %config.dns.residential, "{peer:?}");
        for line in 0..TOML.len() {
            for (from, to) in
                [("\"", ""), ("= ", "= 7 "), ("\"", "\"\u{e4} "), ("\n", "\n[tailnet]\n"), (" =", "y =")]
            {
                let mut lines = TOML.map(str::to_owned);
                lines[line] = lines[line].replacen(from, to, 1);
                let text = lines.join("\n");
                if let Err(mistakes) = parse(&text) {
                    tracing::error!(?mistakes, "{mistakes}");
                }
                let file = folder.path().join("byway.toml");
                fs::write(&file, &text).unwrap();
                if let Err(error) = tailnet::wipe_auth_key(&file) {
                    tracing::warn!("{error:#} {error:?}");
                }
            }
        }
    });
    let logged = Tail::begin(folder.path()).unwrap().1.join("\n");
    assert!(logged.contains("cottage") && logged.matches("ERROR").count() > 20, "{logged}");
    for secret in SECRETS {
        assert!(!logged.contains(secret), "{secret} in\n{logged}");
    }
}

const SECRETS: [&str; 7] = [
    "hskey-auth-Ab12Cd34",
    "correct horse battery",
    "profile42",
    "YAnz5TF+lXXJte14tji3zlMNq",
    "QBnz5TF+lXXJte14tji3zlMNq",
    "5432 1098",
    "54321098",
];
const TOML: [&str; 12] = [
    "[box]",
    "name = \"cottage\"",
    "[tailnet]",
    "auth_key = \"hskey-auth-Ab12Cd34\"",
    "[mullvad]",
    "config = [\"a.conf\"]\nlocation = \"se\"",
    "account = \"9876 5432 1098 7654\"",
    "[uplink.wifi]",
    "ssid = \"Home\"\npsk = \"correct horse battery\"",
    "country = \"SE\"",
    "[dns]",
    "residential = \"https://dns.nextdns.io/profile42\"",
];
const CONF: &str = "[Interface]
PrivateKey = YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
Address = 10.64.5.5/32
[Peer]
PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
PresharedKey = QBnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
AllowedIPs = 0.0.0.0/0
Endpoint = 192.0.2.130:51820
";

/// With a file of Mullvad's that is good, after ones whose keys are not.
fn parse(text: &str) -> Result<Config, ConfigError> {
    let parse = |conf: &str| config::parse(text, Path::new("/boot/byway.toml"), &|_| Ok(conf.to_owned()));
    for (from, to) in [("fBmk=", "fBmk"), ("Key = ", "Key = =")] {
        let mistakes = parse(&CONF.replace(from, to)).unwrap_err();
        tracing::error!(?mistakes, "{mistakes}");
    }
    parse(CONF)
}
