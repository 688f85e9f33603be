//! The owner's account with Mullvad.

mod catalogue;
mod words;

pub use catalogue::{Catalogue, Choice, Listed, Place};
pub use words::{Answer, Call, Device, Effect, Input, PublicKey, Record, Refusal, Report, Surroundings};
