//! What keeps the box from being attached to the house, each in a sentence for the owner.

use alloc::string::String;
use core::fmt;
use core::net::IpAddr;

use super::Medium;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no interface of this name.
    NoLink(String),
    NoCable(String),
    /// The radio is looking for its network.
    Joining,
    /// Why the radio has joined no network.
    NoWifi(String),
    /// The house was asked a moment ago.
    Asking,
    NoLease(Medium),
    /// Configured by hand or by somebody else, and not there yet.
    NoAddress,
    /// Another machine has this address.
    Duplicate(IpAddr),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLink(interface) => {
                write!(f, "there is no interface {interface}: is the name below [uplink] right?")
            }
            Self::NoCable(interface) => write!(f, "no cable in {interface}: put one in"),
            Self::Joining => f.write_str("joining the wi-fi"),
            Self::NoWifi(why) => f.write_str(why),
            Self::Asking => f.write_str("asking the house for an address"),
            Self::NoLease(Medium::Cable) => f.write_str(
                "the cable is in, but no DHCP server answers: does it lead to the house's router?",
            ),
            Self::NoLease(Medium::Wifi) => {
                f.write_str("joined the wi-fi, but no DHCP server answers: restart the house's router")
            }
            Self::NoAddress => f.write_str("the house's interface has no address yet"),
            Self::Duplicate(address) => write!(
                f,
                "{address} is taken by another machine in the house: give that one or this box another address"
            ),
        }
    }
}
