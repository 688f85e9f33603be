//! Carries packets between the TUN device and a Mullvad relay, sealed. It decides nothing about who may use
//! the tunnel and configures no addresses, routes or rules: that is `net`.
//!
//! The data's way. Outwards: the kernel routes packets into the TUN device, many of one flow as one super-packet;
//! a thread reads it, cuts it, seals each packet for the relay ([`boringtun`]) and sends marked UDP datagrams, many
//! of one length in one call. Inwards: another thread takes trains of datagrams, opens them and, only if the
//! relay's key made them, puts packets of one flow together again and writes them to the TUN device. With no session
//! a few hundred packets wait inside boringtun; with no peer they are swallowed. They never take another way.
//!
//! `conf` reads Mullvad's file · `engine` is what the agent sees · `courier` are the two threads · `outwards` and
//! `inwards` are their ways, `packet` what happens to the bytes on it, `train` and `receive` many datagrams a call ·
//! `tun` and `socket` are the two ends in the kernel · `session` is the protocol with the time as an argument,
//! `machine` holds boringtun to it, `stamps` are what its handshakes carry · `uapi` is what `wg show` hears · `prober`
//! proves another relay beside all of this, in memory.

pub mod conf;
mod courier;
mod engine;
pub mod inwards;
mod machine;
pub mod outwards;
pub mod packet;
pub mod prober;
mod receive;
mod session;
pub mod socket;
mod stamps;
mod stranger;
pub mod train;
pub mod tun;
pub mod uapi;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
pub use boringtun::x25519::{PublicKey, StaticSecret};

pub use self::conf::Conf;
pub use self::engine::Engine;
pub use self::prober::{Line, Prober};
pub use self::stamps::Stamps;
#[doc(hidden)]
pub use self::stranger::Stranger;

/// The relay to talk to, and the key to talk to it with.
#[derive(Clone)]
pub struct Peer {
    pub private_key: StaticSecret,
    pub public_key: PublicKey,
    pub preshared_key: Option<[u8; 32]>,
    pub endpoint: SocketAddr,
    /// Seconds between keepalives; 0 sends none.
    pub keepalive_s: u16,
}

impl fmt::Debug for Peer {
    /// Leaves the private and the preshared key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("public_key", &STANDARD.encode(self.public_key))
            .field("endpoint", &self.endpoint)
            .field("keepalive_s", &self.keepalive_s)
            .finish_non_exhaustive()
    }
}

/// The time of every session: it goes on while the machine sleeps, and is not set.
fn boot_time() -> Duration {
    crate::clock::uptime().elapsed_since_boot()
}

/// By what the firewall knows the tunnel's own datagrams.
#[derive(Clone, Copy, Debug)]
pub struct Outside {
    /// `SO_MARK`
    pub mark: u32,
    /// Where they come from and are answered to; 0: any.
    pub port: u16,
}

/// What the tunnel has done. The times are instants of `CLOCK_BOOTTIME`, not ages, and belong to the
/// present peer: a swap forgets them. The counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// When the newest session that the relay is known to share was made. A session lives for 180 s.
    pub handshake: Option<Duration>,
    /// When a packet last came in that only the relay can have made: data, keepalive, handshake.
    pub last_received: Option<Duration>,
    /// When the first client's packet since then was handed to the network, if one was; keepalives do not count.
    pub unanswered: Option<Duration>,
    /// Bytes of packets written to the TUN device.
    pub rx_bytes: u64,
    /// Bytes of packets sent to a relay, padded, without the protocol's own 32 bytes each.
    pub tx_bytes: u64,
    /// Datagrams that the kernel refused to send: no route, sealed by the firewall, buffer full.
    pub unsent: u64,
}

impl Stats {
    fn for_another_peer(self) -> Stats {
        Stats { handshake: None, last_received: None, unanswered: None, ..self }
    }
}

/// Which of the kernel's offloads the engine has found and uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is there or not, whatever the others are")]
pub struct Offloads {
    pub tso: bool,
    pub uso: bool,
    pub udp_segment: bool,
    pub udp_gro: bool,
}

/// Why the engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    #[error(
        "a network device cannot be called {0:?}: give a name of 1 to 15 letters, digits, '-', '_' or '.'"
    )]
    Name(String),
    #[error("cannot open /dev/net/tun: load the kernel's tun module and run as root")]
    NoTun(#[source] io::Error),
    #[error(
        "cannot take the TUN device {device}: end the program that holds it, or delete a device of that name and another kind"
    )]
    Device { device: String, source: io::Error },
    #[error("cannot open the tunnel's UDP socket: run as root, the firewall knows it by its mark")]
    Socket(#[source] io::Error),
    #[error("cannot start the tunnel's thread: raise the limits for threads and open files")]
    Thread(#[source] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_shown_for_debugging_hides_its_secrets() {
        let secret = [0x5a; 32];
        let peer = Peer {
            private_key: StaticSecret::from(secret),
            public_key: PublicKey::from([1; 32]),
            preshared_key: Some(secret),
            endpoint: "192.0.2.130:51820".parse().unwrap(),
            keepalive_s: 25,
        };
        let shown = format!("{peer:?}");
        assert!(shown.contains("192.0.2.130:51820"), "{shown}");
        assert!(!shown.contains("90, 90") && !shown.contains(&STANDARD.encode(secret)), "{shown}");
    }
}
