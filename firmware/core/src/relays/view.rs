//! What may be told of one relay of the owner's list.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Keys, RelayId};
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
    pub id: RelayId,
    pub keys: Keys,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_proof_is_no_change_and_a_failure_is_one() {
        let at = |seconds| Some(Uptime::since_boot(Duration::from_secs(seconds)));
        let before = RelayView {
            id: RelayId(0),
            keys: Keys::File(0),
            name: String::from("se-got-wg-001"),
            endpoint: ([192, 0, 2, 130], 51820).into(),
            role: Role::Standby,
            round_trip: Some(Duration::from_millis(23)),
            mtu: Some(1380),
            proven: at(10),
            tested: at(10),
            failures: 0,
            obstacle: None,
            seen_as: Vec::new(),
        };
        let round_trip = Some(Duration::from_millis(24));
        let proven_again = RelayView { round_trip, proven: at(190), tested: at(190), ..before.clone() };
        assert_eq!(proven_again.without_ages(), before.without_ages());
        let failed = RelayView { failures: 1, ..proven_again };
        assert_ne!(failed.without_ages(), before.without_ages());
    }
}
