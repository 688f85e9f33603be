//! Without a radio: what is written, and what is told. With one: `tests/machine`.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use byway_core::uplink::wifi::WifiState;
use tokio::net::UnixDatagram;
use tokio::time::timeout;

use super::socket::{Heard, Socket};
use super::*;
use text::tests::wifi;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_radio_that_is_not_there_is_told_and_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(CONFIGURATION);
    fs::write(&path, "an older one, for everybody").unwrap();
    let network = wifi("no-such-radio", "x", "12345678".parse().unwrap());
    let mut supplicant = Supplicant::start(&network, folder.path()).unwrap();
    assert_eq!(timeout(PATIENCE, supplicant.next()).await.unwrap(), WifiState::NoRadio);
    assert_eq!(supplicant.state(), WifiState::NoRadio);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&path).unwrap().contains("psk=\"12345678\""));
    let again = timeout(Duration::from_millis(500), supplicant.next()).await;
    assert!(again.is_err(), "what is no change is not told: {again:?}");
}

#[tokio::test]
async fn a_program_that_does_not_run_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let network = wifi("no-such-radio", "x", "12345678".parse().unwrap());
    let (tell, mut states) = watch::channel(WifiState::Starting);
    // Every namespace has this interface, and it is no radio.
    let program = Program::new("lo", folder.path(), tell);
    fs::write(folder.path().join(CONFIGURATION), text::configuration(&network, SOCKETS)).unwrap();
    let mut keeper = JoinSet::new();
    keeper.spawn(program.keep());
    let told = timeout(PATIENCE, states.wait_for(|state| *state == WifiState::Ended)).await;
    assert!(told.is_ok());
}

#[tokio::test]
async fn speaks_to_a_control_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wlan0");
    assert!(Socket::connect(&path).is_err(), "nobody is there yet");
    let program = UnixDatagram::bind(&path).unwrap();
    let socket = Socket::connect(&path).unwrap();
    socket.ask("ATTACH").await.unwrap();
    let mut bytes = [0; 64];
    let (length, asker) = timeout(PATIENCE, program.recv_from(&mut bytes)).await.unwrap().unwrap();
    assert_eq!(&bytes[..length], b"ATTACH");
    let asker: std::os::unix::net::SocketAddr = asker.into();
    let program = program.into_std().unwrap();
    for words in ["OK\n", "<3>CTRL-EVENT-NETWORK-NOT-FOUND "] {
        program.send_to_addr(words.as_bytes(), &asker).unwrap();
    }
    let heard = || async { timeout(PATIENCE, socket.hear()).await.unwrap().unwrap() };
    assert_eq!(heard().await, Heard::Answer("OK\n".to_owned()));
    assert_eq!(heard().await, Heard::Event("CTRL-EVENT-NETWORK-NOT-FOUND".to_owned()));
}
