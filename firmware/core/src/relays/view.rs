//! What may be told of one relay of the owner's list.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Uptime;

/// What a relay is to the box at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The tunnel goes there.
    Active,
    /// Proven, and kept proven, to take the active one's place.
    Standby,
    Spare,
}

/// Unknown is `None`, never a guess.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayView {
    pub name: String,
    /// Where it is reached from this house: the port that was proven last, or else the list's.
    pub endpoint: SocketAddr,
    pub role: Role,
    pub round_trip: Option<Duration>,
    /// What came through in one packet, in bytes.
    pub mtu: Option<u16>,
    pub proven: Option<Uptime>,
    /// When the last verdict came, whichever it was.
    pub tested: Option<Uptime>,
    /// Verdicts against it since it was last proven.
    pub failures: u32,
    /// What the last verdict found in the way, as a sentence; `None`: nothing, or there was none yet.
    pub obstacle: Option<String>,
    /// Who the internet sees behind it.
    pub seen_as: Vec<IpAddr>,
}

impl RelayView {
    pub(crate) fn without_ages(&self) -> Self {
        Self { round_trip: None, proven: None, tested: None, ..self.clone() }
    }
}
