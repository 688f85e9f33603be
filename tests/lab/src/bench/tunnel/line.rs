//! One implementation's way from left to right: both processes, their devices, and what they have cost.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::cable::{Cable, End};
use super::implementation::{Implementation, Programs};
use super::ping;
use crate::process::Process;
use crate::run::wireguard_socket;
use crate::wait_for;

/// What fits into the cable's 1500 bytes, for every implementation the same.
const MTU: u16 = 1420;
/// A handshake that is lost is repeated after 5 s.
const PATIENCE: Duration = Duration::from_secs(20);

/// A tunnel that carries, or none at all. Dropping it ends the processes and removes the devices.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) implementation: Implementation,
    cable: &'a Cable,
    /// Unique in this run: log files and control sockets are named after it.
    device: String,
    processes: Vec<Process>,
}

impl<'a> Line<'a> {
    /// `round` tells this one from the same implementation's line of another round.
    pub(super) fn raise(
        cable: &'a Cable,
        programs: &Programs,
        implementation: Implementation,
        round: usize,
    ) -> Result<Self> {
        let device = cable.run().device(&format!("t{round}{}", implementation as u8));
        let mut line = Self { implementation, cable, device, processes: Vec::new() };
        for end in End::BOTH {
            let device = line.device(end);
            let port = 51_820 + u16::from(implementation as u8);
            let started = implementation.start(programs, cable, end, (&device, port))?;
            if let Some(process) = started {
                let address = line.address(end);
                cable
                    .namespace(end)
                    .ip(&format!("addr add {address}/24 dev {device}\nlink set {device} mtu {MTU} up"))?;
                // Small packets are to come one by one, as they do from a network.
                cable.namespace(end).run(&["ethtool", "-K", &device, "tx-udp-segmentation", "off"])?;
                line.processes.push(process);
            }
        }
        line.wait_carries().with_context(|| format!("{} does not carry", implementation.name()))?;
        Ok(line)
    }

    /// Where this end is reached through the tunnel.
    pub(super) fn address(&self, end: End) -> Ipv4Addr {
        match self.implementation {
            Implementation::NoTunnel => end.address(),
            Implementation::Byway
            | Implementation::BywayPlain
            | Implementation::BoringtunOneThread
            | Implementation::BoringtunDefault
            | Implementation::Gotatun
            | Implementation::WireguardGo => Ipv4Addr::new(10, 77, self.implementation as u8, end.number()),
        }
    }

    /// What `open` makes belongs to this end for good.
    pub(super) fn at<T: Send>(&self, end: End, open: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.cable.namespace(end).enter(open)
    }

    /// On the left, for the echo on the right.
    pub(super) fn ping_socket(&self) -> Result<UdpSocket> {
        let target = SocketAddr::from((self.address(End::Right), ping::PORT));
        self.at(End::Left, || {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.connect(target).with_context(|| format!("no way to {target}"))?;
            Ok(socket)
        })
    }

    /// In seconds, of both processes so far; none where there is none.
    pub(super) fn cpu_time(&self) -> Result<Option<f64>> {
        let times = self.processes.iter().map(Process::cpu_time).collect::<Result<Vec<_>>>()?;
        Ok(times.into_iter().reduce(|one, other| one + other).map(|time| time.as_secs_f64()))
    }

    /// The most that either process ever had resident, in bytes.
    pub(super) fn peak_memory(&self) -> Option<u64> {
        self.processes.iter().filter_map(Process::peak_memory).max()
    }

    fn wait_carries(&self) -> Result<()> {
        let socket = self.ping_socket()?;
        wait_for("an echo through the tunnel", PATIENCE, || ping::once(&socket))
    }

    fn device(&self, end: End) -> String {
        format!("{}{}", self.device, end.number())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        self.processes.clear();
        for end in End::BOTH {
            let device = self.device(end);
            // Most have taken both with them.
            let _ = self.cable.namespace(end).output(&["ip", "link", "del", &device], &[]);
            let _ = fs::remove_file(wireguard_socket(&device));
        }
    }
}
