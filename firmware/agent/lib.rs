//! The agent: acts on what byway-core decides.

pub mod config;
pub mod net;
pub mod proof;
pub mod store;
pub mod tailnet;
pub mod tunnel;
