//! Decides what the radio's program has to tell the owner: from the events and the status of `wpa_supplicant` to a
//! state and its sentence.

use alloc::format;
use alloc::string::String;

/// How far the box is with the house's radio network. A refusal stands until something else is known: the program tries
/// again and again meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WifiState {
    /// The program has not spoken yet.
    Starting,
    /// There is no such interface.
    NoRadio,
    /// The radio is switched off, by a key or by a program.
    Blocked,
    Searching,
    /// Nobody in reach has this name.
    Missing,
    Joining,
    WrongPassword,
    /// The network refuses the box for another reason.
    TurnedAway,
    /// Addresses come next.
    Joined,
    /// The program is not there, or ends again and again.
    Ended,
}

impl WifiState {
    /// After one of `wpa_supplicant`'s events, as its control socket tells it without the level.
    #[must_use]
    pub fn after(self, event: &str) -> Self {
        let (name, rest) = event.split_once(' ').unwrap_or((event, ""));
        match name {
            "CTRL-EVENT-CONNECTED" => Self::Joined,
            "CTRL-EVENT-DISCONNECTED" => self.lost(),
            "CTRL-EVENT-NETWORK-NOT-FOUND" => Self::Missing,
            "CTRL-EVENT-SSID-TEMP-DISABLED" if rest.ends_with("reason=WRONG_KEY") => Self::WrongPassword,
            "CTRL-EVENT-AUTH-REJECT" if is_wrong_password(rest) => Self::WrongPassword,
            "CTRL-EVENT-SSID-TEMP-DISABLED" | "CTRL-EVENT-AUTH-REJECT" | "CTRL-EVENT-ASSOC-REJECT" => {
                self.turned_away()
            }
            "SME:" | "Trying" | "Associated" => self.trying(),
            // The rest says nothing that the owner could use.
            _ => self,
        }
    }

    /// After a look at the program's status: what no event tells, and what was missed.
    #[must_use]
    pub fn seen(self, status: &str) -> Self {
        let state = status.lines().find_map(|line| line.strip_prefix("wpa_state="));
        match state.unwrap_or_default() {
            "COMPLETED" => Self::Joined,
            "INTERFACE_DISABLED" => Self::Blocked,
            "DISCONNECTED" | "INACTIVE" | "SCANNING" => self.lost(),
            "AUTHENTICATING" | "ASSOCIATING" | "ASSOCIATED" => self.trying(),
            // A joined box changes its keys now and then.
            _ => self,
        }
    }

    /// For the owner: what is the matter with the network of this name.
    pub fn sentence(self, ssid: &str, interface: &str) -> String {
        match self {
            Self::Starting | Self::Searching => format!("looking for the wi-fi {ssid:?}"),
            Self::NoRadio => format!("there is no interface {interface}"),
            Self::Blocked => format!("the radio of {interface} is switched off (rfkill)"),
            Self::Missing => format!("the wi-fi {ssid:?} is not there"),
            Self::Joining => format!("joining the wi-fi {ssid:?}"),
            Self::WrongPassword => format!("the wi-fi {ssid:?} refuses the password"),
            Self::TurnedAway => format!("the wi-fi {ssid:?} turns the box away"),
            Self::Joined => format!("joined the wi-fi {ssid:?}"),
            Self::Ended => String::from("wpa_supplicant, which the wi-fi needs, does not run"),
        }
    }

    fn lost(self) -> Self {
        match self {
            Self::Starting | Self::NoRadio | Self::Blocked | Self::Joined | Self::Ended => Self::Searching,
            Self::Searching | Self::Missing | Self::Joining | Self::WrongPassword | Self::TurnedAway => self,
        }
    }

    fn trying(self) -> Self {
        match self {
            Self::WrongPassword | Self::TurnedAway | Self::Joined => self,
            Self::Starting
            | Self::NoRadio
            | Self::Blocked
            | Self::Searching
            | Self::Missing
            | Self::Joining
            | Self::Ended => Self::Joining,
        }
    }

    fn turned_away(self) -> Self {
        if self == Self::WrongPassword { self } else { Self::TurnedAway }
    }
}

/// WPA3 finds out in its second message, and says so with a status (IEEE 802.11 9.4.1.9: 15, challenge failure).
fn is_wrong_password(rejection: &str) -> bool {
    let has = |wanted: &str| rejection.split(' ').any(|word| word == wanted);
    has("auth_type=3") && has("auth_transaction=2") && (has("status_code=15") || has("status_code=1"))
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// As told by version 2.10 with hostapd 2.10 at the other end.
    const JOINS: &str = "CTRL-EVENT-SCAN-RESULTS
SME: Trying to authenticate with 02:00:00:00:01:00 (SSID='x' freq=2412 MHz)
Trying to associate with 02:00:00:00:01:00 (SSID='x' freq=2412 MHz)
Associated with 02:00:00:00:01:00
CTRL-EVENT-SUBNET-STATUS-UPDATE status=0
WPA: Key negotiation completed with 02:00:00:00:01:00 [PTK=CCMP GTK=CCMP]
CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:01:00 completed [id=0 id_str=]";
    const WRONG_PASSWORD: &str = "CTRL-EVENT-SCAN-RESULTS
SME: Trying to authenticate with 02:00:00:00:01:00 (SSID='x' freq=2412 MHz)
Trying to associate with 02:00:00:00:01:00 (SSID='x' freq=2412 MHz)
Associated with 02:00:00:00:01:00
CTRL-EVENT-SUBNET-STATUS-UPDATE status=0
CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:01:00 reason=15
WPA: 4-Way Handshake failed - pre-shared key may be incorrect
CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid=\"x\" auth_failures=1 duration=10 reason=WRONG_KEY
CTRL-EVENT-SCAN-STARTED
CTRL-EVENT-SCAN-RESULTS
CTRL-EVENT-SSID-REENABLED id=0 ssid=\"x\"
SME: Trying to authenticate with 02:00:00:00:01:00 (SSID='x' freq=2412 MHz)
Trying to associate with 02:00:00:00:01:00 (SSID='x' freq=2412 MHz)
Associated with 02:00:00:00:01:00";
    const WPA3_WRONG_PASSWORD: &str = "CTRL-EVENT-SCAN-RESULTS
SME: Trying to authenticate with 02:00:00:00:01:00 (SSID='x' freq=2412 MHz)
SME: Trying to authenticate with 02:00:00:00:01:00 (SSID='x' freq=2412 MHz)
CTRL-EVENT-AUTH-REJECT 02:00:00:00:01:00 auth_type=3 auth_transaction=2 status_code=1
CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid=\"x\" auth_failures=1 duration=10 reason=CONN_FAILED
CTRL-EVENT-SCAN-STARTED
CTRL-EVENT-SCAN-RESULTS";
    const NOT_THERE: &str = "CTRL-EVENT-SCAN-STARTED\nCTRL-EVENT-SCAN-RESULTS\nCTRL-EVENT-NETWORK-NOT-FOUND";

    /// The states in their order, each once.
    fn states(begin: WifiState, events: &str) -> Vec<WifiState> {
        let mut states = Vec::new();
        let mut state = begin;
        for event in events.lines() {
            state = state.after(event);
            if states.last() != Some(&state) {
                states.push(state);
            }
        }
        states
    }

    #[test]
    fn joins_and_loses_a_network() {
        use WifiState::{Joined, Joining, Missing, Searching};
        assert_eq!(states(Searching, JOINS), [Searching, Joining, Joined]);
        let gone = "CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:01:00 reason=3";
        assert_eq!(states(Joined, gone), [Searching]);
        assert_eq!(states(Searching, NOT_THERE), [Searching, Missing]);
        assert_eq!(states(Missing, JOINS), [Missing, Joining, Joined]);
    }

    #[test]
    fn a_wrong_password_is_told_until_something_else_is_known() {
        use WifiState::{Joined, Joining, Missing, Searching, WrongPassword};
        assert_eq!(states(Searching, WRONG_PASSWORD), [Searching, Joining, WrongPassword]);
        assert_eq!(states(Searching, WPA3_WRONG_PASSWORD), [Searching, Joining, WrongPassword]);
        assert_eq!(states(WrongPassword, WRONG_PASSWORD), [WrongPassword], "and not told anew at each try");
        assert_eq!(states(WrongPassword, JOINS).last(), Some(&Joined));
        assert_eq!(states(WrongPassword, NOT_THERE).last(), Some(&Missing));
    }

    #[test]
    fn a_networks_name_says_nothing() {
        let event = "CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid=\"reason=WRONG_KEY\" auth_failures=1 duration=10 reason=CONN_FAILED";
        assert_eq!(WifiState::Joining.after(event), WifiState::TurnedAway);
        let rejection = "CTRL-EVENT-ASSOC-REJECT bssid=02:00:00:00:01:00 status_code=17";
        assert_eq!(WifiState::Joining.after(rejection), WifiState::TurnedAway);
    }

    #[test]
    fn a_look_tells_what_no_event_does() {
        let look = |state: WifiState, wpa_state: &str| {
            state.seen(&format!("bssid=02:00\nwpa_state={wpa_state}\nuuid=x\n"))
        };
        assert_eq!(look(WifiState::Starting, "SCANNING"), WifiState::Searching);
        assert_eq!(look(WifiState::Starting, "COMPLETED"), WifiState::Joined);
        assert_eq!(look(WifiState::Searching, "INTERFACE_DISABLED"), WifiState::Blocked);
        assert_eq!(look(WifiState::Blocked, "SCANNING"), WifiState::Searching);
        assert_eq!(look(WifiState::Joined, "4WAY_HANDSHAKE"), WifiState::Joined, "new keys");
        assert_eq!(look(WifiState::Joined, "DISCONNECTED"), WifiState::Searching);
        assert_eq!(look(WifiState::WrongPassword, "SCANNING"), WifiState::WrongPassword);
        assert_eq!(WifiState::Missing.seen("FAIL-BUSY\n"), WifiState::Missing);
    }

    #[test]
    fn sentences_show_any_name_on_one_line() {
        let told = WifiState::WrongPassword.sentence("Anna's \"5G\"\n\u{7}", "wlan0");
        assert_eq!(told, "the wi-fi \"Anna's \\\"5G\\\"\\n\\u{7}\" refuses the password");
        assert_eq!(WifiState::Missing.sentence("x", "wlan0"), "the wi-fi \"x\" is not there");
        assert_eq!(WifiState::NoRadio.sentence("x", "wlan1"), "there is no interface wlan1");
    }
}
