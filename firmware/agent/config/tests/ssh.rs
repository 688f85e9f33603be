//! `[ssh]` and `[lan]`: whose keys are taken, and what the owner reads about each that is not, word for word.

use super::*;

/// By `ssh-keygen`, one of each kind.
const KEYS: &str = include_str!("keys.pub");

/// Lines below `[ssh]`, and where and what the answer is.
const WRONG: &[(&str, &str)] = &[
    (
        "keys = \"ssh-ed25519 AAAA bob\"",
        "2:8: keys is a list, not a text: write keys = [\"ssh-ed25519 AAAA.. owner\"]",
    ),
    (
        "keys = [\"ssh-ed25519 AAAA bob\"]",
        "2:9: this ssh-ed25519 key is not whole, or of another kind: paste the line of a .pub file, as `ssh-keygen -t ed25519` makes it",
    ),
    (
        "keys = [\"ssh-dss AAAA bob\"]",
        "2:9: dropbear knows no keys of the kind \"ssh-dss\": paste the line of a .pub file, as `ssh-keygen -t ed25519` makes it",
    ),
    (
        "keys = [\"AAAAC3Nz bob\"]",
        "2:9: the key's kind is missing before \"AAAA\": paste the line of a .pub file, as `ssh-keygen -t ed25519` makes it",
    ),
    (
        "keys = ['command=\"sh\" ssh-ed25519 AAAA']",
        "2:9: options before a key are not taken: begin with its kind, as \"ssh-ed25519 AAAA..\"",
    ),
    (
        "keys = [\"-----BEGIN OPENSSH PRIVATE KEY-----\"]",
        "2:9: that is the private half, which nobody else should have: paste the line of a .pub file, as `ssh-keygen -t ed25519` makes it",
    ),
    (
        "keys = [\"ssh-ed25519 AAAA\\nssh-ed25519 AAAA\"]",
        "2:9: a key is one line: write each between quotes of its own",
    ),
    (
        "lan = true",
        "2:7: nobody has a key: write keys = [\"ssh-ed25519 AAAA.. owner\"] beside it, or lan = false",
    ),
    ("key = []", "2:1: [ssh] knows no key \"key\": write keys"),
];

#[test]
fn nobody_logs_in_unless_the_owner_says_so_and_pings_are_answered() {
    let config = read(&LEAST.concat()).unwrap();
    assert_eq!((config.ssh, config.lan.ping), (Ssh { keys: Vec::new(), lan: false }, true));
    let nobody = read(&format!("[ssh]\nkeys = []\n[lan]\nping = false\n{}", LEAST.concat())).unwrap();
    assert_eq!((nobody.ssh.keys, nobody.lan.ping), (Vec::new(), false));
}

#[test]
fn takes_keys_as_they_are_pasted() {
    let quoted: Vec<String> = KEYS.lines().map(|line| format!("{:?}", format!(" {line}\n"))).collect();
    let text = format!("[ssh]\nkeys = [{}]\nlan = true\n{}", quoted.join(", "), LEAST.concat());
    let ssh = read(&text).unwrap().ssh;
    assert!(ssh.lan);
    let keys: Vec<String> = ssh.keys.iter().map(|key| format!("{key} somebody@somewhere")).collect();
    assert_eq!(keys, KEYS.lines().collect::<Vec<_>>());
}

#[test]
fn says_what_is_wrong_with_a_key() {
    for (lines, complaint) in WRONG {
        assert_eq!(complaints(&format!("[ssh]\n{lines}\n{}", LEAST.concat())), [*complaint], "{lines}");
    }
}
