//! What the box finds out by asking: how the world sees it by each way out, whether the relay's gateway answers. Reports what it heard; what counts as proof is decided in byway-core.

pub mod echo;
pub mod exit;
pub mod ping;

mod portal;
mod prober;

pub use exit::ExitCheck;
pub use prober::{GATEWAY, Prober};
