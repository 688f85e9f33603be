//! The two ways out, and what the people want of them.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Phase;

/// A way out of the box for client packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Egress {
    /// Through the `WireGuard` tunnel to Mullvad.
    Privacy,
    /// By the internet line of the house that the box stands in.
    Residential,
}

impl Egress {
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Privacy => Self::Residential,
            Self::Residential => Self::Privacy,
        }
    }
}

impl fmt::Display for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Privacy => "privacy",
            Self::Residential => "residential",
        })
    }
}

/// What the people want: remembered across reboots, never shown as if it were so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wish {
    Privacy,
    Residential,
    Sealed,
}

impl Wish {
    pub const fn egress(self) -> Option<Egress> {
        match self {
            Self::Privacy => Some(Egress::Privacy),
            Self::Residential => Some(Egress::Residential),
            Self::Sealed => None,
        }
    }

    /// The wished door is open, or no door as wished.
    pub fn is_reached(self, phase: Phase, door: Option<Egress>) -> bool {
        match self.egress() {
            Some(egress) => phase == Phase::Open && door == Some(egress),
            None => phase == Phase::Sealed,
        }
    }
}

impl From<Egress> for Wish {
    fn from(egress: Egress) -> Self {
        match egress {
            Egress::Privacy => Self::Privacy,
            Egress::Residential => Self::Residential,
        }
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.egress() {
            Some(egress) => egress.fmt(f),
            None => f.write_str("sealed"),
        }
    }
}

impl FromStr for Wish {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "privacy" => Ok(Self::Privacy),
            "residential" => Ok(Self::Residential),
            "sealed" => Ok(Self::Sealed),
            _ => Err("write privacy, residential or sealed"),
        }
    }
}
