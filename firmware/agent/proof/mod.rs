//! What the box finds out by asking: where its own names are, how the world sees it by each way out, whether the
//! relay's gateway answers. Reports what it heard; what counts as proof is decided in byway-core.

pub mod exit;
pub mod hosts;
pub mod names;
pub mod ping;

mod own_names;
mod prober;

pub use exit::ExitCheck;
pub use names::Names;
pub use own_names::OwnNames;
pub use prober::{GATEWAY, Prober};
