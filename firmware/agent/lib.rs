//! The agent: acts on what byway-core decides.

pub mod tunnel;
