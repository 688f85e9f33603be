//! Proves one relay in memory: a handshake, its gateway's ping, what fits through in one packet, and who the internet
//! sees by it. It touches no kernel state and no device; what follows from the verdict is decided in byway-core.
//!
//! `uplink` is the UDP socket of an attempt · `handshake` is the first step, and what is found out where it fails ·
//! `stack` are TCP, UDP and ICMP inside the tunnel (smoltcp over the session) · `stream` is its TCP as tokio knows it ·
//! `gateway` are the ping and the sizes · `names` is the check host's address, asked inside the tunnel.

mod gateway;
mod handshake;
mod names;
mod stack;
mod stream;
mod uplink;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use byway_core::Expect;
use byway_core::relays::{Obstacle, Proof, Verdict};
use tokio::sync::watch;
use tokio::time::Instant;

use self::gateway::Gateway;
use self::stack::Stack;
use self::stream::Stream;
use self::uplink::Uplink;
use super::session::Session;
use super::{Peer, Stamps, boot_time};
use crate::clock::Servers;
use crate::config::Host;
use crate::proof::ExitCheck;
use crate::proof::exit::Reach;

/// For everything, the exit check at its shortest left out.
const WHOLE: Duration = Duration::from_secs(7);
/// For the exit check: at most, and where the steps before it have taken long.
const EXIT_CHECK: Duration = Duration::from_secs(4);
const SHORTEST_EXIT_CHECK: Duration = Duration::from_secs(1);

/// Cheap to clone.
#[derive(Clone)]
pub struct Prober {
    check: Arc<ExitCheck>,
    expect: Expect,
    stamps: Arc<Stamps>,
    uplink: watch::Receiver<String>,
    servers: Servers,
}

/// One relay at one endpoint, and our end of its tunnel.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its endpoint is the attempt's.
    pub peer: Peer,
    /// Ours inside the tunnel; the first of each family is used.
    pub addresses: Vec<IpAddr>,
    /// Whom to ask for the check host's name, through the tunnel.
    pub resolvers: Vec<IpAddr>,
    pub mtu: u16,
}

impl Prober {
    /// `uplink` is the interface that leads to the house, empty while none does; `stamps` are the engine's too; `servers`
    /// are asked whether UDP is answered at all where a relay does not.
    pub fn new(
        check: Arc<ExitCheck>,
        expect: Expect,
        stamps: Arc<Stamps>,
        uplink: watch::Receiver<String>,
        servers: Servers,
    ) -> Self {
        Self { check, expect, stamps, uplink, servers }
    }

    /// Takes 8 s at the very most. Never to be asked about a relay that the engine talks to with the same key: the relay
    /// would answer only one of the two.
    pub async fn prove(&self, line: Line) -> Verdict {
        let begun = Instant::now();
        let uplink = Uplink::open(&self.uplink.borrow().clone(), line.peer.endpoint)?;
        let mut session = self.session(&line.peer);
        let handshake = handshake::shake_hands(&uplink, &mut session, &self.servers).await?;
        let stack = Stack::new(session, &line.addresses, line.mtu);
        let inside = async {
            let (round_trip, mtu) = self.far_end(&stack, line.mtu, begun + WHOLE).await?;
            stack.narrow(mtu);
            let inside = Inside { stack: &stack, resolvers: &line.resolvers };
            let left = (begun + WHOLE).saturating_duration_since(Instant::now());
            let limit = left.clamp(SHORTEST_EXIT_CHECK, EXIT_CHECK);
            let exits = self.check.ask_by(&inside, limit).await;
            let exits = exits.map_err(|error| Obstacle::ExitCheck(error.to_string()))?;
            Ok(Proof { handshake, round_trip, mtu, exits, took: begun.elapsed() })
        };
        let verdict = tokio::select! {
            verdict = inside => verdict,
            unsent = stack.drive(&uplink) => Err(unsent),
        };
        stack.hang_up(&uplink).await;
        verdict
    }

    /// An attempt is too short for keepalives.
    fn session(&self, peer: &Peer) -> Session {
        let peer = Peer { keepalive_s: 0, ..peer.clone() };
        Session::beside(boot_time(), peer, Arc::clone(&self.stamps))
    }

    /// The gateway's round trip, where one is known, and the MTU.
    async fn far_end(
        &self,
        stack: &Stack,
        mtu: u16,
        deadline: Instant,
    ) -> Result<(Option<Duration>, u16), Obstacle> {
        match self.expect {
            Expect::Mullvad => {
                let mut gateway = Gateway::in_tunnel(stack);
                let round_trip = gateway.ping().await.ok_or(Obstacle::Gateway)?;
                let mtu = gateway.largest(mtu, round_trip, deadline).await.map_err(Obstacle::Narrow)?;
                Ok((Some(round_trip), mtu))
            }
            Expect::Any => Ok((None, mtu)),
        }
    }
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prober")
            .field("check", &self.check)
            .field("expect", &self.expect)
            .finish_non_exhaustive()
    }
}

/// The way to the check host through the relay.
struct Inside<'a> {
    stack: &'a Stack,
    resolvers: &'a [IpAddr],
}

impl<'a> Reach for Inside<'a> {
    type Stream = Stream<'a>;

    async fn resolve(&self, host: &Host) -> Result<Vec<IpAddr>, String> {
        match host {
            Host::Address(address) => Ok(Vec::from([*address])),
            Host::Name(name) => names::resolve(self.stack, self.resolvers, name).await,
        }
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<Stream<'a>> {
        Stream::connect(self.stack, to).await
    }
}
