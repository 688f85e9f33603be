//! The relays of the configuration: their keys, which the core does without, and the attempts to prove them.

use std::net::{IpAddr, SocketAddr};

use byway_core::posture::TunnelEnd;
use byway_core::posture::ruleset::TAILNET4;
use byway_core::relays::{Attempt, RelayId};
use byway_core::{Expect, Input, RelaySettings};
use tokio::sync::mpsc;

use crate::clock;
use crate::config::{Mullvad, MullvadFile};
use crate::proof::GATEWAY;
use crate::tunnel::Peer;
use crate::tunnel::prober::{Line, Prober};
use crate::watchdog::Pulse;

/// Where every relay of Mullvad's listens beside 51820 (`wireguard.port_ranges` of its relay list): what networks let
/// through for web pages and for other tunnels. Not 53, where many answer themselves.
const PORTS: [u16; 2] = [443, 4500];

/// In the owner's order.
pub(super) struct Relays {
    known: Vec<Relay>,
    prober: Prober,
    reports: mpsc::Sender<Input>,
    pulse: Pulse,
}

struct Relay {
    name: String,
    peer: Peer,
    addresses: Vec<IpAddr>,
    resolvers: Vec<IpAddr>,
}

impl Relays {
    pub(super) fn new(mullvad: &Mullvad, prober: Prober, reports: mpsc::Sender<Input>, pulse: Pulse) -> Self {
        Self { known: mullvad.relays.iter().map(Relay::new).collect(), prober, reports, pulse }
    }

    pub(super) fn name(&self, relay: RelayId) -> &str {
        &self.known[relay.0].name
    }

    /// With its keys.
    pub(super) fn peer(&self, relay: RelayId, endpoint: SocketAddr) -> Peer {
        Peer { endpoint, ..self.known[relay.0].peer.clone() }
    }

    /// Reports [`Input::Proved`], whatever becomes of it.
    pub(super) fn prove(&self, attempt: Attempt) {
        let Relay { name, addresses, resolvers, .. } = &self.known[attempt.relay.0];
        let line = Line {
            peer: self.peer(attempt.relay, attempt.endpoint),
            addresses: addresses.clone(),
            resolvers: resolvers.clone(),
            mtu: attempt.mtu,
        };
        let (name, prober, reports) = (name.clone(), self.prober.clone(), self.reports.clone());
        let pulse = self.pulse.clone();
        tokio::spawn(async move {
            let began = clock::uptime();
            pulse.tick();
            let verdict = Box::pin(prober.prove(line)).await;
            pulse.rest();
            match &verdict {
                Ok(proof) => {
                    tracing::info!(took_ms = proof.took.as_millis(), mtu = proof.mtu, "{name} is proven");
                }
                Err(obstacle) => {
                    tracing::info!(endpoint = %attempt.endpoint, "{name} is not proven: {obstacle:?}");
                }
            }
            // Nobody receives any more when the agent is stopping.
            _ = reports.send(Input::Proved(attempt, began, verdict)).await;
        });
    }
}

impl Relay {
    fn new(file: &MullvadFile) -> Self {
        Self {
            name: file.relay_name(),
            peer: file.conf.peer.clone(),
            addresses: addresses(file),
            resolvers: resolvers(core::slice::from_ref(file)),
        }
    }
}

/// What the core is to know of them.
pub(super) fn settings(mullvad: &Mullvad) -> Vec<RelaySettings> {
    let ports = match mullvad.expect {
        Expect::Mullvad => Vec::from(PORTS),
        Expect::Any => Vec::new(),
    };
    let of = |file: &MullvadFile| RelaySettings {
        name: file.relay_name(),
        end: TunnelEnd { addresses: addresses(file), relay: file.conf.peer.endpoint, mtu: mullvad.mtu },
        ports: ports.clone(),
    };
    mullvad.relays.iter().map(of).collect()
}

/// Whom to ask for names through the tunnel. Mullvad's blocking resolvers are 100.64.0.x, where the tailnet's addresses
/// are too: the gateway answers as well.
pub(super) fn resolvers(files: &[MullvadFile]) -> Vec<IpAddr> {
    let collides = |server: &IpAddr| matches!(server, IpAddr::V4(server) if TAILNET4.contains(server));
    let mut resolvers: Vec<IpAddr> = Vec::new();
    for server in files.iter().flat_map(|file| &file.conf.dns).filter(|server| !collides(server)) {
        if !resolvers.contains(server) {
            resolvers.push(*server);
        }
    }
    if resolvers.is_empty() { Vec::from([IpAddr::V4(GATEWAY)]) } else { resolvers }
}

fn addresses(file: &MullvadFile) -> Vec<IpAddr> {
    file.conf.addresses.iter().map(ipnet::IpNet::addr).collect()
}
