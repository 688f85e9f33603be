//! `byway report` where nobody lives, with secrets wherever it looks.

use std::fs;
use std::process::Command;

const SECRETS: [&str; 15] = [
    "Caf\u{e9} Smith",
    "correct horse",
    "hskey-auth-Ab12Cd34",
    "profile42",
    "1234 5678 9012 3456",
    "1234567890123456",
    "9876 5432 1098 7654",
    "YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk",
    "100.64.0.7",
    "fd7a:115c:a1e0::7",
    "203.0.113.77",
    "2001:db8:50::77",
    "dc:a6:32:01:02:03",
    "phone.tail.example.com",
    "me@example.com",
];
const TOML: &str = r#"
[uplink.wifi]
ssid = "Caf\u00e9 Smith"
psk = "correct horse"
[tailnet]
auth_key = "hskey-auth-Ab12Cd34"
[mullvad]
account = "1234 5678 9012 3456"
[dns]
residential = "https://dns.nextdns.io/profile42"
allow_private = ["tail.example.com"]
"#;

#[test]
fn a_dead_agents_report_has_what_it_left_and_nothing_of_the_owners() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["run", "state"] {
        fs::create_dir(at(name)).unwrap();
    }
    let planted: String = SECRETS
        .iter()
        .flat_map(|secret| {
            [format!("{secret}\n"), format!("to {secret}: no answer\n"), format!("{{\"a\":\"{secret}\"}}\n")]
        })
        .collect();
    fs::write(at("byway.toml"), TOML).unwrap();
    fs::write(at("run/byway.log"), format!("- +1.000  INFO starting\n{planted}")).unwrap();
    fs::write(at("run/tailscaled.log"), format!("2026/11/26 08:00:01 {planted}")).unwrap();
    fs::write(at("state/last-words.log"), format!("panicked at x.rs\n{planted}")).unwrap();
    fs::write(at("state/last-kernel.log"), format!("Kernel panic\n{planted}")).unwrap();
    let crashed = r#"{"version":1,"last":{"boot":"00","runs":false,"last_stop":"the power was cut","crashes":{"count":2,"last":"no route to 203.0.113.77"},"kept_s":null}}"#;
    fs::write(at("run/life.json"), crashed).unwrap();

    let mut command = Command::new(env!("CARGO_BIN_EXE_byway"));
    command.arg("report").arg("--config").arg(at("byway.toml"));
    let said = command.arg("--state-dir").arg(at("state")).arg("--run-dir").arg(at("run")).output().unwrap();
    let told = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said.status.code(), Some(0), "{told}");
    for secret in SECRETS {
        assert!(!told.contains(secret), "{secret} in\n{told}");
    }
    for part in [
        "tailscaled does not tell its peers",
        "--- status\nnot known: no agent answers",
        "--- last stop\nthe power was cut; byway crashed 2 times since, last: no route to public-",
        "--- last words, kept after a crash\npanicked at x.rs",
        "--- the kernel's last log, kept after a crash\nKernel panic",
        "- +1.000  INFO starting",
        "tailscaled: ",
        "--- the kernel's log",
        "\nbyway 0.",
    ] {
        assert!(told.contains(part), "{part:?} not in\n{told}");
    }
}
