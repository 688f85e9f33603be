//! The words for what people want; `byway_core` owns them, this stands in until it does.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Egress {
    Privacy,
    Residential,
}

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
}

impl From<Egress> for Wish {
    fn from(egress: Egress) -> Self {
        match egress {
            Egress::Privacy => Self::Privacy,
            Egress::Residential => Self::Residential,
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

impl fmt::Display for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Privacy => "privacy",
            Self::Residential => "residential",
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Mullvad,
    Any,
}
