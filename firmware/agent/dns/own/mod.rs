//! The box's own names (control server, DERP hosts, check host), which never depend on the tunnel: asked of the house,
//! remembered, and kept where tailscaled reads them for itself and not for its clients.

pub mod hosts;

mod keep;
mod names;

pub use keep::OwnNames;
pub use names::{Names, ResolveError};
