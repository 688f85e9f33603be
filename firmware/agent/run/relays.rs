//! The keys of the relays, which the core does without, and the attempts to prove them.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use byway_core::posture::TunnelEnd;
use byway_core::posture::ruleset::TAILNET4;
use byway_core::relays::{Attempt, Keys, Obstacle};
use byway_core::{Expect, Input, RelaySettings};
use tokio::sync::mpsc;

use crate::clock;
use crate::config::{Mullvad, MullvadFile};
use crate::mullvad::KeyRing;
use crate::proof::GATEWAY;
use crate::tunnel::conf::KEEPALIVE_S;
use crate::tunnel::prober::{Line, Prober};
use crate::tunnel::{Peer, PublicKey};
use crate::watchdog::Pulse;

/// Where every relay of Mullvad's listens beside 51820 (`wireguard.port_ranges` of its relay list): what networks let
/// through for web pages and for other tunnels. Not 53, where many answer themselves.
const PORTS: [u16; 2] = [443, 4500];

pub(super) struct Relays {
    /// In the owner's order.
    files: Vec<File>,
    /// Of the account's device.
    ring: Option<Arc<Mutex<KeyRing>>>,
    prober: Prober,
    reports: mpsc::Sender<Input>,
    pulse: Pulse,
}

struct File {
    peer: Peer,
    resolvers: Vec<IpAddr>,
}

impl Relays {
    pub(super) fn new(
        (mullvad, ring): (&Mullvad, Option<Arc<Mutex<KeyRing>>>),
        prober: Prober,
        reports: mpsc::Sender<Input>,
        pulse: Pulse,
    ) -> Self {
        Self { files: mullvad.relays.iter().map(File::new).collect(), ring, prober, reports, pulse }
    }

    /// With its keys; `None`: the box has thrown them away since.
    pub(super) fn peer(&self, keys: Keys, endpoint: SocketAddr) -> Option<Peer> {
        match keys {
            Keys::File(place) => Some(Peer { endpoint, ..self.files.get(place)?.peer.clone() }),
            Keys::Device { ours, relay } => {
                let ring = self.ring.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
                Some(Peer {
                    private_key: ring.private(&ours)?,
                    public_key: PublicKey::from(relay.0),
                    preshared_key: None,
                    endpoint,
                    keepalive_s: KEEPALIVE_S,
                })
            }
        }
    }

    fn resolvers(&self, keys: Keys) -> Vec<IpAddr> {
        match keys {
            Keys::File(place) => self.files.get(place).map(|file| file.resolvers.clone()).unwrap_or_default(),
            Keys::Device { .. } => Vec::from([IpAddr::V4(GATEWAY)]),
        }
    }

    /// Reports [`Input::Proved`], whatever becomes of it.
    pub(super) fn prove(&self, relay: &RelaySettings, attempt: Attempt) {
        let line = self.peer(relay.keys, attempt.endpoint).map(|peer| Line {
            peer,
            addresses: relay.end.addresses.clone(),
            resolvers: self.resolvers(relay.keys),
            mtu: attempt.mtu,
        });
        let (name, prober, reports) = (relay.name.clone(), self.prober.clone(), self.reports.clone());
        let pulse = self.pulse.clone();
        tokio::spawn(async move {
            let began = clock::uptime();
            pulse.tick();
            let verdict = match line {
                Some(line) => Box::pin(prober.prove(line)).await,
                None => Err(Obstacle::Unsent("its key is gone".to_owned())),
            };
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

impl File {
    fn new(file: &MullvadFile) -> Self {
        Self { peer: file.conf.peer.clone(), resolvers: resolvers(core::slice::from_ref(file)) }
    }
}

/// What the core is to know of the owner's files.
pub(super) fn settings(mullvad: &Mullvad) -> Vec<RelaySettings> {
    let ports = match mullvad.expect {
        Expect::Mullvad => Vec::from(PORTS),
        Expect::Any => Vec::new(),
    };
    let of = |(place, file): (usize, &MullvadFile)| RelaySettings {
        name: file.relay_name(),
        keys: Keys::File(place),
        end: TunnelEnd { addresses: addresses(file), relay: file.conf.peer.endpoint, mtu: mullvad.mtu },
        ports: ports.clone(),
    };
    mullvad.relays.iter().enumerate().map(of).collect()
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
