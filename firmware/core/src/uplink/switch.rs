//! How an interface to the house hands packets on: switches of the kernel's, which make it faster and change nothing else.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// By ethtool's name, and how it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    pub name: &'static str,
    pub on: bool,
}

/// Datagrams of one flow that arrive together stay one on their way to a client: the rule set judges them once, and tailscaled
/// reads them at once. What is tied into a list instead, the kernel takes apart again before a TUN device.
pub const SWITCHES: [Switch; 2] =
    [Switch { name: "rx-udp-gro-forwarding", on: true }, Switch { name: "rx-gro-list", on: false }];

/// How one was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    On,
    Off,
    /// As it is, and its driver does not let it be changed.
    Fixed {
        on: bool,
    },
    /// This kernel has none of that name.
    Unknown,
}

impl Switch {
    /// Worth a try: it is not as it should be, and can be changed.
    pub const fn is_to_be_turned(self, found: Position) -> bool {
        match found {
            Position::On => !self.on,
            Position::Off => self.on,
            Position::Fixed { .. } | Position::Unknown => false,
        }
    }

    fn told(self, found: Position) -> String {
        let state = |on| if on { "on" } else { "off" };
        let name = self.name;
        match found {
            Position::On | Position::Off if self.is_to_be_turned(found) => {
                let (is, wanted) = (state(!self.on), state(self.on));
                format!("{name} {is}, slower than it need be (ethtool turns it: {name} {wanted})")
            }
            Position::On => format!("{name} on"),
            Position::Off => format!("{name} off"),
            Position::Fixed { on } if on == self.on => format!("{name} {}", state(on)),
            Position::Fixed { on } => format!("{name} {}, not possible otherwise on this driver", state(on)),
            Position::Unknown => format!("{name} not possible on this kernel"),
        }
    }
}

/// In a line: each switch of this interface.
pub fn told(interface: &str, found: &[(Switch, Position)]) -> String {
    let switches: Vec<String> = found.iter().map(|(switch, position)| switch.told(*position)).collect();
    format!("{interface}: {}", switches.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXED: [Position; 2] = [Position::Fixed { on: true }, Position::Fixed { on: false }];

    #[test]
    fn only_what_is_wrong_and_can_be_changed_is_turned() {
        let [on, off] = SWITCHES;
        assert!(on.is_to_be_turned(Position::Off) && !on.is_to_be_turned(Position::On));
        assert!(off.is_to_be_turned(Position::On) && !off.is_to_be_turned(Position::Off));
        for position in FIXED.into_iter().chain([Position::Unknown]) {
            assert!(SWITCHES.iter().all(|switch| !switch.is_to_be_turned(position)), "{position:?}");
        }
    }

    #[test]
    fn each_switch_of_an_interface_is_told() {
        let line = |positions: [Position; 2]| {
            let found: Vec<_> = SWITCHES.into_iter().zip(positions).collect();
            told("eth0", &found)
        };
        assert_eq!(line([Position::On, Position::Off]), "eth0: rx-udp-gro-forwarding on, rx-gro-list off");
        assert_eq!(
            line([Position::Fixed { on: false }, Position::Unknown]),
            "eth0: rx-udp-gro-forwarding off, not possible otherwise on this driver, \
             rx-gro-list not possible on this kernel"
        );
        assert_eq!(line(FIXED), "eth0: rx-udp-gro-forwarding on, rx-gro-list off");
        let wrong = line([Position::Off, Position::On]);
        assert!(wrong.contains("slower") && wrong.contains("rx-udp-gro-forwarding on)"), "{wrong}");
        assert!(wrong.contains("rx-gro-list on, slower") && wrong.ends_with("rx-gro-list off)"), "{wrong}");
    }
}
