//! What came of the attempt to prove one relay at one endpoint: by what it was proven, or what stood in the way.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use crate::Exit;
use crate::account::PublicKey;

/// A relay that may carry, by a number that no other has while the agent lives: first those of the owner's files, by
/// their place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelayId(pub usize);

/// With whose keys a relay is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Those in the owner's file, by its place in the list.
    File(usize),
    /// Those of the account's device, and the relay's own.
    Device { ours: PublicKey, relay: PublicKey },
}

/// Whom to prove, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub relay: RelayId,
    /// One of its ports, as it is reached from this house.
    pub endpoint: SocketAddr,
    /// The most that the tunnel is to carry in one packet, in bytes.
    pub mtu: u16,
}

/// Of one attempt.
pub type Verdict = Result<Proof, Obstacle>;

/// Everything that a relay must do was seen, through a tunnel in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// From the first initiation to the answer.
    pub handshake: Duration,
    /// Of the gateway's ping; `None` where no gateway is known ([`crate::Expect::Any`]).
    pub round_trip: Option<Duration>,
    /// What came through in one packet, in bytes: the attempt's, or the most that a search found.
    pub mtu: u16,
    /// Who the internet sees: one answer a family that works, never an empty list. Judged by the core.
    pub exits: Vec<Exit>,
    /// Of the whole attempt.
    pub took: Duration,
}

/// What kept a relay from being proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The kernel sends nothing there, and why.
    Unsent(String),
    /// The relay's machine, or a router before it, says that nobody takes the datagrams (ICMP, RFC 792).
    Refused,
    /// Nothing comes back. Whether the machine answers a ping by the house's line, and anybody else out there UDP.
    Silence { machine: bool, udp: bool },
    /// The wall clock cannot be right, so no handshake is stamped.
    Clock,
    /// The handshake is answered, but nothing in the tunnel.
    Gateway,
    /// Small packets pass, those of IPv6's smallest MTU do not; the most that did, in bytes.
    Narrow(u16),
    /// The check host's answer is missing.
    ExitCheck(String),
    /// It answers that this address is not Mullvad's. The core's own judgement of a [`Proof`].
    NotMullvad(IpAddr),
    /// It carried until nothing was heard any more, or nothing answered. The core's own judgement of the tunnel.
    FellSilent,
}
