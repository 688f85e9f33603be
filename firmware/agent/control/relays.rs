//! The relays as other people's scripts read them: the core's view with its moments turned into ages.

use std::net::{IpAddr, SocketAddr};

use byway_core::View;
use byway_core::account::Choice;
use byway_core::relays::{RelayView, Role};
use serde::{Deserialize, Serialize};

use super::Now;

/// Unknown is null, never a guess.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relay {
    /// As its file is called: `se-got-wg-001`.
    pub name: String,
    /// Where it is reached from this house.
    pub endpoint: SocketAddr,
    /// `"active"`, `"standby"` or `"spare"`.
    pub role: Role,
    /// Of a ping of its gateway.
    pub round_trip_ms: Option<u64>,
    /// What came through in one packet, in bytes.
    pub mtu: Option<u16>,
    /// Null: not since the agent's start.
    pub proven_s_ago: Option<u64>,
    /// The same, of the last verdict, whichever it was.
    pub tested_s_ago: Option<u64>,
    /// Verdicts against it since it was last proven.
    pub failures: u32,
    /// What the last verdict found in the way, as a sentence; null: nothing, or there was none yet.
    pub obstacle: Option<String>,
    /// Who the internet sees behind it.
    pub seen_as: Vec<IpAddr>,
}

impl Relay {
    /// In the order of the owner's list.
    pub fn list(view: &View, now: Now) -> Vec<Self> {
        view.relays.iter().map(|relay| Self::new(relay, now)).collect()
    }

    fn new(view: &RelayView, now: Now) -> Self {
        let age = |then| now.uptime.since(then).as_secs();
        Self {
            name: view.name.clone(),
            endpoint: view.endpoint,
            role: view.role,
            round_trip_ms: view.round_trip.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
            mtu: view.mtu,
            proven_s_ago: view.proven.map(age),
            tested_s_ago: view.tested.map(age),
            failures: view.failures,
            obstacle: view.obstacle.clone(),
            seen_as: view.seen_as.clone(),
        }
    }

    /// The last verdict came within as many seconds.
    pub fn was_tested_within(&self, seconds: u64) -> bool {
        self.tested_s_ago.is_some_and(|age| age <= seconds)
    }

    /// The last verdict is for it.
    pub const fn is_proven(&self) -> bool {
        self.proven_s_ago.is_some() && self.obstacle.is_none()
    }
}

/// Whether a relay of this name is what was chosen: names begin with the code of their city.
pub(crate) fn is_in(choice: &Choice, relay: &str) -> bool {
    let is_below = |place: &str| relay.strip_prefix(place).is_some_and(|rest| rest.starts_with('-'));
    match choice {
        Choice::Country(country) => is_below(country),
        Choice::City { city, .. } => is_below(city),
        Choice::Host { host, .. } => relay == host,
    }
}

/// What to say of a name that is not in the list.
pub(crate) fn unknown_relay(name: &str, relays: &[&str]) -> String {
    format!("there is no relay {name:?}: there are {}", relays.join(", "))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use byway_core::Uptime;
    use byway_core::relays::{Keys, RelayId};

    use super::*;

    #[test]
    fn a_relay_is_where_its_name_says() {
        for (choice, relay, is) in [
            ("se", "se-got-wg-001", true),
            ("se", "sel-got-wg-001", false),
            ("de", "se-got-wg-001", false),
            ("se-got", "se-got-wg-001", true),
            ("se-go", "se-got-wg-001", false),
            ("se-got", "se-got", false),
            ("se-got-wg-001", "se-got-wg-001", true),
            ("se-got-wg-001", "se-got-wg-0012", false),
        ] {
            assert_eq!(is_in(&choice.parse().unwrap(), relay), is, "{choice}: {relay}");
        }
    }

    #[test]
    fn tells_relays_as_scripts_read_them() {
        let at = |seconds| Uptime::since_boot(Duration::from_secs(seconds));
        let proven = RelayView {
            id: RelayId(0),
            keys: Keys::File(0),
            name: "se-got-wg-001".to_owned(),
            endpoint: "192.0.2.130:51820".parse().unwrap(),
            role: Role::Active,
            round_trip: Some(Duration::from_micros(23_900)),
            mtu: Some(1380),
            proven: Some(at(30)),
            tested: Some(at(30)),
            failures: 0,
            obstacle: None,
            seen_as: Vec::from(["198.51.100.10".parse().unwrap(), "2001:db8::10".parse().unwrap()]),
        };
        let unknown = RelayView {
            id: RelayId(1),
            keys: Keys::File(1),
            name: "de-fra-wg-001".to_owned(),
            endpoint: "[2001:db8::1]:53".parse().unwrap(),
            role: Role::Spare,
            round_trip: None,
            mtu: None,
            proven: None,
            tested: None,
            failures: 2,
            obstacle: Some("nothing comes back".to_owned()),
            seen_as: Vec::new(),
        };
        let now = Now { uptime: at(42), wall: SystemTime::UNIX_EPOCH };
        let told = [proven, unknown].map(|view| Relay::new(&view, now));
        assert_eq!(
            serde_json::to_value(&told).unwrap(),
            serde_json::json!([
                {"name": "se-got-wg-001", "endpoint": "192.0.2.130:51820", "role": "active", "round_trip_ms": 23,
                 "mtu": 1380, "proven_s_ago": 12, "tested_s_ago": 12, "failures": 0, "obstacle": null,
                 "seen_as": ["198.51.100.10", "2001:db8::10"]},
                {"name": "de-fra-wg-001", "endpoint": "[2001:db8::1]:53", "role": "spare", "round_trip_ms": null,
                 "mtu": null, "proven_s_ago": null, "tested_s_ago": null, "failures": 2,
                 "obstacle": "nothing comes back", "seen_as": []},
            ])
        );
        assert_eq!(told.each_ref().map(Relay::is_proven), [true, false]);
        assert_eq!([11, 12].map(|seconds| told[0].was_tested_within(seconds)), [false, true]);
        assert!(!told[1].was_tested_within(u64::MAX), "it never was");
    }
}
