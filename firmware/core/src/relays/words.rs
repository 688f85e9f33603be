//! What stands in the way of a relay, in a sentence for the owner.

use alloc::format;
use alloc::string::String;

use super::Obstacle;

impl Obstacle {
    /// How far the attempt came: who has seen more knows better what is wrong.
    pub(super) const fn distance(&self) -> u8 {
        match self {
            Self::Clock => 0,
            Self::Unsent(_) => 1,
            Self::FellSilent => 2,
            Self::Silence { machine: false, .. } => 3,
            Self::Refused => 4,
            Self::Silence { machine: true, .. } => 5,
            Self::Gateway => 6,
            Self::Narrow(_) => 7,
            Self::ExitCheck(_) => 8,
            Self::NotMullvad(_) => 9,
        }
    }

    /// Of the relay with this name; `known`: it has taken this box's key before.
    pub(super) fn sentence(&self, name: &str, known: bool) -> String {
        match self {
            Self::Clock => String::from("the clock cannot be right, so no handshake is made until it is set"),
            Self::Unsent(why) => format!("nothing can be sent to the relay {name}: {why}"),
            Self::FellSilent => format!("the relay {name} fell silent"),
            Self::Silence { machine: _, udp: false } => format!(
                "the relay {name} does not answer, and no time server either: the house's network seems to let no UDP through"
            ),
            Self::Silence { machine: false, udp: true } => {
                format!(
                    "{name} does not answer, and neither does its machine: the relay is gone, or the way to it"
                )
            }
            Self::Silence { machine: true, udp: true } if known => {
                format!("the machine of the relay {name} is there, but the relay does not answer any more")
            }
            Self::Silence { machine: true, udp: true } => format!(
                "the machine of the relay {name} is there, but does not answer this box's key: is the device still in the provider's list?"
            ),
            Self::Refused => format!("the machine of {name} is there, but no relay runs on it"),
            Self::Gateway => format!(
                "the relay {name} answers the handshake, but nothing in the tunnel: is the account paid, and the address in its file right?"
            ),
            Self::Narrow(most) => format!(
                "packets of more than {most} bytes vanish on the way to the relay {name}, and the tunnel needs 1280"
            ),
            Self::ExitCheck(error) => format!("the exit check by the relay {name} gets no answer: {error}"),
            Self::NotMullvad(address) => format!(
                "the exit check says that {address} is not mullvad: is the config of {name} of another provider?"
            ),
        }
    }
}
