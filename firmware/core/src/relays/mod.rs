//! The relays of the owner's list: which one carries, which one stands by, and what is known of each.

mod verdict;
mod view;

pub use verdict::{Attempt, Obstacle, Proof, RelayId, Verdict};
pub use view::{RelayView, Role};
