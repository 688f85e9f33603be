//! The agent: acts on what byway-core decides.

pub mod tailnet;
pub mod tunnel;
