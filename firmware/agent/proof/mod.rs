//! What the box finds out by asking: where its own names are, how the world sees it by each way out, whether the
//! relay's gateway answers. Reports what it heard; what counts as proof is decided in byway-core.

pub mod exit;
pub mod hosts;
pub mod names;
pub mod ping;
mod way;

pub use way::Way;

/// The mark of the agent's own words to the internet by the house's line: main routes them, the rule set lets them
/// pass in every state.
pub const OWN_MARK: u32 = 0x0800_0000;
