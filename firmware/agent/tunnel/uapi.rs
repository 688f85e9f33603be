//! What the tunnel says to wireguard-tools (wireguard.com/xplatform): the answer to every request, from a snapshot.
//! `get` is told what the agent knows but for the keys that are secret, so that `wg show` names the relay's key and
//! not the box's own; `set` is refused, because byway.toml and the core decide. `serve` is the socket.

pub mod serve;

use std::fmt::{Display, Write as _};
use std::net::SocketAddr;
use std::time::SystemTime;

use boringtun::x25519::PublicKey;
use nix::errno::Errno;

use super::{Outside, Peer};

/// The tunnel at one moment, without a secret.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot {
    pub outside: Outside,
    /// None before the first handshake is asked for.
    pub relay: Option<Relay>,
}

#[derive(Clone, Copy, Debug)]
pub struct Relay {
    pub public_key: PublicKey,
    pub endpoint: SocketAddr,
    pub keepalive_s: u16,
    pub handshake: Option<SystemTime>,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
}

impl Relay {
    /// Nothing was exchanged with it yet.
    pub fn new(peer: &Peer) -> Relay {
        Relay {
            public_key: peer.public_key,
            endpoint: peer.endpoint,
            keepalive_s: peer.keepalive_s,
            handshake: None,
            rx_bytes: 0,
            tx_bytes: 0,
        }
    }
}

/// To whatever was said; what follows a whole `get` is ignored.
pub fn answer(request: &[u8], snapshot: &Snapshot) -> Vec<u8> {
    let answer = if request.starts_with(b"get=1\n\n") {
        report(snapshot)
    } else if request.starts_with(b"set=1\n") {
        // wg(8) takes the error of a set with this sign, and that of a get with the other.
        verdict(-(Errno::EOPNOTSUPP as i32))
    } else {
        verdict(Errno::EINVAL as i32)
    };
    answer.into_bytes()
}

/// A request ends with an empty line.
fn is_whole(request: &[u8]) -> bool {
    request.windows(2).any(|pair| pair == b"\n\n")
}

fn report(Snapshot { outside, relay }: &Snapshot) -> String {
    let mut text = String::new();
    line(&mut text, "listen_port", outside.port);
    line(&mut text, "fwmark", outside.mark);
    if let Some(relay) = relay {
        let handshake = relay.handshake.and_then(|made| made.duration_since(SystemTime::UNIX_EPOCH).ok());
        let handshake = handshake.unwrap_or_default();
        line(&mut text, "public_key", hex(relay.public_key.as_bytes()));
        line(&mut text, "protocol_version", 1);
        line(&mut text, "endpoint", relay.endpoint);
        line(&mut text, "last_handshake_time_sec", handshake.as_secs());
        line(&mut text, "last_handshake_time_nsec", handshake.subsec_nanos());
        line(&mut text, "rx_bytes", relay.rx_bytes);
        line(&mut text, "tx_bytes", relay.tx_bytes);
        line(&mut text, "persistent_keepalive_interval", relay.keepalive_s);
        line(&mut text, "allowed_ip", "0.0.0.0/0");
        line(&mut text, "allowed_ip", "::/0");
    }
    text + &verdict(0)
}

fn verdict(errno: i32) -> String {
    format!("errno={errno}\n\n")
}

fn line(text: &mut String, key: &str, value: impl Display) {
    _ = writeln!(text, "{key}={value}");
}

fn hex(key: &[u8; 32]) -> String {
    key.iter().fold(String::with_capacity(64), |mut digits, byte| {
        _ = write!(digits, "{byte:02x}");
        digits
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tunnel::StaticSecret;

    #[test]
    fn a_get_tells_everything_but_the_secrets() {
        assert_eq!(
            said(b"get=1\n\n", &at_work()),
            "listen_port=41642\nfwmark=67108864\n\
             public_key=0101010101010101010101010101010101010101010101010101010101010101\n\
             protocol_version=1\nendpoint=[2001:db8::130]:51820\n\
             last_handshake_time_sec=1795392000\nlast_handshake_time_nsec=7\n\
             rx_bytes=92\ntx_bytes=148\npersistent_keepalive_interval=25\n\
             allowed_ip=0.0.0.0/0\nallowed_ip=::/0\nerrno=0\n\n"
        );
    }

    #[test]
    fn a_get_before_there_is_a_relay_tells_the_interface() {
        let idle = Snapshot { relay: None, ..at_work() };
        assert_eq!(said(b"get=1\n\n", &idle), "listen_port=41642\nfwmark=67108864\nerrno=0\n\n");
    }

    #[test]
    fn a_relay_that_never_answered_has_no_handshake() {
        let peer = Peer {
            private_key: StaticSecret::from([2; 32]),
            public_key: PublicKey::from([1; 32]),
            preshared_key: None,
            endpoint: "192.0.2.130:51820".parse().unwrap(),
            keepalive_s: 0,
        };
        let told = said(b"get=1\n\n", &Snapshot { relay: Some(Relay::new(&peer)), ..at_work() });
        assert!(told.contains("last_handshake_time_sec=0\nlast_handshake_time_nsec=0\n"), "{told}");
        assert!(told.contains("persistent_keepalive_interval=0\n") && !told.contains(&"02".repeat(32)));
    }

    #[test]
    fn a_set_is_refused_whatever_it_wants() {
        for request in ["set=1\n\n", "set=1\nfwmark=0\n\n", "set=1\nprivate_key=", "set=1\nget=1\n\n"] {
            assert_eq!(said(request.as_bytes(), &at_work()), "errno=-95\n\n", "{request:?}");
        }
    }

    #[test]
    fn anything_else_is_an_error_for_its_caller() {
        let requests: [&[u8]; 9] = [
            b"",
            b"\n\n",
            b"get=1",
            b"get=1\n",
            b"get=2\n\n",
            b"get=1\nx=1\n\n",
            b"set=1",
            b"\xff\0\n\n",
            b"get",
        ];
        for request in requests {
            assert_eq!(said(request, &at_work()), "errno=22\n\n", "{request:?}");
        }
    }

    #[test]
    fn a_request_is_whole_with_its_empty_line() {
        assert!(is_whole(b"get=1\n\n") && is_whole(b"\n\n") && is_whole(b"set=1\nfwmark=0\n\nget"));
        assert!(!is_whole(b"") && !is_whole(b"\n") && !is_whole(b"get=1\nx\n"));
    }

    fn said(request: &[u8], snapshot: &Snapshot) -> String {
        String::from_utf8(answer(request, snapshot)).unwrap()
    }

    fn at_work() -> Snapshot {
        Snapshot {
            outside: Outside { mark: 0x0400_0000, port: 41642 },
            relay: Some(Relay {
                public_key: PublicKey::from([1; 32]),
                endpoint: "[2001:db8::130]:51820".parse().unwrap(),
                keepalive_s: 25,
                handshake: Some(SystemTime::UNIX_EPOCH + Duration::new(1_795_392_000, 7)),
                rx_bytes: 92,
                tx_bytes: 148,
            }),
        }
    }
}
