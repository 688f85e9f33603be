//! See `process.rs`.

use std::os::unix::fs::PermissionsExt;

use nix::unistd::getsid;

use super::*;
use crate::tailnet::fake;

/// Set by the script that stands for tailscaled: where it shall listen.
const PLAY: &str = "BYWAY_TEST_PLAYS_TAILSCALED";
/// The same for somebody who answers with no sense.
const BABBLE: &str = "BYWAY_TEST_BABBLES";

#[tokio::test]
async fn starts_one_in_a_session_of_its_own_and_then_adopts_it() {
    let stage = Stage::new();
    assert_eq!(stage.tailscaled.ensure_running().await.unwrap(), Origin::Started);
    let pid = stage.pid().await;
    assert_eq!(getsid(Some(pid)).unwrap(), pid);
    assert_eq!(stage.tailscaled.ensure_running().await.unwrap(), Origin::Adopted);
    assert_eq!(stage.pid().await, pid);
    let mode = fs::metadata(stage.folder.path().join("tailscale")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn starts_another_when_it_was_killed() {
    let stage = Stage::new();
    stage.tailscaled.ensure_running().await.unwrap();
    let first = stage.pid().await;
    kill_and_wait(first).await.unwrap();
    assert_eq!(stage.tailscaled.ensure_running().await.unwrap(), Origin::Started);
    assert_ne!(stage.pid().await, first);
}

#[tokio::test]
async fn kills_one_that_accepts_and_says_nothing() {
    let stage = Stage::new();
    stage.tailscaled.ensure_running().await.unwrap();
    let first = stage.pid().await;
    signal(first, Signal::SIGSTOP).unwrap();
    while process_state(first) != Some('T') {
        sleep(LOOK_EVERY).await;
    }
    assert_eq!(stage.tailscaled.ensure_running().await.unwrap(), Origin::Started);
    assert!(!is_alive(first));
    assert_ne!(stage.pid().await, first);
}

#[tokio::test]
async fn ends_ours_when_it_has_lost_its_socket() {
    let stage = Stage::new();
    stage.tailscaled.ensure_running().await.unwrap();
    let first = stage.pid().await;
    fs::remove_file(stage.tailscaled.api().socket()).unwrap();
    assert_eq!(stage.tailscaled.ensure_running().await.unwrap(), Origin::Started);
    assert!(!is_alive(first));
}

#[tokio::test]
async fn takes_the_socket_back_from_a_stranger_who_talks_nonsense() {
    let stage = Stage::new();
    stage.tailscaled.ensure_running().await.unwrap();
    let first = stage.pid().await;
    let mut stranger = stage.stranger();
    while stage.pid().await == first {
        sleep(LOOK_EVERY).await;
    }
    assert_eq!(stage.tailscaled.ensure_running().await.unwrap(), Origin::Started);
    assert!(!is_alive(first));
    assert!(stage.tailscaled.api().status().await.is_ok());
    stranger.wait().await.unwrap();
}

#[tokio::test]
async fn stops_it_and_is_content_with_nobody_there() {
    let stage = Stage::new();
    stage.tailscaled.ensure_running().await.unwrap();
    let pid = stage.pid().await;
    stop(stage.folder.path()).await.unwrap();
    assert!(!is_alive(pid));
    stop(stage.folder.path()).await.unwrap();
}

#[tokio::test]
async fn says_where_the_last_words_of_one_that_ends_at_once_are() {
    let stage = Stage::new();
    fs::write(stage.folder.path().join("tailscaled"), "#!/bin/sh\necho no tun; exit 1\n").unwrap();
    let error = stage.tailscaled.ensure_running().await.unwrap_err();
    let log = stage.tailscaled.log_path();
    assert!(error.to_string().contains(log.to_str().unwrap()), "{error}");
    assert_eq!(fs::read_to_string(&log).unwrap(), "no tun\n");
    fs::remove_file(stage.folder.path().join("tailscaled")).unwrap();
    let error = stage.tailscaled.ensure_running().await.unwrap_err();
    assert!(error.to_string().contains("byway.toml"), "{error}");
}

#[test]
fn cuts_a_log_that_has_grown_too_long() {
    let stage = Stage::new();
    let log = stage.tailscaled.log_path();
    stage.tailscaled.bound_log().unwrap();
    for (before, after) in [(LONGEST_LOG, LONGEST_LOG), (LONGEST_LOG + 1, 0)] {
        File::create(&log).unwrap().set_len(before).unwrap();
        stage.tailscaled.bound_log().unwrap();
        assert_eq!(fs::metadata(&log).unwrap().len(), after);
    }
}

#[test]
fn never_signals_everybody_or_init() {
    for pid in [-1, 0, 1] {
        assert!(signal(Pid::from_raw(pid), Signal::SIGTERM).is_err());
    }
}

/// Not a test of anything: run again as a process of its own, this is the tailscaled of the tests above.
#[tokio::test]
async fn plays_tailscaled_when_asked_to() {
    if let Some(socket) = std::env::var_os(PLAY) {
        fake::serve_status(socket.into(), fake::RUNNING).await;
    }
    if let Some(socket) = std::env::var_os(BABBLE) {
        fake::serve_status(socket.into(), "blah").await;
    }
}

struct Stage {
    folder: tempfile::TempDir,
    tailscaled: Tailscaled,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("tailscaled");
        let this = std::env::current_exe().unwrap();
        let script = format!(
            "#!/bin/sh\nfor a; do case $a in --socket=*) export {PLAY}=${{a#*=}};; esac; done\n\
             exec {} --exact tailnet::process::tests::plays_tailscaled_when_asked_to -- \"$@\"\n",
            this.display()
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut tailscaled = Tailscaled::new(&program, folder.path(), folder.path());
        tailscaled.api = tailscaled.api.with_patience(Duration::from_millis(500));
        Self { folder, tailscaled }
    }

    fn stranger(&self) -> Child {
        let mut this = Command::new(std::env::current_exe().unwrap());
        this.args(["--exact", "tailnet::process::tests::plays_tailscaled_when_asked_to"]);
        this.env(BABBLE, self.tailscaled.api().socket()).stdout(Stdio::null());
        this.kill_on_drop(true).spawn().unwrap()
    }

    async fn pid(&self) -> Pid {
        Pid::from_raw(self.tailscaled.api().pid().await.unwrap())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // The tests end before what they started: by its socket, whatever has become of it.
        let Ok(stream) = std::os::unix::net::UnixStream::connect(self.tailscaled.api().socket()) else {
            return;
        };
        let credentials =
            nix::sys::socket::getsockopt(&stream, nix::sys::socket::sockopt::PeerCredentials).unwrap();
        signal(Pid::from_raw(credentials.pid()), Signal::SIGKILL).unwrap();
    }
}
