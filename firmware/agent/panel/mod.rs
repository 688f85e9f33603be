//! What a person at the box sees and touches. What it says is decided in `core::panel`.

pub mod screen;
