//! `[clock]`: what the owner reads about each mistake, word for word.

use super::*;

/// Lines below `[clock]`, and where and what the answer is.
const WRONG_CLOCKS: &[(&str, &str)] = &[
    ("keep = \"chrony\"", "2:8: keep cannot be \"chrony\": write \"ntp\" or \"none\""),
    ("keep = false", "2:8: keep is a text in quotes, not true or false: write keep = \"ntp\""),
    (
        "servers = [\"pool.ntp.org\"]",
        "2:12: \"pool.ntp.org\" is no time server's address: write an IPv4 or IPv6 address without a port, as \"192.168.1.1\"; a name would need the time before it could be looked up safely",
    ),
    ("servers = []", "2:11: the list names no server: write servers = [\"192.168.1.1\"], or leave it out"),
    ("server = \"192.168.1.1\"", "2:1: [clock] knows no key \"server\": write servers"),
];

#[test]
fn says_what_is_wrong_with_the_clock() {
    for (lines, complaint) in WRONG_CLOCKS {
        assert_eq!(complaints(&format!("[clock]\n{lines}\n{}", LEAST.concat())), [*complaint], "{lines}");
    }
}
