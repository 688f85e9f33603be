//! Two machines and the cable between them, which is like a NIC's or as fast as one kernel can make it.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::{fmt, fs};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::bench::results::Direction;
use crate::namespace::Namespace;
use crate::process::{command, succeed};
use crate::relay::generate_key;
use crate::run::Run;

/// What the cable does to packets that are larger than it is wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Link {
    /// Cuts them before the wire, as everything must be that leaves a machine; nothing is merged where it arrives.
    Nic,
    /// Cuts them too; what arrives is merged by the kernel, as many a NIC's driver has it, and what has to wait does
    /// so in a NIC's usual queue.
    Gro,
    /// Hands them over whole, as no wire does: two namespaces of one kernel.
    Veth,
}

impl Link {
    pub(super) const ALL: [Self; 3] = [Self::Nic, Self::Gro, Self::Veth];
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nic => "NIC",
            Self::Gro => "GRO",
            Self::Veth => "veth",
        })
    }
}

/// One of the two machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Left,
    Right,
}

impl End {
    pub(super) const BOTH: [Self; 2] = [Self::Left, Self::Right];

    /// Who sends and who receives.
    pub(super) fn of(direction: Direction) -> [Self; 2] {
        match direction {
            Direction::Upload => [Self::Left, Self::Right],
            Direction::Download => [Self::Right, Self::Left],
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }

    /// The last number of every address of this end.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Left => 1,
            Self::Right => 2,
        }
    }

    /// On the cable.
    pub(super) fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(192, 0, 2, self.number())
    }
}

/// Both machines, each with a key. Dropping it leaves nothing.
#[derive(Debug)]
pub(super) struct Cable {
    namespaces: [Namespace; 2],
    public_keys: [String; 2],
    run: Run,
}

impl Cable {
    /// Waits until there is room for it on this machine.
    pub(super) fn lay() -> Result<Self> {
        let run = Run::begin()?;
        let [left, right] = End::BOTH.map(|end| {
            let name = run.namespace(end.name());
            let namespace = Namespace::make(&name, run.folder(), "127.0.0.1 localhost\n", "127.0.0.1")?;
            let key = generate_key(&run.folder().join(format!("{}.key", end.name())))?;
            anyhow::Ok((namespace, key))
        });
        let ((left, left_key), (right, right_key)) = (left?, right?);
        let cable = Self { namespaces: [left, right], public_keys: [left_key, right_key], run };
        let [left, right] = End::BOTH.map(|end| cable.namespace(end).name());
        let words = ["link", "add", "eth0", "netns", left, "type", "veth", "peer", "name", "eth0", "netns"];
        succeed(command("ip", &[&words[..], &[right]].concat(), &[])).context("cannot lay the cable")?;
        for end in End::BOTH {
            let up = format!("link set lo up\naddr add {}/24 dev eth0\nlink set eth0 up", end.address());
            cable.namespace(end).ip(&up)?;
        }
        Ok(cable)
    }

    pub(super) fn become_a(&self, link: Link) -> Result<()> {
        let (cut, merge, queue) = match link {
            Link::Nic => ("off", "off", "noqueue"),
            Link::Gro => ("off", "on", "pfifo_fast"),
            Link::Veth => ("on", "off", "noqueue"),
        };
        let features = ["tso", cut, "gso", cut, "tx-udp-segmentation", cut, "gro", merge];
        for namespace in &self.namespaces {
            namespace.run(&[&["ethtool", "-K", "eth0"], &features[..]].concat())?;
            namespace.run(&["tc", "qdisc", "replace", "dev", "eth0", "root", queue])?;
        }
        Ok(())
    }

    pub(super) fn namespace(&self, end: End) -> &Namespace {
        let [left, right] = &self.namespaces;
        match end {
            End::Left => left,
            End::Right => right,
        }
    }

    pub(super) fn run(&self) -> &Run {
        &self.run
    }

    pub(super) fn public_key(&self, end: End) -> &str {
        let [left, right] = &self.public_keys;
        match end {
            End::Left => left,
            End::Right => right,
        }
    }

    pub(super) fn key_path(&self, end: End) -> PathBuf {
        self.run.folder().join(format!("{}.key", end.name()))
    }

    pub(super) fn private_key(&self, end: End) -> Result<String> {
        let key = fs::read_to_string(self.key_path(end)).context("cannot read a key of this run")?;
        Ok(key.trim().to_owned())
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for namespace in &self.namespaces {
            // What cannot be removed now is removed by name at the start of the next run.
            let _ = namespace.remove();
        }
    }
}
